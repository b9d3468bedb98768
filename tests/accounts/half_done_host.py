"""Fifty half-done sign-ins at once at a host on SQLite, with a user model of its own; print it."""

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.projects.alone"
os.environ["GARRISON_APP"] = "accounts"
os.environ["GARRISON_FOREIGN"] = "1"

THREADS = 50
PASSWORD = "stapler kelp orbit"


def main(folder: Path) -> None:
    """Begin fifty, complete one, complete ten at once, and one of them five times."""
    import django
    from django.conf import settings

    settings.DATABASES["default"] |= {
        "NAME": folder / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 60},
    }
    settings.PASSWORD_HASHERS = ["tests.accounts.conftest.FastHasher"]
    settings.ACCOUNTS_SIGN_IN_STEPS = ["tests.accounts.colour.FavouriteColour"]
    settings.ACCOUNTS_LOCKOUT_FAILURES = 2 * THREADS
    settings.ACCOUNTS_HASHING_SLOTS = THREADS
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from accounts import lockout
    from accounts.errors import SignInExpired, StepRequired
    from accounts.models import LockoutBucket
    from accounts.services import continue_sign_in, sign_in
    from sessions_tracking.models import Session
    from tests.accounts.threads import all_at_once

    call_command("migrate", run_syncdb=True, verbosity=0)
    get_user_model().objects.create_user("Ada", "ada@example.org", PASSWORD)

    def begin(_: int) -> str:
        try:
            sign_in(login_name="Ada", password=PASSWORD)
        except StepRequired as required:
            return required.token
        raise AssertionError

    def complete(token: str) -> str:
        try:
            continue_sign_in(token=token, method="colour", answer="green")
        except SignInExpired:
            return "expired"
        return "started"

    def taken() -> int:
        return LockoutBucket.objects.get(key=lockout.account_key("Ada")).taken

    tokens = all_at_once(begin, times=THREADS)
    found = {"half-done": taken(), "one": complete(tokens[0]), "after one": taken()}
    found["ten"] = all_at_once(lambda n: complete(tokens[n + 1]), times=10)
    found["the same"] = sorted(all_at_once(lambda _: complete(tokens[20]), times=5))
    found["after all"] = taken()
    found["sessions"] = Session.objects.count()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        main(Path(name))
