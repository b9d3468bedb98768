"""The admin opens in hosts that install apps, and not what they go with."""

import pytest

from tests.projects import hosts
from tests.projects.lists import OPENED


@pytest.mark.parametrize("debug", [{}, {"HOST_DEBUG": "on"}], ids=["plain", "debug"])
@pytest.mark.parametrize(
    "apps",
    [
        {"HOST_WITH": "http_hardening"},  # without its middleware and context processor
        {"HOST_WITHOUT": "http_hardening"},
        {},
    ],
    ids=["http_hardening", "all but it", "all"],
)
def test_every_page_of_the_admin_opens(tmp_path, apps, debug):
    environment = {"DJANGO_SETTINGS_MODULE": "tests.projects.without", **apps, **debug}
    wrote = hosts.Host(tmp_path).run("-m", "tests.projects.lists", environment=environment)
    assert OPENED in wrote
