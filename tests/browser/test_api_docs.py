"""The page of the API in a real browser: offline, under the policy, without a violation."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.slow]


def test_the_page_shows_every_operation_and_opens_one(site, watch):
    page = watch(viewport={"width": 1280, "height": 900}).page
    outside = []
    page.on("request", lambda r: r.url.startswith((site, "data:")) or outside.append(r.url))
    page.goto(f"{site}/api/docs")
    page.wait_for_selector(".opblock-summary")
    assert page.locator(".opblock-summary").count() >= 10
    page.click("#operations-auth-auth_login_create .opblock-summary")
    page.wait_for_selector("text=Try it out")
    assert page.locator("text=application/problem+json").count() >= 1
    assert outside == []
