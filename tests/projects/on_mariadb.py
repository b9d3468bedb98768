"""A host of one app (see ``alone``) on an engine that the app is not written for."""

from tests.projects.alone import *  # noqa: F403

DATABASES = {"default": {"ENGINE": "tests.projects.mariadb", "NAME": ":memory:"}}
