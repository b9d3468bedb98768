"""The same service by command, API, admin, task and schedule; who may, and what is told."""

import json
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from backups import schedule, services, signing, tasks
from backups.models import Backup, Drill, Lease, State
from garrison import health, panels
from garrison.errors import Refusal
from tests.backups.conftest import engines

one_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)
pytestmark = one_engine


class NotFresh(Refusal):
    """What a stale session gets."""

    code = "reauthentication_required"
    status = 403


def refuse(_request):
    raise NotFresh("Sign in again.")


@pytest.fixture
def sent(monkeypatch):
    """What was handed to workers; the tests run it themselves."""
    found = []
    monkeypatch.setattr(tasks.work_off, "delay", lambda: found.append("work_off"))
    monkeypatch.setattr(tasks.verify, "delay", lambda pk: found.append(f"verify {pk}"))
    return found


def person(*names, **fields):
    user_model = get_user_model()
    name = {user_model.USERNAME_FIELD: f"{uuid.uuid4().hex}@example.org"}
    user = user_model.objects.create(**name, is_active=True, **fields)
    user.user_permissions.add(
        *Permission.objects.filter(content_type__app_label="backups", codename__in=names)
    )
    return user


def api(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


def admin_client(settings, user):
    from django.contrib.auth.backends import ModelBackend

    client = Client()
    settings.AUTHENTICATION_BACKENDS = [f"{ModelBackend.__module__}.{ModelBackend.__qualname__}"]
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return client


def output(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


# -- commands --------------------------------------------------------------------------------------
def test_the_commands_make_list_verify_and_drill(site, capsys):
    call_command("backup_create", "--json")
    made = output(capsys)
    assert made["copies"] == {"backups": "good"}
    call_command("backup_list", "--json")
    assert [row["id"] for row in output(capsys)["backups"]] == [made["id"]]
    call_command("backup_list", "--on-targets", "--json")
    assert output(capsys)["targets"] == {"backups": [made["folder"]]}
    call_command("backup_verify", "--all", "--json")
    assert output(capsys)["level"] == "opened"
    call_command("backup_drill", "--json")
    assert output(capsys)["state"] == "good"
    for command in ("backup_list", "backup_verify", "backup_drill"):
        call_command(command)
        assert capsys.readouterr().out.strip()


def test_a_restore_by_command_prints_its_plan_and_waits_to_be_told(site, capsys):
    call_command("backup_create")
    site.execute("INSERT INTO note VALUES (4, 'new')")
    call_command("backup_restore")
    told = capsys.readouterr().out
    assert "REPLACE ALL DATA" in told
    assert f"--yes --confirm-database {services.plan(services.find()).database_name}" in told
    assert site.execute("SELECT count(*) FROM note") == [(4,)]
    with pytest.raises(CommandError, match="holds data"):
        call_command("backup_restore", "--yes")
    name = services.plan(services.find()).database_name
    call_command("backup_restore", "--yes", "--confirm-database", name, "--json")
    assert output(capsys)["done"] is True
    assert site.execute("SELECT count(*) FROM note") == [(3,)]
    call_command("backup_restore", "--table", "note", "--into-schema", "rescue")
    assert "Would bring" in capsys.readouterr().out
    call_command("backup_restore", "--table", "note", "--into-schema", "rescue", "--yes", "--json")
    assert output(capsys)["rows"] == 3, "the one made for safety must be named"


def test_a_refusal_is_an_exit_code_and_a_sentence(site, capsys):
    site.settings.BACKUPS_RECIPIENTS = []
    with pytest.raises(CommandError, match="backup_keygen") as refused:
        call_command("backup_create", "--json")
    assert refused.value.returncode == 1
    assert output(capsys)["code"] == "backup_recipient_missing"


def test_a_drill_that_finds_something_is_an_exit_code(site, capsys):
    call_command("backup_create")
    next((site.target / "files").rglob("*.age")).unlink()
    with pytest.raises(CommandError, match="not whole"):
        call_command("backup_drill", "--json")
    with pytest.raises(CommandError):
        call_command("backup_verify")


def test_pruning_by_command_tells_before_it_does(site, capsys):
    site.settings.BACKUPS_KEEP_LAST = 1
    site.settings.BACKUPS_KEEP_WEEKLY = site.settings.BACKUPS_KEEP_MONTHLY = 0
    old = site.back_up()
    Backup.objects.update(snapshot_at=timezone.now() - timedelta(days=50))
    site.back_up()
    call_command("backup_prune", "--dry-run", "--json")
    assert output(capsys)["backups"] == [old.folder]
    assert Backup.objects.good().count() == 2
    call_command("backup_prune")
    assert old.folder in capsys.readouterr().out
    assert Backup.objects.good().count() == 1


def test_cron_without_beat_makes_the_night_once(site, capsys):
    call_command("backup_create", "--if-due", "--json")
    assert output(capsys)["copies"] == {"backups": "good"}
    call_command("backup_create", "--if-due", "--json")
    assert output(capsys) == {"id": None}
    assert Backup.objects.get().kind == "scheduled"


def test_keygen_writes_the_secret_to_a_new_file_only(site, capsys):
    path = site.root / "new-identity.txt"
    call_command("backup_keygen", "--output", str(path))
    told = capsys.readouterr().out
    assert "AGE-SECRET-KEY" not in told
    assert "age1" in told
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    with pytest.raises(CommandError, match="never overwritten"):
        call_command("backup_keygen", "--output", str(path))
    assert path.read_text() == before
    call_command("backup_keygen", "--signer", "--json")
    assert output(capsys) == {"signer": signing.signer()}
    with pytest.raises(CommandError, match="--output"):
        call_command("backup_keygen")


def test_after_a_rotation_the_new_key_lists_and_checks_the_old_manifests(site, capsys):
    backup = site.back_up()
    new = site.root / "new-identity.txt"
    call_command("backup_keygen", "--output", str(new), "--json")
    site.settings.BACKUPS_RECIPIENTS = [output(capsys)["recipient"]]
    call_command("backup_keygen", "--reseal-manifests", "--json")
    assert output(capsys) == {"resealed": 1, "failures": 0}
    names = sorted(path.name for path in (site.target / backup.folder).glob("manifest*"))
    assert names == ["manifest.1.age"]
    opened = services.find(identity_file=str(new))
    assert opened.manifest.recipients == [site.recipient], "it still names who opens the parts"
    services.verify(now=timezone.now())  # by the old key alone: it opens both


# -- API -------------------------------------------------------------------------------------------
def test_the_api_lists_asks_and_verifies(site, sent):
    backup = site.back_up()
    client = api(person("view_backup", "add_backup", "verify_backup"))
    listed = client.get("/api/backups")
    assert listed.status_code == 200
    assert [row["id"] for row in listed.json()["results"]] == [str(backup.pk)]
    shown = client.get(f"/api/backups/{backup.pk}").json()
    assert shown["copies"][0]["state"] == "good"
    assert "parts" not in shown
    asked = client.post("/api/backups", {"content": "database"}, format="json")
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    verified = client.post(f"/api/backups/{backup.pk}/verify")
    assert verified.status_code == 202
    assert sent == ["work_off", f"verify {backup.pk}"]
    tasks.work_off.run()
    tasks.verify.run(str(backup.pk))
    assert client.get(f"/api/backups/{asked.json()['id']}").json()["state"] == "good"
    assert client.get(f"/api/backups/{backup.pk}").json()["verified_at"]


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        ("view_backup", {"list", "show"}),
        ("add_backup", {"ask"}),
        ("verify_backup", {"verify"}),
        ("", set()),
    ],
)
def test_each_permission_opens_its_own_door(site, sent, permission, allowed):
    backup = site.back_up()
    client = api(person(permission))
    answers = {
        "list": client.get("/api/backups"),
        "show": client.get(f"/api/backups/{backup.pk}"),
        "ask": client.post("/api/backups", {}, format="json"),
        "verify": client.post(f"/api/backups/{backup.pk}/verify"),
    }
    assert {name for name, answer in answers.items() if answer.status_code < 300} == allowed
    assert {a.status_code for n, a in answers.items() if n not in allowed} <= {403}


