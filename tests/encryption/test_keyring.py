"""Keys: where they come from, what is refused, and that they never show."""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from encryption.checks import E001, E005, W002, W006, check_keys, check_passphrase, check_versions
from encryption.cipher import derived
from encryption.errors import KeyringUnusable, KeyUnknown
from encryption.key_versions import adopt, fingerprint
from encryption.keyring import (
    EncryptionKeyring,
    FileKeyProvider,
    Key,
    Secret,
    SettingsKeyProvider,
    entries,
    keyring,
)
from encryption.keyring.vault import VaultTransitKeyProvider
from encryption.models import KeyVersion
from tests.encryption.conftest import fresh_key

PASSPHRASE = "correct horse battery staple of the test"


def b64(secret):
    return base64.b64encode(secret).decode()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "There is no encryption key"),
        (["nocolon"], "number 1 has no id"),
        ([7], "number 1 has no id"),
        (["k 1:x"], "has an id that is not"),
        (["a-key-id-that-is-long:x"], "has an id that is not"),
        (["k1:%%%"], "'k1' is not base64"),
        ([f"k1:{b64(b'0123456789abcdef')}"], "'k1' is 16 bytes; 32 are needed"),
        ([f"k1:{b64(os.urandom(33))}"], "'k1' is 33 bytes; 32 are needed"),
        ([f"k1:{b64(bytes(32))}"], "default, a pattern or text"),
        ([f"k1:{b64(bytes(range(32)))}"], "default, a pattern or text"),
        ([f"k1:{b64(b'this is text and no random bytes')}"], "default, a pattern or text"),
        (["pbkdf2:short"], "a passphrase that is 5 characters; 20 are needed"),
        (["pbkdf2:changeme-changeme-changeme"], "default or a pattern"),
        (["pbkdf2:aaaaaaaaaaaaaaaaaaaaaaaaaaa"], "default or a pattern"),
        (["k2:pbkdf2:short"], "'k2' is a passphrase that is 5"),
    ],
)
def test_keys_that_cannot_be_secure_are_refused_by_name(settings, given, sentence):
    settings.ENCRYPTION_KEYS = given
    with pytest.raises(KeyringUnusable, match=sentence):
        SettingsKeyProvider().keys()
    [message] = check_keys(None)
    assert message.id == E001
    assert message.hint
    for entry in given:
        secret = str(entry).partition(":")[2]
        assert len(secret) < 4 or secret not in str(message)


def test_two_of_one_id_and_one_key_under_two_ids_are_refused():
    key = fresh_key("k1")
    assert "given twice" in entries.read([key, fresh_key("k1")]).problems[0]
    same = f"k2:{key.partition(':')[2]}"
    assert "are the same bytes" in entries.read([key, same]).problems[0]


def test_good_keys_raise_no_message(settings):
    settings.ENCRYPTION_KEYS = [fresh_key("k2"), fresh_key("k1")]
    assert check_keys(None) == []
    assert keyring().active.id == "k2"
    assert repr(keyring()) == "<Keyring k2, k1>"
    with pytest.raises(KeyUnknown, match="k3"):
        keyring().key("k3")


def test_a_passphrase_is_stretched_once_per_process(settings):
    settings.ENCRYPTION_KEYS = [f"pbkdf2:{PASSPHRASE}"]
    keyring.cache_clear()
    assert keyring().active.id == "pbkdf2"
    material = keyring().active.value
    keyring.cache_clear()
    assert keyring().active.value is material
    [message] = check_passphrase(None)
    assert message.id == W002


def test_the_stretching_is_pbkdf2_hmac_sha256_with_600_000_rounds():
    import hashlib

    expected = hashlib.pbkdf2_hmac("sha256", PASSPHRASE.encode(), entries.PASSPHRASE_SALT, 600_000)
    [key] = entries.read([f"k7:pbkdf2:{PASSPHRASE}"]).keys
    assert key.value == Secret(expected)
    assert key.id == "k7"


def test_one_passphrase_is_one_key_however_it_was_typed():
    one = entries.read(["pbkdf2:caf\u00e9 with the long words"]).keys[0]
    two = entries.read(["pbkdf2:cafe\u0301 with the long words"]).keys[0]
    assert one.value == two.value


def test_key_material_shows_itself_nowhere():
    secret = os.urandom(32)
    material = Secret(secret)
    for shown in (repr(material), str(material), f"{material}", f"{material!r}", f"{[material]}"):
        assert shown.strip("[]") == "<secret>"
    for act in (pickle.dumps, copy.deepcopy, hash):
        with pytest.raises(TypeError):
            act(material)
    assert not hasattr(material, "__dict__")
    assert secret.hex()[:16] != fingerprint(Key("k1", material))
    assert material != "x"


def test_material_of_another_length_is_refused_without_being_shown():
    keys = [Key("k1", Secret(b"hello"))]
    with pytest.raises(KeyringUnusable, match="'k1' is 5 bytes; 32 are needed") as refusal:
        EncryptionKeyring(keys)
    frames = [frame.frame.f_locals for frame in refusal.traceback]
    assert "hello" not in repr(frames[-1])


def test_each_purpose_has_a_key_of_its_own():
    material = Secret(os.urandom(32))
    found = {derived(material, purpose) for purpose in ("field/a.b.c", "field/a.b.d", "files")}
    assert len(found) == 3
    assert derived(material, "x") == derived(material, "x")


