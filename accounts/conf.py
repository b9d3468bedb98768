"""Settings of accounts."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.module_loading import import_string

from garrison.conf import AppSettings, Setting
from garrison.keys import random_token


def _is_no_step(paths: list[str]) -> str | None:
    for path in paths:
        try:
            step = import_string(path)
        except ImportError as failure:
            return f"{path!r} does not resolve ({failure})."
        # By what it has: importing the class would close a circle, from here to the rows and back.
        if not (isinstance(step, type) and hasattr(step, "require") and hasattr(step, "verify")):
            return f"{path!r} is no subclass of accounts.steps.Step."
    return None


def _is_no_link(url: str) -> str | None:
    if not url or urlsplit(url).scheme in {"http", "https"}:
        return None
    return f"{url!r} is no address of a page; it begins with https://."


def _is_no_service(url: str) -> str | None:
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if not url or (parts.hostname and (parts.scheme == "https" or is_local)):
        return None
    return f"{url!r} is no address that begins with https://, or with http:// on this machine."


class AccountsSettings(AppSettings, prefix="ACCOUNTS"):
    """Each setting with its default and one sentence."""

    site_name = Setting(
        "Django Garrison",
        "The site's name, as mails call it and as a word no password may lean on.",
        name="SITE_NAME",
    )
    fingerprint_key = Setting(
        "",
        "Secret under which login names are hashed for locks and events; SECRET_KEY when empty.",
        secret=True,
        fresh=random_token,
    )
    context_words = Setting[list[str]](
        [],
        "More words that no password may lean on: names of products, towns, departments.",
    )
    password_min_length = Setting(
        12,
        "Fewest characters of a new password; at least 8 (OWASP ASVS 5.0 V6.2.1).",
        validate=lambda value: None if 8 <= value <= 64 else f"{value} is not from 8 to 64.",
    )
    password_min_score = Setting(
        3,
        "Lowest zxcvbn score of a new password, from 0 (anything) to 4 (very hard to guess).",
        choices=(0, 1, 2, 3, 4),
    )
    password_history = Setting(
        5,
        "How many of the last passwords, the present one among them, may not be set again.",
        minimum=0,
    )
    password_max_age_days = Setting[int | None](
        90,
        "After how many days a new password is asked for at sign-in; None never asks for one "
        "because of its age (OWASP ASVS 5.0 V6.2.10).",
        kind=(int, type(None)),
        minimum=1,
    )
    password_warning_days = Setting(
        14,
        "How many days before it expires the owner of a password is told at each sign-in.",
        minimum=0,
    )
    breach_corpus = Setting(
        "",
        "Where `breach_corpus install` puts the file of breached passwords, which then answers.",
    )
    breach_service_url = Setting(
        "",
        "Range API of Pwned Passwords or a mirror, asked where no corpus is installed: "
        "`https://api.pwnedpasswords.com/range/`; nobody is asked where it is empty.",
        validate=_is_no_service,
    )
    breach_on_failure = Setting(
        "accept",
        "What becomes of a new password while nobody can tell whether it is breached: `accept` it "
        "and look again when its owner signs in, or `refuse` it.",
        choices=("accept", "refuse"),
    )
    hashing_slots = Setting(
        2,
        "How many passwords one process hashes at once, in 46 MiB each; more are answered 503 at "
        "once. Half of the process's threads, so that the others go on reading.",
        minimum=1,
    )
    lockout_failures = Setting(
        5,
        "Failed sign-ins of one account, within the window, that lock it.",
        minimum=1,
    )
    lockout_address_failures = Setting(
        50,
        "Failed sign-ins from one address (an IPv6 /64), within the window, that lock the address.",
        minimum=1,
    )
    lockout_site_failures = Setting(
        10_000,
        "Failed sign-ins on the whole site, within the window, after which strangers are refused "
        "for as long as the first lock lasts; trusted devices never are.",
        minimum=1,
    )
    lockout_window_seconds = Setting(
        900, "The time within which failed sign-ins are counted together.", minimum=1
    )
    lockout_seconds = Setting(
        900, "The first lock's length; each further one is twice as long.", minimum=1
    )
    lockout_max_seconds = Setting(
        86_400,
        "The longest lock; after this long without one, the next starts short again.",
        minimum=1,
    )
    trusted_device_days = Setting(
        180, "How long a device is trusted after the last sign-in on it, in days.", minimum=1
    )
    most_trusted_devices = Setting(
        10, "Most trusted devices of one person; the one used longest ago is out.", minimum=1
    )
    device_cookie_name = Setting(
        "trusted_device",
        "The cookie by which a browser is a trusted device; begin it with __Host- under HTTPS.",
    )
    sign_in_steps = Setting[list[str]](
        ["accounts.steps.VerifiedAddress", "accounts.renewal.PasswordStillGood"],
        "Dotted paths of the steps that a sign-in passes after its password, in order.",
        validate=_is_no_step,
    )
    pending_sign_in_seconds = Setting(
        300,
        "How long a sign-in that a step has halted may be continued.",
        minimum=1,
    )
    privileges_permission = Setting(
        "",
        "The permission, as app.codename, whose holders may change groups and give privileges that "
        "they hold themselves; superusers alone may where it is empty.",
    )
    roles = Setting[dict[str, list[str] | None]](
        {},
        "More roles, and more permissions of those there are, as lists of app.codename by the "
        "role's name; None leaves a role out.",
    )
    code_seconds = Setting(600, "How long a mailed code is good for.", minimum=1)
    code_tries = Setting(
        5,
        "How many guesses a mailed code of six digits stands; of one that opens an account, how "
        "many one address or trusted device has within the lockout's window.",
        minimum=1,
    )
    keep_unverified_days = Setting(
        30,
        "How long an account is kept whose address was never verified and that nobody signed in "
        "to, in days; 0 keeps it for ever.",
        minimum=0,
    )
    mails_per_hour = Setting(
        5,
        "How many mails of each kind an hour strangers can make the site send to one account, and "
        "a trusted device for itself; of codes for a new password strangers get one in 5 minutes.",
        minimum=1,
    )
    unlock_mails_per_day = Setting(
        5,
        "How many codes a day are mailed to unlock one account, each after its right password and "
        "one for each lock.",
        minimum=1,
    )
    unlock_url = Setting(
        "",
        "The page where the mailed code that unlocks an account is entered; its mail links there.",
        validate=_is_no_link,
    )
    self_service_url = Setting(
        "",
        "The page where people look after their account, which mails then link to.",
        validate=_is_no_link,
    )


settings = AccountsSettings()
