"""Settings of a host that follows no page of ours: apps are installed, and stock Django is left.

``HOST_WITH`` and ``HOST_WITHOUT`` name apps of the house that stand before the admin, and those
that are left out; ``HOST_DEBUG`` switches ``DEBUG`` on.
"""

import os

os.environ.setdefault("GARRISON_APP", "accounts")
from tests.architecture.house import APPS
from tests.projects.alone import *  # noqa: F403
from tests.projects.alone import INSTALLED_APPS as ALONE

DEBUG = "HOST_DEBUG" in os.environ
ALLOWED_HOSTS = ["testserver"]
WITH = os.environ.get("HOST_WITH", "").split() or APPS
LEFT_OUT = os.environ.get("HOST_WITHOUT", "").split()
OURS = [app for app in WITH if app not in LEFT_OUT]
THEIRS = [app for app in ALONE if app.startswith("django.")]
INSTALLED_APPS = ["garrison", *OURS, *THEIRS, "django.contrib.staticfiles"]
AUTH_USER_MODEL = "accounts.User" if "accounts" in OURS else "auth.User"
STATIC_URL = "static/"
