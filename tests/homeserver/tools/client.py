# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Matrix client with the few calls that tests need, using only the standard library."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class RequestError(Exception):
    """A response other than 2xx."""

    def __init__(self, method: str, path: str, status: int, body: bytes) -> None:
        super().__init__(f"{method} {path}: {status} {body[:500]!r}")
        self.status = status
        self.body = body

    @property
    def errcode(self) -> str:
        try:
            return str(json.loads(self.body)["errcode"])
        except (ValueError, KeyError, TypeError):
            return ""


class Client:
    """Connects to one homeserver, as one user once it has a token."""

    def __init__(self, base_url: str, access_token: str | None = None, timeout: float = 60) -> None:
        self.base_url = base_url.rstrip("/")
        self.access_token = access_token
        self.timeout = timeout

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: dict[str, Any] | None = None,
    ) -> bytes:
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        # The address is the caller's own, never one that was received.
        request = urllib.request.Request(self.base_url + target, data=body, method=method)
        if body is not None:
            request.add_header("Content-Type", content_type)
        if self.access_token:
            request.add_header("Authorization", f"Bearer {self.access_token}")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            raise RequestError(method, target, error.code, error.read()) from error
        return content

    def call(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if content is None else json.dumps(content).encode()
        answer: dict[str, Any] = json.loads(self.request(method, path, body=body))
        return answer

    def login(self, user: str, password: str) -> str:
        answer = self.call(
            "POST",
            "/_matrix/client/v3/login",
            {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": user},
                "password": password,
                "device_id": "TESTS",
            },
        )
        return str(answer["access_token"])

    def upload(self, content: bytes, content_type: str, name: str) -> tuple[str, str]:
        """Upload a media; return its origin and id."""
        answer = json.loads(
            self.request(
                "POST",
                "/_matrix/media/v3/upload",
                body=content,
                content_type=content_type,
                query={"filename": name},
            )
        )
        origin, media_id = answer["content_uri"].removeprefix("mxc://").split("/")
        return origin, media_id

    def download(self, origin: str, media_id: str) -> bytes:
        return self.request("GET", f"/_matrix/client/v1/media/download/{origin}/{media_id}")

    def thumbnail(self, origin: str, media_id: str, width: int, height: int, method: str) -> bytes:
        return self.request(
            "GET",
            f"/_matrix/client/v1/media/thumbnail/{origin}/{media_id}",
            query={"width": width, "height": height, "method": method},
        )
