"""``manage.py generate_keys``, and the file it is made for."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

from dotenv import dotenv_values
from pyrage import decrypt, encrypt, x25519

from config.starter import env_file, keys, plan, private_files

ROOT = Path(__file__).resolve().parents[2]


def generate(*options):
    """Run the command where nothing at all is configured."""
    return subprocess.run(
        [sys.executable, "manage.py", "generate_keys", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "GARRISON_ENV_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_output_is_an_env_file_with_which_the_site_starts(tmp_path):
    ran = generate()
    assert ran.returncode == 0, ran.stderr
    (tmp_path / "env").write_text(
        ran.stdout + "DATABASE_URL=sqlite://:memory:\nREDIS_URL=redis://127.0.0.1:1/0\n"
    )
    started = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "GARRISON_ENV_FILE": str(tmp_path / "env")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert started.returncode == 0, started.stderr


def test_the_backup_identity_is_kept_out_of_the_env_file():
    ran = generate()
    assert "AGE-SECRET-KEY-1" not in ran.stdout
    identity = next(x for x in ran.stderr.splitlines() if x.startswith("AGE-SECRET-KEY-1"))
    recipient = next(
        line.partition("=")[2]
        for line in ran.stdout.splitlines()
        if line.startswith("BACKUP_ENCRYPTION_KEY=")
    )
    sealed = encrypt(b"a backup", [x25519.Recipient.from_str(recipient)])
    assert decrypt(sealed, [x25519.Identity.from_str(identity)]) == b"a backup"


def test_json_holds_everything():
    made = json.loads(generate("--json").stdout)
    assert set(made) == {*keys.generate().variables, "backup_identity"}


def test_an_identity_file_is_private_and_never_overwritten(tmp_path):
    path = tmp_path / "identity"
    assert "AGE-SECRET" not in generate("--identity-file", str(path)).stderr
    written = path.read_text()
    assert written.startswith("AGE-SECRET-KEY-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = generate("--identity-file", str(path))
    assert again.returncode == 1
    assert "never overwritten" in again.stderr
    assert path.read_text() == written


def test_two_runs_share_no_value():
    first, second = keys.generate(), keys.generate()
    assert not set(first.variables.values()) & set(second.variables.values())
    assert first.backup_identity != second.backup_identity


def test_keys_do_not_show_themselves():
    fresh = keys.generate()
    assert all(value not in repr(fresh) for value in fresh.variables.values())
    assert fresh.backup_identity not in repr(fresh)


def planned(tmp_path, **told):
    """Plan a run that keeps everything in a folder of the test."""
    here = {"GARRISON_ENV_FILE": str(tmp_path / ".env"), "VAR_DIR": str(tmp_path / "var")}
    private_files.make_folder(tmp_path / "var")
    return plan.read(here | told)


def test_env_is_written_once_and_then_never_touched(tmp_path):
    chosen = planned(tmp_path)
    assert env_file.write_if_missing(chosen)
    first = chosen.env_file.read_bytes()
    assert stat.S_IMODE(chosen.env_file.stat().st_mode) == 0o600
    assert not env_file.write_if_missing(chosen)
    assert chosen.env_file.read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == [".env", "var"]


def test_an_env_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / ".env"
    path.write_text("MINE=1\n")
    assert not private_files.write_new(path, "THEIRS=1\n")
    assert path.read_text() == "MINE=1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_in_development_the_identity_is_named_and_in_production_not(tmp_path):
    development = planned(tmp_path)
    env_file.write_if_missing(development)
    told = dotenv_values(development.env_file)
    identity = plan.BASE_DIR / told["BACKUP_IDENTITY_FILE"]
    assert keys.recipient_of(identity) == told["BACKUP_ENCRYPTION_KEY"]
    assert stat.S_IMODE(identity.stat().st_mode) == 0o600

    production = planned(tmp_path, GARRISON_ENV="production")
    production.env_file.unlink()
    env_file.write_if_missing(production)
    assert "BACKUP_IDENTITY_FILE" not in dotenv_values(production.env_file)


def test_a_new_env_file_keeps_to_the_identity_that_is_there(tmp_path):
    chosen = planned(tmp_path)
    env_file.write_if_missing(chosen)
    before = dotenv_values(chosen.env_file)
    chosen.env_file.unlink()
    env_file.write_if_missing(chosen)
    after = dotenv_values(chosen.env_file)
    assert after["BACKUP_ENCRYPTION_KEY"] == before["BACKUP_ENCRYPTION_KEY"]
    assert after["SECRET_KEY"] != before["SECRET_KEY"]
