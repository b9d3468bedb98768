"""What staff and operators are told of the chain."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit import health
from audit.chain_status import chain_status
from audit.checkpoints import copies, signing, writing
from audit.checks import E003, W004, W005, check_copies, check_keys, check_own_keys
from audit.models import ChainVerification, SealedUntil, SecurityEvent
from audit.sealing import sealer
from garrison import panels
from garrison.health import Status
from tests.audit.happenings import happened
from tests.audit.test_checkpoints import random_key

LIST = "/admin/audit/securityevent/"
HOUR = timedelta(hours=1)


def test_nothing_sealed_yet_is_healthy(db):
    assert health.chain().status is Status.HEALTHY


@pytest.mark.django_db
def test_a_sealer_that_stands_still_is_told():
    happened([timezone.now() - timedelta(minutes=3)])
    told = health.chain()
    assert told.status is Status.DEGRADED
    assert "manage.py audit_seal" in told.detail
    sealer.catch_up(now=timezone.now())
    assert health.chain().status is Status.HEALTHY


@pytest.mark.django_db
def test_an_overdue_checkpoint_and_verification_are_told():
    happened([timezone.now() - HOUR * 30])
    sealer.catch_up(now=timezone.now() - HOUR * 29)
    told = health.chain().detail
    assert "The last checkpoint is missing" in told
    assert "never verified" in told
    sealer.catch_up(now=timezone.now())
    writing.write(stream="main", now=timezone.now())
    ChainVerification.objects.create(
        ended_at=timezone.now(), is_whole=True, looked_at=1, seconds=1, detail="Whole."
    )
    assert health.chain().status is Status.HEALTHY


@pytest.mark.django_db
def test_a_broken_chain_is_unhealthy_until_it_verifies():
    ChainVerification.objects.create(
        ended_at=timezone.now(), is_whole=False, looked_at=1, seconds=1, detail="It is BROKEN."
    )
    assert health.chain() == health.CheckResult(Status.UNHEALTHY, "It is BROKEN.")
    whole = {"ended_at": timezone.now(), "is_whole": True, "looked_at": 1, "seconds": 1}
    ChainVerification.objects.create(**whole, is_complete=False, detail="A part is whole.")
    assert health.chain().status is Status.UNHEALTHY
    ChainVerification.objects.create(**whole, detail="All is whole.")
    assert health.chain().status is Status.HEALTHY


@pytest.mark.django_db
def test_a_checkpoint_without_its_copy_is_told(monkeypatch):
    happened([timezone.now()])
    sealer.catch_up(now=timezone.now())
    monkeypatch.setattr(copies, "store", lambda _signed: "")
    writing.write(stream="main", now=timezone.now())
    assert "no copy outside the database" in health.chain().detail


@pytest.mark.parametrize("setting", ["AUDIT_KEYS", "AUDIT_CHECKPOINT_KEYS"])
@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (["abc"], "has no id"),
        (["k 1:abcd"], "has an id that is not 1 to 23 letters"),
        (["site:abcd"], "'site' stands alone"),
        (["k1:!!!"], "is not base64"),
        (["k1:YWJj"], "3 bytes; 32 are needed"),
        (["k1:" + "A" * 43 + "="], "is a default, a pattern or text"),
        (
            ["k1:" + "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY="],
            "is a default, a pattern or text",
        ),
        ([random_key("k1"), random_key("k1")], "'k1' is given twice"),
        ([one := random_key("k1"), one.replace("k1", "k2")], "are the same bytes"),
    ],
)
@pytest.mark.django_db
def test_a_bad_key_is_named_and_never_shown(settings, setting, entries, why):
    setattr(settings, setting, entries)
    (error,) = check_keys(None)
    assert error.id == E003
    assert why in error.msg
    assert setting in error.msg
    secrets = [entry.partition(":")[2] for entry in entries]
    assert not any(secret in error.msg for secret in secrets if len(secret) > 8)
    assert health.chain().status is Status.UNHEALTHY


def test_a_bad_public_key_is_named(settings):
    settings.AUDIT_CHECKPOINT_PUBLIC_KEYS = ["k1:abc"]
    assert "AUDIT_CHECKPOINT_PUBLIC_KEYS" in check_keys(None)[0].msg


def test_keys_made_from_the_site_s_secret_are_a_warning_for_a_deployment(settings):
    settings.AUDIT_KEYS = settings.AUDIT_CHECKPOINT_KEYS = []
    assert [warning.id for warning in check_own_keys(None)] == [W004, W004]
    settings.AUDIT_KEYS = [random_key("a1"), "site"]
    settings.AUDIT_CHECKPOINT_KEYS = ["site", random_key("c1")]
    (warning,) = check_own_keys(None)
    assert warning.msg.startswith("AUDIT_CHECKPOINT_KEYS")


def test_checkpoints_that_stay_in_the_database_are_a_warning_for_a_deployment(settings):
    assert check_copies(None) == []
    settings.AUDIT_CHECKPOINT_STORAGE = ""
    assert [warning.id for warning in check_copies(None)] == [W005]
    settings.AUDIT_CHECKPOINT_STORAGE = "nowhere"
    assert [warning.id for warning in check_copies(None)] == [W005]


def test_no_key_shows_itself(settings):
    settings.AUDIT_KEYS = settings.AUDIT_CHECKPOINT_KEYS = [random_key("k1")]
    from audit.sealing.keyring import keyring, read

    secret = settings.AUDIT_KEYS[0].partition(":")[2]
    shown = repr(read(settings.AUDIT_KEYS, what="x")) + repr(vars(keyring()))
    shown += repr(vars(signing.signers()))
    assert secret not in shown


@pytest.mark.django_db
def test_the_panel_tells_and_asks_few_questions(admin_client):
    happened([timezone.now() - timedelta(minutes=2)])
    assert "Audit chain" in admin_client.get("/admin/").content.decode()
    sealer.catch_up(now=timezone.now())
    page = admin_client.get("/admin/").content.decode()
    assert "up to date" in page
    (panel,) = [p for p in panels.panels() if p.slug == "audit-chain"]
    with CaptureQueriesContext(connection) as queries:
        panel.context(request=None, window=panels.window("24h", now=timezone.now()))
    assert len(queries) == 2


@pytest.mark.django_db
def test_an_indeterminate_verification_is_called_so_by_panel_and_health(admin_client):
    happened([timezone.now()])
    sealer.catch_up(now=timezone.now())
    writing.write(stream="main", now=timezone.now())
    ChainVerification.objects.create(
        ended_at=timezone.now(), is_whole=None, looked_at=1, seconds=1, detail="Nothing to compare."
    )
    assert health.chain() == health.CheckResult(Status.DEGRADED, "Nothing to compare.")
    page = admin_client.get("/admin/").content.decode()
    assert "indeterminate" in page
    assert "Nothing to compare." in page


@pytest.mark.django_db
def test_standing_is_bounded_whatever_there_is(django_assert_num_queries):
    with django_assert_num_queries(2):
        chain_status(now=timezone.now())


@pytest.mark.django_db
def test_the_admin_shows_the_seal_of_each_event_in_the_one_query_of_the_list(admin_client):
    happened([timezone.now() - timedelta(minutes=n) for n in range(5)])
    sealer.catch_up(now=timezone.now())
    happened([timezone.now()])
    admin_client.get(LIST)
    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(LIST).content.decode()
    about = [q["sql"] for q in queries if "audit_" in q["sql"]]
    assert len(about) == 1
    assert "audit_eventseal" in about[0]
    assert page.count("not yet") == 2  # the newest, and the key's own event
    assert '<span class="sd-wide-only">5</span>' in page


@pytest.mark.django_db
def test_the_page_of_an_event_shows_its_seal(admin_client):
    (event,) = happened([timezone.now()])
    page = admin_client.get(f"{LIST}{event.pk}/change/").content.decode()
    assert "not yet" in page
    sealer.catch_up(now=timezone.now())
    seal = SecurityEvent.objects.get(pk=event.pk).seal
    page = admin_client.get(f"{LIST}{event.pk}/change/").content.decode()
    assert bytes(seal.mac).hex() in page
    assert seal.key_id in page


@pytest.mark.django_db
def test_a_long_history_that_is_being_sealed_is_looked_at_from_its_end(monkeypatch):
    """Else every look at the dashboard would go along all that is sealed already."""
    began = timezone.now() - timedelta(days=10)
    happened(began + timedelta(hours=n) for n in range(5))
    sealer.catch_up(now=began + timedelta(hours=5))
    assert SealedUntil.objects.get().settled_at is None
    asked = []
    real = sealer.oldest_unsealed
    monkeypatch.setattr(
        sealer, "oldest_unsealed", lambda since: asked.append(since) or real(since=since)
    )
    happened([began + timedelta(hours=6)])
    waiting = chain_status(now=timezone.now()).waiting_since
    assert asked[0] > began + timedelta(hours=3)
    assert abs(waiting - (began + timedelta(hours=6))) < timedelta(hours=2)
