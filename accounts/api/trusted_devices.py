"""Trusted devices, as they go in and come out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.devices import LONGEST_DEVICE_TOKEN
from accounts.models import TrustedDevice
from garrison import context


class DeviceTokenField(serializers.CharField):
    """What an earlier sign-in handed out; a browser's cookie stands in for it."""

    def __init__(self, **kwargs: Any) -> None:
        """Let it be absent, or anything: what is no token of this account's is none."""
        super().__init__(
            max_length=LONGEST_DEVICE_TOKEN,
            required=False,
            default="",
            allow_blank=True,
            write_only=True,
            **kwargs,
        )


class TrustedDeviceOutput(serializers.ModelSerializer[TrustedDevice]):
    """A device that an outsider's failures do not lock; ``current`` marks the one that asks."""

    current = serializers.SerializerMethodField()
    device = serializers.CharField(source="name")

    class Meta:
        """Nothing of the token is shown."""

        model = TrustedDevice
        fields = ["id", "current", "device", "ip", "created_at", "last_used_at", "expires_at"]
        read_only_fields = fields

    def get_current(self, device: TrustedDevice) -> bool:
        """Return whether it started the session that asks."""
        return bool(device.session_id) and device.session_id == context.current().session_id
