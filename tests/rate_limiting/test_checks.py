from __future__ import annotations

import pytest
from django.core.checks import run_checks

from garrison import checks as garrison_checks
from rate_limiting import checks, policy
from rate_limiting.endpoints import endpoints

pytestmark = pytest.mark.urls("tests.rate_limiting.urls")


def ids(found):
    return [message.id for message in found]


@pytest.mark.django_db  # SQLite is asked what it can do
def test_the_project_has_nothing_to_say():
    assert [m for m in run_checks() if str(m.id).startswith("rate_limiting.")] == []


@pytest.mark.parametrize(
    "backend",
    [
        "django.core.cache.backends.locmem.LocMemCache",
        "django.core.cache.backends.redis.RedisCache",
        "django.core.cache.backends.dummy.DummyCache",
        "no.such.Backend",
    ],
)
def test_a_cache_that_does_not_count_exactly_is_an_error(settings, backend):
    settings.CACHES = {"default": {"BACKEND": backend}}
    (message,) = checks.check_cache(None)
    assert message.id == checks.E001
    assert backend in message.msg
    assert "CounterCache" in message.hint


def test_the_cache_that_counts_may_have_another_alias(settings):
    counting = settings.CACHES["default"]
    local = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {"default": local, "counters": counting}
    assert ids(checks.check_cache(None)) == [checks.E001]
    settings.RATELIMIT_USE_CACHE = "counters"
    assert checks.check_cache(None) == []


def test_a_view_of_an_unknown_scope_is_an_error(monkeypatch):
    from tests.rate_limiting.urls import Read

    monkeypatch.setattr(Read, "throttle_scope", "nothing", raising=False)
    (message,) = checks.check_scopes(None)
    assert message.id == checks.E002
    assert "'read'" in message.msg
    assert "'nothing'" in message.msg


def test_a_setting_that_names_an_unknown_scope_is_an_error(settings):
    settings.RATE_LIMITING_VIEWS = {"admin:login": "nothing"}
    assert ids(checks.check_scopes(None)) == [checks.E002]


def test_a_custom_key_that_does_not_resolve_is_an_error(settings):
    settings.RATE_LIMITS = {"api": ["5/m no.such.key"]}
    (message,) = checks.check_keys(None)
    assert message.id == checks.E003
    assert "no.such.key" in message.msg


def test_a_missing_middleware_is_a_warning(settings):
    settings.MIDDLEWARE = [m for m in settings.MIDDLEWARE if m != checks.MIDDLEWARE]
    assert ids(checks.check_middleware(None)) == [checks.W004]


@pytest.mark.parametrize(
    "limits", [{"api": ["five per minute"]}, {"api": "5/m"}, {"api": [5]}, {7: ["5/m"]}]
)
def test_limits_that_cannot_be_read_are_an_error_and_no_crash(settings, limits):
    settings.RATE_LIMITS = limits
    found = [m for m in garrison_checks.check_settings(None) if "RATE_LIMITS" in m.msg]
    assert ids(found) == [garrison_checks.E002]
    checks.check_keys(None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMITING_FACTOR", 0),
        ("RATE_LIMITING_ON_STORE_FAILURE", {"auth": "maybe"}),
        ("RATE_LIMITING_LONGEST_RETRY_AFTER_SECONDS", -1),
    ],
)
def test_settings_out_of_range_are_errors(settings, name, value):
    setattr(settings, name, value)
    assert [m.id for m in garrison_checks.check_settings(None) if name in m.msg] == [
        garrison_checks.E002
    ]


def test_every_counted_view_is_found_with_its_scope(settings):
    settings.RATE_LIMITING_VIEWS = {"export": "exports", "csp-report": None}
    assert set(endpoints()) == {
        ("admin:login", "auth"),
        ("admin:password_change", "auth"),
        ("export", "exports"),
        ("read", "api"),
        ("login", "auth"),
        ("register", "auth"),
        ("guarded", "exports"),
        ("guarded-auth", "auth"),
        ("for-nobody", "api"),
    }


def test_two_apps_that_mean_different_things_by_one_scope_are_refused(monkeypatch):
    from accounts.apps import AccountsConfig

    monkeypatch.setattr(AccountsConfig, "rate_limits", {"reports": ["1/d"]}, raising=False)
    policy.declared.cache_clear()
    policy.counted_views.cache_clear()
    (found,) = checks.check_scopes(None)
    assert found.id == checks.E005
    assert "'reports' is declared twice: in http_hardening.apps and in accounts.apps" in found.msg
    monkeypatch.undo()
    policy.declared.cache_clear()
