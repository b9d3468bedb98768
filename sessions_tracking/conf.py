"""Settings of sessions_tracking."""

from __future__ import annotations

from garrison.conf import AppSettings, Setting


def _at_least_one(value: int) -> str | None:
    return None if value >= 1 else f"{value} is too small; at least 1 is needed."


def _not_negative(value: int) -> str | None:
    return None if value >= 0 else f"{value} is negative; at least 0 is needed."


class SessionsTrackingSettings(AppSettings, prefix="SESSIONS"):
    """Each setting with its default and one sentence."""

    signing_keys = Setting[list[str]](
        [],
        "Keys that sign tokens, as 'id:secret' or 'id:<Ed25519 private key in PEM>'; the first one "
        "signs, the others still verify.",
        secret=True,
    )
    issuer = Setting("django-garrison", "The iss claim that tokens carry and must carry.")
    audience = Setting("django-garrison-api", "The aud claim that tokens carry and must carry.")
    access_seconds = Setting(
        900, "How long an access token is good for, in seconds.", validate=_at_least_one
    )
    refresh_days = Setting(
        30,
        "How long a token session lasts at most, counted from the sign-in, in days.",
        validate=_at_least_one,
    )
    refresh_grace_seconds = Setting(
        20,
        "How long after a rotation the replaced refresh token still yields the same successor, in "
        "seconds.",
        validate=_not_negative,
    )
    idle_days = Setting(
        30,
        "How long a token session lasts without being used, in days.",
        validate=_at_least_one,
    )
    cookie_hours = Setting(
        12,
        "How long a cookie session lasts at most, counted from the sign-in, in hours.",
        validate=_at_least_one,
    )
    cookie_idle_minutes = Setting(
        60,
        "How long a cookie session lasts without being used, in minutes.",
        validate=_at_least_one,
    )
    last_seen_seconds = Setting(
        60,
        "How often a session's last use is written at most, in seconds.",
        validate=_at_least_one,
    )
    most_per_user = Setting(
        50,
        "How many sessions one user may have at a time; a new sign-in ends the ones unused for "
        "longest.",
        validate=_at_least_one,
    )
    keep_ended_days = Setting(
        90,
        "How long the rows of ended and lapsed sessions are kept, in days.",
        validate=_not_negative,
    )


settings = SessionsTrackingSettings()