def test_strangers_are_turned_away(site):
    client = APIClient()
    for answer in (client.get("/api/backups"), client.post("/api/backups", {}, format="json")):
        assert answer.status_code in {401, 403}


@pytest.mark.parametrize(
    "body", [{"x": 1}, {"content": "everything"}, {"content": None}, {"content": ["all"]}, []]
)
def test_a_body_that_is_not_understood_is_refused(site, sent, body):
    client = api(person("add_backup"))
    assert client.post("/api/backups", body, format="json").status_code == 400
    assert Backup.objects.count() == 0
    assert sent == []


def test_an_unknown_backup_is_not_found(site, sent):
    client = api(person("view_backup", "verify_backup"))
    client.raise_request_exception = False
    with_own_handler = client.get(f"/api/backups/{uuid.uuid4()}")
    assert with_own_handler.status_code in {404, 500}
    assert client.post(f"/api/backups/{uuid.uuid4()}/verify").status_code in {404, 500}
    assert client.get("/api/backups/not-a-uuid").status_code == 404


def test_asking_needs_a_fresh_session_and_looking_does_not(site, sent):
    site.settings.BACKUPS_REQUIRE_FRESH = f"{__name__}.refuse"
    import sys

    sys.modules.setdefault(__name__, sys.modules[refuse.__module__])
    client = api(person("view_backup", "add_backup"))
    client.raise_request_exception = False
    assert client.get("/api/backups").status_code == 200
    assert client.post("/api/backups", {}, format="json").status_code >= 400
    assert Backup.objects.count() == 0


