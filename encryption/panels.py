"""What encryption shows on the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Sum
from django.utils import timezone

from encryption.keyring import keyring
from encryption.models import DecryptionFailureCount, KeyVersion, Rotation
from garrison import panels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

SHOWN = 5


@panels.register
class EncryptionKeys(panels.Panel):
    """How old the keys are, how far rotations have come, and what could not be read."""

    slug = "encryption-keys"
    title = "Encryption"
    template = "encryption/panels/encryption_keys.html"
    permission = "encryption.view_keyversion"
    width = 6
    order = 80

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Three queries over small tables."""
        now, active = timezone.now(), keyring().active.id
        return {
            "keys": [
                {
                    "key": version,
                    "days": (now - version.first_seen_at).days,
                    "is_active": version.key_id == active,
                }
                for version in KeyVersion.objects.all()[:SHOWN]
            ],
            "rotations": Rotation.objects.filter(finished_at=None)[:SHOWN],
            "failures": DecryptionFailureCount.objects.filter(
                hour__gte=window.start, hour__lt=window.end
            )
            .values("place", "key_id", "reason")
            .annotate(total=Sum("count"))
            .order_by("-total")[:SHOWN],
        }
