#!/usr/bin/env python
"""Django's command line for this project."""

import argparse
import os
import sys

SERVES = ("runserver", "testserver")  # commands whose log is what they have to show


def main() -> None:
    """Run one management command; what it lacks is said in sentences, not in a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.stderr.isatty() and not _asks_for_the_log(sys.argv[1:]):
        os.environ.setdefault("LOG_LEVEL", "WARNING")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError
    from environs.exceptions import EnvError

    try:
        if sys.argv[1:2] == ["generate_keys"]:
            generate_keys()
        else:
            execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, EnvError) as refusal:
        sys.exit(f"manage.py: {refusal}")
    except OperationalError:
        from config.starter.prepare import unreachable_database

        if not (reason := unreachable_database()):
            raise
        sys.exit(
            f"manage.py: The database of DATABASE_URL cannot be reached: {reason}. "
            "Start it (`make run` starts a development site's), or correct the address."
        )


def generate_keys() -> None:
    """Run without settings: these need the very keys that are to be made."""
    from django.conf import settings

    from config.starter.management.commands.generate_keys import Command

    settings.configure()
    Command().run_from_argv(sys.argv)


def _asks_for_the_log(arguments: list[str]) -> bool:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-v", "--verbosity", default="1")
    told, _ = parser.parse_known_args(arguments)
    return told.verbosity in {"2", "3"} or arguments[:1] in [[name] for name in SERVES]


if __name__ == "__main__":
    main()
