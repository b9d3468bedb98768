"""Settings of rate_limiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from garrison.conf import AppSettings, Setting
from garrison.keys import random_token
from rate_limiting.rates import problem_of_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_LIMITS: Mapping[str, list[str]] = {
    "auth": ["5/15m", "50/15m address"],
    "api": ["100/15m"],
    "exports": ["10/h"],
    "uploads": ["20/h"],
}
DEFAULT_ON_STORE_FAILURE: Mapping[str, str] = {
    "auth": "refuse",
    "api": "allow",
    "exports": "refuse",
    "uploads": "refuse",
}

# A sign-in costs a hash. One person needs fewer than fifteen in a quarter of an hour (5 + 2 x 5),
# and an office behind one address fewer than 150.
DEFAULT_MOST_REFUNDS: Mapping[str, int] = {"auth": 2}


def _wrong_refunds(refunds: Mapping[str, object]) -> str | None:
    wrong = [scope for scope, times in refunds.items() if not isinstance(times, int) or times < 0]
    return f"{wrong[0]!r} has {refunds[wrong[0]]!r}, which is no number from 0." if wrong else None


def _wrong_answers(answers: Mapping[str, object]) -> str | None:
    wrong = sorted(str(a) for a in answers.values() if a not in ("refuse", "allow"))
    return f"{wrong[0]!r} is neither 'refuse' nor 'allow'." if wrong else None


class RateLimitingSettings(AppSettings, prefix="RATE_LIMITING"):
    """Each setting with its default and one sentence."""

    limits = Setting[dict[str, list[str]]](
        dict(DEFAULT_LIMITS),
        "The rates of each scope, such as '5/15m' or '50/15m address'; scopes left out keep "
        "their default, an empty list turns a scope off.",
        name="RATE_LIMITS",
        validate=problem_of_limits,
    )
    key = Setting(
        "",
        "Secret under which whoever is counted is hashed; SECRET_KEY when empty.",
        secret=True,
        fresh=random_token,
    )
    factor = Setting(
        1,
        "Every limit is multiplied by this number; development uses 20.",
        minimum=1,
    )
    on_store_failure = Setting[dict[str, str]](
        dict(DEFAULT_ON_STORE_FAILURE),
        "By scope, whether requests that cannot be counted are 'refuse'd or 'allow'ed; a scope "
        "that is not named is refused.",
        validate=_wrong_answers,
    )
    most_refunds = Setting[dict[str, int]](
        dict(DEFAULT_MOST_REFUNDS),
        "By scope, how many times over a rate's limit is refunded to successes in one window; a "
        "scope that is not named is refunded without end.",
        validate=_wrong_refunds,
    )
    longest_retry_after_seconds = Setting(
        3600,
        "How far Retry-After may grow when refusals repeat; never less than the window's rest.",
        minimum=1,
    )
    account_fields = Setting[list[str]](
        ["email", "username"],
        "Fields of a request's body that name the account it is about, the first found counts.",
    )
    views = Setting[dict[str, str | None]](
        {},
        "Scopes of further views that are not the API's, by view name, or None for a view that an "
        "app has counted; the middleware counts what is sent with POST, PUT, PATCH or DELETE.",
    )


settings = RateLimitingSettings()
