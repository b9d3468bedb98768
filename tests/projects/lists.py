"""Open every page of the admin of one host project, in a process of its own; print what failed.

``DJANGO_SETTINGS_MODULE`` names the project.
"""

import os
import sys

import django

OPENED = "Every page of the admin opens."
PAGES = ("changelist", "add", "change", "history", "delete")


def main() -> int:
    """Sign a superuser in, and open list, form and history of each model."""
    django.setup()
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client
    from django.test.utils import setup_test_environment
    from django.urls import NoReverseMatch, reverse

    setup_test_environment(debug="HOST_DEBUG" in os.environ)
    call_command("migrate", verbosity=0)
    people = get_user_model()
    user = people(is_staff=True, is_superuser=True, **{people.USERNAME_FIELD: "ada@example.org"})
    user.save()
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    wrong = []

    def open_page(path: str) -> None:
        response = client.get(path)
        content = b"".join(response) if response.streaming else response.content
        if response.status_code not in {200, 302, 403}:
            wrong.append(f"{path}: {response.status_code}\n{content.decode()[:3000]}")

    open_page(reverse("admin:index"))
    for model in admin.site._registry:
        meta = model._meta
        row = model._base_manager.first()
        for page in PAGES:
            arguments = [] if page in {"changelist", "add"} else [row.pk if row else 1]
            try:
                path = reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=arguments)
            except NoReverseMatch:
                continue
            open_page(path)
            if page == "changelist":
                open_page(f"{path}?q=a")
    sys.stdout.write("\n".join(wrong) or OPENED)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
