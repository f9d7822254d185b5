# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Injects faults between a client and a real S3 server; requests without a matching rule pass through unchanged."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from http_server import HOP_BY_HOP, Handler, LocalServer

_NO_DIGEST = '"ffffffffffffffffffffffffffffffff"'


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


def forward_request(target: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
    """Forward a request to the URL `target`. The Host header stays as it came, because the signature covers it."""
    host = urlsplit(target)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
    try:
        kept = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
        connection.request(method, path, body or None, kept)
        answer = connection.getresponse()
        return Response(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


@dataclass
class Fault:
    """Applies to requests of one method whose path (with its query) matches, `times` times or always."""

    method: str
    path: str = ""
    times: int | None = None
    # Instead of asking the server: an error, or a whole response.
    status: int | None = None
    code: str = ""
    answer: Response | None = None
    # Called before, and after, the request to the server:
    before: Callable[[str], None] | None = None
    change: Callable[[Response], Response] | None = None

    def strikes(self, method: str, path: str) -> bool:
        if self.times == 0 or method != self.method or not re.search(self.path, path):
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class FaultProxy(LocalServer):
    target: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        super().__init__(self._handler())

    def count(self, method: str, path: str = "") -> int:
        return sum(request.method == method and bool(re.search(path, request.path)) for request in self.requests)

    def answer(self, request: Request, body: bytes) -> Response:
        with self._lock:
            self.requests.append(request)
            fault = next((each for each in self.faults if each.strikes(request.method, request.path)), None)
        if fault and fault.before:
            fault.before(request.path)
        if fault and fault.status:
            return _refusal(fault.status, fault.code)
        if fault and fault.answer:
            return fault.answer
        answer = forward_request(self.target, request.method, request.path, request.headers, body)
        return fault.change(answer) if fault and fault.change else answer

    def _handler(self) -> type[Handler]:
        proxy = self

        class Relay(Handler):
            protocol_version = "HTTP/1.1"

            def _relay(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = proxy.answer(Request(self.command, self.path, dict(self.headers.items())), body)
                self.reply(answer.status, answer.headers, answer.body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _relay

        return Relay


def _refusal(status: int, code: str) -> Response:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>" if code else ""
    return Response(status, {"Content-Type": "application/xml"}, body.encode())


# For `answer` to a PUT: the server reports success but stores nothing.
ACCEPTED_BUT_NOT_KEPT = Response(200, {"ETag": '"00000000000000000000000000000000"'}, b"")


def other_etags(answer: Response) -> Response:
    """For `change`: ETags that are no digest, as with SSE-C and SSE-KMS, but in the form of an MD5."""
    body = re.sub(rb"<ETag>[^<]*</ETag>", f"<ETag>{_NO_DIGEST}</ETag>".encode(), answer.body)
    headers = {name: _NO_DIGEST if name.lower() == "etag" else value for name, value in answer.headers.items()}
    return Response(answer.status, headers, body)


class BlockedPut:
    """Blocks the client at its next PUT until released."""

    def __init__(self, proxy: FaultProxy, timeout: float = 60) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._timeout = timeout
        proxy.faults.append(Fault("PUT", times=1, before=self._stand))

    def _stand(self, dummy: str) -> None:
        self.reached.set()
        self.go_on.wait(self._timeout)
