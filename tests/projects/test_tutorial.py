"""The tutorial, done as it stands there: its commands, its files, its tests."""

import re

from tests.projects import hosts

PAGE = hosts.DOCS / "tutorial.md"
APPENDED = {"mysite/settings.py", "mysite/urls.py"}
# What installs the package, or waits for a person.
NOT_HERE = ("python -m pip", "python manage.py createsuperuser", "python manage.py runserver")


def commands():
    """Every command of the page, in order."""
    shells = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for shell in shells for line in shell.splitlines()]
    return [line for line in lines if not line.startswith(NOT_HERE)]


def run(host, command):
    program, *arguments = command.split()
    return host.run(*(["-m", "django", *arguments] if program == "django-admin" else arguments))


def test_the_tutorial_works_as_it_stands(tmp_path):
    host = hosts.Host(tmp_path, hosts.extras(PAGE))
    first, then = commands()[:2], commands()[2:]
    assert first == ["django-admin startproject mysite .", "python manage.py startapp orders"]
    for command in first:
        run(host, command)
    files = hosts.blocks(PAGE)
    assert len(files) >= 14
    for name, code in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if name in APPENDED else "") + code)
    wrote = {command: run(host, command) for command in then}
    assert "no issues" in wrote["python manage.py check"]
    tests = len(re.findall(r"def test_", files["orders/tests.py"]))
    assert f"Ran {tests} tests" in wrote["python manage.py test orders"]
