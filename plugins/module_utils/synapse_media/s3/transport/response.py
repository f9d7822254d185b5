# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads responses of HTTP/1.1 from a connection. A partial response is never taken for a whole one."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple

from ...event_loop.loop import Channel, Loop
from .errors import ClosedBeforeResponse, ConnectionClosedError
from .limits import Bandwidth


class BrokenResponse(Exception):
    """What came is no HTTP response, or contradicts itself."""


class Response:
    """A whole response. Header names are in lower case; ``length`` counts the body's bytes, also those of a sink."""

    __slots__ = ("body", "headers", "length", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes, length: int) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.length = length


class Framing(NamedTuple):
    """``length`` is None if only the end of the connection ends the body."""

    chunked: bool
    length: int | None


_EMPTY = Framing(False, 0)


def parse_head(head: bytes) -> tuple[int, dict[str, str], bool]:
    """Status, headers, and whether the connection may be used again. ``head`` comes without its empty last line."""
    lines = head.decode("latin-1").split("\r\n")
    version, dummy, rest = lines[0].partition(" ")
    code = rest.partition(" ")[0]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise BrokenResponse
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = name.lower()
        value = value.strip()
        if not colon or (name == "content-length" and headers.get(name, value) != value):
            raise BrokenResponse
        headers[name] = value
    connection = headers.get("connection", "").lower()
    kept = "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection
    return int(code), headers, kept


def framing(status: int, headers: dict[str, str], is_head: bool) -> Framing:
    """How the body of this response ends."""
    if is_head or status in (204, 304):
        return _EMPTY
    encoding = headers.get("transfer-encoding")
    if encoding is not None and encoding.lower() != "identity":
        if encoding.lower() != "chunked":
            raise BrokenResponse
        return Framing(True, None)
    length = headers.get("content-length")
    if length is None:
        return Framing(False, None)
    if not (length.isascii() and length.isdigit()):
        raise BrokenResponse
    return Framing(False, int(length))


def chunk_size(line: bytes) -> int:
    """The size that the first line of a chunk gives."""
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BrokenResponse
    return int(digits, 16)


Sink = Callable[[memoryview], None]

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 64 * 1024 * 1024
CHUNK = 64 * 1024


class Link(NamedTuple):
    """A connected socket that the loop watches."""

    socket: socket.socket
    channel: Channel


class Reader:
    """``usable`` turns false when no other response may be read from here.

    ``timeout`` is how many seconds the store may neither take nor send a byte in the middle of a request. After as
    many seconds, what it has taken or sent must amount to ``slowest`` bytes a second.
    """

    def __init__(self, loop: Loop, link: Link, bandwidth: Bandwidth | None, slowest: float) -> None:
        self._loop = loop
        self._socket = link.socket
        self._channel = link.channel
        self._bandwidth = bandwidth
        self._seconds_a_byte = 1 / slowest
        self._data = b""
        self.timeout = 60.0
        self.usable = True

    async def _read_response(self, is_head: bool, make_sink: Callable[[], Sink] | None) -> Response:
        """Raises ConnectionClosedError, BrokenResponse, TimeoutError and OSError: then there is no response."""
        data, self._data = self._data, b""
        if not data:
            await self._loop.wait(self._channel, self.timeout)
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > _HEAD_LIMIT:
                    raise BrokenResponse
                data += await self._receive(bool(data))
                continue
            status, headers, kept = parse_head(data[:end])
            data = data[end + 4 :]
            if status >= 200:
                break
        self._data = data
        self.usable = kept
        chunked, length = framing(status, headers, is_head)
        collected: list[bytes] = []
        sink: Sink | None = None
        if make_sink is not None and 200 <= status < 300:
            sink = make_sink()
        if chunked:
            received = await self._read_chunks(collected, sink)
        elif length is None:
            received = await self._read_to_the_end(collected, sink)
        else:
            received = await self._read_length(length, collected, sink)
        if self._data:
            self.usable = False
        return Response(status, headers, b"".join(collected), received)

    async def _receive(self, begun: bool = True) -> bytes:
        """At least one byte: raises ConnectionClosedError at the end of the connection."""
        data = await self._receive_or_end(CHUNK)
        if not data:
            raise ConnectionClosedError("the answer was cut short") if begun else ClosedBeforeResponse("no answer came")
        return data

    async def _receive_or_end(self, count: int) -> bytes:
        while True:
            try:
                data = self._socket.recv(count)
            except WOULD_BLOCK:
                if self._channel.hung:
                    return b""
            except (ConnectionResetError, ssl.SSLError):
                return b""
            else:
                self._channel.limit += len(data) * self._seconds_a_byte
                if self._bandwidth is not None:
                    await self._bandwidth.take(len(data))
                return data
            await self._loop.wait(self._channel, self.timeout)

    async def _read_length(self, length: int, collected: list[bytes], sink: Sink | None) -> int:
        left = length
        if sink is None and length > _BODY_LIMIT:
            raise BrokenResponse
        while left:
            data = self._data or await self._receive()
            self._data = data[left:]
            if len(data) > left:
                data = data[:left]
            left -= len(data)
            _deliver(data, collected, sink)
        return length

    async def _read_to_the_end(self, collected: list[bytes], sink: Sink | None) -> int:
        self.usable = False
        if sink is not None:
            # Nobody could tell whether such a body is whole.
            raise BrokenResponse
        received = 0
        data, self._data = self._data, b""
        while True:
            received += len(data)
            if received > _BODY_LIMIT:
                raise BrokenResponse
            collected.append(data)
            data = await self._receive_or_end(CHUNK)
            if not data:
                return received

    async def _read_chunks(self, collected: list[bytes], sink: Sink | None) -> int:
        received = 0
        while True:
            size = chunk_size(await self._read_line())
            if not size:
                break
            received += await self._read_length(size, collected, sink)
            if await self._read_line() or (sink is None and received > _BODY_LIMIT):
                raise BrokenResponse
        while await self._read_line():  # trailing headers
            pass
        return received

    async def _read_line(self) -> bytes:
        while True:
            line, end, rest = self._data.partition(b"\r\n")
            if end:
                self._data = rest
                return line
            if len(self._data) > _HEAD_LIMIT:
                raise BrokenResponse
            self._data += await self._receive()


def _deliver(data: bytes, collected: list[bytes], sink: Sink | None) -> None:
    if sink is None:
        collected.append(data)
    else:
        sink(memoryview(data))
