"""Settings of encryption."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting
from garrison.keys import random_key


class EncryptionSettings(AppSettings, prefix="ENCRYPTION"):
    """Each setting with its default and one sentence."""

    keys = Setting[list[str]](
        [],
        "The keys, active one first: id:base64 of 32 random bytes, or pbkdf2:passphrase.",
        secret=True,
        fresh=lambda: [f"k1:{random_key()}"],
    )
    key_provider = Setting(
        "encryption.keyring.SettingsKeyProvider",
        "Dotted path of the class that gives the keys: from settings, a file, or a KMS.",
        dotted_path=True,
    )
    keys_file = Setting(
        "",
        "Path of the file that FileKeyProvider reads: one key a line, readable by its owner only.",
    )
    index_key = Setting(
        "",
        "Id of the key that blind indexes derive theirs from; needed as soon as there are two.",
    )
    vault_url = Setting("", "Address of the Vault-like service that unwraps keys.")
    vault_transit_key = Setting("garrison", "Name of the transit key the keys are wrapped under.")
    vault_token_file = Setting("", "Path of the file that holds the token for the Vault service.")
    vault_wrapped_keys = Setting[list[str]](
        [], "The keys as id:vault:v1:…, wrapped by the Vault service, active one first."
    )
    vault_timeout_seconds = Setting(5.0, "How long to wait for the Vault service at start.")
    subject_keys_storage = Setting(
        "subject_keys",
        "Alias in STORAGES of where per-subject keys live; keep it out of every backup.",
    )
    subject_key_cache_seconds = Setting(
        10,
        "How long a process may go on using a subject's key after another one has erased it.",
    )
    erase_deleted_users = Setting(
        False,
        "Whether deleting a user destroys their keys too, so that what was encrypted for them is "
        "unreadable for ever, in backups as well.",
    )
    kept_backups = Setting(
        "",
        "Dotted path of a function that gives the moments of the kept backups; a key they need "
        "is not retired.",
        dotted_path=True,
    )
    key_max_age_days = Setting(
        365, "Age after which the health report asks for a new active key (NIST SP 800-57)."
    )


settings = EncryptionSettings()
