# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names to addresses, asked for on a thread and kept for a while."""

from __future__ import annotations

import socket
import time
from typing import Any, NamedTuple

from .faults import EndpointConnectionError
from .loop import Loop

_KEPT_SECONDS = 60.0


class Place(NamedTuple):
    """What socket.socket() and connect() take."""

    family: int
    address: Any


class Resolver:
    """Gives a name's addresses, each time beginning with another one, so that connections spread over them."""

    def __init__(self, loop: Loop, host: str, port: int) -> None:
        self._loop = loop
        self._host = host
        self._port = port
        self._places: list[Place] = []
        self._expires = float("-inf")
        self._turn = 0

    async def places(self) -> list[Place]:
        """At least one. Raises EndpointConnectionError where the name does not resolve."""
        if time.monotonic() >= self._expires:
            try:
                self._places = await self._loop.in_thread(_look_up, self._host, self._port)
            except (OSError, UnicodeError) as error:
                # An answer that is old is better than none.
                if not self._places:
                    raise EndpointConnectionError(f"the name does not resolve: {error}") from error
            self._expires = time.monotonic() + _KEPT_SECONDS
        self._turn = (self._turn + 1) % len(self._places)
        return self._places[self._turn :] + self._places[: self._turn]


def _look_up(host: str, port: int) -> list[Place]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Place(info[0], info[4]) for info in found))
