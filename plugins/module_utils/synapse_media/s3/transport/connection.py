# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection to the store, which carries one request at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple, Union

from ...errors import RequestFailed
from ...event_loop.loop import Loop
from .errors import ConnectionClosedError, ReadTimeoutError, ResponseParserError
from .limits import STEP, Bandwidth
from .response import CHUNK, WOULD_BLOCK, BrokenResponse, Link, Reader, Response, Sink


class FilePart(NamedTuple):
    """``length`` bytes of an open file, starting at ``offset``."""

    descriptor: int
    offset: int
    length: int


Body = Union[bytes, FilePart]


class Connection(Reader):
    """Its owner must close it when it is no longer ``usable``."""

    def __init__(self, loop: Loop, link: Link, bandwidth: Bandwidth | None, slowest: float) -> None:
        super().__init__(loop, link, bandwidth, slowest)
        self._is_tls = isinstance(link.socket, ssl.SSLSocket)
        self._closed = False
        self.used = False

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.usable = False
            self._loop.unwatch(self._channel)
            self._socket.close()

    def is_alive(self) -> bool:
        """Return whether this idle connection is still open, as far as is known without a request."""
        channel = self._channel
        if channel.hung:
            return False
        if channel.events:
            channel.events = 0
            try:
                # After unexpected bytes it cannot be used either.
                self._socket.recv(1)
            except WOULD_BLOCK:
                return True
            except OSError:
                return False
            return False
        return True

    async def exchange(self, head: bytes, body: Body, is_head: bool, make_sink: Callable[[], Sink] | None) -> Response:
        """Sends a request and reads its whole response. Raises RetryableError, or RequestFailed if the file ends early.

        The body of a response with a status of 2xx goes to a new sink; every other body is in the response.
        """
        complete = False
        try:
            self._channel.limit = self._loop.now + self.timeout
            sent = await self._send(head, body)
            # Set again: what a long body has added to the limit must not become time for the response.
            self._channel.limit = self._loop.now + self.timeout
            response = await self._read_response(is_head, make_sink)
            if not sent:
                self.usable = False
                if response.status < 300:
                    raise ConnectionClosedError("the store responded before it had the whole request")
            complete = True
        except TimeoutError as error:
            raise ReadTimeoutError from error
        except BrokenResponse as error:
            raise ResponseParserError("the response is not HTTP") from error
        except OSError as error:
            raise ConnectionClosedError(str(error)) from error
        finally:
            # Also if the task is closed before the end: the rest of this response must not be read as the next one.
            self.used = True
            if not complete:
                self.usable = False
        return response

    async def _send(self, head: bytes, body: Body) -> bool:
        """Return False if the store responded or closed the connection before it had received everything."""
        try:
            if isinstance(body, bytes):
                return await self._send_bytes(head, body)
            if not await self._send_view(memoryview(head), socket.MSG_MORE):
                return False
            return await self._send_file(body)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError, ssl.SSLEOFError):
            # It may have sent the reason before it closed the connection.
            return False

    async def _send_bytes(self, head: bytes, body: bytes) -> bool:
        first = body
        if self._bandwidth is not None or self._is_tls:
            first = body[:STEP]
            if self._bandwidth is not None:
                await self._bandwidth.take(len(head) + len(first))
        sent = 0
        if self._is_tls:
            # One TLS record for both: a second one would double the cost for the store.
            head, first = head + first, b""
        else:
            with contextlib.suppress(BlockingIOError):
                sent = self._socket.sendmsg((head, first))
            if sent == len(head) + len(body):
                return True
        if not await self._send_view(memoryview(head)[sent:], 0):
            return False
        if not await self._send_view(memoryview(first)[max(0, sent - len(head)) :], 0):
            return False
        return await self._send_steps(memoryview(body)[STEP:]) if first is not body else True

    async def _send_steps(self, view: memoryview) -> bool:
        for start in range(0, len(view), STEP):
            step = view[start : start + STEP]
            if self._bandwidth is not None:
                await self._bandwidth.take(len(step))
            if not await self._send_view(step, 0):
                return False
        return True

    async def _send_view(self, view: memoryview, flags: int) -> bool:
        while view:
            try:
                sent = self._socket.send(view, 0 if self._is_tls else flags)
            except WOULD_BLOCK:
                if not await self._wait_to_send():
                    return False
            else:
                view = view[sent:]
                self._channel.limit += sent * self._seconds_a_byte
        return True

    async def _send_file(self, part: FilePart) -> bool:
        if self._is_tls:
            return await self._send_file_copied(part)
        offset, left = part.offset, part.length
        while left:
            step = left
            if self._bandwidth is not None:
                step = min(left, STEP)
                await self._bandwidth.take(step)
            while step:
                try:
                    sent = os.sendfile(self._socket.fileno(), part.descriptor, offset, step)
                except BlockingIOError:
                    if not await self._wait_to_send():
                        return False
                    continue
                except OSError as error:
                    _raise_if_of_disk(error)
                    raise
                if not sent:
                    raise _file_ended()
                self._channel.limit += sent * self._seconds_a_byte
                offset += sent
                left -= sent
                step -= sent
        return True

    async def _send_file_copied(self, part: FilePart) -> bool:
        offset, end = part.offset, part.offset + part.length
        while offset < end:
            try:
                data = os.pread(part.descriptor, min(STEP, end - offset), offset)
            except OSError as error:
                _raise_if_of_disk(error)
                raise
            if not data:
                raise _file_ended()
            if not await self._send_steps(memoryview(data)):
                return False
            offset += len(data)
        return True

    async def _wait_to_send(self) -> bool:
        """Wait until more can be sent; return False if the store responds or has closed the connection."""
        await self._loop.wait(self._channel, self.timeout)
        if self._channel.hung:
            return False
        try:
            self._data += self._socket.recv(CHUNK)
        except WOULD_BLOCK:
            return True
        return False


def _raise_if_of_disk(error: OSError) -> None:
    # Errors of the socket are retried; a disk that cannot be read is no error of the store.
    if error.errno in (errno.EIO, errno.ESTALE, errno.EBADF):
        raise RequestFailed(f"The file cannot be read ({error.strerror}). Check the disk.", "FileUnreadable")


def _file_ended() -> RequestFailed:
    return RequestFailed(
        "The file became shorter while it was uploaded. It stays on disk; run this again when no program writes to it.",
        "FileEnded",
    )
