#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    """Run one management command; a wrong environment is told in one line, not in a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from environs.exceptions import EnvError

    try:
        if sys.argv[1:2] == ["generate_keys"]:
            generate_keys()
        else:
            execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, EnvError) as refusal:
        sys.exit(f"manage.py: {refusal}")


def generate_keys() -> None:
    """Run without settings: these need the very keys that are to be made."""
    from django.conf import settings

    from config.starter.management.commands.generate_keys import Command

    settings.configure()
    Command().run_from_argv(sys.argv)


if __name__ == "__main__":
    main()
