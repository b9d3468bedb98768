"""Passwords drawn by chance: long enough, evenly drawn, accepted."""

import json
from collections import Counter
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from accounts.password import generator
from accounts.password.generator import KINDS, PASSPHRASE, generate, wordlist
from accounts.password.policy import reasons_against


def test_the_list_is_effs():
    words = wordlist()
    assert (len(words), len(set(words))) == (6**5, 6**5)
    assert (words[0], words[-1]) == ("abacus", "zoom")
    assert all(word.replace("-", "").isalpha() and word.islower() for word in words)


@pytest.mark.slow
def test_what_is_drawn_is_accepted_even_the_first_time(monkeypatch):
    monkeypatch.setattr(generator, "MOST_DRAWS", 0)
    drawn = [generate() for _ in range(2_000)]
    phrases = [generate(kind=PASSPHRASE) for _ in range(1_000)]
    for passwords in (drawn, phrases):
        refused = [password for password in passwords if reasons_against(password, user=None)]
        assert len(refused) <= len(passwords) * 0.005, refused


def test_one_that_is_refused_is_drawn_again(monkeypatch):
    given = iter(["a" * 20, "password1234password1234", "Vq3mZ8rW2pKd7TxLb9Nc"])
    monkeypatch.setattr(generator, "_random", lambda length: next(given))
    assert generate() == "Vq3mZ8rW2pKd7TxLb9Nc"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 20, 21, 128])
def test_lengths(kind, length, settings):
    made = generate(kind=kind, length=length)
    assert len(made) >= max(20, length)
    if kind == "random":
        assert len(made) == max(20, length)
    settings.ACCOUNTS_PASSWORD_MIN_LENGTH = 64
    assert len(generate(kind=kind)) >= 64


def test_each_character_is_as_likely():
    """Chi squared with 61 degrees of freedom; 150 is beyond one in a hundred million."""
    counts = Counter("".join(generator._random(100) for _ in range(1_000)))
    expected = 100_000 / 62
    assert len(counts) == 62
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 150


def test_by_http(client):
    url = reverse("accounts:password-generate")
    answer = client.get(url)
    assert len(answer.json()["password"]) == 20
    assert "no-store" in answer.headers["Cache-Control"]
    phrase = client.get(url, {"kind": "passphrase"}).json()["password"]
    assert phrase.count("-") >= 5
    for bad in ({"length": 19}, {"length": 129}, {"length": "x"}, {"kind": "weak"}, {"a": 1}):
        assert client.get(url, bad).status_code == 400


def test_by_command():
    out = StringIO()
    call_command("generate_password", "--kind", "passphrase", "--json", stdout=out)
    assert json.loads(out.getvalue())["password"].count("-") >= 5
