"""What is sealed: unambiguous, the same everywhere, and verifiable without us."""

import base64
import hmac
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection
from django.utils import timezone as django_timezone
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoints.signing import CheckpointHead
from audit.models import EventSeal
from audit.sealing import sealer
from audit.sealing.encoding import (
    ATTESTATION,
    FIELDS,
    OUTCOMES_OF_VERSION_1,
    ChainPosition,
    canonical_data,
    instant,
    message,
)
from audit.sealing.keyring import SealKey, keyring, labelled
from garrison.keys import Secret
from tests.architecture.house import ROOT
from tests.audit.attacks import looked, sealed
from tests.audit.test_checkpoints import random_key

VECTORS = json.loads((ROOT / "tests/audit/seal_vectors.json").read_text())
OLD = json.loads((ROOT / "tests/audit/chain_sealed_by_version_1.json").read_text())
DOCS = (ROOT / "docs/audit.md").read_text()
NOW = django_timezone.now()
ATTESTED = 3  # of the vectors; those before are of version 1, those behind not attested
PLACE = ChainPosition("main", 1, "a1.00000000", "2026-11-24T12:00:00.000000+00:00", bytes(32))


def documented(language):
    """Return the block of the docs in that language that belongs to the chain."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    return next(block for block in blocks if "chain.jsonl" in block)


@pytest.fixture
def independent(tmp_path):
    """Run the verifier of the docs, as it stands there, in a process without Django."""
    program = tmp_path / "verify_chain.py"
    program.write_text(documented("python"))

    def verify(lines, key):
        entry = f"{key[0]}:{base64.b64encode(key[1]).decode()}"
        return subprocess.run(
            [sys.executable, "-I", str(program), entry],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            check=False,
        )

    return verify


def test_the_verifier_of_the_docs_is_short():
    code = [line for line in documented("python").splitlines() if line.strip()]
    assert len(code) <= 42


def test_the_vectors_verify_without_us(independent):
    lines = [json.dumps(line) for line in VECTORS["lines"]]
    ran = independent(lines, ("a1", bytes.fromhex(VECTORS["key"])))
    assert ran.returncode == 0, ran.stderr
    last = VECTORS["lines"][-1][0]
    assert ran.stdout == f"({len(lines)}, '{last['mac'][2:]}')\n"
    strangers = [f"number {n} was written by no process of the site" for n in (5, 6)]
    assert ran.stderr.splitlines() == strangers


@pytest.mark.parametrize(
    ("number", "field"),
    [
        (number, field)
        for number in range(len(VECTORS["lines"]))
        for field in FIELDS
        if field != "attestation" or number == ATTESTED
    ],
)
def test_a_changed_vector_does_not(independent, number, field):
    lines = json.loads(json.dumps(VECTORS["lines"]))
    event = lines[number][1]
    event[field] = {"at": "2020-01-01T00:00:00+00:00", "data": {"x": 1}}.get(field, "other")
    ran = independent(map(json.dumps, lines), ("a1", bytes.fromhex(VECTORS["key"])))
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == f"number {number + 1} does not verify"


def test_our_own_code_agrees_with_the_vectors():
    key = SealKey("a1", Secret(bytes.fromhex(VECTORS["key"])))
    for seal, event in VECTORS["lines"]:
        assert seal["key_id"] == key.id == labelled("a1", bytes.fromhex(VECTORS["key"]))
        texts = [event[field] for field in FIELDS]
        texts = [None if text is None else str(text) for text in texts]
        if seal["seq"] != ATTESTED + 1:
            texts[ATTESTATION] = None
        texts[FIELDS.index("at")] = instant(datetime.fromisoformat(event["at"]))
        texts[FIELDS.index("data")] = canonical_data(json.dumps(event["data"]))
        prev = bytes.fromhex(seal["prev"][2:])
        position = ChainPosition("main", seal["seq"], key.id, seal["sealed_at"], prev)
        made = message(position, texts, version=seal["version"])
        assert key.mac(made).hex() == seal["mac"][2:]


def test_the_docs_alone_verify_what_version_1_sealed_and_migration_0003_renamed(independent):
    events = {event["id"]: event for event in OLD["events"]}
    lines = []
    for seal in OLD["seals"]:
        event = events[seal["event_id"]]
        if event["kind"] in OUTCOMES_OF_VERSION_1:
            event["outcome"] = "failure"
        lines.append(json.dumps([seal | {"mac": "\\x" + seal["mac"]}, event]))
    key_id, _, text = OLD["sealed_with"].partition(":")
    ran = independent(lines, (key_id, base64.b64decode(text)))
    assert ran.returncode == 0, ran.stderr


@pytest.mark.postgresql
def test_what_the_database_holds_verifies_by_the_docs_alone(protected, independent, settings):
    entry = random_key("a1")
    settings.AUDIT_KEYS = [entry]
    sealed(
        (NOW - timedelta(minutes=n, microseconds=n) for n in range(9)),
        user_agent='"\\ñ,3:x\t',
        ip="2001:db8::1",
        data={"z": 1.5, "a": {"ü": [None, True, 1e22, -0.0, 10**18]}, "": "…"},
    )
    *_, select = documented("sql").partition("SET TIME ZONE 'UTC';\n")
    with connection.cursor() as cursor:
        cursor.execute(select)
        lines = [row[0] for row in cursor.fetchall()]
    assert len(lines) == 9
    ran = independent(lines, ("a1", base64.b64decode(entry.partition(":")[2])))
    assert ran.returncode == 0, ran.stderr
    last = EventSeal.objects.order_by("-seq").first()
    assert ran.stdout == f"(9, '{bytes(last.mac).hex()}')\n"


texts = st.lists(st.none() | st.text(max_size=6), min_size=len(FIELDS), max_size=len(FIELDS))
tricky = st.lists(st.none() | st.text(alphabet="0123:,-é", max_size=4), min_size=3, max_size=3).map(
    lambda parts: [*parts, *[""] * (len(FIELDS) - 3)]
)


@given(one=texts | tricky, other=texts | tricky)
def test_two_different_events_never_have_the_same_bytes(one, other):
    assert (message(PLACE, one) == message(PLACE, other)) == (one == other)


@given(parts=texts)
def test_the_quick_way_and_the_careful_way_agree(parts):
    sep = b"".join(
        b"-," if part is None else b"%d:%b," % (len(part.encode()), part.encode()) for part in parts
    )
    assert message(PLACE, parts).endswith(sep)


@given(secret=st.binary(min_size=32, max_size=32), content=st.binary(max_size=300))
def test_the_mac_is_hmac_sha256(secret, content):
    assert SealKey("k", Secret(secret)).mac(content) == hmac.digest(secret, content, "sha256")


@pytest.mark.parametrize(
    ("stored", "sealed_as"),
    [
        ('{"b": 1, "a": "é"}', '{"a":"\\u00e9","b":1}'),
        ("{}", "{}"),
        ('{"a": 1, "a": 2}', 'not canonical: {"a": 1, "a": 2}'),
        ('{"a": NaN}', 'not canonical: {"a": NaN}'),
        ("{", "not canonical: {"),
    ],
)
def test_data_has_one_form(stored, sealed_as):
    assert canonical_data(stored) == sealed_as


def test_an_instant_is_written_in_utc_whatever_its_zone():
    at = datetime(2026, 11, 24, 13, 30, tzinfo=timezone(timedelta(hours=1)))
    assert instant(at) == "2026-11-24T12:30:00.000000+00:00"


def test_a_checkpoint_is_read_back_as_it_was_written():
    from audit.checkpoints import signing

    signed = signing.sign(
        purpose="head", stream="main", seq=7, mac=bytes(32), count=7, at=datetime.now(UTC)
    )
    again = signing.from_file(signing.to_file(signed), source="here")
    assert isinstance(again.head, CheckpointHead)
    assert (again.head, again.signature) == (signed.head, signed.signature)


def test_a_key_is_rotated_and_what_the_old_one_sealed_still_verifies(protected, settings):
    old, new = random_key("a1"), random_key("a2")
    settings.AUDIT_KEYS = [old]
    sealed(NOW - timedelta(minutes=30 - n) for n in range(3))
    settings.AUDIT_KEYS = [new, old]
    sealed([NOW - timedelta(minutes=5)])
    names = list(EventSeal.objects.order_by("seq").values_list("key_id", flat=True))
    assert [name.partition(".")[0] for name in names] == ["a1"] * 3 + ["a2"] * 2
    assert looked().verdict == "whole"

    settings.AUDIT_KEYS = [new]
    (violation,) = looked().violations
    assert violation.code == "key_missing"
    assert "3 events of 'main' (numbers 1 to 3)" in violation.detail

    settings.AUDIT_KEYS = [new, random_key("a1")]
    (violation,) = looked().violations
    assert violation.code == "key_wrong"


def test_who_adopts_keys_keeps_site_behind_them(protected, settings):
    sealed([NOW - timedelta(minutes=30)])
    settings.AUDIT_KEYS = [random_key("a1"), "site"]
    sealed([NOW - timedelta(minutes=5)])
    assert looked().verdict == "whole"
    settings.AUDIT_KEYS = settings.AUDIT_KEYS[:1]
    assert [violation.code for violation in looked().violations] == ["key_missing"]


def test_a_site_s_secret_is_rotated_by_its_fallbacks(protected, settings):
    sealed([NOW - timedelta(minutes=30)])
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-of-this-site-0123456789abcdef"
    sealer.catch_up(now=django_timezone.now())
    assert looked().verdict == "whole"
    assert len(keyring().by_id) == 2
