"""In the admin: what is shown, who may press what, and in which session."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from backups import services
from backups.models import Backup, Drill, State
from tests.backups.conftest import engines
from tests.backups.people import admin_client, person, refuse

pytestmark = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


def test_the_admin_shows_and_requests(site, sent):
    backup = site.back_up()
    services.drill_now(now=timezone.now())
    client = admin_client(site.settings, person(is_staff=True, is_superuser=True))
    page = client.get(reverse("admin:backups_backup_changelist"))
    text = page.content.decode()
    assert page.status_code == 200
    assert backup.folder in text
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


def test_the_admin_tells_how_far_a_running_backup_is(site):
    Backup.objects.create(
        queued_at=timezone.now(),
        heartbeat_at=timezone.now(),
        state=State.RUNNING,
        stage="database",
        bytes_done=3 * 1024 * 1024,
        bytes_expected=12 * 1024 * 1024,
    )
    client = admin_client(site.settings, person("view_backup", is_staff=True))
    text = client.get(reverse("admin:backups_backup_changelist")).content.decode()
    told = " ".join(text.replace("\xa0", " ").split())
    assert "Running: requested backup, database, 3.0 MB of about 12.0 MB" in told


def test_the_page_lists_how_long_each_drill_took_newest_first(site):
    backup = site.back_up()
    now = timezone.now()
    for week, seconds in enumerate((600, 300, 1200)):
        Drill.objects.create(
            backup=backup,
            queued_at=now - timedelta(weeks=3 - week),
            rto_seconds=seconds,
            rpo_seconds=seconds * 10,
            state=State.FAILED if week == 1 else State.GOOD,
        )
    client = admin_client(site.settings, person("view_backup", is_staff=True))
    text = client.get(reverse("admin:backups_backup_changelist")).content.decode()
    drills = text.split("Drills over time")[1].split("</section>")[0]
    cells = re.findall(r"<td>([^<]+)</td>", drills)
    assert [cells[n : n + 3] for n in range(1, len(cells), 4)] == [
        ["20 min", "3.33 h", "good"],
        ["5 min", "50 min", "failed"],
        ["10 min", "1.67 h", "good"],
    ]


def test_a_stale_session_is_told_so_in_the_admin(site, sent):
    site.settings.BACKUPS_REQUIRE_FRESH = f"{refuse.__module__}.{refuse.__qualname__}"
    client = admin_client(site.settings, person(is_staff=True, is_superuser=True))
    answer = client.post(reverse("admin:backups_backup_now"), follow=True)
    assert "Sign in again." in answer.content.decode()
    assert Backup.objects.count() == 0
