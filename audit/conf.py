"""Settings of audit."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class AuditSettings(AppSettings, prefix="AUDIT"):
    """Each setting with its default and one sentence."""

    on_failure = Setting(
        "refuse",
        'When an event cannot be stored: "refuse" undoes the change it describes, "report" logs '
        "the failure and lets the change stand.",
        choices=("refuse", "report"),
    )
    log_events = Setting(
        True,
        "Whether each event is also written as one line of JSON to the logger garrison.audit.",
    )


settings = AuditSettings()
