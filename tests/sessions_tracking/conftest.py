"""People with sessions."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from sessions_tracking import services
from sessions_tracking.services import TokenPair


@pytest.fixture
def user(db) -> Any:
    return get_user_model().objects.create_user(email="ada@example.org")


@pytest.fixture
def pair(user) -> TokenPair:
    return services.start_token_session(user=user, amr=["pwd"])


@pytest.fixture
def client_of():
    """Give a client that sends a pair's access token."""

    def give(pair: TokenPair) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
        return client

    return give
