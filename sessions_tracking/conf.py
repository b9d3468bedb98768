"""Settings of sessions_tracking."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class SessionsTrackingSettings(AppSettings, prefix="SESSIONS"):
    """Each setting with its default and one sentence."""


settings = SessionsTrackingSettings()
