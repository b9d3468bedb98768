"""Sign in, fail and sign out at a host's stock admin, in a process of its own; print the events."""

import json
import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.projects.alone"
PASSWORD = "stapler kelp orbit"
TYPED = "my secret\x00 pass phrase"


def main() -> None:
    """Go through the admin's own door."""
    import django
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["testserver"]
    django.setup()
    from django.contrib.auth import authenticate, get_user_model
    from django.core.management import call_command
    from django.test import Client

    from audit.models import SecurityEvent

    call_command("migrate", run_syncdb=True, verbosity=0)
    model = get_user_model()
    name = {model.USERNAME_FIELD: "ada@example.org", "email": "ada@example.org"}
    ada = model.objects.create_superuser(**name, password=PASSWORD)
    client = Client()
    authenticate(username=TYPED, password="wrong")
    for login_name, password in (
        ("ada@example.org", "wrong"),
        ("My Secret", "wrong"),
        ("my secret", "wrong"),
        ("ada@example.org", PASSWORD),
    ):
        client.post("/admin/login/", {"username": login_name, "password": password})
    client.post("/admin/logout/")
    client.logout()
    rows = SecurityEvent.objects.filter(kind__contains=".log").order_by("pk")
    sys.stdout.write(
        json.dumps(
            [
                {
                    "kind": row.kind,
                    "outcome": row.outcome,
                    "actor": row.actor_id == str(ada.pk) and row.actor_label == str(ada),
                    "target": row.target == f"user:{ada.pk}",
                    "data": row.data,
                }
                for row in rows
            ]
        )
    )


if __name__ == "__main__":
    main()
