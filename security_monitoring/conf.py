"""Settings of security_monitoring."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class SecurityMonitoringSettings(AppSettings, prefix="SECURITY"):
    """Each setting with its default and one sentence."""


settings = SecurityMonitoringSettings()
