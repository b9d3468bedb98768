"""The dashboard: what it shows, to whom, and what it costs."""

import pytest


@pytest.mark.django_db
def test_smoke(admin_client):
    response = admin_client.get("/admin/")
    print(response.content.decode())
    assert response.status_code == 200
