# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An S3 server on loopback that responds, stalls and disconnects exactly as the test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Union

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


# What to do with one request: bytes are sent as they are; a function receives the socket and closes the connection.
Reply = Union[bytes, Callable[[socket.socket], None]]


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def error(status: int, code: str, *headers: str) -> bytes:
    return answer(status, f"<Error><Code>{code}</Code><Message>words of the store</Message></Error>".encode(), *headers)


def done(etag: str = "e") -> bytes:
    return answer(200, b"", f'ETag: "{etag}"')


def cut_after(data: bytes) -> Callable[[socket.socket], None]:
    """Send this many bytes, then close the connection."""
    return lambda link: link.sendall(data)


def reset_after(data: bytes) -> Reply:
    """Send this many bytes, then reset the connection."""

    def reply(link: socket.socket) -> None:
        link.sendall(data)
        time.sleep(0.02)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return reply


class ScriptedStore:
    """Each request, on any connection, takes the next reply; the last reply is used for all later requests."""

    def __init__(self, replies: Sequence[Reply], context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.most_at_once = 0
        self._at_once = 0
        self._replies = list(replies)
        self._choose: Callable[[Request], Reply] | None = None
        self._context = context
        self._before_reading: Callable[[socket.socket], None] | None = None
        self._before_handshake: Callable[[socket.socket], None] | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        self.endpoint_url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def settings(self, **others: str) -> StoreSettings:
        return StoreSettings.from_mapping(
            {
                "bucket": "media",
                "endpoint_url": self.endpoint_url,
                "region_name": "us-east-1",
                "access_key_id": "the-id",
                "secret_access_key": "the-secret",
                **others,
            }
        )

    def script(self, *replies: Reply) -> None:
        """Replace the remaining replies."""
        self._replies = list(replies)

    def choose(self, choose: Callable[[Request], Reply]) -> None:
        """From now on, choose each reply by its request."""
        self._choose = choose

    def before_reading(self, reply: Callable[[socket.socket], None]) -> None:
        """Call this with the next connection instead of reading from it."""
        self._before_reading = reply

    def before_handshake(self, reply: Callable[[socket.socket], None]) -> None:
        """Call this with the next connection instead of a TLS handshake."""
        self._before_handshake = reply

    def stall(self, link: socket.socket) -> None:
        """Send nothing until the test is over."""
        self._ending.wait(30)

    def stall_after(self, data: bytes) -> Reply:
        """Send this many bytes, then nothing until the test is over."""

        def reply(link: socket.socket) -> None:
            link.sendall(data)
            self.stall(link)

        return reply

    def close(self) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: it would let a thread that is still reading continue with encrypted bytes.
                socket.socket.shutdown(link, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                link, dummy = self._listener.accept()
            except OSError:
                return
            self._links.append(link)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(link, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, link: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, EOFError):
            before_handshake, self._before_handshake = self._before_handshake, None
            if before_handshake:
                link.recv(1000)
                before_handshake(link)
                raise EOFError
            if self._context:
                link = self._context.wrap_socket(link, server_side=True)
                self._links.append(link)
            before, self._before_reading = self._before_reading, None
            if before:
                before(link)
                raise EOFError
            with link.makefile("rb") as stream:
                while True:
                    reply = self._take(_read_request(stream, number))
                    try:
                        if not isinstance(reply, bytes):
                            reply(link)
                            break
                        link.sendall(reply)
                    finally:
                        with self._lock:
                            self._at_once -= 1
        link.close()

    def _take(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            if self._choose is not None:
                return self._choose(request)
            return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def _read_request(stream: object, number: int) -> Request:
    read_line = stream.readline  # type: ignore[attr-defined]
    first = read_line().decode("latin-1").split()
    if not first:
        raise EOFError
    headers: dict[str, str] = {}
    while True:
        line = read_line().decode("latin-1").rstrip("\r\n")
        if not line:
            break
        name, dummy, value = line.partition(": ")
        headers[name] = value
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)  # type: ignore[attr-defined]
    if len(body) < length:
        raise EOFError
    return Request(first[0], first[1], headers, body, number)


@contextlib.contextmanager
def scripted_store(*replies: Reply, context: ssl.SSLContext | None = None) -> Iterator[ScriptedStore]:
    store = ScriptedStore(replies, context)
    try:
        yield store
    finally:
        store.close()
