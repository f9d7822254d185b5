# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Synapse with the storage provider, on SQLite and a free loopback port, for tests of its media API."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
import os
import secrets
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from ansible_collections.matrix_ops.synapse_s3.tests.shared.certificates import make_certificate
from s3_server import free_port
from server_process import ServerProcess

SYNAPSE_PYTHON = "/opt/synapse/venv/bin/python"
START_TIMEOUT = 120.0
# Packages that the provider imports and Synapse's virtualenv lacks; taken from the virtualenv of the tests.
LENT_PACKAGES = ("s3_storage_provider", "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


class SynapseServer:
    """Everything it writes is below ``directory``; media is in ``media_store``."""

    def __init__(self, directory: Path, provider_config: Mapping[str, Any]) -> None:
        self.directory = directory
        self.server_name = "synapse.test"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.tls_port = free_port()
        self.tls_url = f"https://127.0.0.1:{self.tls_port}"
        # Short enough for the path of a socket.
        self.socket = f"/run/synapse-test-{self.port}.sock"
        self.socket_url = f"unix:{self.socket}"
        self.media_store = directory / "media_store"
        self._provider_config = dict(provider_config)
        self._shared_secret = secrets.token_hex(16)
        self._process: ServerProcess | None = None

    def __enter__(self) -> SynapseServer:
        config = self._write_config()
        environment = {"PYTHONPATH": str(self._lend_packages())}
        command = [SYNAPSE_PYTHON, "-m", "synapse.app.homeserver", "-c", str(config)]
        making_keys = [*command, "--generate-keys"]
        subprocess.run(making_keys, env={**os.environ, **environment}, check=True, capture_output=True, timeout=120)
        log = self.directory / "synapse.log"
        self._process = ServerProcess(command, log, environment, stop_timeout=60, directory=self.directory)
        try:
            self._process.start()
            self._process.wait_until(self._responds, "it responds", START_TIMEOUT)
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process:
            self._process.stop()
        Path(self.socket).unlink(missing_ok=True)

    def register(self, name: str, *, admin: bool) -> str:
        """Return the access token of a new user."""
        path = "/_synapse/admin/v1/register"
        nonce = self.call("GET", path)["nonce"]
        password = secrets.token_hex(8)
        parts = (nonce, name, password, "admin" if admin else "notadmin")
        mac = hmac.new(self._shared_secret.encode(), "\0".join(parts).encode(), hashlib.sha1)
        user = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac.hexdigest()}
        token: str = self.call("POST", path, user)["access_token"]
        return token

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        """Return the JSON of Synapse's response."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def media_files(self) -> list[str]:
        return [str(path.relative_to(self.media_store)) for path in self.media_store.rglob("*") if path.is_file()]

    def _responds(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _lend_packages(self) -> Path:
        folder = self.directory / "packages"
        folder.mkdir()
        for name in LENT_PACKAGES:
            found = importlib.util.find_spec(name)
            assert found and found.origin, f"{name} is missing beside pytest"
            origin = Path(found.origin)
            source = origin.parent if origin.name == "__init__.py" else origin
            (folder / source.name).symlink_to(source)
        return folder

    def _write_config(self) -> Path:
        provider = {
            "module": "s3_storage_provider.S3StorageProviderBackend",
            "store_local": True,
            "store_remote": True,
            "store_synchronous": True,
            "config": self._provider_config,
        }
        listener = {
            "port": self.port,
            "type": "http",
            "bind_addresses": ["127.0.0.1"],
            "resources": [{"names": ["client", "health"]}],
        }
        tls = {**listener, "port": self.tls_port, "tls": True}
        socket = {"type": "http", "path": self.socket, "mode": 0o600, "resources": listener["resources"]}
        # For another address than the one in use, as with a certificate for a public name.
        certificate = make_certificate(self.directory, "192.0.2.1")
        config = {
            "server_name": self.server_name,
            "report_stats": False,
            "pid_file": str(self.directory / "homeserver.pid"),
            "listeners": [listener, tls, socket],
            "tls_certificate_path": str(certificate.certificate),
            "tls_private_key_path": str(certificate.private_key),
            "database": {"name": "sqlite3", "args": {"database": str(self.directory / "homeserver.db")}},
            "media_store_path": str(self.media_store),
            "signing_key_path": str(self.directory / "signing.key"),
            "registration_shared_secret": self._shared_secret,
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "trusted_key_servers": [],
            "media_storage_providers": [provider],
        }
        path = self.directory / "homeserver.yaml"
        path.write_text(yaml.safe_dump(config))
        return path
