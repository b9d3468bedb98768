"""Commands: each that is named is there, and a bad argument is a sentence and an exit code."""

import json
import os
import re
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from tests.architecture.house import APPS, PACKAGES, ROOT, sources
from tests.projects import hosts

HOSTILE = {
    "empty": "",
    "blank": "  ",
    "NUL": "a\0b",
    "word": "nope",
    "negative": "-1",
    "huge": "9" * 40,
    "no UUID": "0000-not-a-uuid",
    "no instant": "2026-13-45T99:99Z",
    "first instant": "0001-01-01T00:00",
    "last instant": "9999-12-31T23:59",
    "surrogate": "\udcff",
}
TEXTS = set(HOSTILE) - {"empty", "blank", "NUL", "surrogate"}
# By command and argument: what must stand beside it, and which of the values above mean something.
ARGUMENTS = {
    "audit_checkpoint": {"stream": ([], set()), "restored_at": ([], set())},
    "audit_count": {"since": ([], set())},
    "audit_protect": {"database": ([], set())},
    "audit_seal": {},
    "audit_verify": {"stream": ([], set()), "since": ([], set()), "checkpoint": ([], set())},
    "backup_create": {"only": ([], set())},
    "backup_drill": {"backup": ([], set())},
    "backup_keygen": {"output": ([], TEXTS), "identity": (["--reseal-manifests"], set())},
    "backup_list": {"folder": ([], set()), "target": ([], set()), "identity": ([], set())},
    "backup_prune": {"allow": ([], set()), "forget_target": ([], set())},
    "backup_restore": {
        "folder": ([], set()),
        "target": ([], set()),
        "identity": ([], set()),
        "only": ([], set()),
        "database": ([], set()),
        "table": ([], set()),
        "into_schema": (["--table", "accounts_user"], set()),
        "file": ([], set()),
        "into": (["--file", "x"], set()),
        "confirm_database": (["--yes"], set()),
    },
    "send_mails": {},
    "backup_verify": {"backup": ([], set()), "target": ([], set()), "identity": ([], set())},
    "breach_corpus": {"action": ([], set()), "file": (["install"], set())},
    "changepassword": {"username": ([], set()), "database": ([], set())},
    "clean_sessions": {"days": ([], set())},
    "encryption_erase_subject": {"subject": (["--yes"], set())},
    "encryption_import": {
        "field": ([], set()),
        "key_variable": (["accounts.User.email"], set()),
        "batch": (["accounts.User.email"], set()),
    },
    "encryption_rotate": {"field": ([], set()), "batch": ([], set()), "retire": ([], set())},
    "create_roles": {},
    "encryption_status": {},
    "end_sessions": {
        "user": ([], set()),
        "session": ([], set()),
        "reason": (["--all", "--dry-run"], TEXTS),
    },
    "generate_password": {"kind": ([], set()), "length": ([], set())},
    "generate_keys": {"identity_file": ([], TEXTS)},
    "list_sessions": {"user": ([], set()), "limit": ([], set())},
    "reset_rate_limit": {
        "user": ([], set()),
        "account": (["--address", "192.0.2.1"], TEXTS),
        "address": ([], set()),
    },
    "security_health": {},
    "unlock_account": {"email": ([], set()), "address": ([], set())},
}
OURS = sorted(name for name, app in get_commands().items() if app in {*PACKAGES, "config.starter"})
DJANGO_S = {"version", "verbosity", "settings", "pythonpath", "no_color", "force_color"}


def actions(command):
    """Return the arguments of ours, by name."""
    parser = load_command_class(get_commands()[command], command).create_parser("x", command)
    every = {action.dest: action for action in parser._actions}
    return {n: a for n, a in every.items() if n not in DJANGO_S | {"help", "skip_checks"}}


def test_every_command_and_every_argument_that_takes_a_value_is_in_the_table():
    found = {c: {n for n, a in actions(c).items() if a.nargs != 0} for c in OURS}
    assert {c: set(arguments) for c, arguments in ARGUMENTS.items()} == found


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize(
    ("command", "name"), [(c, name) for c, names in ARGUMENTS.items() for name in names]
)
@pytest.mark.django_db
def test_a_bad_argument_is_refused_with_a_sentence(command, name, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    beside, accepted = ARGUMENTS[command][name]
    option, value = actions(command)[name].option_strings, HOSTILE[what]
    written = [f"{option[0]}={value}"] if option else ["--", value]
    arguments = [*beside, *written]
    if what in accepted:
        call_command(command, *arguments)
        return
    with pytest.raises(CommandError) as refused:
        call_command(command, *arguments)
    assert refused.value.returncode != 0
    assert re.search(r"\w.*[.)]$", str(refused.value), re.DOTALL), str(refused.value)


@pytest.mark.parametrize("command", OURS)
def test_help_is_made_of_sentences(command):
    """A capital, a full stop, and the mood of an order: "End the lock", not "Ends"."""
    told = load_command_class(get_commands()[command], command).help
    helps = {"": told} | {name: action.help for name, action in actions(command).items()}
    wrong = {n: h for n, h in helps.items() if not re.match(r"(?s)[A-Z].*[.)]$", h or "")}
    assert wrong == {}
    assert not re.match(r"[A-Z][a-z]+s ", told), told


@pytest.mark.parametrize("app", PACKAGES)
def test_a_command_that_an_app_names_is_there_where_only_that_app_is(app):
    """In hints, sentences and the page by which it is installed."""
    page = hosts.DOCS / f"install/{app}.md"
    installed = {"garrison", app} | (hosts.installed(page) & set(APPS))
    there = {name for name, owner in get_commands().items() if owner in installed}
    there |= {name for name, owner in get_commands().items() if owner.startswith("django.")}
    there |= {"generate_keys"}  # the project has one of its own in front
    texts = [path.read_text() for path in [page, *sources(app)]]
    named = {name for text in texts for name in re.findall(r"manage\.py ([a-z_]+)", text)}
    assert named - there - {"startproject", "celery"} == set()


@pytest.mark.parametrize("app", PACKAGES)
def test_generate_keys_prints_what_the_apps_of_a_host_need(app):
    ran = subprocess.run(
        [sys.executable, "-m", "django", "generate_keys", "--json"],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.projects.alone", "GARRISON_APP": app},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    installed = {app} | (hosts.installed(hosts.DOCS / f"install/{app}.md") & set(APPS))
    keys = {
        "accounts": {"ACCOUNTS_FINGERPRINT_KEY"},
        "audit": {"AUDIT_KEYS", "AUDIT_CHECKPOINT_KEYS"},
        "backups": {"BACKUPS_SIGNING_SECRET"},
        "encryption": {"ENCRYPTION_KEYS"},
        "rate_limiting": {"RATE_LIMITING_KEY"},
        "sessions_tracking": {"SESSIONS_SIGNING_KEYS"},
    }
    assert set(json.loads(ran.stdout)) == set().union(*(keys.get(a, set()) for a in installed))
