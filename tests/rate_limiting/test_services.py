"""What an operator can do: look at the dashboard, and let somebody start over."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import SecurityEvent
from garrison import panels
from rate_limiting import events, services
from rate_limiting.errors import RateLimited
from rate_limiting.limiter import count_request
from rate_limiting.panels import MOST_ROWS, RefusedRequests
from rate_limiting.subject import Subject

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.rate_limiting.urls")]

ANA = Subject(address="192.0.2.1", account="ana@example.com", endpoint="login")
KEY = "00000000-0000-4000-8000-000000000007"
PERSON = Subject(address="192.0.2.1", user_id=KEY, endpoint="read")


@pytest.fixture(autouse=True)
def _limits(settings, clock, django_user_model):
    django_user_model.objects.create_user("person@example.org", None, pk=KEY)
    settings.RATE_LIMITS = {
        "auth": ["2/15m", "50/15m address"],
        "api": ["2/15m", "1000/h site"],
        "exports": ["5/h tests.rate_limiting.test_services.needs_a_request"],
    }
    settings.RATE_LIMITING_FACTOR = 1


def needs_a_request(request):
    return request.path


def passes(subject, scope):
    try:
        count_request(scope=scope, subject=subject)
    except RateLimited:
        return False
    return True


def use_up(subject, scope):
    while passes(subject, scope):
        pass


def reset(*arguments):
    out = io.StringIO()
    call_command("reset_rate_limit", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())["counters"]


def test_an_account_starts_over_from_its_address():
    use_up(ANA, "auth")
    assert reset("--account", " ANA@example.com ", "--address", "192.0.2.1") == 3
    assert passes(ANA, "auth")


def test_a_person_starts_over_and_the_site_goes_on_counting():
    use_up(PERSON, "api")
    assert reset("--user", KEY) == 2
    verdict = count_request(scope="api", subject=PERSON)
    assert [usage.used for usage in verdict.usages] == [1, 3]


def test_an_address_starts_over_and_its_accounts_do_not():
    use_up(ANA, "auth")
    assert reset("--address", "192.0.2.1") == 1
    assert not passes(ANA, "auth")


def test_an_address_of_ipv6_stands_for_its_64():
    neighbour = Subject(address="2001:db8:1:2::/64", endpoint="read")
    use_up(neighbour, "api")
    assert reset("--address", "2001:db8:1:2::9") == 2
    assert passes(neighbour, "api")


def test_a_reset_is_an_event_without_names():
    use_up(PERSON, "api")
    services.reset(subject=PERSON)
    assert services.reset(subject=PERSON) == 0
    (event,) = SecurityEvent.objects.of_kinds([events.LIMIT_RESET])
    assert event.data == {"counters": 2}


def test_it_says_what_it_did_to_a_person():
    out = io.StringIO()
    call_command("reset_rate_limit", "--user", KEY, stdout=out)
    assert out.getvalue() == "0 counters forgotten.\n"


@pytest.mark.parametrize(
    "arguments", [[], ["--account", "ana"], ["--address", "not-an-address"], ["--address", "\x00"]]
)
def test_what_names_nobody_is_refused(arguments):
    with pytest.raises(CommandError):
        reset(*arguments)


def test_a_store_that_is_down_is_told(own_cache, own_valkey):
    own_valkey.stop()
    with pytest.raises(CommandError, match="unavailable"):
        reset("--user", KEY)


# --- The panel ------------------------------------------------------------------------------------
def shown(rf):
    window = panels.window("24h", now=timezone.now())
    return RefusedRequests().context(request=rf.get("/"), window=window)


def test_the_panel_groups_refusals(rf, django_assert_max_num_queries):
    for _ in range(5):
        passes(PERSON, "api")
    use_up(ANA, "auth")
    with django_assert_max_num_queries(4):
        context = shown(rf)
    assert [(row["scope"], row["endpoint"], row["in_a_row"]) for row in context["rows"]] == [
        ("api", "read", 3),
        ("auth", "login", 1),
    ]
    assert context["store_is_well"]


def test_the_panel_is_bounded(rf):
    for number in range(20):
        use_up(Subject(address=f"192.0.2.{number}", endpoint=f"view-{number}"), "api")
    assert len(shown(rf)["rows"]) == MOST_ROWS


def test_the_panel_says_that_the_store_is_down(rf, own_cache, own_valkey):
    own_valkey.stop()
    context = shown(rf)
    assert not context["store_is_well"]
    assert context["rows"] == []
