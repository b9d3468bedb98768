"""Fill the tables and storages, or tell all that is in them, for one to be compared."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from decimal import Decimal
from ipaddress import IPv6Address
from typing import Any

from django.apps import apps
from django.core.files.base import ContentFile
from django.core.management.base import BaseCommand
from django.db import connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Field
from django.utils import timezone

from backups import events
from garrison.events import emit
from keepsakes.models import Keepsake, Pair, Secret, Small, Tag

WITH_FILES = 20
SECRETS = 50
EVENTS = 40
BIG = 2**63 - 1
# The base classes, what is kept for old migrations only, and one that needs Pillow and is stored
# as a FileField is.
NOT_COLUMNS = {"Field", "ForeignObject", "ImageField"}
NOT_COLUMNS |= {"CommaSeparatedIntegerField", "IPAddressField", "NullBooleanField"}


class Command(BaseCommand):
    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--fill", type=int)
        parser.add_argument("--events", type=int)
        parser.add_argument("--minutes-ago", type=int, default=0)

    def handle(self, **options: Any) -> None:
        if options["fill"]:
            with transaction.atomic():
                fill(options["fill"])
        for number in range(options["events"] or 0):
            at = timezone.now() - dt.timedelta(minutes=options["minutes_ago"])
            emit(events.KEY_GENERATED, target=f"keepsake:{number}", data={"n": number}, now=at)
        if not options["fill"] and not options["events"]:
            self.stdout.write(json.dumps(told(), default=str))


def fill(count: int) -> None:
    tags = Tag.objects.bulk_create(Tag(name=f"tag {n} ☃") for n in range(20))
    Small.objects.create()
    Pair.objects.get_or_create(left=1, right=2)
    made = Keepsake.objects.bulk_create((one(n) for n in range(count)), batch_size=500)
    through = Keepsake.tags.through
    through.objects.bulk_create(
        [through(keepsake=each, tag=tags[n % 20]) for n, each in enumerate(made)], batch_size=500
    )
    for n, each in enumerate(made[:WITH_FILES]):
        each.parent, each.twin = made[(n + 1) % count], made[(n + 2) % count]
        each.plain.save(f"{n} ünï.txt", ContentFile(f"plain {n}".encode() * 99), save=False)
        each.hidden.save(f"{n}.bin", ContentFile(f"hidden {n}".encode() * 9999), save=False)
        each.save()
    for n, each in enumerate(made[:SECRETS]):
        Secret.objects.create(text=f"secret {n} 🎲", js={"n": [n, None, "ü"]}, keepsake=each)


def one(n: int) -> Keepsake:
    digest = hashlib.sha256(b"%d" % n).digest()
    at = dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC) + dt.timedelta(minutes=n)
    return Keepsake(
        big=-BIG + n, raw=digest * (n % 5), yes=n % 2 == 0, letters=f"nämé '\"\\ {n}",
        day=at.date(), moment=at, exact=Decimal(n) / 7, span=dt.timedelta(days=n, microseconds=1),
        mail=f"a{n}@example.org", double=1 / (n + 1), address=str(IPv6Address(n + 2**120)),
        whole=-n, js={"n": n, "deep": [{"ü": None}], "f": 1e300}, positive_big=BIG - n,
        positive=n, positive_small=n % 32767, slug=f"slug-{n}", small=-(n % 32767),
        long=f"Zeile {n}\n\t中文 🎲 \\N " + "x" * (n % 50), clock=at.time(), link="https://example.org/",
        uid=uuid.UUID(bytes=digest[:16]), where="/a",
    )  # fmt: skip


def told() -> dict[str, Any]:
    """Everything as Python sees it: encrypted columns and files opened, not as they lie there."""
    with_files = Keepsake.objects.exclude(plain="").order_by("pk")
    return {
        "rows": {
            m.__name__: digest_of(m) for m in (Tag, Small, Pair, Keepsake, Keepsake.tags.through)
        },
        "secrets": [[s.text, s.js] for s in Secret.objects.order_by("pk")],
        "files": [
            [hashlib.sha256(file.open().read()).hexdigest() for file in (each.plain, each.hidden)]
            for each in with_files
        ],
        "migrations": sorted(map(str, MigrationRecorder(connection).applied_migrations())),
        "next": next_id(),
        "unused": unused_kinds(),
    }


def unused_kinds() -> list[str]:
    """Name the field types of Django that no model here has."""
    kinds = {k for k in vars(models).values() if isinstance(k, type) and issubclass(k, Field)}
    every = apps.get_app_config("keepsakes").get_models(include_auto_created=True)
    used = {type(field) for m in every for field in (*m._meta.get_fields(), m._meta.pk)}
    return sorted(kind.__name__ for kind in kinds - used if kind.__name__ not in NOT_COLUMNS)


def digest_of(model: Any) -> list[Any]:
    total, count = hashlib.sha256(), 0
    for row in model.objects.order_by("pk").values_list().iterator():
        total.update(repr([bytes(v) if isinstance(v, memoryview) else v for v in row]).encode())
        count += 1
    return [count, total.hexdigest()]


def next_id() -> int:
    """Ask which key the next row gets, and leave no row."""
    with transaction.atomic():
        key = Tag.objects.create(name="next").pk
        transaction.set_rollback(True)
    return int(key)
