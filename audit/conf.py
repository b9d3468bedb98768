"""Settings of audit."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class AuditSettings(AppSettings, prefix="AUDIT"):
    """Each setting with its default and one sentence."""


settings = AuditSettings()
