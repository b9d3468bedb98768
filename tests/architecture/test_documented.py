"""Docs and code agree: settings, events, checks and commands."""

import ast
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import pytest
from django.core.checks.registry import registry
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


def test_a_severity_means_the_same_in_every_app():
    declared = [kind for name, kind in events.kinds().items() if name.split(".")[0] != "tests"]
    done = {kind.name for kind in declared if kind.outcome == "success" and kind.severity >= 4}
    assert done == {  # power over others, and data replaced: look the same day
        "accounts.group.changed",
        "accounts.group.deleted",
        "accounts.privileges.changed",
        "backups.restore.completed",
        "backups.restore.started",
    }
    critical = {kind.name for kind in declared if kind.severity == events.Severity.CRITICAL}
    assert critical == {"audit.chain.broken", "backups.drill.failed"}


def test_every_check_message_has_a_hint_and_an_id():
    messages = [
        (f"{path.relative_to(ROOT)}:{node.lineno}", {keyword.arg for keyword in node.keywords})
        for package in PACKAGES
        for path in sources(package)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"Info", "Error", "Warning", "Critical", "CheckMessage"}
    ]
    assert len(messages) >= 30
    assert [where for where, keywords in messages if not {"hint", "id"} <= keywords] == []


def test_every_check_is_registered():
    """A function that nobody registers finds nothing."""
    registered = {
        (check.__module__, check.__name__)
        for check in registry.get_checks(include_deployment_checks=True)
    }
    written = {
        (f"{package}.checks", node.name)
        for package in PACKAGES
        if (path := ROOT / package / "checks.py").exists()
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
    }
    assert len(written) >= 20
    assert written - registered == set()


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


def settings_read(package):
    """Return every ``settings.x`` in a package, and every text, which may be a setting's name."""
    for node in (node for path in sources(package) for node in ast.walk(tree(path))):
        if isinstance(node, ast.Attribute) and (
            getattr(node.value, "id", "") == "settings"
            or getattr(node.value, "attr", "") == "settings"
        ):
            yield f"settings.{node.attr}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_setting_is_read_by_its_app():
    """A setting that nobody reads does nothing, and promises something."""
    read = {package: set(settings_read(package)) for package in PACKAGES}
    unread = [
        item.setting.name
        for cls in classes()
        for item in cls.declared()
        if read[cls.__module__.split(".")[0]].isdisjoint(
            {f"settings.{item.attribute}", item.setting.name}
        )
    ]
    assert unread == []


def test_every_setting_that_the_docs_name_is_one():
    """By its exact name: a reader who writes it into the settings is not warned of a stranger."""
    prefixes = tuple(f"{cls.prefix}_" for cls in classes())
    declared = {item.setting.name for cls in classes() for item in cls.declared()}
    variables = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/running.md").read_text()))
    strangers = {
        (str(page.relative_to(ROOT)), name)
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        if page.name != "openapi.yaml"
        for name in re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", page.read_text())
        if name.startswith(prefixes) and name not in declared | variables
    }
    assert strangers == set()


def constants_emitted(package):
    """Return the names of kinds in modules that emit, where they are not only compared.

    A migration stores its row itself.
    """
    migrations = (ROOT / package / "migrations").glob("*.py")
    return {
        name
        for path in [*sources(package), *migrations]
        if path.stem != "events" and (path.parent.name == "migrations" or _emits(tree(path)))
        for name in _loaded(tree(path))
    }


def _emits(module):
    return any(
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == "emit"
        for node in ast.walk(module)
    )


def _loaded(node):
    """Each constant that is read, bare or of ``events``; one in a comparison emits nothing."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "events":
        yield node.attr
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Compare):
            yield from _loaded(child)


def declared_kinds():
    """Return each kind: the package that declares it, its constant, its name."""
    for package in PACKAGES:
        module = f"{package}.events"
        if package != "garrison" and find_spec(module):
            for constant, kind in vars(import_module(module)).items():
                if isinstance(kind, events.EventKind):
                    yield package, constant, kind.name


def test_every_event_kind_is_emitted_by_its_app():
    kinds = list(declared_kinds())
    assert len(kinds) >= 40
    emitted = {package: constants_emitted(package) for package in PACKAGES}
    assert [kind for package, constant, kind in kinds if constant not in emitted[package]] == []


def test_every_event_kind_is_documented_by_its_exact_name():
    page = (ROOT / "docs/events.md").read_text()
    assert [kind for _, _, kind in declared_kinds() if f"| `{kind}` |" not in page] == []


def test_event_kinds_begin_with_the_app_that_declares_them():
    assert [
        kind
        for package, _, kind in declared_kinds()
        if kind.split(".")[0] not in {package, package.removesuffix("_tracking")}
    ] == []


def test_every_kind_of_an_app_is_declared_in_its_events():
    """One declared elsewhere would be found by no test above."""
    ours = {kind for _, _, kind in declared_kinds()}
    assert {n for n in events.kinds() if not n.startswith("tests.")} - ours == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_is_tested(name):
    app = get_commands()[name]
    command = load_command_class(app, name)
    assert len(command.help.split()) >= 4, f"{name} --help says nothing"
    is_dialogue = name == "changepassword"  # Django's own, answered at a terminal
    usage = command.create_parser("manage.py", name).format_help()
    assert is_dialogue or "--json" in usage, f"{name} has no --json"
    assert name in texts_of_tests(), f"no test runs {name}"


@cache
def texts_of_tests():
    """Every word of every text in the tests: what ``call_command`` and a subprocess are given."""
    return {
        word
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in node.value.split()
    }
