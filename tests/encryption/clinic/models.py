"""Models of every shape an encrypted field can meet."""

from __future__ import annotations

import uuid

from django.db import models

from encryption.blind_index import BlindIndex
from encryption.fields import Encrypted, RowSalt
from encryption.querysets import EncryptedManager


class Clinical(models.Model):
    """Names the app, because test modules import these models before it is installed."""

    class Meta:
        abstract = True
        app_label = "clinic"


class Person(Clinical):  # noqa: DJ008
    name = models.CharField(max_length=50)


class Patient(Clinical):  # noqa: DJ008
    """A UUID primary key, a unique blind index."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50, default="")
    email = Encrypted(models.EmailField(max_length=254))
    email_index = BlindIndex("email", unique=True)
    note = Encrypted(models.TextField(blank=True, default=""))
    diary = Encrypted(models.TextField(null=True, blank=True))

    objects = EncryptedManager()


class Visit(Clinical):  # noqa: DJ008
    """A key the database assigns, and so a row salt."""

    row_salt = RowSalt()
    patient = models.ForeignKey(Patient, models.CASCADE, null=True, related_name="visits")
    number = models.IntegerField(default=0)
    remark = Encrypted(models.TextField(default=""))
    secret = Encrypted(models.TextField(default=""))

    objects = EncryptedManager()


class EmergencyVisit(Visit):  # noqa: DJ008
    """A child table, with an encrypted column of its own."""

    class Meta:
        app_label = "clinic"

    child_salt = RowSalt()
    cause = Encrypted(models.CharField(max_length=100, default=""))

    objects = EncryptedManager()  # noqa: DJ012


class NightVisit(Visit):  # noqa: DJ008
    class Meta:
        proxy = True
        app_label = "clinic"


class Sample(Clinical):  # noqa: DJ008
    """Every type."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = Encrypted(models.TextField(null=True))
    char = Encrypted(models.CharField(max_length=20, null=True))
    email = Encrypted(models.EmailField(null=True))
    slug = Encrypted(models.SlugField(null=True, db_index=False))
    url = Encrypted(models.URLField(null=True))
    ip = Encrypted(models.GenericIPAddressField(null=True))
    integer = Encrypted(models.IntegerField(null=True))
    big = Encrypted(models.BigIntegerField(null=True))
    floating = Encrypted(models.FloatField(null=True))
    decimal = Encrypted(models.DecimalField(max_digits=20, decimal_places=6, null=True))
    flag = Encrypted(models.BooleanField(null=True))
    day = Encrypted(models.DateField(null=True))
    moment = Encrypted(models.DateTimeField(null=True))
    clock = Encrypted(models.TimeField(null=True))
    span = Encrypted(models.DurationField(null=True))
    json = Encrypted(models.JSONField(null=True))
    binary = Encrypted(models.BinaryField(null=True))
    uid = Encrypted(models.UUIDField(null=True))
    touched = Encrypted(models.DateTimeField(auto_now=True))
    colour = Encrypted(models.CharField(max_length=5, choices=[("r", "Red")], default="r"))
    document = Encrypted(models.JSONField(default=dict))
    empty = Encrypted(models.TextField(blank=True))


class Letter(Clinical):  # noqa: DJ008
    """Encrypted for the person it belongs to."""

    row_salt = RowSalt()
    person = models.ForeignKey(Person, models.CASCADE)
    body = Encrypted(models.TextField(), subject="person")

    objects = EncryptedManager()


class Record(Clinical):  # noqa: DJ008
    """Two values and an index for its owner, another value for nobody, and readers of its own."""

    row_salt = RowSalt()
    owner = models.ForeignKey(
        Person, models.SET_NULL, null=True, db_column="held_by", related_name="records"
    )
    title = models.CharField(max_length=50, default="")
    text = Encrypted(models.TextField(default=""), subject="owner")
    iban = Encrypted(models.CharField(max_length=34, null=True), subject="owner")
    iban_index = BlindIndex("iban")
    remark = Encrypted(models.TextField(default=""))
    readers = models.ManyToManyField(Person, through="Reading", related_name="readable")

    objects = EncryptedManager()

    class Meta:
        app_label = "clinic"
        base_manager_name = "objects"
        ordering = ("owner__name",)  # over a nullable relation, which no lock may follow


class PaperRecord(Record):  # noqa: DJ008
    """A child table; the values and their owner are the parent's."""

    class Meta:
        app_label = "clinic"

    shelf = models.CharField(max_length=20, default="")  # noqa: DJ012
    objects = EncryptedManager()  # noqa: DJ012


class OldRecord(Record):  # noqa: DJ008
    class Meta:
        proxy = True
        app_label = "clinic"


class Reading(Clinical):  # noqa: DJ008
    """Between people and records, with a value for the reader."""

    row_salt = RowSalt()
    record = models.ForeignKey(Record, models.CASCADE)
    reader = models.ForeignKey(Person, models.CASCADE)
    thoughts = Encrypted(models.TextField(default=""), subject="reader")

    objects = EncryptedManager()


class Guest(Person):  # noqa: DJ008
    class Meta:
        proxy = True
        app_label = "clinic"


class Nurse(Person):  # noqa: DJ008
    """The same person, in a child table."""

    class Meta:
        app_label = "clinic"

    ward = models.CharField(max_length=20, default="")  # noqa: DJ012


class Statement(Clinical):  # noqa: DJ008
    """Values for one person, named as a proxy and as a child."""

    row_salt = RowSalt()
    guest = models.ForeignKey(Guest, models.CASCADE, related_name="said")
    nurse = models.ForeignKey(Nurse, models.CASCADE, related_name="signed")
    heard = Encrypted(models.TextField(), subject="guest")
    seen = Encrypted(models.TextField(), subject="nurse")

    objects = EncryptedManager()


class Plain(Clinical):  # noqa: DJ008
    """The same rows in clear, and an encrypted column under a plain manager."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    clear = models.TextField(default="")
    secret = Encrypted(models.TextField(default=""))


class Entry(Clinical):
    """What a clear and a sealed model share, so that their queries can be compared."""

    number = models.IntegerField()
    plain = models.TextField(default="")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")

    class Meta(Clinical.Meta):
        abstract = True


class ClearEntry(Entry):  # noqa: DJ008
    note = models.TextField(null=True)  # noqa: DJ001
    diary = models.TextField(default="")
    day = models.DateField(null=True)


class SealedEntry(Entry):  # noqa: DJ008
    row_salt = RowSalt()
    note = Encrypted(models.TextField(null=True))
    diary = Encrypted(models.TextField(default=""))
    day = Encrypted(models.DateField(null=True))

    objects = EncryptedManager()
