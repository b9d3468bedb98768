"""The site served by granian behind real proxies, each configured as ``docs/proxies.md`` has it."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from http.client import HTTPSConnection
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import settings

from config.starter import ports

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
NGINX = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    underscores_in_headers {underscores};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    {documented}
}}
"""
HAPROXY = """
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
{documented}
"""
CADDY = """
{{
    admin off
    auto_https disable_redirects
}}
{documented}
"""


def program(proxy: str) -> str | None:
    """Find a proxy's program; a user's PATH often lacks the folder of the daemons."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    return shutil.which(proxy.partition("-")[0], path=path)


def certificate(folder: Path) -> None:
    """Write a certificate for ``localhost`` and its key, apart and together."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(tz=dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for file, content in {"fullchain": public, "key": private, "both": public + private}.items():
        (folder / f"{file}.pem").write_bytes(content)


def configuration(proxy: str, folder: Path, *, port: int, site_port: int) -> str:
    """Take the documented lines, and put this machine's names and ports into them."""
    kind = proxy.partition("-")[0]
    text = (ROOT / "docs/proxies.md").read_text()
    (lines,) = re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    for written, here in {
        "/etc/ssl/garrison": str(folder),
        "127.0.0.1:8000": f"127.0.0.1:{site_port}",
        "listen 443": f"listen 127.0.0.1:{port}",
        "bind :443": f"bind 127.0.0.1:{port}",
        "garrison.example {": f"https://localhost:{port} {{",
        "garrison.example;": "localhost;",
    }.items():
        lines = lines.replace(written, here)
    frame = {"nginx": NGINX, "haproxy": HAPROXY, "caddy": CADDY}[kind]
    return frame.format(
        documented=lines,
        folder=folder,
        user="root" if os.geteuid() == 0 else "nobody",
        underscores="on" if proxy.endswith("permissive") else "off",
    )


def start(command: list[str], *, port: int, log: Path, **environment: str) -> subprocess.Popen:
    """Start a server, and wait until it listens."""
    with log.open("wb") as said:
        server = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=said, stderr=said
        )
    deadline = time.monotonic() + START_SECONDS
    while ports.is_free(port):
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return server


def start_proxy(proxy: str, folder: Path, *, site_port: int) -> tuple[subprocess.Popen, int]:
    """Start a proxy before the site; returns it and the port at which it speaks TLS."""
    port = ports.free_port()
    certificate(folder)
    written = folder / f"{proxy}.conf"
    written.write_text(configuration(proxy, folder, port=port, site_port=site_port))
    arguments = {
        "nginx": ["-c", str(written)],
        "haproxy": ["-db", "-f", str(written)],
        "caddy": ["run", "--adapter", "caddyfile", "--config", str(written)],
    }[proxy.partition("-")[0]]
    command = [str(program(proxy)), *arguments]
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return start(command, port=port, log=folder / f"{proxy}.log", **homes), port


def start_site(folder: Path) -> tuple[subprocess.Popen, int]:
    """Serve the test's database as production is served; returns the server and its port."""
    port = ports.free_port()
    base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--no-ws"]
    command += ["--host", "127.0.0.1", "--port", str(port), "config.rsgi:application"]
    told = {
        "DATABASE_URL": f"{base}/{settings.DATABASES['default']['NAME']}",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "VAR_DIR": str(folder),
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "ALLOWED_HOSTS": "localhost",
        "SECURE_SSL_REDIRECT": "true",
    }
    return start(command, port=port, log=folder / "site.log", **told), port


class Line:
    """A client at 127.0.0.2: not the proxy's own address, which is the trusted one."""

    ADDRESS = "127.0.0.2"

    def __init__(self, folder: Path, port: int) -> None:
        context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
        self.options = {"context": context, "source_address": (self.ADDRESS, 0), "timeout": 30}
        self.port = port

    def ask(self, method: str, path: str, fields: list[tuple[str, str]] = (), body: str = ""):
        """Ask with each field in a line of its own, however often its name comes."""
        line = HTTPSConnection("localhost", self.port, **self.options)
        line.putrequest(method, path)
        for name, value in [*fields, ("Content-Length", str(len(body)))]:
            line.putheader(name, value)
        line.endheaders(body.encode())
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        return answer, text
