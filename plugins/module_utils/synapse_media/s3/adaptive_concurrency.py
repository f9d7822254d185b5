# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many requests may be in flight: fewer after SlowDown, none during a Retry-After."""

from __future__ import annotations

import random
import time

from ..event_loop.loop import Loop
from ..event_loop.semaphore import Semaphore

# A burst of SlowDown responses to requests that were under way together counts once.
_ONE_BURST = 1.0
# Of a pause, by which requests come back one after the other.
_SPREAD = 0.1


class AdaptiveConcurrency(Semaphore):
    """At most ``count`` requests at a time. SlowDown halves that; it grows back with what succeeds."""

    def __init__(self, loop: Loop, count: int) -> None:
        super().__init__(loop, count)
        self.count = count
        # Whether succeeded() has anything to do.
        self.reduced = False
        # Whether each request has to await paused() before it is sent.
        self.pausing = False
        self._paused_until = 0.0
        self._successes = 0
        self._halved_at = float("-inf")

    @property
    def allowed(self) -> int:
        return self._allowed

    def slow_down(self) -> None:
        now = time.monotonic()
        if now - self._halved_at >= _ONE_BURST:
            self._halved_at = now
            self._allowed = max(1, self._allowed // 2)
            self.reduced = self._allowed < self.count
        self._successes = 0

    def succeeded(self) -> None:
        self._successes += 1
        if self._successes >= self._allowed:
            self._successes = 0
            self.allow(min(self.count, self._allowed + max(1, self.count // 16)))
            self.reduced = self._allowed < self.count

    def pause(self, seconds: float) -> None:
        """No request begins for so long."""
        until = time.monotonic() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self.pausing = True

    async def paused(self) -> None:
        """Returns when the pause is over."""
        while True:
            left = self._paused_until - time.monotonic()
            if left <= 0:
                self.pausing = False
                return
            await self._loop.sleep(left * (1 + random.uniform(0.0, _SPREAD)))  # noqa: S311

    def keep_to(self, count: int) -> None:
        """Lowers the limit for good, but not below one: this host gives no more connections."""
        self.count = max(1, min(self.count, count))
        self._allowed = min(self._allowed, self.count)
        self.reduced = self._allowed < self.count
