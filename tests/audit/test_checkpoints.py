"""Signed heads show what the chain cannot: that its end was cut off, or all of it made anew."""

import base64
import io
import json
import secrets
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit import tasks
from audit.checkpoints import copies, signing, writing
from audit.errors import CheckpointRefused
from audit.models import Checkpoint, EventSeal, SecurityEvent
from audit.sealing import sealer
from tests.audit.attacks import command, execute, found, key_of, looked, sealed
from tests.audit.happenings import happened

NOW = timezone.now()


def random_key(name):
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


@pytest.fixture
def ten(protected, elsewhere):
    return sealed(NOW - timedelta(minutes=20 - n) for n in range(10))


def cut_off(last):
    """Remove the end of the chain, events, seals and the database's own checkpoints."""
    for seal in EventSeal.objects.filter(seq__gt=last):
        execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(seal.seq))
        execute("DELETE FROM audit_eventseal WHERE seq = %s", seal.seq)
    execute("DELETE FROM audit_checkpoint")


def make_anew():
    """Seal everything again, as somebody can who has the database and the sealing keys."""
    execute("DELETE FROM audit_eventseal")
    execute("DELETE FROM audit_checkpoint")
    sealer.catch_up(now=timezone.now(), since=NOW - timedelta(days=1))


def test_a_checkpoint_is_signed_kept_copied_and_told(ten, elsewhere):
    row = writing.write(stream="main", now=timezone.now())
    assert (row.seq, row.count) == (EventSeal.objects.count(), EventSeal.objects.count())
    (signed,) = copies.stored().signed
    assert signed.head == signing.from_row(row).head
    signing.require_genuine(signed)
    told = SecurityEvent.objects.get(kind="audit.checkpoint.written")
    assert told.data["number"] == row.seq
    assert told.data["copy"] == row.stored_as
    assert (elsewhere / row.stored_as).exists()
    assert command()[0] == 0


def test_a_cut_off_end_is_found_by_the_copy_alone(ten):
    writing.write(stream="main", now=timezone.now())
    cut_off(6)
    assert found() == []  # nothing in the database tells
    assert found(checkpoints=copies.stored().signed) == [("truncated", 7)]
    code, told = command()
    assert (code, told["counts"]) == (1, {"truncated": 1})


def test_a_chain_made_anew_is_found_by_the_copy_alone(ten):
    writing.write(stream="main", now=timezone.now())
    execute("UPDATE audit_securityevent SET kind = 'tests.door.closed' WHERE id = %s", key_of(5))
    make_anew()
    assert found() == [("unattested", 5)]
    codes = [code for code, _ in found(checkpoints=copies.stored().signed)]
    assert codes == ["unattested", "rewritten"]


def test_one_link_made_anew_with_the_key_does_not_fit_its_follower(ten):
    execute("UPDATE audit_securityevent SET kind = 'tests.door.closed' WHERE id = %s", key_of(5))
    from audit.sealing.encoding import ChainPosition, message
    from audit.sealing.keyring import keyring
    from audit.verification.links import Reader

    reader = Reader("default")
    link = next(reader.blocks("main", after=4))[0]
    position = ChainPosition("main", 5, link.key_id, link.sealed_at, link.prev)
    mac = keyring().active.mac(message(position, link.event))
    execute("UPDATE audit_eventseal SET mac = %s WHERE seq = 5", mac)
    assert found() == [("replaced", 6)]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body | {"seq": body["seq"] - 4},
        lambda body: body | {"mac": "00" * 32},
        lambda body: body | {"at": "2020-01-01T00:00:00.000000+00:00"},
        lambda body: body | {"count": 1},
        lambda body: body | {"stream": "other"},
        lambda body: body | {"purpose": "restored"},
        lambda body: body | {"signature": base64.b64encode(bytes(64)).decode()},
        lambda body: body | {"key": "stranger.00000000"},
    ],
)
def test_a_checkpoint_that_was_changed_is_no_checkpoint(ten, elsewhere, change):
    row = writing.write(stream="main", now=timezone.now())
    path = elsewhere / row.stored_as
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    (signed,) = copies.from_path(str(elsewhere))
    with pytest.raises(CheckpointRefused):
        signing.require_genuine(signed)
    code, told = command("--checkpoint", str(path))
    assert (code, told["counts"]) == (1, {"checkpoint_forged": 1})


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"seq": 1}', "\x00", "[" * 9000])
def test_what_is_no_checkpoint_is_refused_as_a_question(ten, tmp_path, content):
    path = tmp_path / "odd.json"
    path.write_text(content)
    with pytest.raises(CommandError, match="is no checkpoint") as refusal:
        call_command("audit_verify", "--checkpoint", str(path))
    assert refusal.value.returncode == 2
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("audit_verify", "--checkpoint", str(tmp_path / "nowhere.json"))


