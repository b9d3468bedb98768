"""Settings of sessions_tracking."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting
from garrison.keys import random_token


class SessionsTrackingSettings(AppSettings, prefix="SESSIONS"):
    """Each setting with its default and one sentence."""

    signing_keys = Setting[list[str]](
        [],
        "Keys that sign tokens, as 'id:secret' or 'id:<Ed25519 private key in PEM>'; the first one "
        "signs, the others still verify.",
        secret=True,
        fresh=lambda: [f"k1:{random_token()}"],
    )
    issuer = Setting("django-garrison", "The iss claim that tokens carry and must carry.")
    audience = Setting("django-garrison-api", "The aud claim that tokens carry and must carry.")
    access_seconds = Setting(900, "How long an access token is good for, in seconds.", minimum=1)
    refresh_days = Setting(
        30,
        "How long a token session lasts at most, counted from the sign-in, in days.",
        minimum=1,
    )
    refresh_grace_seconds = Setting(
        20,
        "How long after a rotation the replaced refresh token still yields the same successor, in "
        "seconds.",
        minimum=0,
    )
    idle_days = Setting(
        30,
        "How long a token session lasts without being used, in days.",
        minimum=1,
    )
    cookie_hours = Setting(
        12,
        "How long a cookie session lasts at most, counted from the sign-in, in hours.",
        minimum=1,
    )
    cookie_idle_minutes = Setting(
        60,
        "How long a cookie session lasts without being used, in minutes.",
        minimum=1,
    )
    last_seen_seconds = Setting(
        60,
        "How often a session's last use is written at most, in seconds.",
        minimum=1,
    )
    mailer = Setting(
        "sessions_tracking.notices.send_soon",
        "What mails a notice to a user, called with template, user and facts; with accounts, "
        "'accounts.mails.queue_notice' loses none.",
        dotted_path=True,
    )
    most_per_user = Setting(
        50,
        "How many sessions one user may have at a time; a new sign-in ends the ones unused for "
        "longest.",
        minimum=1,
    )
    keep_ended_days = Setting(
        90,
        "How long the rows of ended and lapsed sessions are kept, in days.",
        minimum=0,
    )


settings = SessionsTrackingSettings()