# -- admin -----------------------------------------------------------------------------------------
def test_the_admin_shows_asks_and_draws(site, sent):
    backup = site.back_up()
    services.drill_now(now=timezone.now())
    client = admin_client(site.settings, person(is_staff=True, is_superuser=True))
    page = client.get(reverse("admin:backups_backup_changelist"))
    text = page.content.decode()
    assert page.status_code == 200
    assert backup.folder in text
    assert text.count("<svg") >= 2
    assert "RTO" in text
    assert "style=" not in text.split("Drills over time")[1].split("</section>")[0]
    for name in ("now", "drill"):
        answer = client.post(reverse(f"admin:backups_backup_{name}"), follow=True)
        assert "was asked for" in answer.content.decode()
        assert client.get(reverse(f"admin:backups_backup_{name}")).status_code == 405
    assert Backup.objects.filter(state=State.QUEUED).count() == 1
    assert Drill.objects.filter(state=State.QUEUED).count() == 1
    chosen = {"_selected_action": [backup.pk]}
    for action in ("verify_selected", "drill_selected"):
        client.post(reverse("admin:backups_backup_changelist"), {**chosen, "action": action})
    assert f"verify {backup.pk}" in sent
    assert Drill.objects.filter(backup=backup, state=State.QUEUED).count() == 1
    for each in (backup, Drill.objects.first()):
        name = f"admin:backups_{each._meta.model_name}_change"
        assert client.get(reverse(name, args=[each.pk])).status_code == 200
    assert client.get(reverse("admin:backups_drill_changelist")).status_code == 200


