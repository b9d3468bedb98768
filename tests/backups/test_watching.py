"""Worker, schedule, dashboard and health: what is done and told without being asked."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from backups import schedule, services, tasks
from backups.errors import BackupsRefusal
from backups.models import Backup, Drill, Lease, State
from garrison import health, panels
from garrison.events import security_event
from tests.backups.conftest import engines

pytestmark = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


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
    services.request_backup(now=timezone.now())
    said = []
    receive = lambda event, **_: said.append((str(event.kind), event.data.get("why")))  # noqa: E731
    security_event.connect(receive)
    tasks.work_off.run()
    security_event.disconnect(receive)
    assert Backup.objects.get().state == State.FAILED
    assert (finding().status, "1 backups failed" in finding().detail) == ("degraded", True)
    (why,) = [why for kind, why in said if kind == "backups.backup.failed"]
    assert "backup_keygen" in why
    tasks.verify.run(str(uuid.uuid4()))


def test_beat_knows_the_tick(engine):
    assert schedule.SCHEDULE["backups.tick"]["task"] == tasks.tick.name


def finding():
    return next(result for result in health.run() if result.name == "backups")


def test_health_follows_what_is_proven(site, installed):
    assert finding().status == "degraded", "installed a moment ago: nothing is overdue"
    installed(timezone.now() - timedelta(hours=27))
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
    assert "backups.identity.unproven" in services.check_backups(now=now)
    assert services.check_backups(now=now) == []
    services.verify(now=now)
    Lease.objects.all().delete()
    assert "backups.identity.unproven" not in services.check_backups(now=now)


def test_a_stamp_in_the_future_hides_nothing(site):
    """A clock was wrong for one night; a hundred days without a backup follow."""
    now = timezone.now()
    real = site.back_up()
    services.drill_now(now=now)
    wrong = site.back_up()
    Backup.objects.filter(pk=real.pk).update(snapshot_at=now - timedelta(days=100))
    Backup.objects.filter(pk=wrong.pk).update(
        snapshot_at=now + timedelta(days=200), opened_at=now + timedelta(days=200)
    )
    Drill.objects.update(ended_at=now + timedelta(days=200))
    found = services.status(now=now)
    assert found.newest_at == now - timedelta(days=100)
    assert (found.is_backup_overdue, found.is_drill_overdue) == (True, True)
    Lease.objects.claim_notice(
        "said:backups.backup.missed", hours=24, now=now + timedelta(days=200)
    )
    Lease.objects.acquire("backup", owner=uuid.uuid4(), seconds=90, now=now + timedelta(days=200))
    assert "backups.backup.missed" in services.check_backups(now=now)
    assert site.back_up().state == State.GOOD, "nor does a lease that was taken then"
    Backup.objects.filter(pk=real.pk).delete()
    Backup.objects.exclude(pk=wrong.pk).delete()
    assert services.status(now=now).is_backup_overdue


def test_a_restore_does_not_take_a_future_stamp_for_the_newest(site):
    real = site.back_up()
    ahead = site.target / real.folder.replace(real.folder[:4], "2999", 1)
    (site.target / real.folder).rename(ahead)
    with pytest.raises(BackupsRefusal):
        services.find()


def test_a_drill_that_is_overdue_is_said_once_a_day(site):
    backup = site.back_up()
    now = timezone.now()
    assert services.check_backups(now=now) == []
    Backup.objects.filter(pk=backup.pk).update(snapshot_at=now - timedelta(days=8, minutes=1))
    site.back_up()
    assert services.check_backups(now=now) == ["backups.drill.missed"]
    assert services.check_backups(now=now) == []
    services.drill_now(now=now)
    assert services.check_backups(now=now + timedelta(days=7, hours=1)) == [
        "backups.backup.missed",
        "backups.condition.ended",
    ]
    site.back_up()
    said = services.check_backups(now=now + timedelta(days=8, hours=1))
    assert "backups.drill.missed" in said


def test_a_site_is_not_overdue_before_its_first_night_and_a_condition_ends_with_its_cause(site):
    now = timezone.now()
    assert services.check_backups(now=now) == []
    late = now + timedelta(hours=27)
    assert services.check_backups(now=late) == ["backups.backup.missed"]
    assert services.check_backups(now=late) == []
    backup = site.back_up()
    assert services.check_backups(now=now) == ["backups.condition.ended"]
    assert services.check_backups(now=now) == []
    Backup.objects.filter(pk=backup.pk).update(snapshot_at=now - timedelta(hours=27))
    assert services.check_backups(now=now) == ["backups.backup.missed"], "anew, not silenced"


def test_a_dashboard_shows_how_long_a_restore_takes_and_how_old_it_is(site):
    from django.template.loader import render_to_string

    panel = next(each for each in panels.panels() if each.slug == "backups")
    window = panels.window("24h", now=timezone.now() + timedelta(minutes=1))
    assert "no backup yet" in render_to_string(
        panel.template, panel.context(request=None, window=window)
    )
    backup = site.back_up()
    shown = render_to_string(panel.template, panel.context(request=None, window=window))
    assert "never" in shown, "the first night, before any drill"
    services.drill_now(now=timezone.now())
    Drill.objects.update(rto_seconds=754, rpo_seconds=9000)
    shown = render_to_string(panel.template, panel.context(request=None, window=window))
    assert "Time to restore (RTO)" in shown
    assert "12.6 min" in shown
    assert "2.5 h" in shown
    assert ">drilled<" in shown
    Backup.objects.filter(pk=backup.pk).update(damage="cut")
    Drill.objects.update(state=State.FAILED)
    shown = render_to_string(panel.template, panel.context(request=None, window=window))
    assert ">damaged<" in shown


def test_the_panel_and_the_figure_know_what_happened(site, django_assert_max_num_queries):
    panel = next(each for each in panels.panels() if each.slug == "backups")
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
