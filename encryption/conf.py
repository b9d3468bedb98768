"""Settings of encryption."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class EncryptionSettings(AppSettings, prefix="ENCRYPTION"):
    """Each setting with its default and one sentence."""


settings = EncryptionSettings()
