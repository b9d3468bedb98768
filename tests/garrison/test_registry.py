"""One registry for everything that apps bring."""

import pytest

from garrison.errors import ConfigurationError
from garrison.registry import Registry


def one():
    """Stand for an entry."""


def other():
    """Stand for another."""


@pytest.fixture
def registry():
    return Registry("sensor")


def test_entries_come_back_by_name_and_in_order(registry):
    assert registry.add("b", one) is one
    registry.add("a", other)
    assert registry.items() == [("a", other), ("b", one)]
    assert (list(registry), len(registry), registry["b"]) == ([other, one], 2, one)
    assert "a" in registry
    assert "c" not in registry
    with pytest.raises(KeyError):
        registry["c"]


def test_a_second_entry_of_one_name_is_refused_and_both_places_are_named(registry):
    registry.add("door", 1, source=one)
    with pytest.raises(
        ConfigurationError, match=r"sensor 'door' is declared twice: in .*test_registry and in code"
    ):
        registry.add("door", 2, source=type("Elsewhere", (), {"__module__": "code"}))
    assert registry["door"] == 1


def test_an_equal_entry_may_come_again_as_a_reload_brings_it(registry):
    registry.add("door", ("wood", 2), source=one)
    assert registry.add("door", ("wood", 2), source=one) == ("wood", 2)


def test_it_knows_where_each_entry_came_from(registry):
    registry.add("door", one)
    registry.add("number", 7, source=other)
    assert registry.origin("door") == registry.origin("number") == __name__


def test_a_test_may_have_entries_of_its_own_for_a_while(registry):
    registry.add("kept", one)
    with registry.temporarily({"instead": other}):
        registry.add("more", one)
        assert [name for name, _ in registry.items()] == ["instead", "more"]
        assert registry.origin("instead") == __name__
    assert registry.items() == [("kept", one)]


def test_what_was_there_comes_back_when_the_block_fails(registry):
    registry.add("kept", one)
    with pytest.raises(ZeroDivisionError), registry.temporarily():
        1 / 0  # noqa: B018 - the failure is the point
    assert registry.items() == [("kept", one)]
