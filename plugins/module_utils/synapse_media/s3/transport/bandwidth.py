# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cap on the bytes a second, over all connections and both ways."""

from __future__ import annotations

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
