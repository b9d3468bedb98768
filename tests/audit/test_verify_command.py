"""``audit_verify`` for an operator at three in the morning, and for programs."""

import io
import json
import shutil
import threading
import tracemalloc
from datetime import timedelta

import pytest
from celery import signals
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit import health, tasks
from audit.checkpoints import signing, writing
from audit.models import ChainVerification, Checkpoint, EventSeal, SecurityEvent
from audit.sealing import loop, sealer
from audit.verification import links
from audit.verification.verify import Question, total
from garrison.health import Status
from tests.audit.attacks import command, execute, key_of, looked, sealed
from tests.audit.happenings import happened

NOW = timezone.now()


@pytest.fixture
def ten(protected):
    return sealed(NOW - timedelta(minutes=20 - n) for n in range(10))


@pytest.fixture
def signed(ten):
    return writing.write(stream="main", now=timezone.now())


def told(*arguments):
    """Run the command; gives its exit code and its text."""
    out = io.StringIO()
    try:
        call_command("audit_verify", *arguments, stdout=out)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


def test_a_whole_log_is_told_in_a_sentence(signed):
    code, text = told()
    assert code == 0
    assert text.startswith("The audit log is whole: 10 sealed events and 1 checkpoints verified.")


def everything_is_gone(_folder):
    for table in ("securityevent", "eventseal", "checkpoint"):
        execute(f"DELETE FROM audit_{table}")


def everything_is_gone_and_every_copy(folder):
    everything_is_gone(folder)
    shutil.rmtree(folder)


def another_stream_has_no_copy(_folder):
    sealed([NOW - timedelta(minutes=5)], stream="side")


def hours_went_by_without_a_copy(_folder):
    later = timezone.now() + timedelta(hours=4)
    happened([later])
    sealer.catch_up(now=later)


INDETERMINATE = {
    everything_is_gone_and_every_copy: "new, or all of it is gone",
    shutil.rmtree: "No checkpoint outside the database is of 'main'",
    another_stream_has_no_copy: "No checkpoint outside the database is of 'side'",
    hours_went_by_without_a_copy: "The newest checkpoint outside the database is of",
}


@pytest.mark.parametrize(("happens", "doubt"), INDETERMINATE.items())
def test_what_nothing_outside_vouches_for_is_not_called_whole(signed, elsewhere, happens, doubt):
    assert told()[0] == 0
    happens(elsewhere)
    code, text = told()
    assert code == 3
    assert text.startswith("The audit log is INDETERMINATE: ")
    assert doubt in text
    assert "whole" not in text
    assert ChainVerification.objects.first().is_whole is None
    reported = health.chain()
    assert reported.status is Status.DEGRADED
    assert doubt in reported.detail


def test_copies_that_cannot_be_read_leave_it_open(signed, elsewhere):
    (copy,) = elsewhere.rglob("*.json")
    copy.with_name("000000000001.json").symlink_to(copy.parent / "nowhere")
    code, found = command()
    assert (code, found["counts"]) == (3, {})
    assert "could not be read" in found["doubts"][0]


def test_a_log_that_is_gone_is_found_by_its_copies(signed, elsewhere):
    everything_is_gone(elsewhere)
    assert command()[1]["counts"] == {"truncated": 1}


def by_command():
    call_command("audit_seal", stdout=io.StringIO())


def by_loop():
    stop = threading.Event()
    loop.keep_sealing(stop, report=lambda _sealed: stop.set())


@pytest.mark.parametrize("seal", [by_command, tasks.seal_events, by_loop])
def test_the_first_checkpoint_comes_with_the_first_seal_and_no_second(protected, elsewhere, seal):
    happened([timezone.now()])
    seal()
    assert Checkpoint.objects.count() == len([*elsewhere.rglob("*.json")]) == 1
    assert command()[0] == 0
    happened([timezone.now()])
    seal()
    assert Checkpoint.objects.count() == 1


def test_a_process_that_may_only_verify_signs_nothing(ten, settings):
    settings.AUDIT_CHECKPOINT_PUBLIC_KEYS = [
        f"site:{key}" for key in signing.signers().published().values()
    ]
    by_command()
    assert not Checkpoint.objects.exists()


def test_a_broken_log_is_told_with_what_to_do(ten):
    execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(5))
    key = EventSeal.objects.get(seq=5).event_id
    code, text = told()
    assert code == 1
    assert f"deleted: Event {key} was removed: number 5" in text
    assert "Keep this database as it is" in text
    assert "docs/audit.md" in text


def test_a_flood_of_findings_is_counted_and_not_all_told(ten, monkeypatch):
    happened([NOW - timedelta(minutes=30)] * 150)
    sealer.catch_up(now=timezone.now(), since=NOW - timedelta(days=1))
    execute("UPDATE audit_securityevent SET kind = 'tests.door.closed'")
    code, told_json = command()
    assert code == 1
    assert told_json["counts"]["edited"] + told_json["counts"]["forged"] == 161
    assert len(told_json["violations"]) == 100
    assert "and 61 more of the same kinds" in told()[1]


