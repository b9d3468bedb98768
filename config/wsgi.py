"""The WSGI entry point, for servers that drop field names with underscores, and for config.rsgi."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from environs.exceptions import EnvError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

try:
    application = get_wsgi_application()
except (ImproperlyConfigured, EnvError) as refusal:
    # One line that names the variable; a traceback would bury it.
    sys.exit(f"The site cannot start: {refusal}")
