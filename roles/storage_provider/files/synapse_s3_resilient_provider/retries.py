# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies that failed and that no request waits for: tried again a bounded number of times."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from synapse.logging.context import PreserveLoggingContext
from twisted.internet import defer

from .errors import problem_of
from .metrics import ERRORS, STORE_RETRIES, STORE_RETRIES_PENDING, STORES
from .settings import Settings

logger = logging.getLogger("synapse.s3")

# Each delay is this many times the one before, up to the longest (seconds).
_GROWTH = 4.0
_LONGEST = 600.0
# Files that wait at most, so that a long outage does not fill the memory; the migrate job copies the others.
_MOST_PENDING = 10000


class Retries:
    """They do not outlive Synapse: a file that was not copied stays on the disk, and the migrate job copies it."""

    def __init__(self, reactor: Any, settings: Settings, store: Callable[[str], defer.Deferred[None]]) -> None:
        self._reactor = reactor
        self._settings = settings
        self._store = store
        self._pending = 0

    def take(self, path: str) -> bool:
        """Try this file again later; False where that is turned off, or too many wait."""
        if self._settings.store_retries == 0 or self._pending >= _MOST_PENDING:
            return False
        self._pending += 1
        STORE_RETRIES_PENDING.inc()
        # Outside of the request that the file came with, which has ended by then.
        with PreserveLoggingContext():
            self._wait(path, 1)
        return True

    def _wait(self, path: str, number: int) -> None:
        delay = min(self._settings.store_retry_delay * _GROWTH ** (number - 1), _LONGEST)
        logger.warning("%s is copied to S3 again in %g s (%d of %d)", path, delay, number, self._settings.store_retries)
        self._reactor.callLater(delay, self._try, path, number)

    def _try(self, path: str, number: int) -> None:
        STORE_RETRIES.inc()
        stored = self._store(path)
        stored.addCallbacks(lambda dummy: self._succeeded(path), lambda failure: self._failed(path, number, failure))

    def _succeeded(self, path: str) -> None:
        self._end()
        logger.info("%s is in S3 now", path)

    def _failed(self, path: str, number: int, failure: Any) -> None:
        problem = problem_of(failure.value, self._settings.secrets())
        ERRORS.labels("store", problem.reason).inc()
        if problem.reason == "no_file":
            self._end()
            logger.info("%s is no longer on the disk, and is not copied to S3", path)
        elif number < self._settings.store_retries:
            self._wait(path, number + 1)
        else:
            self._end()
            STORES.labels("given_up").inc()
            logger.error(
                "%s was not copied to S3 in %d attempts and stays on the disk, until the migrate job copies it: %s",
                path,
                number + 1,
                problem.words,
            )

    def _end(self) -> None:
        self._pending -= 1
        STORE_RETRIES_PENDING.dec()
