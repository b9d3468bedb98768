"""Docs and code agree: settings, events, checks and commands."""

import ast
import re
import subprocess
import sys

import pytest
from django.core.management import get_commands, load_command_class

from garrison import conf, events
from tests.architecture.house import APPS, PACKAGES, ROOT, sources, tree

CHECK_ID = re.compile(r"^[a-z_]+\.[EWI]\d{3}$")
COMMANDS = sorted(name for name, app in get_commands().items() if app in APPS)


def classes():
    """Every app's settings; other tests declare some of their own."""
    return [c for c in conf.SETTINGS if c.__module__.split(".")[0] in PACKAGES]


def declared_check_ids():
    """Return each check id constant: (app, name, id)."""
    for package in PACKAGES:
        path = ROOT / package / "checks.py"
        for node in tree(path).body if path.exists() else []:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
                and CHECK_ID.match(node.value.value)
            ):
                yield package, node.targets[0].id, node.value.value


def test_check_ids_are_unique_and_say_their_app():
    ids = [check_id for _, _, check_id in declared_check_ids()]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 5
    for package, name, check_id in declared_check_ids():
        assert check_id.startswith(f"{package}."), check_id
        assert check_id.endswith(name), f"{name} names {check_id}"


def test_every_check_message_has_a_hint_and_an_id():
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        if (path := ROOT / package / "checks.py").exists()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"Error", "Warning", "Critical", "CheckMessage"}
        and not {"hint", "id"} <= {keyword.arg for keyword in node.keywords}
    ]
    assert bare == []


def test_the_reference_pages_are_what_the_code_says():
    ran = subprocess.run(
        [sys.executable, "docs/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_setting_has_one_sentence():
    sentences = {
        item.setting.name: item.setting.help for cls in classes() for item in cls.declared()
    }
    assert len(sentences) >= 10
    assert [name for name, text in sentences.items() if not text.endswith(".")] == []


def test_every_setting_is_read_somewhere():
    """A setting that nobody reads does nothing, and promises something."""
    code = "\n".join(
        p.read_text() for package in PACKAGES for p in sources(package) if p.stem != "conf"
    )
    unread = [
        f"{cls.prefix}: {item.attribute}"
        for cls in classes()
        for item in cls.declared()
        if not re.search(rf"\b(settings|conf)\.{item.attribute}\b", code)
        and item.setting.name not in code
        and item.attribute not in (ROOT / "garrison/conf.py").read_text()
    ]
    assert unread == []


def test_every_event_kind_is_emitted_somewhere():
    code = "\n".join(
        p.read_text() for package in PACKAGES for p in sources(package) if p.stem != "events"
    )
    constants = {}
    for package in PACKAGES:
        path = ROOT / package / "events.py"
        if package == "garrison" or not path.exists():
            continue
        for node in tree(path).body:
            value = getattr(node, "value", None)
            if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "EventKind":
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                constants[target.id] = package
    assert constants
    assert [f"{a}: {c}" for c, a in constants.items() if not re.search(rf"\b{c}\b", code)] == []


def test_event_kinds_begin_with_their_app():
    packages = {p.removesuffix("_tracking") for p in APPS} | set(APPS) | {"tests"}
    assert [n for n in events.kinds() if n.split(".")[0] not in packages] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_is_tested(name):
    app = get_commands()[name]
    command = load_command_class(app, name)
    assert len(command.help.split()) >= 4, f"{name} --help says nothing"
    assert "--json" in command.create_parser("manage.py", name).format_help(), (
        f"{name} has no --json"
    )
    tests = "\n".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py"))
    assert re.search(rf"\b{name}\b", tests), f"no test runs {name}"
