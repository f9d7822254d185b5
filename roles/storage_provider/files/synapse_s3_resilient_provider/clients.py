# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients of boto3: one with short timeouts for downloads, one that waits longer for uploads."""

from __future__ import annotations

import threading
from collections.abc import Sized
from typing import Any

import boto3
from botocore.config import Config

from .settings import Settings


class Clients:
    """Each is made by the first thread that needs it: that takes up to a second, and must not hold up Synapse."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}

    def for_downloads(self) -> Any:
        settings = self._settings
        return self._client("downloads", settings.read_timeout, settings.max_attempts)

    def for_uploads(self) -> Any:
        settings = self._settings
        return self._client("uploads", settings.store_read_timeout, settings.store_max_attempts)

    def _client(self, name: str, read_timeout: float, attempts: int) -> Any:
        client = self._made.get(name)
        if client is None:
            with self._lock:
                client = self._made.get(name)
                if client is None:
                    client = self._made[name] = self._make(read_timeout, attempts)
        return client

    def _make(self, read_timeout: float, attempts: int) -> Any:
        settings = self._settings
        options: dict[str, Any] = {
            "connect_timeout": settings.connect_timeout,
            "read_timeout": read_timeout,
            "retries": {"total_max_attempts": attempts, "mode": "standard"},
            "max_pool_connections": settings.max_pool_connections,
        }
        if settings.addressing_style:
            options["s3"] = {"addressing_style": settings.addressing_style}
        # boto3 before 1.36 has neither these settings nor the checksums that they turn off.
        if hasattr(Config(), "request_checksum_calculation"):
            options["request_checksum_calculation"] = settings.request_checksum_calculation
            options["response_checksum_validation"] = settings.response_checksum_validation
        arguments: dict[str, Any] = {
            "region_name": settings.region_name,
            "endpoint_url": settings.endpoint_url,
            "aws_access_key_id": settings.access_key_id,
            "aws_secret_access_key": settings.secret_access_key,
            "aws_session_token": settings.session_token,
            "config": Config(**options),
        }
        if settings.ca_bundle:
            arguments["verify"] = settings.ca_bundle
        client = boto3.session.Session().client("s3", **arguments)
        # After botocore's own for this event: those for single operations come earlier.
        client.meta.events.register_last("before-call.s3", _send_nothing_at_once)
        return client


def _send_nothing_at_once(params: dict[str, Any], **_others: Any) -> None:
    """Does not ask whether to send an empty body.

    The responses of some stores to that (those of Go's HTTP server) confuse older botocore (1.40, not 1.44):
    in the next upload on the same connection they wait until the read timeout, a minute.
    """
    body = params.get("body")
    if isinstance(body, Sized) and len(body) == 0:
        params["headers"].pop("Expect", None)
