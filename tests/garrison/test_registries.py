"""Panels, health checks, drills and the field policy: what apps plug into."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, Permission

from garrison import drills, field_policy, health, panels
from garrison.admin import CappedPaginator, ReadOnlyAdmin
from garrison.errors import ConfigurationError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def no_checks():
    with health.CHECKS.temporarily():
        yield


def test_the_whole_is_as_bad_as_its_worst_part(no_checks):
    health.register("good")(lambda: health.CheckResult(health.Status.HEALTHY))
    health.register("slow")(lambda: health.CheckResult(health.Status.DEGRADED, "slow"))
    results = health.run()
    assert health.worst(results) is health.Status.DEGRADED
    assert [(r.name, r.status) for r in results] == [("good", "healthy"), ("slow", "degraded")]


def test_a_check_that_raises_is_unhealthy_and_shows_no_message(no_checks, caplog):
    @health.register("broken")
    def broken():
        raise ConnectionError("password=hunter2 host=db.internal")

    (result,) = health.run()
    assert result.status is health.Status.UNHEALTHY
    assert result.detail == "The check failed with ConnectionError."
    assert "Health check broken failed." in caplog.text


def test_readiness_runs_only_what_serving_needs(no_checks):
    health.register("optional")(lambda: health.CheckResult(health.Status.UNHEALTHY))
    health.register("needed", needed_to_serve=True)(
        lambda: health.CheckResult(health.Status.HEALTHY)
    )
    assert [r.name for r in health.run(only_needed_to_serve=True)] == ["needed"]


def test_nothing_checked_is_healthy(no_checks):
    assert health.worst(health.run()) is health.Status.HEALTHY


@pytest.mark.parametrize(
    ("slug", "hours"), [("1h", 1), ("24h", 24), ("7d", 168), ("30d", 720), ("x'--", 24), ("", 24)]
)
def test_a_window_ends_now_and_an_unknown_one_is_a_day(slug, hours):
    window = panels.window(slug, now=NOW)
    assert (window.start, window.end) == (NOW - timedelta(hours=hours), NOW)
    assert 0 < (window.end - window.start) / window.step <= 60


def test_panels_come_in_order_and_a_slug_is_declared_once():
    class Base(panels.Panel):
        title = template = permission = "x"

        def context(self, *, request, window):
            return {}

    with panels.PANELS.temporarily():
        panels.register(type("Late", (Base,), {"slug": "late", "order": 200}))
        panels.register(type("Early", (Base,), {"slug": "early", "order": 1}))
        with pytest.raises(ConfigurationError, match=r"panel 'early' is declared twice"):
            panels.register(type("Again", (Base,), {"slug": "early", "order": 2}))
        assert [type(p).__name__ for p in panels.panels()] == ["Early", "Late"]


def test_drills_are_found_by_name():
    result = drills.DrillResult(is_whole=True, looked_at=3, detail="3 rows.")
    with drills.DRILLS.temporarily():
        drills.register("sample")(lambda restored: result)
        assert drills.DRILLS["sample"](drills.Restored(using="scratch")) is result


@pytest.mark.django_db
def test_fields_are_seen_and_written_by_model_permission(django_user_model):
    policy = field_policy.policy()
    assert policy.visible_fields(AnonymousUser(), Permission) == frozenset()
    user = django_user_model.objects.create_user(email="kim@example.com", password=None)
    user.user_permissions.add(Permission.objects.get(codename="view_permission"))
    assert policy.visible_fields(user, Permission) >= {"name", "codename"}
    assert policy.writable_fields(user, Permission) == frozenset()


@pytest.mark.django_db
def test_the_paginator_never_counts_more_than_its_cap(django_assert_num_queries, monkeypatch):
    monkeypatch.setattr("garrison.admin.MOST_COUNTED", 7)
    with django_assert_num_queries(1) as queries:
        assert CappedPaginator(Permission.objects.order_by("pk"), 5).count == 7
    assert "LIMIT 7" in queries.captured_queries[0]["sql"]


def test_evidence_is_neither_added_nor_changed_nor_deleted():
    evidence = ReadOnlyAdmin(Permission, None)
    assert not evidence.has_add_permission(None)
    assert not evidence.has_change_permission(None)
    assert not evidence.has_delete_permission(None)


def test_figures_come_in_order_and_a_name_is_declared_once():
    with panels.FIGURES.temporarily():
        panels.figure("later", label="Later", permission="a.b", order=9)(lambda window: 1)
        panels.figure("first", label="First", permission="a.b", order=1)(lambda window: 2)
        with pytest.raises(ConfigurationError, match="'first' is declared twice"):
            panels.figure("first", label="Other", permission="a.b")(lambda window: 3)
        window = panels.window("1h", now=NOW)
        shown = [(f.name, f.label, f.count(window)) for f in panels.figures()]
    assert shown == [("first", "First", 2), ("later", "Later", 1)]
