"""The tie between a row and Django's own session.

Django's session holds the row's id; the row holds the key of Django's session, sealed, so that
ending the row can delete the other. The key signs its bearer in, so it is nowhere kept in clear.
Sealed form: version byte 1 ‖ length of key id ‖ key id ‖ nonce (12) ‖ AES-256-GCM ciphertext and
tag, bound to the row's id.
"""

from __future__ import annotations

import secrets
from importlib import import_module
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.apps import apps
from django.conf import settings as django_settings

from sessions_tracking.signing_keys import keyring

if TYPE_CHECKING:
    import uuid

    from django.contrib.sessions.backends.base import SessionBase

    from sessions_tracking.models import Session

SESSION_ID = "_tracked_session_id"  # where Django's session notes the row
VERSION = b"\x01"
NONCE_BYTES = 12  # NIST SP 800-38D §8.2.2, random


def seal(django_key: str, row_id: uuid.UUID) -> bytes:
    """Seal the key of Django's session under the active signing key."""
    key = keyring().active
    kid, nonce = key.kid.encode(), secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(key.cookie_sealing).encrypt(nonce, django_key.encode(), row_id.bytes)
    return VERSION + bytes([len(kid)]) + kid + nonce + sealed


def unseal(sealed: bytes | memoryview, row_id: uuid.UUID) -> str | None:
    """Open what :func:`seal` closed; ``None`` where it was altered or its key has been retired."""
    sealed = bytes(sealed)  # some drivers give a memoryview
    if sealed[:1] != VERSION or len(sealed) < 2:
        return None
    end = 2 + sealed[1]
    key = keyring().by_id.get(sealed[2:end].decode(errors="replace"))
    nonce, text = sealed[end : end + NONCE_BYTES], sealed[end + NONCE_BYTES :]
    if key is None or len(nonce) < NONCE_BYTES:
        return None
    try:
        return AESGCM(key.cookie_sealing).decrypt(nonce, text, row_id.bytes).decode()
    except InvalidTag:
        return None


def forget(session: Session) -> None:
    """Delete Django's session behind the row, where there is one."""
    django_key = unseal(session.sealed_cookie_key, session.pk)
    if django_key:
        _store()(session_key=django_key).delete()


def clear_expired() -> None:
    """Delete Django's sessions that have expired, as ``manage.py clearsessions`` does."""
    if apps.is_installed("django.contrib.sessions"):
        _store().clear_expired()


def _store() -> type[SessionBase]:
    store: type[SessionBase] = import_module(django_settings.SESSION_ENGINE).SessionStore
    return store