# --- files ---


def test_keys_come_from_a_file(settings, tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# the keys\n{fresh_key('k2')}  # active\n\n{fresh_key('k1')}\n")
    path.chmod(0o600)
    settings.ENCRYPTION_KEYS_FILE = str(path)
    settings.ENCRYPTION_KEY_PROVIDER = "encryption.keyring.FileKeyProvider"
    assert [*keyring().by_id] == ["k2", "k1"]


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        (None, 0o600, "cannot be read"),
        (b"k1:x\n", 0o644, "mode 0644; others may open it"),
        (b"\xff\xfe", 0o600, "not text"),
        (b"# nothing\n", 0o600, "no encryption key"),
    ],
)
def test_a_key_file_that_will_not_do_is_refused(settings, tmp_path, content, mode, sentence):
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    settings.ENCRYPTION_KEYS_FILE = str(path)
    with pytest.raises(KeyringUnusable, match=sentence):
        FileKeyProvider().keys()
    settings.ENCRYPTION_KEYS_FILE = ""
    with pytest.raises(KeyringUnusable, match="not set"):
        FileKeyProvider().keys()


# --- a Vault-like service over real HTTP ---


class FakeVault(BaseHTTPRequestHandler):
    """Answers the decrypt call of a transit engine; "wrapping" here is reversing."""

    token = "s.test-token"
    asked: list[str] = []
    answer = "right"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append(self.path)
        if self.answer == "redirect":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/steal")
            self.end_headers()
            return
        if self.headers["X-Vault-Token"] != self.token:
            self._send(403, {"errors": ["permission denied"]})
            return
        plaintext = body["ciphertext"].removeprefix("vault:v1:")[::-1]
        answers = {
            "right": {"data": {"plaintext": plaintext}},
            "nonsense": {"data": {"plaintext": "%%%"}},
            "empty": {},
        }
        self._send(200, answers[self.answer])

    def _send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def vault(settings, tmp_path):
    FakeVault.asked, FakeVault.answer = [], "right"
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeVault)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    token = tmp_path / "token"
    token.write_text(FakeVault.token + "\n")
    settings.ENCRYPTION_KEY_PROVIDER = "encryption.keyring.vault.VaultTransitKeyProvider"
    settings.ENCRYPTION_VAULT_URL = f"http://127.0.0.1:{server.server_port}/"
    settings.ENCRYPTION_VAULT_TOKEN_FILE = str(token)
    plain = fresh_key("k2").partition(":")[2], fresh_key("k1").partition(":")[2]
    settings.ENCRYPTION_VAULT_WRAPPED_KEYS = [
        f"{key_id}:vault:v1:{secret[::-1]}"
        for key_id, secret in zip(("k2", "k1"), plain)  # noqa: B905
    ]
    yield plain
    server.shutdown()
    server.server_close()
    thread.join()


def test_keys_are_unwrapped_by_a_vault_service_once_per_process(vault):
    assert [*keyring().by_id] == ["k2", "k1"]
    assert keyring().active.value == Secret(base64.b64decode(vault[0]))
    assert FakeVault.asked == ["/v1/transit/decrypt/garrison"] * 2


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("nonsense", "an answer that is not a key"),
        ("empty", "an answer that is not a key"),
        ("redirect", "answered 302"),
    ],
)
def test_a_vault_service_that_answers_nonsense_is_refused(vault, answer, sentence):
    FakeVault.answer = answer
    with pytest.raises(KeyringUnusable, match=sentence):
        VaultTransitKeyProvider().keys()


def test_a_vault_service_that_refuses_or_is_down_is_told_apart(vault, settings, tmp_path):
    (tmp_path / "token").write_text("wrong")
    with pytest.raises(KeyringUnusable, match="answered 403"):
        VaultTransitKeyProvider().keys()
    settings.ENCRYPTION_VAULT_URL = "http://127.0.0.1:9"
    with pytest.raises(KeyringUnusable, match="cannot be reached"):
        VaultTransitKeyProvider().keys()
    settings.ENCRYPTION_VAULT_URL = "http://vault.example.org"
    with pytest.raises(KeyringUnusable, match="https"):
        VaultTransitKeyProvider().keys()


# --- what the database knows of them ---


@pytest.mark.django_db
def test_keys_are_written_down_with_their_age_and_fingerprint(keys):
    KeyVersion.objects.all().delete()
    keys("k2", "k1")
    adopt()
    known = {version.key_id: version for version in KeyVersion.objects.all()}
    assert set(known) == {"k1", "k2"}
    assert known["k2"].activated_at
    assert known["k1"].activated_at is None
    assert known["k2"].fingerprint == fingerprint(keyring().active)


@pytest.mark.django_db
def test_another_key_under_a_known_id_and_a_retired_one_are_found(keys, settings):
    KeyVersion.objects.all().delete()
    keys("k1", "k0")
    adopt()
    assert check_versions(None, databases=["default"]) == []
    settings.ENCRYPTION_KEYS = [fresh_key("k1"), keys.entries["k0"]]
    KeyVersion.objects.filter(key_id="k0").update(retired_at="2026-11-24T00:00Z")
    assert {m.id for m in check_versions(None, databases=["default"])} == {E005, W006}
    assert check_versions(None) == []
