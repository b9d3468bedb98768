"""One server of the site whose clock is wrong by so many seconds (the argument): JSON in, JSON out.

``{"start": user}``, ``{"refresh": token}`` and ``{"use": token}``; it answers ``[status, body]``.
"""

import json
import sys
import time

import django
import time_machine

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.test import Client, override_settings  # noqa: E402

from sessions_tracking import services  # noqa: E402


def answer(client, start=None, refresh=None, use=None):
    if start:
        user = get_user_model().objects.get(pk=start)
        pair = services.start_token_session(user=user, amr=["pwd"])
        return 200, {
            "access": pair.access,
            "refresh": pair.refresh,
            "session_id": str(pair.session.pk),
        }
    if refresh:
        body = {"refresh": refresh}
        found = client.post("/api/auth/refresh", body, content_type="application/json")
    else:
        found = client.get("/api/auth/me", headers={"Authorization": f"Bearer {use}"})
    return found.status_code, found.json()


if __name__ == "__main__":
    site = override_settings(
        RATE_LIMITS={"auth": [], "api": []}, SECURE_SSL_REDIRECT=False, SESSIONS_MOST_PER_USER=3
    )
    with site, time_machine.travel(time.time() + int(sys.argv[1])):
        asker = Client(SERVER_NAME="localhost", raise_request_exception=False)
        for line in sys.stdin:
            sys.stdout.write(f"= {json.dumps(answer(asker, **json.loads(line)))}\n")
            sys.stdout.flush()