def test_what_lies_among_the_copies_and_is_none_is_named(ten, elsewhere):
    writing.write(stream="main", now=timezone.now())
    (elsewhere / "main" / "odd.json").write_text("{}")
    assert command()[1]["counts"] == {"checkpoint_forged": 1}


def test_of_many_copies_the_newest_are_read(ten, elsewhere, monkeypatch):
    monkeypatch.setattr(copies, "MOST_READ", 2)
    for _ in range(3):
        happened([timezone.now()])
        sealer.catch_up(now=timezone.now())
        writing.write(stream="main", now=timezone.now())
    found = copies.stored()
    assert [signed.head.seq for signed in found.signed] == sorted(
        Checkpoint.objects.values_list("seq", flat=True)
    )[1:]
    assert "newest 2 were read" in found.remarks[0]
    assert len(copies.from_path(str(elsewhere))) == 3


def test_no_head_is_signed_that_is_not_genuine(ten):
    last = EventSeal.objects.count()
    execute("UPDATE audit_eventseal SET mac = %s WHERE seq = %s", b"x" * 32, last)
    with pytest.raises(CheckpointRefused, match="No checkpoint was signed"):
        writing.write(stream="main", now=timezone.now())
    assert writing.write_due(now=NOW) == []
    assert SecurityEvent.objects.filter(kind="audit.chain.broken").count() == 1


def test_no_head_is_signed_where_the_last_one_does_not_stand(ten):
    writing.write(stream="main", now=timezone.now())
    for seal in EventSeal.objects.filter(seq__gt=6):
        execute("DELETE FROM audit_eventseal WHERE seq = %s", seal.seq)
    with pytest.raises(CheckpointRefused, match="is not there any more"):
        writing.write(stream="main", now=timezone.now())
    with pytest.raises(CommandError, match="is not there any more"):
        call_command("audit_checkpoint")


def test_the_schedule_signs_once_an_hour_however_often_it_runs(ten):
    for minutes in (0, 1, 59, 60):
        writing.write_due(now=NOW + timedelta(minutes=minutes))
    assert [row.at for row in Checkpoint.objects.order_by("pk")] == [
        NOW,
        NOW + timedelta(minutes=59),
    ]
    tasks.write_checkpoints()
    assert Checkpoint.objects.count() == 2


def test_a_storage_that_fails_does_not_keep_the_head_unsigned(ten, settings):
    settings.STORAGES = settings.STORAGES | {
        "audit_checkpoints": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": "/proc/no-folder"},
        }
    }
    assert writing.write(stream="main", now=timezone.now()).stored_as == ""
    remarks = looked(checkpoints=()).remarks
    assert remarks == []


def test_without_a_storage_the_verification_remarks_it(ten, settings):
    settings.AUDIT_CHECKPOINT_STORAGE = ""
    assert writing.write(stream="main", now=timezone.now()).stored_as == ""
    code, told = command()
    assert (code, told["verdict"]) == (3, "indeterminate")
    assert "no copies" in told["doubts"][0]


def test_retention_may_remove_a_prefix_where_an_anchor_says_so(ten):
    anchor = EventSeal.objects.get(seq=4)
    for number in range(1, 5):
        execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(number))
        execute("DELETE FROM audit_eventseal WHERE seq = %s", number)
    assert found() == [("gap", 5)]
    writing._signed(Checkpoint.ANCHOR, "main", 4, bytes(anchor.mac), timezone.now())
    assert found() == []
    row = writing.write(stream="main", now=timezone.now())
    assert row.count == row.seq - 4
    execute("UPDATE audit_checkpoint SET mac = %s WHERE purpose = 'anchor'", b"x" * 32)
    assert ("checkpoint_forged", None) in found()


