"""The admin in a real browser: no error, no violation, nothing missing or out of the frame."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from audit.models import SecurityEvent
from garrison import events
from garrison.events import EventKind, Severity
from sessions_tracking import services as sessions
from tests.browser.conftest import EMAIL
from tests.browser.traffic import an_hour

pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.slow]

PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2}
DESKTOP = {"viewport": {"width": 1360, "height": 900}}
COLOUR_OF_A_TILE = "getComputedStyle(document.querySelector('.sd-tile')).backgroundColor"
OPENED = EventKind("tests.door.opened", Severity.INFO, "A door was opened.")


def pages():
    """Return the address of every page of the admin: lists, objects, forms to add one."""
    yield from (f"/admin/?window={slug}" for slug in ("1h", "24h", "7d", "30d"))
    yield reverse("admin:password_change")
    for model, model_admin in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse("admin:app_list", args=[model._meta.app_label])
        yield reverse(f"{name}_changelist")
        if first := model._default_manager.first():
            yield reverse(f"{name}_change", args=[quote(first.pk)])
        if "add" in model_admin.get_urls()[1].name and model_admin.has_add_permission(ASKED):
            yield reverse(f"{name}_add")


class Asked:
    """A request by somebody who may do everything."""

    class user:  # noqa: N801 - an attribute of a request
        """Whoever asks."""

        has_perm = staticmethod(lambda *_: True)
        is_superuser = True


ASKED = Asked()


def overflow(page):
    """Tell by how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_page_is_whole(site, watch, sign_in, screen, scheme):
    an_hour(timezone.now())
    page = sign_in(watch(color_scheme=scheme, **screen))
    seen, too_wide = 0, {}
    for path in dict.fromkeys(pages()):
        page.goto(site + path)
        assert page.locator("h1").count() >= 1, path
        if (pixels := overflow(page)) > 0:
            too_wide[path] = pixels
        seen += 1
    assert seen >= 15
    assert too_wide == {}
    page.goto(f"{site}/admin/")
    page.click("#logout-form button")
    expect(page.locator("h1")).to_have_text("Logged out")


def test_a_failed_sign_in_is_said_and_shown_on_the_dashboard(site, watch, sign_in, administrator):
    watched = watch(**DESKTOP)
    page = watched.page
    page.goto(f"{site}/admin/login/")
    page.fill("input[name=username]", EMAIL)
    page.fill("input[name=password]", "not-my-password")
    page.click("input[type=submit]")
    assert page.locator(".errornote").inner_text()
    page = sign_in(watched)
    assert page.locator("#tile-failed_logins dd").inner_text() == "1"


def test_the_dashboard_is_refreshed_in_place(site, watch, sign_in):
    page = sign_in(watch(**DESKTOP))
    page.evaluate("window.isStillTheSamePage = true")
    events.emit(OPENED)
    before = int(page.locator("#tile-total_events dd").inner_text())
    page.click(".sd-numbers summary")
    page.click("a[data-window='7d']")
    page.wait_for_selector("#security-dashboard[data-window='7d']")
    expect(page).to_have_url(re.compile("window=7d$"))
    assert int(page.locator("#tile-total_events dd").inner_text()) == before + 1
    assert page.locator(".sd-numbers[open]").count() == 1, "what was opened stays open"
    page.go_back()
    page.wait_for_selector("#security-dashboard[data-window='24h']")
    assert page.evaluate("window.isStillTheSamePage"), "nothing was loaded anew"


def test_refreshing_keeps_the_keyboard_where_it_was_and_can_be_paused(site, watch, sign_in):
    page = sign_in(watch(**DESKTOP))
    page.focus("a[data-window='30d']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#security-dashboard[data-window='30d']")
    assert page.evaluate("document.activeElement.dataset.window") == "30d"
    page.focus(".sd-pause")
    page.keyboard.press("Space")
    assert page.locator(".sd-pause").get_attribute("aria-pressed") == "true"
    assert page.locator(".sd-updated").inner_text() == "Paused"
    page.keyboard.press("Space")
    expect(page.locator(".sd-updated")).to_contain_text("Updated")


def test_it_refreshes_by_itself_while_somebody_is_there(site, watch, sign_in):
    watched = watch(**DESKTOP)
    watched.page.clock.install()
    page = sign_in(watched)
    before = int(page.locator("#tile-total_events dd").inner_text())
    events.emit(OPENED)
    with page.expect_response(re.compile("/admin/dashboard")):
        page.clock.run_for(31_000)
    expect(page.locator("#tile-total_events dd")).to_have_text(str(before + 1))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(16 * 60 * 1000)
    page.clock.run_for(120_000)
    assert asked == [], "an unattended page keeps no session alive"


def test_a_session_that_ended_is_told_and_breaks_nothing(site, watch, sign_in, administrator):
    watched = watch(**DESKTOP)
    page = sign_in(watched)
    sessions.end_sessions(user=administrator, reason="ended_by_staff")
    page.click(".sd-pause")
    page.click(".sd-pause")
    expect(page.locator(".sd-updated")).to_contain_text("sign in again")
    assert page.locator("#security-dashboard").count() == 1


def test_it_works_without_javascript(site, watch, sign_in):
    page = sign_in(watch(java_script_enabled=False, **PHONE))
    page.click("a[data-window='30d']")
    expect(page).to_have_url(re.compile("window=30d$"))
    assert page.locator("a[data-window='30d']").get_attribute("aria-current") == "true"
    assert not page.locator(".sd-live").is_visible()


def test_the_theme_is_switched_by_the_admins_own_button(site, watch, sign_in):
    page = sign_in(watch(color_scheme="light", **DESKTOP))
    light = page.evaluate("getComputedStyle(document.querySelector('.sd-tile')).backgroundColor")
    page.click(".theme-toggle")  # auto → light or dark
    page.click(".theme-toggle")
    themes = {page.evaluate("document.documentElement.dataset.theme")}
    colours = {
        page.evaluate("getComputedStyle(document.querySelector('.sd-tile')).backgroundColor")
    }
    page.click(".theme-toggle")
    themes.add(page.evaluate("document.documentElement.dataset.theme"))
    colours.add(
        page.evaluate("getComputedStyle(document.querySelector('.sd-tile')).backgroundColor")
    )
    assert len(themes) == 2
    assert light in colours or len(colours) == 2


def test_the_list_of_events_is_paged_and_searched(site, watch, sign_in):
    page = sign_in(watch(**PHONE))
    for _ in range(55):
        events.emit(OPENED)
    page.goto(f"{site}/admin/audit/securityevent/")
    page.click("a[rel=next]")
    page.click("a[rel=prev]")
    expect(page.locator("a[rel=prev]")).to_have_count(0)
    page.fill("#searchbar", "tests.door.opened")
    page.click("#changelist-search input[type=submit]")
    page.wait_for_url("**q=tests.door.opened**")
    assert page.locator("#result_list tbody tr").count() == 50
    page.click("#result_list tbody tr:first-child a")
    page.wait_for_url("**/change/**")
    expect(page.get_by_text("A door was opened.").first).to_be_visible()
    assert SecurityEvent.objects.of_kinds([OPENED]).count() == 55
