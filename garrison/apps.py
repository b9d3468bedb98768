"""Start-up of the ground floor."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.module_loading import autodiscover_modules


class GarrisonConfig(AppConfig):
    """Register the checks, find each app's plug-in files, carry the context into tasks."""

    name = "garrison"
    verbose_name = "Django Garrison"

    def ready(self) -> None:
        """Wire the floor; runs once, after every app's models are loaded."""
        from garrison import checks, context

        register(checks.check_settings)
        register(checks.check_dotted_paths)
        register(checks.check_middleware)
        register(checks.check_proxies)
        register(checks.check_kind_names)
        register(checks.check_links)
        register(checks.check_engine)
        register(checks.check_routers)
        register(checks.check_database_log, deploy=True)
        context.carry_into_tasks()
        autodiscover_modules("events", "panels", "health", "drills")
