# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls to the database in a thread of their own, so that a caller can stop waiting while the database is silent."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..errors import MediaError

R = TypeVar("R")


class _Outcome(NamedTuple):
    result: Any
    error: BaseException | None


class _Call(NamedTuple):
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    answer: queue.SimpleQueue[_Outcome]


class DatabaseThread:
    """Makes one call after the other, each for the thread that asked for it.

    A database driver waits in C, where no Python signal handler runs. Here the caller waits in Python instead, so that
    the exception of a signal handler reaches it at once. The thread is a daemon: one that is still in the driver when
    the process ends does not keep it.
    """

    def __init__(self, interrupt: Callable[[], None]) -> None:
        """`interrupt` ends the call that is being made and makes later ones fail; it must not block."""
        self._interrupt = interrupt
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._waiting: set[queue.SimpleQueue[_Outcome]] = set()
        self._cancelled = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """The function's result, or its error; MediaError once cancel() was called."""
        self._start()
        answer: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        # Before the flag is read: cancel() sets the flag before it looks for who waits.
        self._waiting.add(answer)
        try:
            if self._cancelled:
                answer.put(_Outcome(None, _cancelled()))
            else:
                self._calls.put(_Call(function, arguments, answer))
            outcome = answer.get()
        except BaseException:
            # Most likely a signal: nobody will take the result.
            self.cancel()
            raise
        finally:
            self._waiting.discard(answer)
        if outcome.error is not None:
            raise outcome.error
        result: R = outcome.result
        return result

    def cancel(self) -> None:
        """Ends the wait of all callers, and interrupts the current call. Safe from a signal handler."""
        self._cancelled = True
        for answer in list(self._waiting):
            answer.put(_Outcome(None, _cancelled()))
        with contextlib.suppress(Exception):
            self._interrupt()

    def close(self, function: Callable[[], None], within: float) -> None:
        """Calls the function last, and waits for it at most `within` seconds."""
        if self._thread is None:
            return
        answer: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        self._calls.put(_Call(function, (), answer))
        self._calls.put(None)
        with contextlib.suppress(queue.Empty):
            answer.get(timeout=within)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="database", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            if call is None:
                return
            try:
                outcome = _Outcome(call.function(*call.arguments), None)
            except BaseException as error:
                outcome = _Outcome(None, error)
            call.answer.put(outcome)
            # Not kept until the next call, which may be long in coming.
            del call, outcome


def _cancelled() -> MediaError:
    return MediaError("The look-up in Synapse's database was cancelled, because the run ends. Run this again.")
