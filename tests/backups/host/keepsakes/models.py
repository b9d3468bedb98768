"""Every field type that Django has; a test compares the list with Django's own."""

# ruff: noqa: DJ001, DJ008 - rows to be compared, not to be shown

from __future__ import annotations

import uuid

from django.core.files.storage import storages
from django.db import models
from django.db.models.functions import Upper

from encryption.fields import Encrypted


def private() -> object:
    return storages["private"]


class Tag(models.Model):
    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=50)


class Small(models.Model):
    id = models.SmallAutoField(primary_key=True)


class Keepsake(models.Model):
    id = models.BigAutoField(primary_key=True)
    big = models.BigIntegerField()
    raw = models.BinaryField()
    yes = models.BooleanField()
    letters = models.CharField(max_length=100)
    day = models.DateField()
    moment = models.DateTimeField()
    exact = models.DecimalField(max_digits=30, decimal_places=12)
    span = models.DurationField()
    mail = models.EmailField()
    double = models.FloatField()
    address = models.GenericIPAddressField()
    whole = models.IntegerField()
    js = models.JSONField()
    positive_big = models.PositiveBigIntegerField()
    positive = models.PositiveIntegerField()
    positive_small = models.PositiveSmallIntegerField()
    slug = models.SlugField()
    small = models.SmallIntegerField()
    long = models.TextField()
    clock = models.TimeField()
    link = models.URLField()
    uid = models.UUIDField()
    nothing = models.TextField(null=True)
    where = models.FilePathField()
    loud = models.GeneratedField(
        expression=Upper("slug"), output_field=models.CharField(max_length=50), db_persist=True
    )
    plain = models.FileField(upload_to="plain")
    hidden = models.FileField(upload_to="hidden", storage=private)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    twin = models.OneToOneField("self", models.CASCADE, null=True, related_name="+")
    tags = models.ManyToManyField(Tag)


class Secret(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = Encrypted(models.TextField())
    js = Encrypted(models.JSONField())
    keepsake = models.ForeignKey(Keepsake, models.CASCADE)

    class Meta:
        order_with_respect_to = "keepsake"


class Pair(models.Model):
    pk = models.CompositePrimaryKey("left", "right")
    left = models.IntegerField()
    right = models.IntegerField()
