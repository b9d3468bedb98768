"""The ASGI entry point, for hosts that serve asynchronously."""

import os
import sys

from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from environs.exceptions import EnvError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

try:
    application = get_asgi_application()
except (ImproperlyConfigured, EnvError) as refusal:
    # One line that names the variable; a traceback would bury it.
    sys.exit(f"The site cannot start: {refusal}")
