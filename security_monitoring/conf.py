"""Settings of security_monitoring."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class SecurityMonitoringSettings(AppSettings, prefix="SECURITY"):
    """Each setting with its default and one sentence."""

    failed_login_kinds = Setting[list[str]](
        ["accounts.login.failed", "audit.login.failed"],
        "Names of the event kinds that count as a failed sign-in.",
    )
    suspicious_kinds = Setting[list[str]](
        [
            "accounts.lockout.started",
            "audit.chain.broken",
            "encryption.reveal.refused",
            "encryption.value.unreadable",
            "sessions.refresh.rejected",
            "sessions.refresh.reused",
        ],
        "Names of the event kinds that count as suspicious; work that staff may do is not.",
    )


settings = SecurityMonitoringSettings()
