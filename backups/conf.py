"""Settings of backups."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class BackupsSettings(AppSettings, prefix="BACKUPS"):
    """Each setting with its default and one sentence."""


settings = BackupsSettings()
