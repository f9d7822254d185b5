# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Synapse of any release with either storage provider, on SQLite and free loopback ports."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from s3_server import free_port
from server_process import ServerProcess

OFFICIAL = "s3_storage_provider.S3StorageProviderBackend"
RESILIENT = "synapse_s3_resilient_provider.ResilientS3StorageProviderBackend"
# The module that the role installs; it is read from here without an installation.
SOURCES = Path(__file__).resolve().parents[2] / "roles" / "storage_provider" / "files"
START_TIMEOUT = 120.0
DAY_MS = 86_400_000


class Homeserver:
    """Everything it writes is below ``directory``. `python` is one with Synapse in it.

    It can be stopped and started with another provider: media and database stay.
    """

    def __init__(
        self,
        directory: Path,
        python: str,
        module: str,
        config: Mapping[str, Any],
        *,
        synchronous: bool = True,
        environment: Mapping[str, str] | None = None,
        packages: Sequence[Path] = (),
        modules: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """What is added to Synapse: `environment`, `packages` to its import path, `modules` to its modules."""
        self.directory = directory
        self.media_store = directory / "media_store"
        self.log = directory / "homeserver.log"
        self.port = free_port()
        self.metrics_port = free_port()
        self.module = module
        self.config = dict(config)
        self.synchronous = synchronous
        self._python = python
        self._modules = [dict(module) for module in modules]
        paths = [str(path) for path in (*packages, SOURCES)]
        # Without keys that boto3 would find by itself, and without its look at the metadata of an instance.
        self.environment = {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(directory),
            "AWS_EC2_METADATA_DISABLED": "true",
            **(environment or {}),
        }
        self._process: ServerProcess | None = None
        self._shared_secret = secrets.token_hex(16)
        self._secret = secrets.token_hex(16)

    def __enter__(self) -> Homeserver:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.write_config()
        if not (self.directory / "signing.key").exists():
            made = self.run("synapse.app.homeserver", "--generate-keys")
            assert made.returncode == 0, made.stdout
        self._process = ServerProcess(
            self.command("synapse.app.homeserver"),
            self.log,
            self.environment,
            stop_timeout=60,
            directory=self.directory,
        )
        try:
            self._process.start()
            self._process.wait_until(lambda: self.health() is not None, "it responds", START_TIMEOUT)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            process.stop()

    @property
    def pid(self) -> int:
        assert self._process and self._process._process
        return self._process._process.pid

    def command(self, program: str, *arguments: str) -> list[str]:
        return [self._python, "-m", program, "-c", str(self.directory / "homeserver.yaml"), *arguments]

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Synapse to its end; its output is in `stdout`."""
        return subprocess.run(
            self.command(program, *arguments),
            env={**os.environ, **self.environment},
            cwd=self.directory,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )

    def health(self) -> float | None:
        """The seconds that /health took; None where it does not answer."""
        began = time.monotonic()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=20) as answer:
                return time.monotonic() - began if answer.status == 200 else None
        except OSError:
            return None

    def metrics(self) -> dict[str, float]:
        """What Synapse's metrics listener shows of the provider, by name and labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/_synapse/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        found = [line.rpartition(" ") for line in lines if line.startswith("synapse_s3_provider_")]
        return {name: float(value) for name, dummy, value in found}

    def connection(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> tuple[int, bytes]:
        """Its status and body; TimeoutError where nothing comes for `timeout` seconds."""
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def register(self, name: str) -> str:
        """The access token of a new user, who is no administrator."""
        credentials = {"username": name, "password": secrets.token_hex(8), "auth": {"type": "m.login.dummy"}}
        status, body = self.request("POST", "/_matrix/client/v3/register", json.dumps(credentials).encode())
        assert status == 200, body
        token: str = json.loads(body)["access_token"]
        return token

    def upload(
        self, token: str, content: bytes, kind: str = "application/octet-stream", timeout: float = 60
    ) -> tuple[int, str]:
        """The status, and the id of the media or the error."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        status, body = self.request("POST", "/_matrix/media/v3/upload", content, headers, timeout)
        answer = json.loads(body)
        return status, str(answer["content_uri"]).rpartition("/")[2] if status == 200 else str(answer)

    def download(self, media_id: str) -> tuple[int, bytes]:
        return self.request("GET", self.media_path(media_id))

    def media_path(self, media_id: str) -> str:
        return f"/_matrix/media/v3/download/provider.test/{media_id}"

    def add_rows(self, lengths: Mapping[str, int]) -> None:
        """Media that is in the bucket alone. Synapse must not be running."""
        now = int(time.time() * 1000) - DAY_MS
        rows = [
            (media_id, "application/octet-stream", length, now, "@user:provider.test")
            for media_id, length in lengths.items()
        ]
        database = sqlite3.connect(self.directory / "homeserver.db")
        with database:
            database.executemany(
                "INSERT INTO local_media_repository (media_id, media_type, media_length, created_ts, user_id)"
                " VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        database.close()

    def remove_local_media(self) -> None:
        for name in ("local_content", "local_thumbnails"):
            shutil.rmtree(self.media_store / name, ignore_errors=True)

    def local_files(self) -> list[Path]:
        return [path for path in self.media_store.rglob("*") if path.is_file()]

    def write_config(self) -> None:
        listeners = [
            {"port": self.port, "type": "http", "resources": [{"names": ["client", "media", "health", "federation"]}]},
            {"port": self.metrics_port, "type": "metrics"},
        ]
        provider = {
            "module": self.module,
            "store_local": True,
            "store_remote": True,
            "store_synchronous": self.synchronous,
            "config": self.config,
        }
        content = {
            "server_name": "provider.test",
            "report_stats": False,
            "enable_metrics": True,
            "pid_file": str(self.directory / "homeserver.pid"),
            "listeners": [{**listener, "bind_addresses": ["127.0.0.1"]} for listener in listeners],
            "database": {"name": "sqlite3", "args": {"database": str(self.directory / "homeserver.db")}},
            "media_store_path": str(self.media_store),
            "signing_key_path": str(self.directory / "signing.key"),
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "enable_authenticated_media": False,
            "max_upload_size": "200M",
            "dynamic_thumbnails": True,
            "rc_message": {"per_second": 1000, "burst_count": 1000},
            "registration_shared_secret": self._shared_secret,
            "macaroon_secret_key": self._secret,
            "form_secret": self._secret,
            "trusted_key_servers": [],
            "media_storage_providers": [provider],
            "modules": self._modules,
        }
        (self.directory / "homeserver.yaml").write_text(yaml.safe_dump(content))


def media_key(media_id: str) -> str:
    """The key of the original of a local media."""
    return f"local_content/{media_id[:2]}/{media_id[2:4]}/{media_id[4:]}"
