"""Settings of security_monitoring."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class SecurityMonitoringSettings(AppSettings, prefix="SECURITY"):
    """Each setting with its default and one sentence."""

    failed_login_kinds = Setting[list[str]](
        ["accounts.login.failed"],
        "Names of the event kinds that count as a failed sign-in.",
    )


settings = SecurityMonitoringSettings()
