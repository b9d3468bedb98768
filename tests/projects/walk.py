"""Walk through the API of one project, as README does, in a process of its own; print the answers.

``DJANGO_SETTINGS_MODULE`` names the project. What differs from run to run is masked.
"""

import json
import re
import sys
import uuid

HEADERS = ("Content-Type", "Cache-Control", "WWW-Authenticate", "Allow", "RateLimit-Policy")
MASKED = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)|[\w-]+(\.[\w-]+){2,}"
)
ME = {"email": "ada@example.com", "password": "three-Swans-over-the-lake"}


class Walker:
    """A client that notes what each step was answered."""

    def __init__(self, client):
        self.client = client
        self.token = None
        self.steps = []

    def __call__(self, method, path, body=None, content_type="application/json", **headers):
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body) if isinstance(body, dict) else body or ""
        answer = self.client.generic(method, path, data, content_type, headers=headers)
        known = answer.json() if answer.content else None
        self.steps.append(
            {
                "step": f"{method} {path}",
                "status": answer.status_code,
                "headers": {name: answer.get(name) for name in HEADERS},
                "body": masked(known),
            }
        )
        return known


def masked(value):
    """Return the value with the same words for what no two runs share."""
    if isinstance(value, dict):
        return {
            key: "…" if inner and key in {"refresh", "next"} else masked(inner)
            for key, inner in sorted(value.items())
        }
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return MASKED.sub("…", value) if isinstance(value, str) else value


def walk(step, mailed_code, make_staff):
    """Go through README's walk, what may go wrong on the way, and the doors of staff."""
    step("POST", "/api/auth/register", ME)
    code = mailed_code()
    step("POST", "/api/auth/verify-email", {"email": ME["email"], "code": "nonsense"})
    step("POST", "/api/auth/verify-email", {"email": ME["email"], "code": code})
    step("POST", "/api/auth/login", ME | {"password": "wrong"})
    step("POST", "/api/auth/login", ME | {"more": 1})
    step("POST", "/api/auth/login", b"{")
    step("POST", "/api/auth/login", b"email=a&password=b", "application/x-www-form-urlencoded")
    tokens = step("POST", "/api/auth/login", ME)
    step.token = None
    step("GET", "/api/sessions", Accept="text/html")
    step("GET", "/api/sessions")
    step.token = "a.b.c"
    step("GET", "/api/sessions")
    step.token = tokens["access"]
    step("GET", "/api/sessions")
    step("GET", "/api/auth/me")
    step("PATCH", "/api/auth/me", {"name": "Ada"})
    step("PATCH", "/api/auth/me", {"is_staff": True})
    step("GET", "/api/auth/login-history?limit=1")
    step("GET", "/api/auth/login-history?limit=1&limit=2&x=3")
    step("PUT", "/api/auth/login-history")
    step("DELETE", f"/api/sessions/{uuid.UUID(int=1)}")
    step("GET", "/api/security/metrics")
    step("GET", "/api/backups")
    fresh = step("POST", "/api/auth/refresh", {"refresh": tokens["refresh"]})
    step.token = fresh["access"]
    step("POST", "/api/auth/logout")
    step("GET", "/api/auth/me")
    step("POST", "/api/auth/refresh", {"refresh": fresh["refresh"]})
    make_staff()
    step.token = None
    step.token = step("POST", "/api/auth/login", ME)["access"]
    step("GET", "/api/security/events?limit=1&kind=accounts.login.succeeded")
    step("GET", "/api/security/events?cursor=x")
    step("GET", "/api/backups")
    step("POST", "/api/backups", {"content": "nothing"})


def main():
    """Set the project up from nothing, and walk."""
    import django
    from django.conf import settings

    settings.CACHES["default"]["KEY_PREFIX"] = uuid.uuid4().hex
    settings.RATE_LIMITING_FACTOR = 1
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core import mail
    from django.core.management import call_command
    from django.test import Client
    from django.test.utils import setup_test_environment

    from garrison import background

    setup_test_environment()
    background.run = lambda job: job()
    call_command("migrate", verbosity=0)
    step = Walker(Client(raise_request_exception=False))
    walk(
        step,
        mailed_code=lambda: re.search(r"^ +(\d{6})$", mail.outbox[-1].body, re.MULTILINE)[1],
        make_staff=lambda: get_user_model().objects.update(is_staff=True, is_superuser=True),
    )
    sys.stdout.write(json.dumps(step.steps))


if __name__ == "__main__":
    main()
