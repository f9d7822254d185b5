# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses single operations, which no real S3 server does on demand; all others go to the real server behind it."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from http_server import Handler, LocalServer


class Request(NamedTuple):
    operation: str
    path: str
    headers: dict[str, str]


class Refusal(NamedTuple):
    status: int
    code: str
    only_below: str = ""  # a part of the paths that it applies to


DENIED = Refusal(403, "AccessDenied")
NOT_IMPLEMENTED = Refusal(501, "NotImplemented")


def operation_of(method: str, target: str) -> str:
    """Return the S3 operation of a path-style request."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    is_object = len(parts.path.strip("/").split("/")) > 1
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    if "uploadId" in query:
        return {"PUT": "UploadPart", "DELETE": "AbortMultipartUpload", "POST": "CompleteMultipartUpload"}[method]
    if not is_object:
        return {"GET": "ListObjectsV2", "HEAD": "HeadBucket"}[method]
    return {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}[method]


class RefusingProxy(LocalServer):
    """Responds to the given operations itself, and records every request."""

    def __init__(self, upstream_port: int, refusals: Mapping[str, Refusal]) -> None:
        self.requests: list[Request] = []
        self._refusals = refusals
        proxy = self

        class Relay(Handler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                operation = operation_of(self.command, self.path)
                headers = dict(self.headers.items())
                request = Request(operation, self.path, {name.lower(): value for name, value in headers.items()})
                proxy.requests.append(request)
                refusal = proxy.refusal_of(request)
                if refusal:
                    text = f"<Error><Code>{refusal.code}</Code><Message>refused</Message></Error>".encode()
                    self.reply(refusal.status, {"Content-Type": "application/xml"}, text)
                    return
                connection = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=30)
                # The Host header stays as it came, because the signature covers it.
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                content = response.read()
                answered = dict(response.headers.items())
                self.reply(response.status, {**answered, **proxy.more_headers(request, response.status)}, content)
                connection.close()

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        super().__init__(Relay)

    def refusal_of(self, request: Request) -> Refusal | None:
        """Return the response to send instead of asking the server, or None to ask it."""
        refusal = self._refusals.get(request.operation)
        return refusal if refusal and refusal.only_below in request.path else None

    def more_headers(self, request: Request, status: int) -> dict[str, str]:
        """Return headers to add to the server's own response."""
        return {}

    def asked(self, operation: str) -> list[Request]:
        return [request for request in self.requests if request.operation == operation]
