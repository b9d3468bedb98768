"""Settings of http_hardening."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class HttpHardeningSettings(AppSettings, prefix="HTTP_HARDENING"):
    """Each setting with its default and one sentence."""


settings = HttpHardeningSettings()
