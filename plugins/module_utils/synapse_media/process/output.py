# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Standard output and standard error that never end a run, also if nobody reads them any more."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import threading
import time
from typing import Any, NoReturn

from .signals import ignore_signals, stop_is_requested

# What a pipe takes without blocking once it says that it takes something (PIPE_BUF on Linux).
_PIECE = 4096
# Seconds. How long a reader that reads nothing holds up a process that was asked to stop; how often that is looked at.
_PATIENCE = 3.0
_LOOK_EVERY = 0.25


class LenientOutput(io.RawIOBase):
    """A descriptor to write to. What cannot be written, because the reader or the terminal is gone, is dropped.

    A reader that is slow is waited for; one that reads nothing only until the process is asked to stop.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._gone = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        while view and not self._gone:
            try:
                self._wait()
                view = view[os.write(self._descriptor, view[:_PIECE]) :]
            except BlockingIOError:
                # Somebody made the descriptor non-blocking, and a terminal may take less than it says.
                time.sleep(_LOOK_EVERY)
            except OSError:
                self._gone = True
        return size

    def _wait(self) -> None:
        """Until the descriptor takes something, or the process is to stop and it still takes nothing."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        until: float | None = None
        while not poll.poll(_LOOK_EVERY * 1000):
            if until is None and stop_is_requested():
                until = time.monotonic() + _PATIENCE
            if until is not None and time.monotonic() >= until:
                raise OSError("the reader reads nothing")


def use_lenient_output() -> None:
    """To be called by a command before anything is written or opened."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # Closed by whoever started this: the next file that is opened, a media for one, would be standard output.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = _text(1, line_buffering=os.isatty(1))
    sys.stderr = _text(2, line_buffering=True)


def leave(status: int) -> NoReturn:
    """Ends the process with this exit status, whatever a reader or a thread does."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    ignore_signals()
    if threading.active_count() > 1:
        # A thread in a library's call, such as a silent database's, must not meet that library's own clearing up.
        os._exit(status)
    raise SystemExit(status)


def _text(descriptor: int, *, line_buffering: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(LenientOutput(descriptor)),
        encoding=getattr(sys.__stdout__, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=line_buffering,
    )
