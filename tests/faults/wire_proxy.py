# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy between the engine and a real S3 server that can break connections: resets, stalls, truncated responses.

Requests without a matching fault pass through unchanged, signature included.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from fault_proxy import Response, forward_request
from http_server import HOP_BY_HOP, Handler, LocalServer
from refusing_proxy import operation_of

LIST = "ListObjectsV2"
HEAD = "HeadObject"
GET = "GetObject"
PUT = "PutObject"
CREATE = "CreateMultipartUpload"
PART = "UploadPart"
COMPLETE = "CompleteMultipartUpload"
ABORT = "AbortMultipartUpload"
UPLOADS = "ListMultipartUploads"

# The kinds of `requests` in the engine's report.
KINDS = {
    LIST: "list",
    HEAD: "head",
    GET: "get",
    PUT: "put",
    CREATE: "create_multipart",
    PART: "upload_part",
    COMPLETE: "complete_multipart",
    ABORT: "abort_multipart",
    UPLOADS: "list_uploads",
}


@dataclass
class SeenRequest:
    operation: str
    key: str
    path: str


class Exchange:
    """One request on its way through; a fault may read, forward and respond to it in any way, or not at all."""

    def __init__(self, proxy: WireProxy, handler: Handler) -> None:
        self.operation = operation_of(handler.command, handler.path)
        self.path = handler.path
        path = unquote(urlsplit(handler.path).path).strip("/")
        self.key = path.partition("/")[2]
        self.length = int(handler.headers.get("Content-Length") or 0)
        self._proxy = proxy
        self._handler = handler
        self._body: bytes | None = None

    def header(self, name: str) -> str | None:
        return self._handler.headers.get(name)

    def body(self) -> bytes:
        if self._body is None:
            self._body = self._handler.rfile.read(self.length)
        return self._body

    def read_only(self, count: int) -> None:
        """Read this many bytes of the body, and leave the rest unread."""
        self._handler.rfile.read(min(count, self.length))

    def forward(self) -> Response:
        headers = dict(self._handler.headers.items())
        return forward_request(self._proxy.target, self._handler.command, self.path, headers, self.body())

    def reply(self, answer: Response, *, only: int | None = None) -> None:
        """`only`: send this many bytes of the body, although its whole length was announced, then close."""
        self._handler.reply(answer.status, answer.headers, answer.body, only=only)
        if only is not None:
            self.close()

    def dribble(self, answer: Response, pause: float) -> None:
        """Send one byte at a time, with a pause after each."""
        lines = [f"HTTP/1.1 {answer.status} Words", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
        for byte in "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body:
            self._handler.connection.sendall(bytes([byte]))
            time.sleep(pause)
        self.close()

    def close(self) -> None:
        handler = self._handler
        handler.close_connection = True
        with suppress(OSError):
            handler.connection.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """The peer sees "connection reset": bytes still in the buffers are discarded."""
        handler = self._handler
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Only the last close sends the reset, and the handler's two files hold the socket open as well.
        handler.wfile.close()
        handler.rfile.close()
        handler.connection.close()


Act = Callable[[Exchange], None]


@dataclass
class Fault:
    """Applies to requests of an operation ("" for all) with a matching key: not the first `skip`, at most `times`."""

    act: Act
    operation: str = ""
    key: str = ""
    times: int | None = None
    skip: int = 0
    struck: int = 0

    def strikes(self, operation: str, key: str) -> bool:
        if self.operation not in ("", operation) or not re.search(self.key, key) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        self.struck += 1
        return True


@dataclass
class WireProxy(LocalServer):
    target: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[SeenRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        super().__init__(self._handler(), _Server)

    def add(self, operation: str, act: Act, *, key: str = "", times: int | None = None, skip: int = 0) -> Fault:
        fault = Fault(act, operation, key, times, skip)
        self.faults.append(fault)
        return fault

    def count(self, operation: str = "", key: str = "") -> int:
        return len([one for one in self.seen if operation in ("", one.operation) and re.search(key, one.key)])

    def counts(self) -> dict[str, int]:
        """Request counts by kind, as in the engine's report."""
        return {KINDS[operation]: self.count(operation) for operation in KINDS}

    def _relay(self, exchange: Exchange) -> None:
        with self._lock:
            self.seen.append(SeenRequest(exchange.operation, exchange.key, exchange.path))
            fault = next((one for one in self.faults if one.strikes(exchange.operation, exchange.key)), None)
        if fault:
            fault.act(exchange)
        else:
            exchange.reply(exchange.forward())

    def _handler(self) -> type[Handler]:
        proxy = self

        class Relay(Handler):
            protocol_version = "HTTP/1.1"
            # Nagle's algorithm would delay small responses, which would be a fault of its own.
            disable_nagle_algorithm = True

            def _take(self) -> None:
                # Half of the tests are about a client that was killed or gave up.
                with suppress(OSError, http.client.HTTPException, ValueError):
                    proxy._relay(Exchange(proxy, self))
                    return
                self.close_connection = True

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _take

        return Relay


class _Server(ThreadingHTTPServer):
    # As many simultaneous connections as an engine may open.
    request_queue_size = 1024

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that was reset on purpose raises an error here."""