def test_a_part_is_asked_about_by_stream_and_by_time(signed):
    sealed((NOW - timedelta(minutes=5 - n) for n in range(3)), stream="side")
    execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(2, "side"))
    assert command("--stream", "main")[0] == 0
    code, told_json = command("--stream", "side")
    assert (code, told_json["complete"], told_json["counts"]) == (1, False, {"deleted": 1})
    assert told_json["violations"][0]["stream"] == "side"


def test_since_looks_only_at_what_was_sealed_from_then_on(protected):
    for n in range(6):
        happened([NOW - timedelta(hours=6 - n)])
        sealer.catch_up(now=NOW - timedelta(hours=6 - n))
    writing.write(stream="main", now=timezone.now())
    last = EventSeal.objects.order_by("-seq").first()
    execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(2))
    since = (NOW - timedelta(hours=2, minutes=1)).isoformat()
    code, told_json = command("--since", since)
    assert (code, told_json["violations"]) == (0, [])
    first = EventSeal.objects.filter(sealed_at__gte=since).order_by("seq").first()
    assert told_json["looked_at"] == last.seq - first.seq + 1
    assert (
        total(Question(now=NOW, since=NOW - timedelta(hours=2, minutes=1)))
        == (told_json["looked_at"])
    )
    assert command()[0] == 1
    execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(last.seq))
    assert command("--since", since)[0] == 1
    assert command("--since", (NOW + timedelta(days=1)).isoformat())[1]["looked_at"] == 0


@pytest.mark.parametrize("since", ["yesterday", "2026-99-99T00:00"])
@pytest.mark.django_db
def test_what_is_no_time_is_refused_with_exit_code_two(since):
    with pytest.raises(CommandError, match="is no time") as refusal:
        call_command("audit_verify", "--since", since)
    assert refusal.value.returncode == 2


@pytest.mark.django_db
def test_keys_that_cannot_be_used_are_refused_with_exit_code_two(settings):
    settings.AUDIT_KEYS = ["nonsense"]
    happened([NOW])
    for name in ("audit_verify", "audit_checkpoint"):
        with pytest.raises(CommandError, match="AUDIT_KEYS") as refusal:
            call_command(name)
        assert refusal.value.returncode == 2
    with pytest.raises(CommandError, match="AUDIT_KEYS"):
        call_command("audit_seal")


def test_each_verification_is_kept_and_only_a_broken_one_is_an_event(signed):
    command()
    assert not SecurityEvent.objects.filter(kind="audit.chain.broken").exists()
    execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(5))
    command()
    assert list(ChainVerification.objects.values_list("is_whole", flat=True)) == [False, True]
    event = SecurityEvent.objects.get(kind="audit.chain.broken")
    assert "number 5" in event.data["detail"]


def test_verifying_changes_nothing(ten):
    execute("UPDATE audit_securityevent SET kind = 'x' WHERE id = %s", key_of(5))
    before = list(EventSeal.objects.order_by("pk").values())
    events = list(SecurityEvent.objects.order_by("pk").values())
    looked()
    assert list(EventSeal.objects.order_by("pk").values()) == before
    assert list(SecurityEvent.objects.order_by("pk").values()) == events


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_alone(signed):
    err = Terminal()
    call_command("audit_verify", stdout=io.StringIO(), stderr=err)
    assert "100 % 10 of 10" in err.getvalue()
    err = io.StringIO()
    call_command("audit_verify", stdout=io.StringIO(), stderr=err)
    assert err.getvalue() == ""


@pytest.mark.django_db
def test_memory_stays_flat_whatever_the_length(monkeypatch):
    monkeypatch.setattr(links, "BLOCK", 200)
    happened(NOW - timedelta(minutes=60, seconds=n) for n in range(4_000))
    sealer.catch_up(now=NOW)

    def peak(question):
        tracemalloc.start()
        looked(**question)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak({})  # what is imported and prepared once
    halfway = EventSeal.objects.get(seq=3_600)
    some = peak({"since": halfway.sealed_at + timedelta(days=1)})
    assert peak({}) < some + 3_000_000


@pytest.mark.django_db
def test_the_command_seals_once_and_says_how_many():
    happened([NOW, NOW - timedelta(days=300)])
    out = io.StringIO()
    call_command("audit_seal", "--json", stdout=out)
    assert json.loads(out.getvalue())["sealed"] >= 2
    call_command("audit_seal", stdout=out)
    assert "Sealed" in out.getvalue()


def test_beat_seals_beside_its_work(monkeypatch):
    started = []
    monkeypatch.setattr(loop, "keep_sealing", started.append)
    signals.beat_init.send(sender=None)
    assert len(started) == 1


def test_a_sealer_that_fails_tries_again_later_and_later(monkeypatch):
    pauses = []

    class Stop:
        def wait(self, seconds):
            pauses.append(seconds)
            return len(pauses) >= 9

    def fail():
        raise OSError

    monkeypatch.setattr(loop, "close_old_connections", fail)
    monkeypatch.setattr(loop, "connection", type("Gone", (), {"close": staticmethod(lambda: 0)}))
    loop.keep_sealing(Stop())
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30]
