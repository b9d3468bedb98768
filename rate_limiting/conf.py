"""Settings of rate_limiting."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


class RateLimitingSettings(AppSettings, prefix="RATE_LIMITING"):
    """Each setting with its default and one sentence."""


settings = RateLimitingSettings()
