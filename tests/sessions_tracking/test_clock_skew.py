"""Servers whose clocks disagree by two minutes, each a process of its own, on one database."""

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sessions_tracking.models import REUSED, Session
from tests.other_processes import environment

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).parents[2]


@contextmanager
def server(seconds):
    """Run a server whose clock is so many seconds ahead; gives what passes it a request."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.sessions_tracking.skewed_process", str(seconds)],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="ERROR"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:

        def ask(**request):
            running.stdin.write(json.dumps(request) + "\n")
            running.stdin.flush()
            for line in running.stdout:
                if line.startswith("= "):
                    return json.loads(line[2:])
            pytest.fail("The server ended; what it wrote stands above.")

        try:
            yield ask
        finally:
            running.stdin.close()


@pytest.fixture
def servers():
    """Start two servers: one a minute behind, one a minute ahead."""
    with ExitStack() as stack:
        yield [stack.enter_context(server(seconds)) for seconds in (-60, 60)]


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, -1])
def test_what_one_server_rotated_the_other_repeats_and_calls_no_theft(servers, user, order):
    one, other = servers[::order]
    _, old = one(start=str(user.pk))
    for rotates, repeats in ((one, other), (other, one)):
        given = old["refresh"]
        status, pair = rotates(refresh=given)
        assert status == 200, pair
        status, again = repeats(refresh=given)
        assert (status, again["refresh"]) == (200, pair["refresh"]), again
        assert [ask(use=again["access"])[0] for ask in servers] == [200, 200]
        old = again
    # A theft is found all the same: by now this token was replaced twice.
    assert one(refresh=old["refresh"])[0] == 200
    status, problem = other(refresh=given)
    assert (status, problem["code"]) == (401, "refresh_reused")
    assert Session.objects.get(pk=old["session_id"]).end_reason == REUSED


@pytest.mark.slow
def test_the_cap_ends_what_nobody_uses_whichever_server_it_began_on(servers, user):
    for one, other in (servers, servers[::-1]):
        Session.objects.all().delete()
        used = one(start=str(user.pk))[1]
        unused = other(start=str(user.pk))[1]
        also_used = other(start=str(user.pk))[1]
        for pair in (used, also_used):
            assert one(use=pair["access"])[0] == 200
        new = one(start=str(user.pk))[1]
        ended = Session.objects.exclude(ended_at=None).values_list("pk", flat=True)
        assert [str(key) for key in ended] == [unused["session_id"]]
        for pair in (used, also_used, new):
            assert [ask(use=pair["access"])[0] for ask in servers] == [200, 200]
