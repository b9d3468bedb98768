"""A browser at the real site: collected static files, the real policies, and nothing overlooked."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test.testcases import LiveServerThread, _StaticFilesHandler
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
]
GIVEN_UP = "net::ERR_ABORTED"
PASSWORD = "brisk-otter-lantern-94"
EMAIL = "ada.admin@example.org"

# Reported to the page's own console, where the listener below finds it.
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  const { violatedDirective, blockedURI, sourceFile } = event;
  console.error(`CSP ${violatedDirective} blocked ${blockedURI} at ${sourceFile}`);
});
"""


@dataclass
class Watched:
    """A page, and everything that went wrong on it."""

    page: Page
    wrongs: list[str] = field(default_factory=list)

    def heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrongs.append(f"{message.type} on {self.page.url}: {message.text}")


@pytest.fixture(scope="module")  # its loop would stand in the way of other modules' async tests
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    # Playwright runs a loop in this thread, and Django would take the test for a coroutine.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("static"))


@pytest.fixture
def collected_files(settings, collected) -> str:
    """Collect the static files, as production has them; gives their folder."""
    settings.STATIC_ROOT = collected
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    }
    if not any(Path(collected).iterdir()):
        call_command("collectstatic", interactive=False, verbosity=0)
    return collected


@pytest.fixture
def site(transactional_db, collected_files) -> Iterator[str]:
    """Serve the site."""
    server = LiveServerThread("localhost", static_handler=_StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    if server.error:
        raise server.error
    yield f"http://localhost:{server.port}"
    server.terminate()


@pytest.fixture
def administrator(transactional_db):
    return get_user_model().objects.create_superuser(EMAIL, PASSWORD, name="Ada Admin")


@pytest.fixture
def watch(browser: Browser) -> Iterator[object]:
    """Open pages that are watched; the test fails where anything went wrong on one of them."""
    opened: list[tuple[BrowserContext, Watched]] = []

    def open_page(**options) -> Watched:
        context = browser.new_context(**{"locale": "en-GB", "timezone_id": "UTC", **options})
        context.add_init_script(TELL_VIOLATIONS)
        watched = Watched(context.new_page())
        page, wrongs = watched.page, watched.wrongs
        page.on("console", watched.heard)
        page.on("pageerror", lambda error: wrongs.append(f"error on {page.url}: {error}"))
        # What the browser itself gave up because the page went on is no failure.
        page.on(
            "requestfailed",
            lambda r: r.failure != GIVEN_UP and wrongs.append(f"failed: {r.url} {r.failure}"),
        )
        page.on(
            "response",
            lambda r: r.status >= 400 and wrongs.append(f"{r.status}: {r.url}"),
        )
        opened.append((context, watched))
        return watched

    yield open_page
    wrongs = [wrong for _, watched in opened for wrong in watched.wrongs]
    for context, _ in opened:
        context.close()
    assert wrongs == []


@pytest.fixture
def sign_in(site: str, administrator):
    """Sign the administrator in on a page."""

    def do(watched: Watched) -> Page:
        page = watched.page
        page.goto(f"{site}/admin/")
        page.fill("input[name=username]", EMAIL)
        page.fill("input[name=password]", PASSWORD)
        page.click("input[type=submit]")
        page.wait_for_selector("#security-dashboard")
        return page

    return do
