# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many requests may be in flight: fewer for a while when the store asks for it."""

from __future__ import annotations

import time

from .loop import Loop, Semaphore

# A burst of SlowDown answers to requests that were under way together counts once.
_ONE_BURST = 1.0


class Slots(Semaphore):
    """At most ``count`` requests at a time. SlowDown halves that; it grows back with what succeeds."""

    def __init__(self, loop: Loop, count: int) -> None:
        super().__init__(loop, count)
        self._count = count
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
        self._successes = 0

    def succeeded(self) -> None:
        if self._allowed == self._count:
            return
        self._successes += 1
        if self._successes >= self._allowed:
            self._successes = 0
            self._allowed = min(self._count, self._allowed + max(1, self._count // 16))
