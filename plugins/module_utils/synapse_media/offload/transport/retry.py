# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a request is tried again, and when the store is given up."""

from __future__ import annotations

import random
import time

from .faults import Fault

FIRST_DELAY = 0.1
LONGEST_DELAY = 20.0
# Seconds without one success after which the run ends.
PATIENCE = 600.0
# Seconds without a fault, longer than any attempt lasts, after which nothing was asked for in between.
_QUIET = 400.0


class Retries:
    """The faults of a whole run, so that a store that is gone ends it in bounded time."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._ever_succeeded = False
        self._failing_since: float | None = None
        self._last_fault = 0.0

    def succeeded(self) -> None:
        self._ever_succeeded = True
        self._failing_since = None

    def is_store_lost(self, fault: Fault, attempts: int) -> bool:
        """Whether the run must end: nothing has worked for long, or nothing ever has and this request is spent."""
        now = time.monotonic()
        if self._failing_since is None or now - self._last_fault > _QUIET:
            self._failing_since = now
        self._last_fault = now
        if now - self._failing_since >= self._patience:
            return True
        return not self._ever_succeeded and attempts >= fault.attempts

    def is_spent(self, fault: Fault, attempts: int) -> bool:
        """Whether this request is given up. A store that was there and is gone is waited for, within the patience."""
        return attempts >= fault.attempts and not fault.unreachable

    @staticmethod
    def delay(attempts: int) -> float:
        """Seconds until the next attempt: doubling, with full jitter, so that requests do not come back in step."""
        return random.uniform(0.0, min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempts - 1, 16)))  # noqa: S311
