"""A site with a weak environment does not start, and says which variable is at fault."""

import base64
import json
import os
import re
import runpy
import secrets
import subprocess
import sys
from pathlib import Path
from string import Template

import pytest
from environs.exceptions import EnvError
from hypothesis import given
from hypothesis import strategies as st

from config import environment
from config.starter import keys
from garrison.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    **keys.generate().variables,
    "GARRISON_ENV": "production",
    "GARRISON_ENV_FILE": os.devnull,
    "DATABASE_URL": "sqlite://:memory:",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
# Named in the parameters and filled in by the tests: two workers must collect the same tests.
RANDOM = {
    "random": secrets.token_urlsafe(32),
    "key_of_31_bytes": base64.b64encode(secrets.token_bytes(31)).decode(),
    "SECRET_KEY": GOOD["SECRET_KEY"],
}


def start(*command, **changes):
    """Start a program of the project in a given environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    told = {n: v for n, v in (kept | GOOD | changes).items() if v is not None}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("SECRET_KEY", None, "is not set"),
        ("SECRET_KEY", "", "is not set"),
        ("SECRET_KEY", "short-but-random-8f3a", "21 characters; 32 are needed"),
        ("SECRET_KEY", "django-insecure-$random", "looks like a default"),
        ("SECRET_KEY", "changeme" * 8, "looks like a default"),
        ("SECRET_KEY", "ab" * 40, "looks like a default or a pattern"),
        ("JWT_SECRET", None, "is not set"),
        ("JWT_SECRET", "short", "5 characters; 32 are needed"),
        ("JWT_SECRET", "$SECRET_KEY", "is the same as SECRET_KEY"),
        ("ENCRYPTION_KEY", None, "is not set"),
        ("ENCRYPTION_KEY", "$random", "has no id; write it as id:key"),
        ("ENCRYPTION_KEY", "k1:$key_of_31_bytes", "'k1' is 31 bytes; 32 are needed"),
        ("ENCRYPTION_KEY", "pbkdf2:short", "is a passphrase that is 5 characters; 20 are needed"),
        ("AUDIT_KEY", "$random", "has no id; write it as id:key"),
        ("AUDIT_KEY", "a1:$key_of_31_bytes", "'a1' is 31 bytes; 32 are needed"),
        ("AUDIT_CHECKPOINT_KEY", "c1:$random", "'c1' is not base64"),
        ("DATABASE_URL", None, "is not set"),
        ("DATABASE_URL", "nonsense", "Not a valid database URL"),
        ("REDIS_URL", None, "is not set"),
    ],
)
def test_a_bad_value_is_refused_by_the_variables_name(monkeypatch, variable, value, why):
    for name, good in GOOD.items():
        monkeypatch.setenv(name, good)
    value = value and Template(value).substitute(RANDOM)
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises((ConfigurationError, EnvError)) as refusal:
        runpy.run_path(str(ROOT / "config/settings.py"))
    assert variable in str(refusal.value)
    assert why in str(refusal.value)
    if value and len(value) > 20:
        assert value not in str(refusal.value)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("SECRET_KEY", None, "SECRET_KEY is not set. Run `manage.py generate_keys`"),
        ("DATABASE_URL", "nonsense", '"DATABASE_URL" invalid: Not a valid database URL'),
        ("GARRISON_ENV", "prod", "GARRISON_ENV is 'prod'; write production or development."),
    ],
)
def test_a_command_says_it_in_one_line(variable, value, why):
    started = start("manage.py", "migrate", "--plan", **{variable: value})
    assert started.returncode == 1
    assert why in started.stderr
    assert len(started.stderr.strip().splitlines()) == 1, started.stderr


@pytest.mark.parametrize("entry", ["config.wsgi", "config.asgi"])
def test_the_web_server_is_told_in_one_line_too(entry):
    started = start("-c", f"import {entry}", JWT_SECRET="short")
    assert started.returncode == 1
    assert started.stderr.strip() == (
        "The site cannot start: JWT_SECRET is 5 characters; 32 are needed. "
        "Run `manage.py generate_keys`."
    )


def test_development_is_no_excuse_for_a_weak_secret():
    started = start("manage.py", "check", GARRISON_ENV="development", SECRET_KEY="x")
    assert started.returncode == 1
    assert "SECRET_KEY is 1 characters" in started.stderr


def test_all_that_is_missing_is_named_at_once_each_in_a_sentence(tmp_path):
    missing = ["SECRET_KEY", "JWT_SECRET", "ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL"]
    bare = dict.fromkeys(missing) | {"VAR_DIR": str(tmp_path)}
    told = start("manage.py", "migrate", **bare).stderr.removeprefix("manage.py: ").splitlines()
    assert [line.split(" is not set. ")[0] for line in told] == missing
    assert "generate_keys" in told[0]
    beside = "VAR_DIR" in told[-1]  # a site that another test runs from this checkout
    assert beside or str(tmp_path) in told[-1]


def test_a_database_that_is_gone_is_a_sentence(tmp_path):
    gone = f"sqlite:///{tmp_path}/nowhere/db.sqlite3"
    told = start("manage.py", "unlock_account", "a@example.com", DATABASE_URL=gone)
    assert told.returncode == 1
    assert told.stderr.startswith("manage.py: The database of DATABASE_URL cannot be reached:")
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("LOG_FORMAT", "xml", "LOG_FORMAT is 'xml'; write json or text."),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud'; write DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("GARRISON_ENV", "test", "GARRISON_ENV is 'test'; write production or development."),
    ],
)
def test_a_word_that_is_none_of_the_known_is_refused(monkeypatch, variable, value, why):
    for name, good in (GOOD | {variable: value}).items():
        monkeypatch.setenv(name, good)
    with pytest.raises(ConfigurationError, match=why):
        start_here()


def start_here():
    runpy.run_path(str(ROOT / "config/environment.py"))
    runpy.run_path(str(ROOT / "config/settings.py"))


def test_celery_logs_as_the_site_does():
    told = start(
        "-c",
        "import logging; from config.celery import app; app.log.setup('INFO');"
        "logging.getLogger('celery.task').info('begun')",
    )
    (line,) = told.stderr.splitlines()
    assert (json.loads(line)["logger"], json.loads(line)["event"]) == ("celery.task", "begun")


def test_an_env_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "env").write_bytes(b"SECRET_KEY=\xff\xfe")
    started = start("manage.py", "check", GARRISON_ENV_FILE=str(tmp_path / "env"))
    assert started.returncode == 1
    assert f"{tmp_path / 'env'} cannot be read" in started.stderr


def test_the_environment_wins_over_the_file_and_the_file_over_the_servers(tmp_path):
    (tmp_path / "env").write_text("REDIS_URL=redis://from-file/0\nSITE_NAME=from-file\n")
    (tmp_path / "servers.env").write_text(
        "REDIS_URL=redis://from-servers/0\nDATABASE_URL=sqlite:///from-servers\n"
    )
    started = start(
        "-c",
        "from config.environment import env;"
        "print(env.str('SITE_NAME'), env.str('REDIS_URL'), env.str('DATABASE_URL'))",
        GARRISON_ENV_FILE=str(tmp_path / "env"),
        VAR_DIR=str(tmp_path),
        SITE_NAME="from-environment",
        REDIS_URL=None,
        DATABASE_URL=None,
    )
    assert started.stdout.split() == [
        "from-environment",
        "redis://from-file/0",
        "sqlite:///from-servers",
    ], started.stderr


def test_several_encryption_keys_keep_their_order(monkeypatch):
    first, second = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
    monkeypatch.setenv("ENCRYPTION_KEY", f"k2:{second} , k1:{first},")
    assert environment.encryption_keys("ENCRYPTION_KEY") == [f"k2:{second}", f"k1:{first}"]


def test_a_passphrase_is_accepted(monkeypatch):
    phrase = "pbkdf2:correct horse battery staple"
    monkeypatch.setenv("ENCRYPTION_KEY", phrase)
    assert environment.encryption_keys("ENCRYPTION_KEY") == [phrase]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (",", "There is no encryption key"),
        ("k1:{key},k1:{key}", "is given twice"),
        ("k1:" + base64.b64encode(bytes(32)).decode(), "a pattern or text"),
        ("k1:!!!!", "is not base64"),
        ("k 1:{key}", "an id that is not"),
        (":{key}", "an id that is not"),
        ("k1:{key},k2:", "Encryption key 'k2' is 0 bytes"),
    ],
)
def test_a_bad_encryption_key_is_refused(monkeypatch, value, why):
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    monkeypatch.setenv("ENCRYPTION_KEY", value.format(key=key))
    with pytest.raises(ConfigurationError, match="ENCRYPTION_KEY") as refusal:
        environment.encryption_keys("ENCRYPTION_KEY")
    assert why in str(refusal.value)
    assert key not in str(refusal.value)


@given(text=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=80))
def test_no_text_whatsoever_breaks_the_reading_of_keys(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENCRYPTION_KEY", text)
        outcome: object = None
        try:
            outcome = environment.encryption_keys("ENCRYPTION_KEY")
        except ConfigurationError as refusal:
            outcome = refusal
    assert outcome
    assert isinstance(outcome, list) or str(outcome).startswith("ENCRYPTION_KEY")


def test_every_secret_that_the_settings_read_can_be_generated():
    settings = (ROOT / "config/settings.py").read_text()
    read = set(re.findall(r"""(?:secret|encryption_keys|signing_keys)\(["'](\w+)["']""", settings))
    assert {"SECRET_KEY", "JWT_SECRET", "ENCRYPTION_KEY"} <= read
    assert read <= set(keys.generate().variables)
