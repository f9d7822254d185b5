# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A circuit breaker: after repeated failures nothing is asked of the store for some seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .metrics import CIRCUIT_OPEN

logger = logging.getLogger("synapse.s3")

# Different objects that have to fail before the store counts as away.
_OBJECTS = 2


class Circuit:
    """Closed while requests succeed. Opens after `failures` in a row for `seconds`; then one request is let through.

    Its success closes the circuit, its failure opens it for as long again. Failures of a single object do not open it:
    one that the store cannot deliver, asked for again and again, would make all others unreachable. Used by the
    reactor's thread alone.
    """

    def __init__(
        self, operation: str, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._operation = operation
        self._failures = failures
        self._seconds = seconds
        self._clock = clock
        self._in_a_row = 0
        # The first objects that failed in a row: no more than are needed to tell that it is not one alone.
        self._failed: set[str] = set()
        # When the next request may pass; None while the circuit is closed.
        self._opens_at: float | None = None
        self._gauge = CIRCUIT_OPEN.labels(operation)
        self._gauge.set(0)

    def refuses(self) -> bool:
        """Whether a request must fail at once; where it need not, its outcome has to be told."""
        if self._opens_at is None:
            return False
        if self._clock() < self._opens_at:
            return True
        # One request passes. Should its outcome never be told, another one does after the same time.
        self._opens_at = self._clock() + self._seconds
        return False

    def succeeded(self) -> None:
        """The store has answered, be it with a refusal."""
        self._in_a_row = 0
        self._failed.clear()
        if self._opens_at is not None:
            self._opens_at = None
            self._gauge.set(0)
            logger.info("S3 answers again: %s requests are sent to it again", self._operation)

    def failed(self, key: str) -> None:
        """The store did not answer for this object, or answered that it cannot work."""
        self._in_a_row += 1
        if len(self._failed) < _OBJECTS:
            self._failed.add(key)
        if self._opens_at is not None:
            self._opens_at = self._clock() + self._seconds
        elif self._in_a_row >= self._failures and len(self._failed) >= min(_OBJECTS, self._failures):
            self._opens_at = self._clock() + self._seconds
            self._gauge.set(1)
            logger.error(
                "S3 failed %d times in a row: %s requests fail at once for %g seconds, then one of them is tried",
                self._in_a_row,
                self._operation,
                self._seconds,
            )
