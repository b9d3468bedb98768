"""Whoever knocks at the doors, and what the doors hand to workers."""

import uuid

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.test import APIClient

from garrison.errors import Refusal


class NotFresh(Refusal):
    """What a stale session gets."""

    code = "reauthentication_required"
    status = 403


def refuse(_request):
    raise NotFresh("Sign in again.")


def person(*names, **fields):
    user_model = get_user_model()
    name = {user_model.USERNAME_FIELD: f"{uuid.uuid4().hex}@example.org"}
    user = user_model.objects.create(**name, is_active=True, **fields)
    user.user_permissions.add(
        *Permission.objects.filter(content_type__app_label="backups", codename__in=names)
    )
    return user


def api(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


def admin_client(settings, user):
    from django.contrib.auth.backends import ModelBackend

    client = Client()
    settings.AUTHENTICATION_BACKENDS = [f"{ModelBackend.__module__}.{ModelBackend.__qualname__}"]
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return client
