"""The API does what its description promises, by Schemathesis: every check, valid data and not."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from django.contrib.auth import get_user_model
from django.db import connection
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import StopReason, events

from sessions_tracking import services as sessions
from tests.http_hardening import schemathesis_hooks  # noqa: F401 - registers what it holds

CONFIG = Path(__file__).parents[2] / "schemathesis.toml"
PASSWORD = "seven-lanterns-over-quiet-water"
# Codes of a 400 for what no schema can express.
BEYOND_A_SCHEMA = {"password_rejected", "code_invalid", "code_expired", "current_password_wrong"}


@pytest.fixture
def api(settings, live_server):
    """Return the API of a running server, which counts nobody out."""
    settings.RATE_LIMITING_FACTOR = 1_000_000
    return schemathesis.openapi.from_url(
        f"{live_server.url}/api/schema", config=SchemathesisConfig.from_path(CONFIG), timeout=60
    )


def asked_by(person, api):
    """Return an API each of whose requests has a session of its own: some end the one they use."""

    @api.auth(cache_by_key=None, refresh_interval=None)
    class OwnSession:
        def get(self, case, context):
            try:
                return sessions.start_token_session(user=person, amr=["pwd"]).access
            finally:
                connection.close()  # a thread of Schemathesis's own, which closes none

        def set(self, case, access, context):
            case.headers["Authorization"] = f"Bearer {access}"

    return api


def findings(api):
    """Run every phase; yield what failed, and fail loudly where nothing was run."""
    answered = 0
    for event in engine.from_schema(api).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield f"{event!r}"
        elif isinstance(event, events.EngineFinished):
            assert event.stop_reason == StopReason.COMPLETED
        elif isinstance(event, events.ScenarioFinished):
            answered += len(event.recorder.interactions)
            yield from failed_checks(event)
            yield from unexpected_refusals(event)
    assert answered > len(list(api.get_all_operations()))


def failed_checks(event):
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info:
                info = check.failure_info
                yield f"{event.label} {check.name}: {info.failure}\n{info.code_sample}"


def unexpected_refusals(event):
    """Yield valid requests that were refused for the form of what a schema can express."""
    for case_id, node in event.recorder.cases.items():
        interaction = event.recorder.interactions.get(case_id)
        meta = node.value.meta
        if not (interaction and interaction.response and meta and meta.generation.mode.is_positive):
            continue
        if interaction.response.status_code != 400:
            continue
        problem = interaction.response.json()
        if problem["code"] not in BEYOND_A_SCHEMA:
            yield f"{event.label} is refused though valid: {problem}"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_staff_find_the_api_as_it_is_described(api):
    staff = get_user_model().objects.create_superuser(email="ana@example.com", password=PASSWORD)
    found = set(findings(asked_by(staff, api)))
    assert not found, "\n\n".join(sorted(found))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_a_user_finds_the_doors_of_staff_closed_as_described(api):
    user = get_user_model().objects.create_user(email="ben@example.com", password=PASSWORD)
    api.config.phases.coverage.enabled = api.config.phases.stateful.enabled = False
    found = set(findings(asked_by(user, api.include(path_regex="/(backups|security)"))))
    assert not found, "\n\n".join(sorted(found))
