"""``EMAIL_URL`` becomes mail settings that each Django line understands."""

from pathlib import Path

import django
import pytest
from dj_email_url import parse

from config import mail

MAILERS = django.VERSION >= (6, 1)


def flat(settings):
    """Return both lines' settings in the words of the older one."""
    if not MAILERS:
        return settings
    (entry,) = settings["MAILERS"].values()
    names = {option: name for name, option in mail.OPTIONS.items()}
    given = {names.get(option, option): value for option, value in entry["OPTIONS"].items()}
    return {"EMAIL_BACKEND": entry["BACKEND"], **given}


def test_a_mail_server_is_reached_by_what_the_url_says():
    settings = flat(mail.to_server(parse("submission://u%40x:p%3Aw@mail.example:587/?timeout=3")))
    assert settings["EMAIL_BACKEND"] == mail.SMTP
    assert (settings["EMAIL_HOST"], settings["EMAIL_PORT"]) == ("mail.example", 587)
    assert (settings["EMAIL_HOST_USER"], settings["EMAIL_HOST_PASSWORD"]) == ("u@x", "p:w")
    assert settings["EMAIL_USE_TLS"] is True
    assert settings["EMAIL_TIMEOUT"] == 3


def test_a_mail_server_that_hangs_is_given_up():
    settings = flat(mail.to_server(parse("smtp://mail.example:25")))
    assert settings["EMAIL_TIMEOUT"] == mail.TIMEOUT_SECONDS


@pytest.mark.parametrize("scheme", ["console", "memory", "dummy"])
def test_other_backends_take_no_server(scheme):
    settings = flat(mail.to_server(parse(f"{scheme}:")))
    assert settings["EMAIL_BACKEND"].endswith(".EmailBackend")
    assert "EMAIL_HOST" not in settings


def test_without_a_url_mail_goes_to_files():
    settings = flat(mail.to_files(Path("somewhere")))
    assert settings["EMAIL_BACKEND"] == mail.FILES
    assert Path("somewhere") in settings.values()
