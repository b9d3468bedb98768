"""What a run reads from its surroundings."""

import os
import socket

import pytest

from config.starter import plan, ports
from config.starter.failure import StartFailure


def read(**told):
    return plan.read({"GARRISON_ENV_FILE": os.devnull} | told)


def test_nothing_told_is_a_development_site_on_port_8000_with_servers_of_its_own():
    chosen = read()
    assert (chosen.host, chosen.port, chosen.kind) == ("127.0.0.1", 8000, "development")
    assert chosen.var_dir == plan.BASE_DIR / "var"
    assert not chosen.brings_database
    assert not chosen.brings_store


def test_production_is_kept_when_it_is_told():
    assert read(GARRISON_ENV="production").kind == "production"


def test_the_environment_wins_over_the_file_and_empty_means_unset(tmp_path):
    file = tmp_path / "env"
    file.write_text("PORT=8001\nHOST=::1\nDATABASE_URL=sqlite:///x\nGARRISON_ENV=production\n")
    chosen = plan.read({"GARRISON_ENV_FILE": str(file), "PORT": "8002", "HOST": ""})
    assert (chosen.port, chosen.host, chosen.kind) == (8002, "::1", "production")
    assert chosen.brings_database
    assert chosen.address == "http://[::1]:8002"


def test_a_server_for_everyone_is_asked_on_the_loopback_address():
    assert read(HOST="0.0.0.0").address == "http://127.0.0.1:8000"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "8e3", "eight", "٨٠٠٠", "8000 "])
def test_a_port_that_is_none_is_refused_by_name(port):
    with pytest.raises(StartFailure, match="PORT is"):
        read(PORT=port)


def test_an_unreadable_file_is_refused_by_name(tmp_path):
    (tmp_path / "env").write_bytes(b"A=\xff")
    with pytest.raises(StartFailure, match="env cannot be read"):
        plan.read({"GARRISON_ENV_FILE": str(tmp_path / "env")})


def test_a_taken_port_is_named_with_its_variable():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            StartFailure, match=f"Port {port} on 127.0.0.1 is taken.*PORT={port + 1}"
        ):
            ports.require_free(host="127.0.0.1", port=port)
    ports.require_free(host="127.0.0.1", port=port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(StartFailure, match=r"HOST=192\.0\.2\.1 PORT=8000"):
        ports.require_free(host="192.0.2.1", port=8000)
    with pytest.raises(StartFailure, match=r"HOST=no\.such\.host\.invalid"):
        ports.require_free(host="no.such.host.invalid", port=8000)