def test_whoever_may_only_look_sees_no_button_and_cannot_press_it(site, sent):
    backup = site.back_up()
    client = admin_client(site.settings, person("view_backup", is_staff=True))
    text = client.get(reverse("admin:backups_backup_changelist")).content.decode()
    assert "Back up now" not in text
    assert "verify_selected" not in text
    for name in ("now", "drill"):
        assert client.post(reverse(f"admin:backups_backup_{name}")).status_code == 403
    change = reverse("admin:backups_backup_change", args=[backup.pk])
    assert client.post(change, {"state": "failed"}).status_code == 403
    delete = reverse("admin:backups_backup_delete", args=[backup.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    backup.refresh_from_db()
    assert backup.state == State.GOOD
    assert sent == []


def test_a_stale_session_is_told_so_in_the_admin(site, sent, monkeypatch):
    from backups import asking

    monkeypatch.setattr(asking, "require_fresh", refuse)
    client = admin_client(site.settings, person(is_staff=True, is_superuser=True))
    answer = client.post(reverse("admin:backups_backup_now"), follow=True)
    assert "Sign in again." in answer.content.decode()
    assert Backup.objects.count() == 0


# -- worker, dashboard, health ---------------------------------------------------------------------
def test_the_tick_queues_says_and_hands_over(site, sent):
    tasks.tick.run()
    assert sent == ["work_off"]
    tasks.work_off.run()
    assert Backup.objects.get().state == State.GOOD
    tasks.tick.run()
    assert Backup.objects.count() == 1
    assert Drill.objects.filter(state=State.QUEUED).count() == 1, "a week without a drill"
    tasks.work_off.run()
    assert Drill.objects.get().state == State.GOOD


def test_a_failing_backup_does_not_take_the_worker_with_it(site, sent):
    site.settings.BACKUPS_RECIPIENTS = []
    services.ask_for_backup(now=timezone.now())
    tasks.work_off.run()
    assert Backup.objects.get().state == State.FAILED
    tasks.verify.run(str(uuid.uuid4()))


def test_beat_knows_the_tick(engine):
    assert schedule.SCHEDULE["backups.tick"]["task"] == tasks.tick.name


def finding():
    return next(result for result in health.run() if result.name == "backups")


def test_health_follows_what_is_proven(site):
    assert finding().status == "unhealthy"
    backup = site.back_up()
    assert finding().status == "healthy"
    Backup.objects.filter(pk=backup.pk).update(damage="cut")
    assert finding().status == "unhealthy"
    Backup.objects.filter(pk=backup.pk).update(damage="")
    backup.copies.update(state="failed")
    assert finding().status == "degraded"
    backup.copies.update(state="good")
    old = timezone.now() - timedelta(days=9)
    first = site.back_up()
    Backup.objects.filter(pk=first.pk).update(snapshot_at=old)
    assert "drill" in finding().detail
    services.drill_now(now=timezone.now())
    assert finding().status == "healthy"
    Backup.objects.update(snapshot_at=timezone.now() - timedelta(hours=27))
    assert finding().status == "unhealthy"


def test_a_key_that_opened_nothing_for_a_month_is_said_to_be_nearly_lost(site):
    backup = site.back_up()
    now = timezone.now()
    Backup.objects.filter(pk=backup.pk).update(snapshot_at=now - timedelta(days=31))
    site.back_up()
    assert "backups.identity.unproven" in services.look_out(now=now)
    assert services.look_out(now=now) == []
    services.verify(now=now)
    Lease.objects.all().delete()
    assert "backups.identity.unproven" not in services.look_out(now=now)


def test_the_panel_and_the_figure_know_what_happened(site, django_assert_max_num_queries):
    panel = next(each for each in panels.registered() if each.slug == "backups")
    window = panels.window("24h", now=timezone.now() + timedelta(minutes=1))
    assert panel.context(request=None, window=window)["last_drill"] is None
    site.back_up()
    services.drill_now(now=timezone.now())
    with django_assert_max_num_queries(12):
        shown = panel.context(request=None, window=window)
        assert len(shown["rows"]) == 1
    assert shown["rto"].endswith("s")
    assert shown["rpo"]
    Backup.objects.update(state=State.FAILED)
    figure = next(each for each in panels.figures() if each.name == "failed_backups")
    assert figure.count(window) == 1
