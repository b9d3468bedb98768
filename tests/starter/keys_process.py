"""One process of the site: makes and reads whatever a key protects, as JSON lines say.

A line is ``null`` (make, and write what was made) or what a process made (read it, and write by
name whether it was accepted).
"""

import json
import sys
import uuid
from base64 import b64decode, b64encode

import django

django.setup()

import pyrage  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts import codes, login_name  # noqa: E402
from accounts.models.mailed_code import Purpose  # noqa: E402
from audit.checkpoints import copies, signing, writing  # noqa: E402
from audit.models import EventSeal  # noqa: E402
from audit.sealing import sealer  # noqa: E402
from audit.verification import verify  # noqa: E402
from backups import keys  # noqa: E402
from backups import signing as manifests  # noqa: E402
from encryption.cipher import FieldCipher  # noqa: E402
from encryption.keyring import keyring  # noqa: E402
from http_hardening.api import paging  # noqa: E402
from rate_limiting.rates import parse_rate  # noqa: E402
from rate_limiting.subject import Subject  # noqa: E402
from sessions_tracking import services, tokens  # noqa: E402
from tests.accounts.conftest import FAST, PASSWORD  # noqa: E402

ROW = uuid.UUID(int=7).bytes
SIGN_IN = "/api/auth/login"
RATE = parse_rate("5/15m address")


def cipher():
    return FieldCipher(keyring(), "host.Note", "host_note.text")


def client(**cookies):
    found = Client(SERVER_NAME="localhost", HTTP_X_TEST="1", raise_request_exception=False)
    found.cookies.load(cookies)
    return found


def make():
    user = get_user_model().objects.create_superuser(f"{uuid.uuid4()}@example.org", PASSWORD)
    begun = client().post(
        SIGN_IN, {"email": user.email, "password": PASSWORD}, content_type="application/json"
    )
    browser = client()
    browser.force_login(user)
    pair = services.start_token_session(user=user, amr=["pwd"])
    sealer.catch_up(now=timezone.now())
    stream = EventSeal.objects.streams()[0]
    now = timezone.now()
    return {
        "user": str(user.pk),
        "half_done": begun.json()["mfa_token"],
        "code": codes.issue(user_id=user.pk, purpose=Purpose.RESET_PASSWORD, now=now),
        "cookie": browser.cookies[settings.SESSION_COOKIE_NAME].value,
        "access": pair.access,
        "refresh": pair.refresh,
        "cursor": paging._signer("rows").sign_object(["1"]),
        "encrypted": b64encode(cipher().seal(b"a value", ROW)).decode(),
        "checkpoint": signing.to_file(
            signing.from_row(writing.write(stream=stream, now=now))
        ).decode(),
        "sealed": True,
        "signed": [manifests.signer(), b64encode(manifests.sign(b"a manifest")).decode()],
        "backup": b64encode(pyrage.encrypt(b"a part", keys.recipients().keys)).decode(),
        "login_name": login_name.fingerprint("ada@example.org"),
        "counted": Subject(address="192.0.2.1").value(RATE),
    }


def read(made):
    """Return by name whether it was accepted; a refusal is of any kind."""
    whose = uuid.UUID(made["user"])
    answer = {"mfa_token": made["half_done"], "method": "colour", "code": "green"}
    cookie = {settings.SESSION_COOKIE_NAME: made["cookie"]}
    now = timezone.now()
    code = {"user_id": whose, "purpose": Purpose.RESET_PASSWORD, "code": made["code"]}
    code["guesser"] = now.isoformat()  # another one each time: tries count for who makes them
    steps = {
        "half_done": lambda: (
            client().post(f"{SIGN_IN}/mfa", answer, content_type="application/json").status_code
            == 200
        ),
        "code": lambda: codes.verify(**code, now=now),
        "cookie": lambda: client(**cookie).get("/admin/jsi18n/").status_code == 200,
        "access": lambda: tokens.read_access(made["access"]),
        "refresh": lambda: services.rotate(refresh_token=made["refresh"]),
        "cursor": lambda: paging._opened(made["cursor"], "rows"),
        "encrypted": lambda: cipher().open(b64decode(made["encrypted"]), ROW) == b"a value",
        "checkpoint": lambda: (
            signing.require_genuine(signing.from_file(made["checkpoint"].encode(), source="made"))
            is None
        ),
        "sealed": lambda: (
            verify.verify(verify.Question(now=now, copies=copies.Copies())).counts.keys()
            <= {"protection"}
        ),
        "signed": lambda: (
            manifests.require_genuine(
                body=b"a manifest", signer=made["signed"][0], signature=b64decode(made["signed"][1])
            )
            is None
        ),
        "backup": lambda: pyrage.decrypt(b64decode(made["backup"]), keys.identities()) == b"a part",
        "login_name": lambda: login_name.fingerprint("ada@example.org") == made["login_name"],
        "counted": lambda: Subject(address="192.0.2.1").value(RATE) == made["counted"],
    }
    return {name: _is_accepted(step) for name, step in steps.items()}


def _is_accepted(step):
    try:
        return bool(step())
    except Exception as refusal:  # noqa: BLE001 - each app has its own
        sys.stderr.write(f"{type(refusal).__name__}: {refusal}\n")
        return False


if __name__ == "__main__":
    with override_settings(
        PASSWORD_HASHERS=[FAST],
        ACCOUNTS_SIGN_IN_STEPS=["tests.accounts.colour.FavouriteColour"],
        RATE_LIMITS={"auth": [], "api": []},
        SECURE_SSL_REDIRECT=False,
    ):
        for line in sys.stdin:
            made = json.loads(line)
            sys.stdout.write(f"= {json.dumps(read(made) if made else make())}\n")
            sys.stdout.flush()
