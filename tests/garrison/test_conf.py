"""Typed settings and the checks that read them."""

import pytest

from garrison import checks, conf
from garrison.conf import AppSettings, Setting
from garrison.errors import ConfigurationError

with conf.SETTINGS.temporarily():

    class SampleSettings(AppSettings, prefix="SAMPLE"):
        """Settings of an app that exists only here."""

        limit = Setting(5, "How many.", minimum=1)
        ratio = Setting(0.5, "How much.")
        mode = Setting("a", "Which.", choices=("a", "b"))
        max_age_days = Setting[int | None](90, "How old, or None.", kind=(int, type(None)))
        hook = Setting("garrison.context.current", "What to call.", dotted_path=True)
        key = Setting(
            "", "A secret.", secret=True, validate=lambda value: "too short" if value else None
        )


sample = SampleSettings()


@pytest.fixture(autouse=True)
def _with_sample():
    known = dict(conf.SETTINGS.items())
    with conf.SETTINGS.temporarily({**known, "SAMPLE": SampleSettings}):
        yield


def test_two_apps_cannot_have_one_prefix():
    with pytest.raises(ConfigurationError, match="settings prefix 'SAMPLE' is declared twice"):
        type("Other", (AppSettings,), {}, prefix="SAMPLE")


def problems(settings_id):
    return [m.msg for m in checks.check_settings(None) if m.id == settings_id]


def test_the_default_is_given_and_a_written_value_wins(settings):
    assert sample.limit == 5
    settings.SAMPLE_LIMIT = 7
    assert sample.limit == 7


def test_nothing_is_written_back_into_django(settings):
    assert sample.limit == 5
    assert not hasattr(settings, "SAMPLE_LIMIT")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SAMPLE_LIMIT", "7", "'7' is str; int is needed"),
        ("SAMPLE_LIMIT", True, "True is bool; int is needed"),
        ("SAMPLE_LIMIT", 0, "0 is too small; at least 1 is needed"),
        ("SAMPLE_MODE", "c", "'c' is not one of 'a', 'b'"),
        ("SAMPLE_MAX_AGE_DAYS", "x", "int or None is needed"),
        ("SAMPLE_KEY", "hunter2", "too short"),
    ],
)
def test_a_wrong_value_is_an_error_with_its_reason(settings, name, value, sentence):
    setattr(settings, name, value)
    (message,) = problems(checks.E002)
    assert name in message
    assert sentence in message


@pytest.mark.parametrize(("name", "value"), [("SAMPLE_MAX_AGE_DAYS", None), ("SAMPLE_RATIO", 1)])
def test_what_is_meant_to_be_accepted_is(settings, name, value):
    setattr(settings, name, value)
    assert problems(checks.E002) == []


def test_a_secret_is_never_shown(settings):
    settings.SAMPLE_KEY = 12345678
    (message,) = problems(checks.E002)
    assert "12345678" not in message


def test_an_unknown_name_is_a_warning_with_the_nearest_known_one(settings):
    settings.SAMPLE_LIMITS = 7
    (message,) = [m for m in checks.check_settings(None) if m.id == checks.W001]
    assert "SAMPLE_LIMITS" in message.msg
    assert message.hint == "Did you mean SAMPLE_LIMIT?"


def test_a_dotted_path_that_does_not_resolve_is_an_error(settings):
    settings.SAMPLE_HOOK = "garrison.context.nothing"
    (message,) = [m for m in checks.check_dotted_paths(None) if m.id == checks.E003]
    assert "SAMPLE_HOOK" in message.msg


def test_a_trusted_proxy_must_be_an_address_range(settings):
    settings.GARRISON_TRUSTED_PROXIES = ["10.0.0.0/8", "proxy.example"]
    assert problems(checks.E005) == [
        "GARRISON_TRUSTED_PROXIES holds 'proxy.example', which is not an address range."
    ]


def test_the_context_middleware_must_be_first(settings):
    assert checks.check_middleware(None) == []
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[1:], settings.MIDDLEWARE[0]]
    (message,) = checks.check_middleware(None)
    assert message.id == checks.W004
