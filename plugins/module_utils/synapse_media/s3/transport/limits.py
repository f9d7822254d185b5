# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of this host: open files, and a bandwidth that the operator has set."""

from __future__ import annotations

import contextlib
import resource
import time

from ...event_loop.loop import Loop

# Bytes that are taken at a time from a long body, so that no connection waits long for the others.
STEP = 64 * 1024
# No request in flight is to get less than this, in bytes a second: stores give up on bodies that trickle.
SHARE = 16 * 1024
_BURST_SECONDS = 0.05


class Bandwidth:
    """``limit`` is in bytes a second."""

    def __init__(self, loop: Loop, limit: int) -> None:
        self._loop = loop
        self._limit = limit
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Returns when ``count`` more bytes may pass; those who come first are served first."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now - _BURST_SECONDS) + count / self._limit
        if self._free_at > now:
            await self._loop.sleep(self._free_at - now)


# For the files that are read, the database, locks and libraries.
_OTHERS = 512
# Seconds that a request waits for a descriptor, while the others of this process may be given back.
PATIENCE_WITHOUT = 60.0


class NoDescriptorLeft(Exception):
    """This process, or this host, may open no more files. It says nothing about the store."""


def allow_descriptors(connections: int) -> int:
    """How many of these connections there is room for, at least 1.

    Raises the soft limit of this process as far as its hard limit lets it; never lowers it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHERS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        return connections
    # If there are few, half of them is for everything else.
    return min(connections, max(1, soft - min(_OTHERS, soft // 2)))


def left_beside(connections: int) -> int:
    """How many files this process may have open beside these connections, those it has open already included."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _OTHERS if soft == resource.RLIM_INFINITY else max(0, soft - connections)


def too_few(connections: int, wanted: int) -> str:
    """The warning that there is room for fewer connections than were wanted."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    room = f"{connections} of {wanted} connections to the store are used"
    if not connections:
        room = "there is none left for a connection to the store"
    return (
        f"This process may have {limit} files open, so {room}. "
        "Raise LimitNOFILE of the systemd unit or the hard limit of the shell (ulimit -Hn), or lower the concurrency."
    )
