# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests need from every S3 server: start, stop, a bucket, the engine's settings for it, an independent client."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
import botocore.config
from s3_server import free_port
from server_process import ServerProcess


class Store:
    """One server on loopback, with one administrator's key, over http and, with a certificate, over https as well."""

    # Whether HEAD and listings give the MD5 as the ETag of a body that was uploaded in one request.
    etags = True

    def __init__(self, directory: Path, certificate: Path | None = None, private_key: Path | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.access_key_id = f"id{secrets.token_hex(9)}"
        self.secret_access_key = secrets.token_hex(20)
        self.port = free_port()
        self.tls_port = free_port()
        self.certificate = certificate
        self.private_key = private_key
        self.processes: list[ServerProcess] = []
        self._clients: dict[tuple[str, str], Any] = {}

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """The process that was started last ends first."""
        while self.processes:
            self.processes.pop().stop()

    def __enter__(self) -> Store:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_endpoint_url(self) -> str:
        assert self.certificate, f"{type(self).__name__} was started without a certificate"
        return f"https://127.0.0.1:{self.tls_port}"

    def connection(self, bucket: str, *, tls: bool = False, **others: Any) -> dict[str, Any]:
        """The engine's `s3` settings for this server."""
        settings: dict[str, Any] = {
            "bucket": bucket,
            "endpoint_url": self.tls_endpoint_url if tls else self.endpoint_url,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
        }
        if tls:
            settings["ca_bundle"] = str(self.certificate)
        return {**settings, **others}

    def client(self, *, tls: bool = False) -> Any:
        """An administrator's client, independent of the engine's; created once, because that is slow."""
        return self.client_of(self.access_key_id, self.secret_access_key, tls=tls)

    def client_of(self, access_key_id: str, secret_access_key: str, *, tls: bool = False) -> Any:
        endpoint_url = self.tls_endpoint_url if tls else self.endpoint_url
        if (access_key_id, endpoint_url) not in self._clients:
            self._clients[access_key_id, endpoint_url] = boto3.session.Session().client(
                "s3",
                endpoint_url=endpoint_url,
                region_name="us-east-1",
                aws_access_key_id=access_key_id,
                aws_secret_access_key=secret_access_key,
                verify=str(self.certificate) if tls else None,
                config=botocore.config.Config(
                    connect_timeout=10,
                    read_timeout=60,
                    max_pool_connections=32,
                    s3={"addressing_style": "path"},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        return self._clients[access_key_id, endpoint_url]
