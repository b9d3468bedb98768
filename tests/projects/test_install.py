"""Each app installs by its page, line for line: from the wheel, by its extra, beside any user."""

import json

import pytest

from tests.architecture.house import APPS, PACKAGES
from tests.projects import hosts, wheel
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
    assert app == "garrison" or app in hosts.extras(page)
    host = hosts.start(tmp_path, page)
    verify_visit(host, requests)
    verify_visit(host, requests, HOST_DEBUG="on")


@pytest.mark.parametrize("app", APPS)
def test_an_app_installs_beside_a_foreign_user_model(tmp_path, app):
    page = PAGES / f"{app}.md"
    verify_visit(hosts.start(tmp_path, page, foreign_user=True), hosts.requests(page))


def test_backups_install_without_their_api(tmp_path):
    page = tmp_path / "backups.md"
    page.write_text((PAGES / "backups.md").read_text().rpartition("```sh\n")[0])
    host = hosts.start(tmp_path, page)
    assert host.extras == ("backups",)
    verify_visit(host, [("GET", "/admin/backups/backup/", 302, "/admin/login/")])


def test_encryption_alone_brings_no_queue_no_store_and_no_api():
    brought = {path.name for path in wheel.installed("encryption").iterdir()}
    assert {"encryption", "django", "cryptography"} <= brought
    assert not brought & {"axes", "celery", "kombu", "psycopg", "redis", "rest_framework"}


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
    host = hosts.start(tmp_path, PAGES / "audit.md", PAGES / "README.md")
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
