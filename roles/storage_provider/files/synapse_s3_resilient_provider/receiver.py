# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receiver of a download: a consumer of Synapse, and the socket of its client where it has one."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.tcp import Connection
from twisted.web.http import HTTPChannel, Request


class Receiver:
    """Used by the reactor's thread alone."""

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        # Of a multipart response of federation it is behind Synapse's own consumer.
        self._request = getattr(consumer, "wrapped_consumer", consumer)
        self._began = False
        self.takes_headers_alone = getattr(self._request, "method", b"") == b"HEAD"

    def write(self, chunk: bytes) -> None:
        """By Synapse's consumer, which writes its headers before the first bytes."""
        self.consumer.write(chunk)
        self._began = True

    def socket(self) -> socket.socket | None:
        """A duplicate of the client's socket, which a thread may write to and has to close.

        Being a duplicate, it never becomes another client's when Synapse closes the connection. None where anything
        waits to be written, or where what is written differs from what is sent, as with TLS.
        """
        request = self._request
        if not self._began or not isinstance(request, Request) or request.chunked or self.takes_headers_alone:
            return None
        channel = request.channel
        transport: Any = channel.transport if isinstance(channel, HTTPChannel) else None
        usable = (
            isinstance(transport, Connection)
            and not getattr(transport, "TLS", False)
            and transport.connected
            and not transport.disconnecting
            # Twisted's own; where another release has not got them, nobody can tell what waits.
            and getattr(transport, "dataBuffer", None) == b""
            and getattr(transport, "_tempDataLen", None) == 0
        )
        if not usable:
            return None
        try:
            duplicate: socket.socket = transport.socket.dup()
        except OSError:
            # Too many open files, for one: the reactor can write all the same.
            return None
        return duplicate

    def sent(self, count: int) -> None:
        """So many bytes went into the socket; Synapse logs how many a response had."""
        if count:
            self._request.sentLength += count

    def announced_length(self) -> int | None:
        """The Content-Length of Synapse's response; None where there is none, or where the object is a part of it."""
        headers = getattr(self.consumer, "responseHeaders", None)
        values = headers.getRawHeaders(b"content-length") if headers is not None else None
        return int(values[0]) if values else None

    def cut(self) -> None:
        """Make it see that the download broke off: a client would wait for the rest of the announced length."""
        transport = getattr(self._request, "transport", None)
        abort: Callable[[], None] | None = getattr(transport, "abortConnection", None)
        if abort is not None:
            abort()
        self.remove_part()

    def remove_part(self) -> None:
        """Remove a file that Synapse was writing this download into, to make a thumbnail of it.

        Synapse would leave it as it is, and from then on serve the part in place of the whole object.
        """
        name = getattr(getattr(self.consumer, "_file_obj", None), "name", None)
        if isinstance(name, str):
            with contextlib.suppress(OSError):
                Path(name).unlink()


def send(client: socket.socket, chunk: memoryview, patience: float) -> memoryview:
    """The rest that a client did not take, having been waited for so many seconds at a time. In a thread."""
    writable = select.poll()
    writable.register(client, select.POLLOUT)
    while chunk:
        try:
            chunk = chunk[client.send(chunk) :]
        except BlockingIOError:
            if not patience or not writable.poll(patience * 1000):
                break
        except OSError:
            # The connection is lost, which Synapse learns by itself.
            break
    return chunk
