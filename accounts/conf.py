"""Settings of accounts."""

from __future__ import annotations

from garrison.conf import AppSettings


class AccountsSettings(AppSettings, prefix="ACCOUNTS"):
    """Each setting with its default and one sentence."""


settings = AccountsSettings()
