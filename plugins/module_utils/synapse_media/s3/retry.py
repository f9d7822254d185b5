# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides when a request is retried, when it has failed, and when the run ends."""

from __future__ import annotations

import datetime
import email.utils
import enum
import random
import time
from collections.abc import Iterable

from ..event_loop.loop import Loop
from ..event_loop.semaphore import Semaphore
from .operations import LIST, Operation
from .transport.errors import RetryableError

FIRST_DELAY = 0.1
LONGEST_DELAY = 20.0
# Seconds without one success of an operation after which the run ends.
PATIENCE = 600.0
# Seconds without one success of an operation after which the only object that is left to be tried has failed: no other
# one can show whether the store throttles or refuses this object.
PATIENCE_WITH_ONE_OBJECT = 120.0
# Seconds that a store may ask to be left alone for; one that asks for more is asked again after these.
LONGEST_RETRY_AFTER = 60.0
# Objects in a row that an operation fails for, with no success of it in between, that are their own failures. With
# one more the run ends: it is not the objects.
MOST_IN_A_ROW = 20
# The same for what looks like a setting that was sent with each of them.
MOST_OF_A_SETTING = 5
# Seconds without an error, longer than any attempt lasts, after which earlier errors no longer count.
_QUIET = 400.0
# As soon as so many requests of an operation are failing side by side, no more than these are tried at a time.
_RESTRICTED_TO = 8
# A throttled request fails once the store has, since then, done this many times as many others as it has throttled.
_SERVED_OTHERS = 4
_NO_LIMIT = 1 << 30


class Decision(enum.Enum):
    """What is done about an error."""

    RETRY = enum.auto()
    # This request has failed, and others go on.
    FAIL_REQUEST = enum.auto()
    # The run ends.
    END_RUN = enum.auto()


class OperationHistory:
    """How one operation has fared. Its errors count from its last success on."""

    __slots__ = (
        "failed",
        "failing",
        "gate",
        "last",
        "of_settings",
        "requests",
        "restricted",
        "seen",
        "since",
        "successes",
        "throttles",
    )

    def __init__(self, loop: Loop) -> None:
        # The only field that a successful request writes; the others are brought up to date with the next error.
        self.successes = 0
        self.seen = 0
        self.throttles = 0
        self.since = 0.0
        self.last = float("-inf")
        self.requests = 0
        # Keys: of all errors, of requests that were given up, and of those that were for a setting.
        self.failing: set[str] = set()
        self.failed: set[str] = set()
        self.of_settings: set[str] = set()
        # While nothing works only a few requests are retried, so that a store in trouble is not flooded.
        self.restricted = False
        self.gate = Semaphore(loop, _NO_LIMIT)

    def note(self, key: str, now: float, *, first: bool) -> None:
        """Counts an error, which is the first of its request or not."""
        if self.successes != self.seen or now - self.last > _QUIET:
            self.seen = self.successes
            self.since = now
            self.requests = 0
            self.failing.clear()
            self.failed.clear()
            self.of_settings.clear()
        self.last = now
        self.requests += first
        self.failing.add(key)

    def restrict(self) -> None:
        self.restricted = True
        self.gate.allow(_RESTRICTED_TO)

    def lift_restriction(self) -> None:
        self.restricted = False
        self.gate.allow(_NO_LIMIT)


class RequestErrors:
    """The errors of one request, over all its attempts."""

    __slots__ = ("attempts", "began", "successes", "throttled", "throttles")

    def __init__(self, history: OperationHistory) -> None:
        self.attempts = 0
        self.throttled = 0
        self.began = time.monotonic()
        # Of the whole operation, when this began.
        self.successes = history.successes
        self.throttles = history.throttles


class Retries:
    """The errors of a whole run, so that a store that is gone ends it in bounded time. ``patience`` in seconds."""

    def __init__(self, loop: Loop, operations: Iterable[Operation], patience: float = PATIENCE) -> None:
        self._patience = patience
        self._histories = {operation: OperationHistory(loop) for operation in operations}
        self._unreachable = OperationHistory(loop)

    def history(self, operation: Operation) -> OperationHistory:
        return self._histories[operation]

    def judge(self, failure: RetryableError, errors: RequestErrors, operation: Operation, key: str) -> Decision:
        """What this error of a request means for it and for the run."""
        if failure.throttled:
            errors.throttled += 1
        else:
            errors.attempts += 1
        if failure.own:
            return Decision.FAIL_REQUEST if errors.attempts >= failure.attempts else Decision.RETRY
        now = time.monotonic()
        first = errors.attempts + errors.throttled == 1
        if failure.unreachable:
            return self._judge_unreachable(failure, errors, key, now)
        history = self._histories[operation]
        history.note(key, now, first=first)
        if failure.throttled:
            history.throttles += 1
        if failure.attempts > 1 and not history.restricted and history.requests >= _RESTRICTED_TO:
            history.restrict()
        # One object alone is no reason to give up all others.
        if now - history.since >= self._patience and len(history.failing) > 1:
            return Decision.END_RUN
        if not self._is_spent(failure, errors, history, now):
            return Decision.RETRY
        if operation is LIST and not self._successes():
            return Decision.END_RUN
        history.failed.add(key)
        if failure.of_setting and not operation.reads:
            history.of_settings.add(key)
        if len(history.failed) > MOST_IN_A_ROW or len(history.of_settings) > MOST_OF_A_SETTING:
            return Decision.END_RUN
        return Decision.FAIL_REQUEST

    def _judge_unreachable(self, failure: RetryableError, errors: RequestErrors, key: str, now: float) -> Decision:
        """For a store that cannot be reached at all. One that was reached before is waited for, within the patience."""
        way = self._unreachable
        way.successes = self._successes()
        way.note(key, now, first=False)
        if now - way.since >= self._patience or (not way.successes and errors.attempts >= failure.attempts):
            return Decision.END_RUN
        return Decision.RETRY

    def _is_spent(self, failure: RetryableError, errors: RequestErrors, history: OperationHistory, now: float) -> bool:
        if not failure.throttled:
            return errors.attempts >= failure.attempts
        if now - errors.began >= self._patience:
            return True
        if len(history.failing) == 1 and now - history.since >= PATIENCE_WITH_ONE_OBJECT:
            return True
        # A store that serves all others refuses this object, whatever it calls that.
        served = history.successes - errors.successes
        throttles = history.throttles - errors.throttles
        return errors.throttled >= failure.attempts and served >= _SERVED_OTHERS * throttles

    def _successes(self) -> int:
        return sum(history.successes for history in self._histories.values())

    @staticmethod
    def delay(attempts: int) -> float:
        """Seconds until the next attempt: doubling, with full jitter, so that requests do not come back in step."""
        return random.uniform(0.0, min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempts - 1, 16)))  # noqa: S311


def retry_after(value: str | None) -> float:
    """The seconds that a Retry-After header asks for, between 0 and LONGEST_RETRY_AFTER; 0 for one without meaning."""
    text = (value or "").strip()
    if not text:
        return 0.0
    if text.isascii() and text.isdigit():
        # Not of any length: converting a million digits takes long.
        return min(LONGEST_RETRY_AFTER, float(text[:9]))
    try:
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.timezone.utc)
        seconds = (moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(LONGEST_RETRY_AFTER, max(0.0, seconds))
