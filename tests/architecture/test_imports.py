"""Who imports whom: no circles, and between apps only the arrows that are meant."""

from fnmatch import fnmatch
from functools import cache

import grimp
import pytest

from tests.architecture.house import APPS, PACKAGES, ROOT

# Every import of one app from another, importer → imported, and why. Any other meets by an event,
# a dotted path in settings, or a registry of garrison.
MEANT = {
    ("accounts.*", "sessions_tracking.services"): "a sign-in starts a session, a lost one ends",
    ("accounts.api.*", "sessions_tracking.api.*"): "a sign-in answers the tokens of its session",
    ("accounts.services.profile", "audit.models"): "the login history is a question to the events",
    ("accounts.admin.glance", "sessions_tracking.models"): "who is signed in on how many devices",
    ("accounts.panels", "audit.*"): "failed sign-ins are counted from the events",
    ("rate_limiting.panels", "audit.*"): "refused requests are counted from the events",
    ("security_monitoring.*", "audit.*"): "what goes wrong is found in the events",
    ("*.api.*", "http_hardening.*"): "an API's conventions stand once",
}
FREE = {("*", "encryption.fields*"): "any app may encrypt a column"}


@cache
def imports():
    """Map each module to those it imports, wherever the import stands, types apart."""
    graph = grimp.build_graph(
        *PACKAGES, "config", exclude_type_checking_imports=True, cache_dir=None
    )
    return {m: graph.find_modules_directly_imported_by(m) for m in sorted(graph.modules)}


def circles(edges):
    """Return the sets of modules that import one another, by Tarjan's algorithm."""
    order, low, path, found = {}, {}, [], []

    def visit(module):
        order[module] = low[module] = len(order)
        path.append(module)
        for target in edges[module]:
            if target not in order:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in path:
                low[module] = min(low[module], order[target])
        if low[module] == order[module]:
            circle = set(path[path.index(module) :])
            del path[path.index(module) :]
            if len(circle) > 1:
                found.append(circle)

    for module in edges:
        if module not in order:
            visit(module)
    return found


def arrows():
    """Return each import of one app from another."""
    return [
        (importer, imported)
        for importer, targets in imports().items()
        for imported in targets
        if (app := importer.split(".")[0]) in APPS
        and (other := imported.split(".")[0]) in APPS
        and app != other
    ]


def is_like(arrow, pattern):
    return fnmatch(arrow[0], pattern[0]) and fnmatch(arrow[1], pattern[1])


def test_circles_are_found():
    edges = {"a": {"b"}, "b": {"c", "d"}, "c": {"b"}, "d": set(), "e": {"a"}}
    assert circles(edges) == [{"b", "c"}]


def test_no_modules_import_one_another():
    assert len(imports()) > 300, "the graph is the whole house"
    assert circles(imports()) == []


def test_apps_import_one_another_only_where_it_is_meant():
    allowed = MEANT | FREE
    strangers = [a for a in arrows() if not any(is_like(a, pattern) for pattern in allowed)]
    assert strangers == []


@pytest.mark.parametrize("pattern", MEANT, ids=" to ".join)
def test_an_arrow_that_is_meant_is_there(pattern):
    assert any(is_like(arrow, pattern) for arrow in arrows()), "take it out of MEANT"


def test_the_ground_floor_and_the_apps_know_nothing_above_them():
    assert [
        (importer, imported)
        for importer, targets in imports().items()
        for imported in targets
        if (importer.startswith("garrison.") and imported.split(".")[0] in APPS)
        or (not importer.startswith("config") and imported.split(".")[0] == "config")
    ] == []


def test_nothing_of_the_house_imports_its_tests():
    said = [
        str(path.relative_to(ROOT))
        for package in [*PACKAGES, "config"]
        for path in (ROOT / package).rglob("*.py")
        if "from tests" in path.read_text() or "import tests" in path.read_text()
    ]
    assert said == []
