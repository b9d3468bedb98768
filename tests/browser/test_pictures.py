"""The pictures in docs/screenshots; made by ``python -m tests.browser.pictures``."""

import os
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from audit import append_only
from audit.models import SecurityEvent
from security_monitoring.models import Heartbeat
from tests.browser.test_admin import DESKTOP, PHONE
from tests.browser.traffic import a_month

SCALE = {"desktop": 1, "phone": 1.5}
FOLDER = os.environ.get("GARRISON_PICTURES", "")

pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.slow]


@pytest.mark.skipif(not FOLDER, reason="makes pictures; run python -m tests.browser.pictures")
def test_pictures(site, watch, sign_in, administrator):
    now = timezone.now()
    a_month(now)
    Heartbeat.record(now=now)
    append_only.protect(connection)  # the health report is to look as it does in production
    newest = SecurityEvent.objects.of_kinds(["sessions.refresh.reused"]).newest(1)[0]
    pages = {
        "dashboard": "/admin/?window=7d",
        "events": "/admin/audit/securityevent/?time=30d",
        "event": f"/admin/audit/securityevent/{newest.pk}/change/",
    }
    folder = Path(FOLDER)
    for device, screen in {"desktop": DESKTOP, "phone": PHONE}.items():
        for scheme in ("light", "dark"):
            watched = watch(color_scheme=scheme, **screen | {"device_scale_factor": SCALE[device]})
            watched.page.goto(f"{site}/admin/login/")
            watched.page.screenshot(path=folder / f"sign-in-{device}-{scheme}.png")
            page = sign_in(watched)
            for name, address in pages.items():
                page.goto(site + address)
                path = folder / f"{name}-{device}-{scheme}.png"
                page.screenshot(path=path, full_page=name != "events")
                assert path.stat().st_size > 10_000, "an empty page is no picture"
    append_only.permit_flush(connection)
