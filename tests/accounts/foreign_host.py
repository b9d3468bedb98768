"""Sign in at a host with a user model of its own, in a process of its own; print what happened."""

import json
import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.projects.alone"
os.environ["GARRISON_APP"] = "accounts"
os.environ["GARRISON_FOREIGN"] = "1"


def main() -> None:
    """Make a person of the host's own kind, and go through every door that there is."""
    import django
    from django.conf import settings

    settings.ROOT_URLCONF = "tests.accounts.foreign_urls"
    settings.AUTHENTICATION_BACKENDS = ["accounts.backends.AccountsBackend"]
    settings.PASSWORD_HASHERS = ["accounts.password.hashers.GarrisonArgon2PasswordHasher"]
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.HTTP_HARDENING_API_THROTTLES = []  # there is no store to count in
    django.setup()
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.contrib.auth.admin import UserAdmin
    from django.core import checks
    from django.core.management import call_command
    from django.test import Client

    from accounts.admin.guard import AccountGuard
    from audit.models import SecurityEvent
    from sessions_tracking.models import Session
    from sessions_tracking.services import start_token_session

    admin.site.register(
        get_user_model(), type("PersonAdmin", (AccountGuard, UserAdmin), {"__module__": __name__})
    )
    call_command("migrate", run_syncdb=True, verbosity=0)
    bob = get_user_model().objects.create_user("Bob", "bob@example.org", "kelp stapler orbit")
    start_token_session(user=bob, amr=["pwd"])
    get_user_model().objects.create_superuser("Ada", "ada@example.org", "stapler kelp orbit")
    client = Client()

    def post(path, **body):
        url = f"/api/auth/{path}"
        return client.post(url, json.dumps(body), content_type="application/json")

    login = post("login", email="Ada", password="stapler kelp orbit")
    token = {"HTTP_AUTHORIZATION": f"Bearer {login.json()['access']}"}
    me = client.get("/api/auth/me", **token)
    patch = client.patch("/api/auth/me", '{"name": "x"}', content_type="application/json", **token)
    history = client.get("/api/auth/login-history", **token)
    wrong = [post("login", email="Ada", password="wrong").status_code for _ in range(6)]
    known = {"device_token": login.json()["device_token"]}
    trusted = post("login", email="Ada", password="stapler kelp orbit", **known).status_code
    call_command("unlock_account", "Ada", stdout=sys.stderr)
    get_user_model().objects.create_user("ada", "small@example.org", "dune kelp orbit")
    namesake = post("login", email="ada", password="dune kelp orbit", **known)
    form = {"username": "Ada", "password": "stapler kelp orbit"}
    said = {
        "login": login.status_code,
        "me": me.json(),
        "patch": patch.status_code,
        "trusted": trusted,
        "namesake": namesake.json()["user"]["email"],
        "history": [entry["outcome"] for entry in history.json()["results"]],
        "wrong": wrong,
        "unlocked": post("login", email="Ada", password="stapler kelp orbit").status_code,
        "register": post("register", email="a@b.org", password="stapler kelp orbit").status_code,
        "admin": client.post("/admin/login/", form).status_code,
        "users in the admin": client.get("/admin/accounts/user/").status_code,
        "deleted": client.post(
            f"/admin/foreign/person/{bob.pk}/delete/", {"post": "yes"}
        ).status_code,
        "their sessions": Session.objects.filter(user_id=bob.pk).count(),
        "told": SecurityEvent.objects.filter(
            kind="accounts.user.deleted", target=f"user:{bob.pk}"
        ).count(),
        "deletes themselves": client.post("/admin/foreign/person/2/delete/", {"post": "yes"})[
            "Location"
        ],
        "buckets in the admin": client.get("/admin/accounts/lockoutbucket/").status_code,
        "checks": [message.id for message in checks.run_checks() if "accounts" in str(message.id)],
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
