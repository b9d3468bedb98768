"""Settings of audit."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting
from garrison.keys import random_key


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
    keys = Setting[list[str]](
        [],
        "The keys that seal events, active one first: id:base64 of 32 random bytes, or site for "
        "the one made from SECRET_KEY, which alone is used where there is none.",
        secret=True,
        fresh=lambda: [f"a1:{random_key()}"],
    )
    seal_seconds = Setting(
        0.5,
        "How long the sealer waits between two looks for new events.",
        validate=lambda value: None if 0 < value <= 60 else "it must be above 0 and at most 60.",
    )
    checkpoint_keys = Setting[list[str]](
        [],
        "The Ed25519 keys that sign checkpoints, signing one first: id:base64 of 32 random bytes, "
        "or site for the one made from SECRET_KEY, which alone is used where there is none.",
        secret=True,
        fresh=lambda: [f"c1:{random_key()}"],
    )
    checkpoint_public_keys = Setting[list[str]](
        [],
        "Public keys whose checkpoints are believed beside those of AUDIT_CHECKPOINT_KEYS, as "
        "id:base64; `manage.py audit_checkpoint --public-keys` prints this site's.",
    )
    checkpoint_storage = Setting(
        "audit_checkpoints",
        "Alias in STORAGES of where a copy of every checkpoint goes; choose one that whoever owns "
        "the database cannot write to.",
    )

    keep_days = Setting(
        730,
        "How long security events and the admin's own log are kept, in days; 0 keeps them for "
        "ever.",
        validate=lambda value: (
            None if value == 0 or value > 7 else "the last 7 days are always kept: 0, or 8 and more"
        ),
    )


settings = AuditSettings()
