"""What a person sees of an error: whole, in the site's colours, and under its own policy."""

import os
from pathlib import Path

import pytest

from tests.browser.test_admin import DESKTOP, PHONE, overflow

pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.slow]

COLOUR = "getComputedStyle(document.body).backgroundColor"
PICTURES = os.environ.get("GARRISON_ERROR_PICTURES", "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_an_error_page_is_whole(site, watch, screen, scheme):
    watched = watch(color_scheme=scheme, **screen)
    page, address = watched.page, f"{site}/there-is-nothing-here"
    page.goto(address)
    # The page itself is the one answer that may be an error.
    assert f"404: {address}" in watched.wrongs
    watched.wrongs[:] = [wrong for wrong in watched.wrongs if address not in wrong]
    assert page.locator("h1").inner_text() == "There is nothing here"
    assert page.locator("code").inner_text()
    assert overflow(page) <= 0
    brightness = sum(map(int, page.evaluate(COLOUR).strip("rgb()").split(",")[:3])) / 3
    assert (brightness < 80) == (scheme == "dark")
    if PICTURES:
        name = f"error-{screen['viewport']['width']}-{scheme}.png"
        page.screenshot(path=Path(PICTURES) / name)
