"""The site of these tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def plain_static(settings):
    """Serve pages without the manifest that ``collectstatic`` would have written."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def calm_client(client):
    """Answer an error of ours as a server does, instead of raising it."""
    client.raise_request_exception = False
    return client
