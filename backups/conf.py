"""Settings of backups."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting
from garrison.keys import random_token

HOURS, WEEKDAYS = tuple(range(24)), tuple(range(7))


class BackupsSettings(AppSettings, prefix="BACKUPS"):
    """Each setting with its default and one sentence."""

    # What is backed up, and where it goes
    databases = Setting[list[str]](
        ["default"],
        "Aliases of the databases that are backed up; the first is the main one, with the index.",
    )
    file_storages = Setting[list[str]](
        ["default"],
        "Aliases of STORAGES whose files are backed up; names not in STORAGES are refused.",
    )
    exclude = Setting[list[str]](
        [],
        "Patterns (`*.tmp`, `cache/*`) of files and folders that are left out: of a name, or with "
        "a slash of the path in the storage, where `*` passes slashes.",
    )
    follow_links_to = Setting[list[str]](
        [], "Folders outside of the storages into which symbolic links are followed."
    )
    reread_days = Setting(
        30,
        "Days within which each file is read again although its size, times and inode are as "
        "before; 1 is every day.",
        minimum=1,
    )
    targets = Setting[list[str]](
        ["backups"],
        "Aliases of STORAGES that backups are written to, each on its own and all at once.",
    )
    folder = Setting("", "Folder inside each target, so that several sites can share one.")
    bytes_per_second = Setting(
        0,
        "Most encrypted bytes written to each target in a second; 0 is no limit.",
        minimum=0,
    )
    object_lock_days = Setting(
        0,
        "Days for which the targets refuse deletion (S3 Object Lock); pruning waits for as long.",
        minimum=0,
    )

    # Keys
    recipients = Setting[list[str]](
        [],
        "age recipients (age1…) to whom backups are encrypted; each of them can open them alone.",
    )
    identity_file = Setting(
        "", "Path of the age identity file; set only where restores and drills run."
    )
    restores_run_here = Setting(
        False,
        "True on the machine where restores and drills run, so an identity there is no finding.",
    )
    allow_unencrypted = Setting(
        False, "True writes backups in plain text when there is no recipient; a check then shouts."
    )
    signing_secret = Setting(
        "",
        "Secret from which the Ed25519 key that signs manifests is derived; SECRET_KEY when empty.",
        secret=True,
        fresh=random_token,
    )
    trusted_signers = Setting[list[str]](
        [], "Public keys (ed25519:…) whose manifests are also believed: older keys, other machines."
    )

    # When
    hour = Setting(2, "Hour of the nightly backup in the site's time zone.", choices=HOURS)
    drill_weekday = Setting(
        6, "Day of the weekly drill; 0 is Monday, 6 is Sunday.", choices=WEEKDAYS
    )
    drill_hour = Setting(4, "Hour of the weekly drill in the site's time zone.", choices=HOURS)
    attempts = Setting(3, "How often the backup of one night is tried.", minimum=1)
    lease_seconds = Setting(
        90, "Seconds without a heartbeat after which a run counts as dead.", minimum=1
    )
    timeout_seconds = Setting(
        6 * 3600, "Seconds after which a run's programs are killed.", minimum=1
    )

    # How long
    retention_days = Setting(30, "Days for which every backup is kept.", minimum=1)
    keep_weekly = Setting(8, "Weeks for which the first good backup of each is kept.", minimum=0)
    keep_monthly = Setting(12, "Months for which the first good backup of each is kept.", minimum=0)
    keep_last = Setting(3, "Number of the newest good backups that are never pruned.", minimum=1)
    prune_percent = Setting(
        25,
        "Most percent of the good backups that one pruning may delete without being told to.",
        minimum=1,
    )

    # When an event reports it
    overdue_hours = Setting(
        26, "Hours without a good backup after which an event reports it.", minimum=1
    )
    drill_overdue_days = Setting(
        8, "Days without a passed drill after which an event reports it.", minimum=1
    )
    identity_unproven_days = Setting(
        30,
        "Days in which no identity has opened a backup after which the key counts as nearly lost.",
        minimum=1,
    )

    # Recovery to a point in time, by another tool
    point_in_time = Setting[list[str]](
        [],
        "Command, as a list, that writes pgBackRest's info or WAL-G's list of backups as JSON.",
    )
    point_in_time_overdue_hours = Setting(
        26, "Hours without a base backup of that tool after which an event reports it.", minimum=1
    )

    # How
    postgresql_tools = Setting(
        "", "Folder of pg_dump, pg_restore and psql; looked for in the known places when empty."
    )
    require_fresh = Setting(
        "",
        "Dotted path of a callable that takes the request and raises unless its session is fresh.",
        dotted_path=True,
    )


settings = BackupsSettings()
