"""A month at a small company, told by what its people and its attackers really send.

Every event comes from a request or a service of the project; only the clock is turned.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import time_machine
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from audit import rollups
from sessions_tracking.models import Session

PASSWORD = "plaid-walrus-tundra-61"
PEOPLE = ["mira", "jonas", "leyla", "tomasz", "priya", "henrik"]
HOMES = ["192.0.2.14", "192.0.2.77", "198.51.100.23", "2001:db8:41::5", "203.0.113.140"]
ATTACKERS = ["203.0.113.66", "198.51.100.200", "2001:db8:bad::1", "192.0.2.250"]
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SCRIPT = "python-requests/2.32"


class Story:
    """Tells what happened when; the same story every time."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.chance = random.Random(20261124)
        self.told: list[tuple[datetime, object]] = []

    def at(self, moment: datetime, happening) -> None:
        if moment < self.now:
            self.told.append((moment, happening))

    def tell(self) -> None:
        for moment, happening in sorted(self.told, key=lambda pair: pair[0]):
            cache.clear()  # the store's clock is not turned
            with time_machine.travel(moment, tick=True):
                happening()


def post(path: str, body: dict[str, str], *, ip: str, agent: str = BROWSER, **headers: str):
    client = Client(REMOTE_ADDR=ip, HTTP_USER_AGENT=agent)
    return client.post(path, body, content_type="application/json", **headers)


def sign_in(name: str, ip: str, password: str = PASSWORD, agent: str = BROWSER):
    body = {"email": f"{name}@example.org", "password": password}
    return post("/api/auth/login", body, ip=ip, agent=agent)


def workday(name: str, ip: str, *, forgets: bool, leaves: bool):
    def happening() -> None:
        if forgets:
            sign_in(name, ip, "not-what-it-was")
        pair = sign_in(name, ip).json()
        if leaves and "access" in pair:
            token = {"HTTP_AUTHORIZATION": f"Bearer {pair['access']}"}
            post("/api/auth/logout", {}, ip=ip, **token)

    return happening


def guesses(name: str, ip: str, count: int):
    def happening() -> None:
        for number in range(count):
            sign_in(name, ip, f"summer-{number}", SCRIPT)

    return happening


def stolen(name: str, home: str, thief: str):
    """Somebody uses a refresh token that its owner has used already."""

    def happening() -> None:
        pair = sign_in(name, home).json()
        post("/api/auth/refresh", {"refresh": pair["refresh"]}, ip=home)
        # The grace runs by the database's clock, which nobody here can turn.
        earlier = timezone.now() - timedelta(minutes=4)
        Session.objects.filter(pk=pair["session_id"]).update(rotated_at=earlier)
        post("/api/auth/refresh", {"refresh": pair["refresh"]}, ip=thief, agent=SCRIPT)

    return happening


def hire(day: datetime) -> None:
    """Create everybody's account, with a verified address."""
    users = get_user_model().objects
    with time_machine.travel(day):
        for name in PEOPLE:
            user = users.create_user(f"{name}@example.org", PASSWORD, name=name.title())
            user.email_verified_at = timezone.now()
            user.save()


def an_hour(now: datetime) -> None:
    """Let an hour pass: sign-ins, an attack, and a stolen token."""
    story = Story(now)
    hire(now - timedelta(days=2))
    for minutes, name in ((50, "mira"), (40, "jonas")):
        story.at(
            now - timedelta(minutes=minutes), workday(name, HOMES[0], forgets=True, leaves=False)
        )
    story.at(now - timedelta(minutes=30), guesses("tomasz", ATTACKERS[0], 7))
    story.at(now - timedelta(minutes=20), stolen("priya", HOMES[1], ATTACKERS[1]))
    story.tell()


def a_month(now: datetime) -> None:
    """Let a month pass, up to now."""
    story = Story(now)
    hire(now - timedelta(days=30))
    chance = story.chance
    for back in range(30, -1, -1):
        morning = (now - timedelta(days=back)).replace(hour=7, minute=0)
        at_work = 2 if morning.weekday() >= 5 else len(PEOPLE)
        for name in chance.sample(PEOPLE, at_work):
            moment = morning + timedelta(minutes=chance.gauss(100, 55))
            day = workday(
                name,
                chance.choice(HOMES),
                forgets=chance.random() < 0.2,
                leaves=chance.random() < 0.94,
            )
            story.at(moment, day)
            if back < 2:
                story.at(moment + timedelta(hours=5), day)
        if back % 4 == 1:
            night = morning + timedelta(hours=chance.uniform(12, 20))
            name, thief = chance.choice(PEOPLE), chance.choice(ATTACKERS)
            story.at(night, guesses(name, thief, chance.randint(4, 9)))
    for back, name in ((19, "leyla"), (6, "jonas"), (0.2, "priya")):
        moment = now - timedelta(days=back)
        story.at(moment, stolen(name, HOMES[0], ATTACKERS[1]))
    for minutes, name in ((410, "henrik"), (190, "mira"), (25, "tomasz"), (9, "nobody")):
        story.at(now - timedelta(minutes=minutes), guesses(name, ATTACKERS[minutes % 4], 8))
    story.tell()
    rollups.catch_up(now=now)
