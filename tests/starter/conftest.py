"""A site, and embedded servers, that are gone with their test."""

import pytest

from tests.starter.site import Site


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.clear()


@pytest.fixture
def made(tmp_path):
    """Make servers that keep everything below the test's folder and are gone with the test."""
    servers = []

    def make(kind, **options):
        server = kind(tmp_path / "var", **options)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop_survivor()
        server.destroy()
