"""``make demo``: a visit to the running local site, so that the dashboard has something to show.

Real requests over HTTP, from the standard library alone: three people register, prove their
address with the code mailed to them, sign in, look at their devices, renew their tokens and sign
out; an attacker guesses one of their passwords, tries accounts that do not exist, and sends forged
tokens and broken bodies. Each step says what the site answered; an answer that is not the expected
one makes the exit code 1.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import sys
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from config.starter import plan
from config.starter.failure import StartFailure

if TYPE_CHECKING:
    from pathlib import Path

    from config.starter.plan import Plan

PEOPLE = ("ada", "grace", "mary")
GUESSES = ("123456", "password", "qwerty", "letmein", "iloveyou", "dragon", "monkey", "football")
FORGED = "e30.e30.e30"  # three parts, as a token has, and nothing in them
MAIL_SECONDS = 10.0
CODE = re.compile(r"^ +(\d{6})\s*$", re.MULTILINE)


class Visit:
    """Requests to one site, and a record of what was not as expected."""

    def __init__(self, chosen: Plan) -> None:
        """Visit the site that this plan describes."""
        self.chosen = chosen
        self.surprises = 0

    def ask(  # noqa: PLR0913 - a request has this many parts
        self,
        what: str,
        expected: tuple[int, ...],
        path: str,
        body: object = None,
        *,
        token: str = "",
        method: str = "",
        raw: bytes | None = None,
    ) -> dict[str, Any]:
        """Send one request, tell the answer, and give its JSON object."""
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json", "User-Agent": "garrison-demo/1"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        status, answer = self._send(method or ("POST" if data else "GET"), path, data, headers)
        code = answer.get("code", "")
        told = "" if status in expected else f"   (expected {' or '.join(map(str, expected))})"
        self.surprises += bool(told)
        print(f"  {status} {code:<22} {what}{told}")
        return answer

    def _send(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        host, port = self.chosen.browser_host, self.chosen.port
        with closing(http.client.HTTPConnection(host, port, timeout=30)) as line:
            try:
                line.request(method, path, data, headers)
                response = line.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException) as failure:
                raise StartFailure(
                    f"Nobody answers on {self.chosen.address} ({failure}). Start the site first, "
                    "in another terminal: make run"
                ) from failure
        answer: object = None
        with suppress(ValueError):
            answer = json.loads(text)
        return response.status, answer if isinstance(answer, dict) else {}


def main() -> int:
    """Visit, and tell where to look."""
    try:
        chosen = plan.read()
        visit = Visit(chosen)
        visit.ask("the site is ready", (200,), "/health/ready")
        run = secrets.token_hex(3)
        people = [(f"{name}.{run}@example.com", secrets.token_urlsafe(16)) for name in PEOPLE]
        for email, password in people:
            _live(visit, email, password)
        _attack(visit, people[0][0])
    except StartFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"\nLook at {chosen.address}/admin/: all of this is on the dashboard.")
    return 1 if visit.surprises else 0


def _live(visit: Visit, email: str, password: str) -> None:
    """Do what a person does."""
    print(f"\n{email}")
    credentials = {"email": email, "password": password}
    began = time.time()
    visit.ask("registers", (202,), "/api/auth/register", credentials)
    code = mailed_code(visit.chosen.var_dir / "mail", email, since=began)
    visit.ask(
        "proves the address", (204,), "/api/auth/verify-email", {"email": email, "code": code}
    )
    visit.ask("mistypes once", (401,), "/api/auth/login", credentials | {"password": "Oops-1"})
    tokens = visit.ask("signs in", (200,), "/api/auth/login", credentials)
    access = str(tokens.get("access"))
    visit.ask("looks at the devices", (200,), "/api/sessions", token=access)
    fresh = {"refresh": tokens.get("refresh")}
    renewed = visit.ask("renews the tokens", (200,), "/api/auth/refresh", fresh)
    access = str(renewed.get("access"))
    visit.ask("reads the profile", (200,), "/api/auth/me", token=access)
    visit.ask("signs out", (204,), "/api/auth/logout", {}, token=access)
    visit.ask("finds the token dead", (401,), "/api/auth/me", token=access)


def _attack(visit: Visit, victim: str) -> None:
    """Do what an attacker does."""
    print("\nan attacker")
    for guess in GUESSES:
        wrong = {"email": victim, "password": guess}
        visit.ask(f"guesses {guess!r}", (401, 429), "/api/auth/login", wrong)
    stranger = {"email": f"nobody.{secrets.token_hex(3)}@example.com", "password": "letmein"}
    visit.ask("tries an account that is none", (401,), "/api/auth/login", stranger)
    visit.ask("shows a forged token", (401,), "/api/auth/me", token=FORGED)
    visit.ask("replays a made-up refresh token", (401,), "/api/auth/refresh", {"refresh": FORGED})
    for what, raw in (
        ("sends half a body", b'{"email": '),
        ("sends a key twice", b'{"email": "a@b.example", "email": "c@d.example"}'),
        ("sends a list", b"[]"),
        ("sends bytes that are no text", b'{"email": "\xff\x00", "password": "x"}'),
    ):
        visit.ask(what, (400,), "/api/auth/login", raw=raw)


def mailed_code(folder: Path, email: str, *, since: float) -> str:
    """Wait for the mail to this address, and give the code in it."""
    deadline = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < deadline:
        for path in folder.glob("*") if folder.is_dir() else ():
            if path.stat().st_mtime < since - 1:
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            found = CODE.search(text)
            if f"To: {email}" in text and found:
                return found[1]
        time.sleep(0.1)
    raise StartFailure(
        f"No mail to {email} has come to {folder}. The demo needs a site that writes its mail to "
        "files: start it with `make run` and without EMAIL_URL, with the same VAR_DIR."
    )


if __name__ == "__main__":
    sys.exit(main())
