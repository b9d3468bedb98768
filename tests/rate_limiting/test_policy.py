from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.errors import ConfigurationError
from rate_limiting.policy import counted_views, policy_for, scopes
from rate_limiting.rates import LONGEST_PERIOD_SECONDS, Rate, parse_rate

PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("5/15m", Rate(5, 900, ("user",))),
        ("100/h", Rate(100, 3600, ("user",))),
        ("1/s", Rate(1, 1, ("user",))),
        ("0/d", Rate(0, 86_400, ("user",))),
        (" 50 / 15m   address ", Rate(50, 900, ("address",))),
        ("5/15m account+address+endpoint", Rate(5, 900, ("account", "address", "endpoint"))),
        ("9/m site", Rate(9, 60, ("site",))),
        ("9/m tenants.keys.tenant_of", Rate(9, 60, ("tenants.keys.tenant_of",))),
    ],
)
def test_a_rate_is_read(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "5", "5/", "/m", "5/15", "five/m", "5/15w", "-5/m", "5.5/m", "5/m/h", "5/0m", "5/400d",
     "\u0665/m", "5/m;address", "5/m nobody", "5/m address+", "5/m +", "5/m .a.b", "9999999999/m",
     "5/m\x00", "5/m address user"],
)  # fmt: skip
def test_what_is_no_rate_is_refused_with_itself(text):
    with pytest.raises(ConfigurationError) as refusal:
        parse_rate(text)
    assert repr(text) in str(refusal.value)


@given(st.text(max_size=40))
def test_any_text_is_a_rate_or_a_configuration_error(text):
    with contextlib.suppress(ConfigurationError):
        rate = parse_rate(text)
        assert rate.limit >= 0
        assert 1 <= rate.period_seconds <= LONGEST_PERIOD_SECONDS
        assert rate.key


@given(
    st.integers(0, 999_999_999),
    st.integers(1, 366),
    st.sampled_from("smhd"),
    st.lists(
        st.sampled_from(["user", "address", "account", "endpoint", "site"]), min_size=1, unique=True
    ),
)
def test_what_is_written_is_what_is_read(limit, multiple, unit, key):
    rate = parse_rate(f"{limit}/{multiple}{unit} {'+'.join(key)}")
    assert rate == Rate(limit, multiple * PERIODS[unit], tuple(key))
    assert parse_rate(rate.label) == rate


def test_the_limits_of_the_contract_are_the_defaults(settings):
    del settings.RATE_LIMITS
    settings.RATE_LIMITING_FACTOR = 1
    assert [rate.label for rate in policy_for("auth").rates] == [
        "5/15m account+address+endpoint",
        "50/15m address",
    ]
    assert [rate.label for rate in policy_for("api").rates] == ["100/15m user"]
    assert [rate.label for rate in policy_for("exports").rates] == ["10/h user"]
    assert [rate.label for rate in policy_for("uploads").rates] == ["20/h user"]
    assert [scope for scope in scopes() if policy_for(scope).goes_on_uncounted] == ["api"]


def test_a_scope_that_is_left_out_keeps_its_default(settings):
    settings.RATE_LIMITS = {"reports": ["3/h"]}
    assert policy_for("reports").rates[0].limit == 3
    assert policy_for("auth").rates
    assert not policy_for("reports").goes_on_uncounted


def test_the_factor_multiplies_every_limit(settings):
    settings.RATE_LIMITS = {"auth": ["5/15m", "50/15m address"]}
    settings.RATE_LIMITING_FACTOR = 20
    assert [rate.limit for rate in policy_for("auth").rates] == [100, 1000]


def test_an_unknown_scope_is_named_with_those_that_exist(settings):
    with pytest.raises(ConfigurationError, match=r"'nothing'.*api, auth"):
        policy_for("nothing")


def test_an_app_brings_a_scope_and_the_host_has_the_last_word(settings):
    assert [rate.label for rate in policy_for("reports").rates] == ["60/h address"]
    assert {"auth", "api", "exports", "uploads", "reports"} == set(scopes())
    settings.RATE_LIMITS = {"reports": ["7/d address"]}
    assert [rate.label for rate in policy_for("reports").rates] == ["7/d address"]


def test_the_views_an_app_counts_can_be_left_uncounted(settings):
    assert counted_views()["csp-report"] == "reports"
    settings.RATE_LIMITING_VIEWS = {"csp-report": None, "mine": "api"}
    assert (counted_views()["csp-report"], counted_views()["mine"]) == (None, "api")
