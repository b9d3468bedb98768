"""Each app installs by its page, line for line, beside any user model."""

import json

import pytest

from tests.architecture.house import APPS, PACKAGES
from tests.projects import hosts
from tests.projects.visit import AS_WRITTEN

PAGES = hosts.DOCS / "install"


def verify_visit(host, requests, **environment):
    environment["HOST_REQUESTS"] = json.dumps(requests)
    wrote = host.run("-m", "tests.projects.visit", environment=environment)
    assert AS_WRITTEN in wrote


@pytest.mark.parametrize("app", PACKAGES)
def test_an_app_installs_by_its_page(tmp_path, app):
    page = PAGES / f"{app}.md"
    requests = hosts.requests(page)
    assert requests, "a page says how to see that it has worked"
    assert app in hosts.installed(page)
    host = hosts.start(tmp_path, page)
    verify_visit(host, requests)
    verify_visit(host, requests, HOST_DEBUG="on")


@pytest.mark.parametrize("app", APPS)
def test_an_app_installs_beside_a_foreign_user_model(tmp_path, app):
    page = PAGES / f"{app}.md"
    verify_visit(hosts.start(tmp_path, page, foreign_user=True), hosts.requests(page))


def test_the_list_of_pages_names_what_each_page_installs():
    """The table of docs/install/README.md, and each page, say one thing."""
    rows = {}
    for line in (PAGES / "README.md").read_text().splitlines():
        if line.startswith("| ["):
            _, app, needs, *_ = (part.strip() for part in line.split("|"))
            rows[app.split("]")[0].removeprefix("[")] = set(needs.split(", ")) - {"nothing"}
    assert rows == {
        app: hosts.installed(PAGES / f"{app}.md") & set(PACKAGES) - {app} for app in PACKAGES
    }


def test_a_project_collects_what_its_apps_propose_to_beat(tmp_path):
    host = hosts.start(tmp_path, PAGES / "audit.md")
    (tmp_path / "mysite" / "celery.py").write_text(hosts.blocks(PAGES / "README.md")["celery.py"])
    wrote = host.run(
        "-c",
        "import django; django.setup()\n"
        "from mysite.celery import app\n"
        "app.finalize()\n"
        "app.loader.import_default_modules()\n"
        "entries = app.conf.beat_schedule\n"
        "assert {e['task'] for e in entries.values()} <= set(app.tasks), entries\n"
        "print(*sorted(entries))",
    )
    assert "audit.seal_events" in wrote
