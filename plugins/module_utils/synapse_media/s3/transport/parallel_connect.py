# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connects to several addresses side by side and keeps what is connected first, as RFC 8305 says."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

from ...event_loop.loop import Loop, Task, suspend
from .descriptors import NoDescriptorLeft
from .reader import Link
from .resolver import Place

# Seconds after which the next address is tried beside those that have not answered.
ATTEMPT_DELAY = 0.25
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class Connected(NamedTuple):
    """What was connected first."""

    link: Link
    family: int


class ParallelConnect:
    """One connection. ``timeout`` in seconds, for each address."""

    def __init__(self, loop: Loop, places: Sequence[Place], timeout: float) -> None:
        self._loop = loop
        self._waiting = list(reversed(places))
        self._timeout = timeout
        self._under_way: list[Link] = []
        self._running = 0
        self._runner: Task[None] | None = None
        self._connected: Connected | None = None
        self._error: OSError | None = None
        self._over = False

    async def run(self) -> Connected:
        """Raises the error of the last address, TimeoutError included, or NoDescriptorLeft."""
        try:
            while self._connected is None and (self._waiting or self._running):
                if self._waiting:
                    self._running += 1
                    self._loop.start(self._try(self._waiting.pop()))
                    if self._waiting:
                        self._loop.start(self._start_next_later(len(self._waiting)))
                self._runner = self._loop.current
                await suspend()
        except BaseException:
            if self._connected is not None:
                drop(self._loop, self._connected.link)
            raise
        finally:
            self._over = True
            for link in self._under_way:
                self._loop.end_wait(link.channel)
        if self._connected is None:
            if self._error is not None and self._error.errno in _NO_DESCRIPTOR:
                raise NoDescriptorLeft from self._error
            raise self._error or OSError(errno.EADDRNOTAVAIL, "it has no address")
        return self._connected

    def _wake(self) -> None:
        # Exactly once for each time that it waits.
        runner, self._runner = self._runner, None
        if runner is not None:
            self._loop.resume(runner)

    async def _start_next_later(self, waiting: int) -> None:
        await self._loop.sleep(ATTEMPT_DELAY)
        if not self._over and len(self._waiting) == waiting:
            self._wake()

    async def _try(self, place: Place) -> None:
        try:
            link = await self._connect(place)
        except OSError as error:
            # Not of those that were only told to stop.
            if not self._over:
                self._error = error
        else:
            if self._over or self._connected is not None:
                drop(self._loop, link)
            else:
                self._connected = Connected(link, place.family)
        finally:
            self._running -= 1
        self._wake()

    async def _connect(self, place: Place) -> Link:
        plain = socket.socket(place.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            error = plain.connect_ex(place.address)
        except BaseException:
            plain.close()
            raise
        # Watched from here on only: a socket that has not begun to connect counts as hung up.
        link = Link(plain, self._loop.watch(plain.fileno()))
        self._under_way.append(link)
        try:
            if error == errno.EINPROGRESS:
                await self._loop.wait(link.channel, self._timeout)
                error = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except BaseException:
            drop(self._loop, link)
            raise
        finally:
            self._under_way.remove(link)
        if error:
            drop(self._loop, link)
            raise OSError(error, os.strerror(error))
        return link


def drop(loop: Loop, link: Link) -> None:
    """Closes a connection that nobody uses."""
    loop.unwatch(link.channel)
    link.socket.close()
