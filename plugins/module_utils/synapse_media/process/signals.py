# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals that ask a run to stop. The first one raises or calls a function; once the work has ended none does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_Handler = Callable[[int, "FrameType | None"], None]

# What whoever started this process has asked to leave alone: `nohup` the one, a shell's background job the other.
_MAY_BE_IGNORED = (signal.SIGHUP, signal.SIGINT)
_IGNORED = tuple(number for number in _MAY_BE_IGNORED if signal.getsignal(number) is signal.SIG_IGN)
STOPPING = tuple(number for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT) if number not in _IGNORED)

_heard: list[int] = []


class Stopped(BaseException):
    """Not an Exception: nobody may take it for an error of one file and go on."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.exit_status = 128 + number


def stop_on_signals() -> None:
    """From now on the first signal raises Stopped in the main thread, and later ones do nothing."""
    _listen(_raise)


@contextlib.contextmanager
def handed_to(stop: Callable[[Stopped], None]) -> Iterator[None]:
    """Within the block the first signal is handed to `stop`, which must not raise; after it signals do nothing."""

    def hand_over(number: int, _frame: FrameType | None) -> None:
        hold_signals()
        _heard.append(number)
        stop(Stopped(number))

    _listen(hand_over)
    try:
        yield
    finally:
        hold_signals()


def hold_signals() -> None:
    """From now on signals do nothing: the work has ended, and what became of it is to be told in full."""
    _listen(_note)


def ignore_signals() -> None:
    """Until the process is gone: while it ends, Python gives the signals it handles back to the system, which kills."""
    _listen(signal.SIG_IGN)


def stop_is_requested() -> bool:
    """Whether a signal has come, whatever was done about it."""
    return bool(_heard)


def _listen(handler: _Handler | signal.Handlers) -> None:
    # Python lets no other thread do it, and lets none but the main one hear of signals.
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup.
    hold_signals()
    _heard.append(number)
    raise Stopped(number)


def _note(number: int, _frame: FrameType | None) -> None:
    _heard.append(number)
