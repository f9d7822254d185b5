# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a restart the role checks Synapse at its listener, and distinguishes a wrong address from a failed restart."""

from __future__ import annotations

import datetime
import json
import os
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROLES = Path(__file__).resolve().parents[2] / "roles"
VARIABLES = [
    str(ROLES / role / part / "main.yml") for role in ("common", "storage_provider") for part in ("defaults", "vars")
]
VERSIONS = json.dumps({"versions": ["v1.11"]}).encode()
HEALTHY = {"/health": (200, b"OK"), "/_matrix/client/versions": (200, VERSIONS)}
WITHOUT_HEALTH = {"/health": (404, b"no such page"), "/_matrix/client/versions": (200, VERSIONS)}
WEBSITE = {"/health": (200, b"<html>Welcome</html>"), "/_matrix/client/versions": (404, b"no such page")}


class Server:
    """Responds like Synapse, or like a proxy in front of it, on one of three kinds of listener."""

    def __init__(self, answers: dict[str, tuple[int, bytes]], kind: str = "http") -> None:
        self.asked: list[str] = []
        self._directory = tempfile.TemporaryDirectory(prefix="health-")
        folder = Path(self._directory.name)
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                status, body = answers.get(self.path, (404, b""))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "client"

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server: socketserver.BaseServer
        if kind == "unix":
            self.url = f"unix:{folder}/synapse.sock"
            self._server = socketserver.ThreadingUnixStreamServer(f"{folder}/synapse.sock", Handler)
        else:
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
            self.url = f"{kind}://127.0.0.1:{server.server_address[1]}"
            if kind == "https":
                server.socket = certified(folder).wrap_socket(server.socket, server_side=True)
            self._server = server
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._directory.cleanup()


def certified(folder: Path) -> ssl.SSLContext:
    """A certificate for a public name that differs from the listener's address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "matrix.example.org")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(hours=1))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(
        private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.stop()


def ask(directory: Path, found: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the role's health check against the listener that was found, or against the address in the settings."""
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for name, said in (("systemctl", "active"), ("journalctl", "a line with s3cret-of-tests")):
        (programs / name).write_text(f"#!/bin/sh\necho {said}\n")
        (programs / name).chmod(0o755)
    variables = {
        "__synapse_s3_answer_is_due": True,
        "__synapse_s3_homeserver": {"base_url": found},
        "__synapse_s3_synapse": {"service": "matrix-synapse.service"},
        "synapse_s3_synapse_url": given,
        "synapse_s3_secret_access_key": "s3cret-of-tests",
        "synapse_s3_storage_provider_wait_timeout": 2,
    }
    (directory / "given.yml").write_text(yaml.safe_dump(variables))
    verification = yaml.safe_load((ROLES / "storage_provider/tasks/verify.yml").read_text(encoding="utf-8"))
    (task,) = [task for task in verification if task["name"] == "Wait until Synapse answers"]
    reached = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    files = [*VARIABLES, str(directory / "given.yml")]
    play = {"hosts": "all", "gather_facts": False, "vars": reached, "vars_files": files, "tasks": [task]}
    (directory / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {
        **os.environ,
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "HOME": str(directory),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", "host,", "play.yml"]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["http", "unix", "https"])
def test_each_kind_of_listener_is_checked(servers: list[Server], tmp_path: Path, kind: str) -> None:
    servers.append(Server(HEALTHY, kind))
    asked = ask(tmp_path, servers[0].url)
    assert asked.returncode == 0, asked.stdout
    assert servers[0].asked == ["/health"]


def test_behind_a_proxy_without_health_the_client_api_is_checked(servers: list[Server], tmp_path: Path) -> None:
    servers.append(Server(WITHOUT_HEALTH))
    asked = ask(tmp_path, "http://127.0.0.1:9", servers[0].url)
    assert asked.returncode == 0, asked.stdout
    assert servers[0].asked == ["/health", "/_matrix/client/versions"]


def test_a_server_that_is_not_synapse_is_reported_as_a_wrong_address(servers: list[Server], tmp_path: Path) -> None:
    servers.append(Server(WEBSITE))
    asked = ask(tmp_path, "http://127.0.0.1:9", servers[0].url)
    assert asked.returncode != 0
    said = re.sub(r"\s+", " ", asked.stdout.replace("\\n", " "))
    assert "matrix-synapse.service was restarted, and systemd calls it 'active', but Synapse did not answer" in said
    assert f"at {servers[0].url} within 2 seconds" in said
    assert "set synapse_s3_synapse_url" in said
    assert "s3cret-of-tests" not in asked.stdout


def test_an_address_without_a_listener_is_reported(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    asked = ask(tmp_path, url)
    assert asked.returncode != 0
    assert "was restarted" in asked.stdout
    assert "Connection refused" in asked.stdout
