"""Attacks on the evidence, as somebody makes them who owns the database: triggers off, raw SQL."""

import io
import json
import uuid
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from audit import append_only, keys
from audit.checkpoints.copies import Copies
from audit.models import EventSeal, SecurityEvent
from audit.sealing import sealer
from audit.verification.verify import Question, verify
from tests.audit.happenings import happened


@contextmanager
def triggers_off():
    """Do what the owner of a database can do, and leave no trace of it."""
    append_only._unprotect(connection, append_only._tables(connection))
    yield
    append_only.protect(connection)


def execute(sql, *parameters):
    """Run one statement with the triggers off."""
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.rowcount


def sealed(instants, **columns):
    """Store events and seal them."""
    events = happened(instants, **columns)
    sealer.catch_up(now=timezone.now())
    return events


def key_of(number, stream="main"):
    """Return the key of the event at a number, as a parameter of SQL."""
    key = EventSeal.objects.get(stream=stream, seq=number).event_id
    return key if connection.features.has_native_uuid_field else key.hex


def looked(**options):
    """Verify without keeping the result."""
    signed = options.pop("checkpoints", ())
    copies = Copies(list(signed)) if signed else None
    question = Question(now=timezone.now(), copies=copies, **options)
    return verify(question)


def found(**options):
    """Verify, and give the codes of what is wrong with the number where it is."""
    return [(violation.code, violation.number) for violation in looked(**options).violations]


def command(*arguments):
    """Run ``audit_verify --json``; gives its exit code and what it printed."""
    out = io.StringIO()
    try:
        call_command("audit_verify", "--json", *arguments, stdout=out)
    except SystemExit as end:
        return end.code, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def inserted(**other):
    """Insert a row past the application: a copy of the newest, but for its key and ``other``."""
    columns = {"id": key_of_now(), **other}
    names = [field.column for field in SecurityEvent._meta.concrete_fields]
    taken = ", ".join("%s" if name in columns else name for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO audit_securityevent ({', '.join(names)}) SELECT {taken} "
            "FROM audit_securityevent ORDER BY id DESC LIMIT 1",
            [columns[name] for name in names if name in columns],
        )
    return columns["id"]


def key_of_now(*, at=None):
    """Return a fresh key of now or another instant, as a parameter of SQL."""
    key = keys.key_of(at or timezone.now(), uuid.uuid4())
    return key if connection.features.has_native_uuid_field else key.hex