def test_the_chain_goes_on_behind_an_anchor_when_everything_was_removed(ten):
    last = EventSeal.objects.order_by("-seq").first()
    writing._signed(Checkpoint.ANCHOR, "main", last.seq, bytes(last.mac), timezone.now())
    for number in range(1, last.seq + 1):
        execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(number))
        execute("DELETE FROM audit_eventseal WHERE seq = %s", number)
    assert found() == []
    happened([timezone.now()])
    sealer.catch_up(now=timezone.now())
    assert EventSeal.objects.order_by("seq").first().seq == last.seq + 1
    assert found() == []


def test_after_a_restored_backup_the_later_checkpoints_are_declared_void(ten):
    writing.write(stream="main", now=timezone.now() - timedelta(seconds=9))
    happened([timezone.now()])
    sealer.catch_up(now=timezone.now())
    writing.write(stream="main", now=timezone.now())
    cut_off(10)  # what restoring a backup made before them does
    happened([timezone.now()])
    sealer.catch_up(now=timezone.now())
    assert command()[0] == 1
    out = io.StringIO()
    call_command("audit_checkpoint", "--restored", "--json", stdout=out)
    assert json.loads(out.getvalue())[0]["purpose"] == "head"
    code, told = command()
    assert (code, told["violations"]) == (0, [])
    assert "are void" in told["remarks"][0]


def test_a_checkpoint_is_verified_offline_with_the_public_key_alone(ten, elsewhere):
    row = writing.write(stream="main", now=timezone.now())
    out = io.StringIO()
    call_command("audit_checkpoint", "--public-keys", stdout=out)
    public = base64.b64decode(out.getvalue().strip().partition(":")[2])
    body = json.loads((elsewhere / row.stored_as).read_text())
    signature = base64.b64decode(body.pop("signature"))
    message = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def test_keys_that_sign_rotate_and_the_old_one_is_believed_by_its_public_half(ten, settings):
    old, new = random_key("c1"), random_key("c2")
    settings.AUDIT_CHECKPOINT_KEYS = [old]
    writing.write(stream="main", now=timezone.now())
    public = signing.signers().published()
    settings.AUDIT_CHECKPOINT_KEYS = [new]
    assert [code for code, _ in found()] == ["checkpoint_forged"]
    (key,) = public.values()
    settings.AUDIT_CHECKPOINT_PUBLIC_KEYS = [f"c1:{key}"]
    assert found() == []
    assert writing.write(stream="main", now=timezone.now()).key_id.startswith("c2.")


def test_the_command_signs_and_says_where_the_copy_is(ten):
    out = io.StringIO()
    call_command("audit_checkpoint", stdout=out)
    assert "Signed 'main' at number" in out.getvalue()
    assert Checkpoint.objects.get().stored_as in out.getvalue()


def test_the_task_verifies_for_the_record(ten):
    writing.write(stream="main", now=timezone.now())
    tasks.verify_chain()
    from audit.models import ChainVerification

    kept = ChainVerification.objects.get()
    assert kept.is_whole
    execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(3))
    tasks.verify_chain()
    assert "BROKEN" in ChainVerification.objects.first().detail
    told = SecurityEvent.objects.get(kind="audit.chain.broken")
    assert (told.severity, told.data["counts"]) == (5, {"deleted": 1})


def test_a_running_sealer_notices_what_is_sealed_anew_between_two_checkpoints(ten):
    from audit.sealing.loop import Memory

    memory = Memory()
    assert memory.compare_and_renew() == []
    happened([timezone.now()])
    sealer.catch_up(now=timezone.now())
    assert memory.compare_and_renew() == []
    execute("DELETE FROM audit_eventseal WHERE seq >= 9")
    execute("UPDATE audit_securityevent SET kind = 'x'")
    sealer.catch_up(now=timezone.now(), since=NOW - timedelta(days=1))
    assert memory.compare_and_renew() == ["main"]
    told = SecurityEvent.objects.filter(kind="audit.chain.broken").order_by("pk")
    details = [event.data["detail"] for event in told]
    assert "no process of this site wrote" in details[0]
    assert "while the sealer ran" in details[1]
    assert memory.compare_and_renew() == []
