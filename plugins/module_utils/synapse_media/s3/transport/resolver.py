# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolves names to addresses in a thread, and keeps them for a minute."""

from __future__ import annotations

import itertools
import socket
import time
from typing import Any, NamedTuple

from ...event_loop.loop import Loop
from .errors import EndpointConnectionError

_KEPT_SECONDS = 60.0


class SocketAddress(NamedTuple):
    """What socket.socket() and connect() take."""

    family: int
    address: Any


class Resolver:
    """Gives a name's addresses, each time beginning with another one, so that connections spread over them.

    The families take turns, so that one which does not work leaves the other close to the front.
    """

    def __init__(self, loop: Loop, host: str, port: int) -> None:
        self._loop = loop
        self._host = host
        self._port = port
        # By family, the system's first choice first.
        self._families: dict[int, list[SocketAddress]] = {}
        self._preferred = 0
        self._expires = float("-inf")
        self._turn = 0

    async def addresses(self) -> list[SocketAddress]:
        """At least one. Raises EndpointConnectionError if the name does not resolve."""
        if time.monotonic() >= self._expires:
            try:
                self._families = await self._loop.in_thread(_look_up, self._host, self._port)
            except (OSError, UnicodeError) as error:
                # An old address is better than none.
                if not self._families:
                    raise EndpointConnectionError(f"the name does not resolve: {error}") from error
            self._expires = time.monotonic() + _KEPT_SECONDS
        self._turn += 1
        turned = [self._turned(addresses) for addresses in self._by_preference()]
        if len(turned) == 1:
            return turned[0]
        return [address for row in itertools.zip_longest(*turned) for address in row if address is not None]

    def prefer(self, family: int) -> None:
        """Addresses of this family work: from now on they come first."""
        self._preferred = family

    def _by_preference(self) -> list[list[SocketAddress]]:
        first = self._families.get(self._preferred)
        if first is None:
            return list(self._families.values())
        return [first, *(addresses for family, addresses in self._families.items() if family != self._preferred)]

    def _turned(self, addresses: list[SocketAddress]) -> list[SocketAddress]:
        turn = self._turn % len(addresses)
        return addresses[turn:] + addresses[:turn]


def _look_up(host: str, port: int) -> dict[int, list[SocketAddress]]:
    families: dict[int, list[SocketAddress]] = {}
    for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        address = SocketAddress(info[0], info[4])
        addresses = families.setdefault(address.family, [])
        if address not in addresses:
            addresses.append(address)
    return families
