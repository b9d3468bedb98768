"""What `manage.py check` finds."""

import pytest

from security_monitoring import checks


def test_the_project_as_it_stands_is_fine():
    assert checks.check_templates(None) == []
    assert checks.check_kinds(None) == []
    assert checks.check_probes(None) == []


def test_an_admin_that_hides_the_dashboard_is_found(settings):
    settings.INSTALLED_APPS = ["django.contrib.admin", "security_monitoring"]
    (warning,) = checks.check_templates(None)
    assert warning.id == checks.W001


def test_a_host_without_the_admin_has_nothing_to_hide(settings):
    settings.INSTALLED_APPS = ["security_monitoring.apps.SecurityMonitoringConfig"]
    assert checks.check_templates(None) == []


@pytest.mark.parametrize("name", ["SECURITY_FAILED_LOGIN_KINDS", "SECURITY_SUSPICIOUS_KINDS"])
def test_a_kind_that_no_app_declares_is_found(settings, name):
    setattr(settings, name, ["accounts.login.failed", "accounts.login.fialed"])
    (warning,) = checks.check_kinds(None)
    assert (warning.id, "fialed" in warning.msg) == (checks.W002, True)


def test_probes_that_would_be_redirected_are_found(settings):
    settings.SECURE_SSL_REDIRECT = True
    assert checks.check_probes(None) == []
    settings.SECURE_REDIRECT_EXEMPT = [r"^health$"]
    (warning,) = checks.check_probes(None)
    assert warning.id == checks.W003
