"""Whether a password is known from breaches, whoever can answer."""

from __future__ import annotations

import hashlib
import logging

from django.views.decorators.debug import sensitive_variables

from accounts.conf import settings
from accounts.errors import CorpusMalformed
from accounts.password.breaches import corpus, service
from accounts.password.rules.characters import is_encodable

logger = logging.getLogger("accounts.password")


def is_asked_online() -> bool:
    """Return whether the service answers: it is configured, and there is no corpus."""
    return bool(settings.breach_service_url) and corpus.installed_path() is None


@sensitive_variables()
def is_breached(password: str) -> bool | None:
    """Return whether the password stands in a breach; ``None`` where nobody could answer.

    The corpus answers where it is installed, else the service where one is configured; where there
    is neither, nothing is known of any password. The password leaves neither this process nor its
    memory; of its hash, five characters go to the service.
    """
    if not is_encodable(password):
        return False
    # The corpus is keyed by SHA-1; nothing here relies on its strength.
    sha1 = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest()
    try:
        path = corpus.installed_path()
        if path is not None:
            return corpus.count_of(sha1, path=path) > 0
        return bool(settings.breach_service_url) and service.count_of(sha1) > 0
    except service.ServiceSilent:
        return None
    except (OSError, CorpusMalformed):
        logger.exception("The corpus of breached passwords cannot be read.")
        return None
