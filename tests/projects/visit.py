"""Run in a host project: check, migrate, look for missing migrations, and send its requests.

The requests come as JSON in ``HOST_REQUESTS``; what is wrong is printed, and the exit code is 1.
"""

import json
import os
import sys

import django

AS_WRITTEN = "Everything answers as the page says."


def main() -> int:
    """Look, and print what is wrong."""
    django.setup()
    from django.core import checks
    from django.core.management import call_command
    from django.test import Client

    call_command("migrate", verbosity=0)
    wrong = [str(m) for m in checks.run_checks(databases=["default"]) if m.level >= checks.WARNING]
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    client = Client(raise_request_exception=False)
    for method, path, status, text in json.loads(os.environ["HOST_REQUESTS"]):
        response = client.generic(method, path, content_type="application/json")
        content = b"".join(response) if response.streaming else response.content
        answer = "\n".join(f"{k}: {v}" for k, v in response.headers.items()) + content.decode()
        if response.status_code != status or text not in answer:
            wrong.append(f"{method} {path}: {response.status_code}, not {status}\n{answer[:2000]}")
    sys.stdout.write("\n".join(wrong) or AS_WRITTEN)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
