"""Injects faults between a client and a real S3 server; requests without a matching rule pass through unchanged."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

# Headers of one connection only; http.client and http.server set their own.
_NO_DIGEST = '"ffffffffffffffffffffffffffffffff"'
_HOP_BY_HOP = ("connection", "expect", "keep-alive", "transfer-encoding", "content-length")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Fault:
    """Applies to requests of one method whose path (with its query) matches, `times` times or always."""

    method: str
    path: str = ""
    times: int | None = None
    # Instead of asking the server: an error, or a whole response.
    status: int | None = None
    code: str = ""
    answer: Answer | None = None
    # Called before, and after, the request to the server:
    before: Callable[[str], None] | None = None
    change: Callable[[Answer], Answer] | None = None

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
class FaultProxy:
    target: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, method: str, path: str = "") -> int:
        return sum(request.method == method and bool(re.search(path, request.path)) for request in self.requests)

    def answer(self, request: Request, body: bytes) -> Answer:
        with self._lock:
            self.requests.append(request)
            fault = next((each for each in self.faults if each.strikes(request.method, request.path)), None)
        if fault and fault.before:
            fault.before(request.path)
        if fault and fault.status:
            return _refusal(fault.status, fault.code)
        if fault and fault.answer:
            return fault.answer
        answer = self._ask_server(request, body)
        return fault.change(answer) if fault and fault.change else answer

    def _ask_server(self, request: Request, body: bytes) -> Answer:
        host = urlsplit(self.target)
        connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(request.method, request.path, body or None, headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _relay(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers.items()))
                answer = proxy.answer(request, body)
                self.send_response_only(answer.status)
                length = len(answer.body)
                for name, value in answer.headers.items():
                    if name.lower() == "content-length" and self.command == "HEAD":
                        length = int(value)
                    elif name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _relay

            def log_message(self, format: str, *args: Any) -> None:
                """Print no log: the tests count requests instead."""

        return Handler


def _refusal(status: int, code: str) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>" if code else ""
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


# For `answer` to a PUT: the server reports success but stores nothing.
ACCEPTED_BUT_NOT_KEPT = Answer(200, {"ETag": '"00000000000000000000000000000000"'}, b"")


def other_etags(answer: Answer) -> Answer:
    """For `change`: ETags that are no digest, as with SSE-C and SSE-KMS, but in the form of an MD5."""
    body = re.sub(rb"<ETag>[^<]*</ETag>", f"<ETag>{_NO_DIGEST}</ETag>".encode(), answer.body)
    headers = {name: _NO_DIGEST if name.lower() == "etag" else value for name, value in answer.headers.items()}
    return Answer(answer.status, headers, body)


class Standstill:
    """Blocks the client at its next PUT until released."""

    def __init__(self, proxy: FaultProxy, timeout: float = 60) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._timeout = timeout
        proxy.faults.append(Fault("PUT", times=1, before=self._stand))

    def _stand(self, dummy: str) -> None:
        self.reached.set()
        self.go_on.wait(self._timeout)
