from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from hypothesis import given
from hypothesis import strategies as st

from garrison import context
from rate_limiting.rates import parse_rate
from rate_limiting.subject import LONGEST_ACCOUNT_NAME, Subject, fold, subject_of


def value(key, **parts):
    return Subject(**{"address": "192.0.2.1", **parts}).value(parse_rate(f"1/m {key}"))


def test_a_stranger_is_counted_by_address_and_a_person_by_key():
    assert value("user", user_id="7") == value("user", user_id="7", address="192.0.2.2")
    assert value("user") != value("user", address="192.0.2.2")
    assert value("user", user_id="192.0.2.1") != value("user")


def test_a_request_without_an_account_is_not_counted_by_account():
    assert value("account+address") is None
    assert value("account+address", account="ana") is not None


def test_everybody_shares_the_site():
    assert value("site", user_id="7") == value("site", address="192.0.2.2")


@given(st.text(), st.text(), st.text(), st.text())
def test_different_parts_never_make_one_value(account, endpoint, other_account, other_endpoint):
    one = value("account+endpoint", account=account, endpoint=endpoint)
    two = value("account+endpoint", account=other_account, endpoint=other_endpoint)
    assert (one == two) == ((account, endpoint) == (other_account, other_endpoint))


def test_a_value_shows_no_name_and_depends_on_the_secret(settings):
    before = value("account", account="ana@example.com")
    assert "ana" not in before
    settings.SECRET_KEY = "another-secret-key-of-the-site-0123456789abcdef"
    assert value("account", account="ana@example.com") != before


@pytest.mark.parametrize(
    "name",
    ["ana@example.com", "ANA@Example.COM", "  ana@example.com\n", "ana\uff20\uff45xample.com"],
)
def test_the_spellings_of_a_name_are_one(name):
    assert fold(name) == "ana@example.com"


@given(st.text())
def test_folding_is_bounded_and_outer_spaces_do_not_count(name):
    folded = fold(name)
    assert len(folded) <= LONGEST_ACCOUNT_NAME
    assert len(name) > LONGEST_ACCOUNT_NAME or fold(f"\t {name} ") == folded


@pytest.mark.parametrize(
    ("body", "account"),
    [
        ({"email": "Ana@example.com"}, "ana@example.com"),
        ({"username": "Ana"}, "ana"),
        ({"email": "", "username": "Ana"}, "ana"),
        ({"email": ["ana"]}, None),
        ({"email": 7}, None),
        ({"email": None}, None),
        ({"email": "   "}, None),
        ({}, None),
    ],
)
def test_the_account_is_read_off_the_body(rf, body, account):
    found = subject_of(rf.post("/"), endpoint="e", body=body)
    assert found.account == account


def test_lone_surrogates_and_nul_in_a_name_are_counted_like_any(rf):
    for name in ("\ud800", "a\x00b"):
        subject = subject_of(rf.post("/"), endpoint="e", body={"email": name})
        assert subject.value(parse_rate("1/m account"))


def test_the_address_is_the_context_s_and_ipv6_is_counted_by_its_64(rf):
    request = rf.get("/", REMOTE_ADDR="2001:db8:1:2::5")
    assert subject_of(request, endpoint="e").address == "2001:db8:1:2::/64"
    with context.bound(context.RequestContext(request_id="x" * 32, ip="203.0.113.9")):
        assert subject_of(request, endpoint="e").address == "203.0.113.9"
    with context.bound(context.RequestContext(request_id="x" * 32, ip=None)):
        assert subject_of(request, endpoint="e").address == "unknown"


def test_an_ipv4_address_mapped_into_ipv6_is_itself(rf):
    request = rf.get("/", REMOTE_ADDR="::ffff:198.51.100.7")
    assert subject_of(request, endpoint="e").address == "198.51.100.7"


def test_an_anonymous_user_has_no_key(rf):
    assert subject_of(rf.get("/"), endpoint="e", user=AnonymousUser()).user_id is None


def tenant_of(request):
    return request.headers.get("X-Tenant")


def test_a_custom_key_is_given_the_request(rf):
    rate = parse_rate(f"1/m {tenant_of.__module__}.tenant_of")
    one, two, none = (
        subject_of(rf.get("/", headers=headers), endpoint="e").value(rate)
        for headers in ({"X-Tenant": "a"}, {"X-Tenant": "b"}, {})
    )
    assert one != two
    assert none is None
