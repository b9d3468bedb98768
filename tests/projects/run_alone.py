"""Check and migrate one host project, in a process of its own; print what is wrong."""

import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.projects.alone"


def main() -> int:
    """Run the checks, migrate from nothing and look for missing migrations."""
    import django
    from django.core import checks
    from django.core.management import call_command

    django.setup()
    serious = [m for m in checks.run_checks() if m.is_serious()]
    if serious:
        sys.stdout.write("\n".join(map(str, serious)))
        return 1
    call_command("migrate", verbosity=0)
    app = os.environ["GARRISON_APP"]
    call_command("makemigrations", app, check=True, dry_run=True, verbosity=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
