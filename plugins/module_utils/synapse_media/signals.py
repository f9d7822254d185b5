# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals that ask a run to stop, as an exception: children are stopped and copies removed on its way out."""

from __future__ import annotations

import signal
from types import FrameType

_STOPPING = (signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Not an Exception: nobody may take it for an error of one file and go on."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


def stop_on_signals() -> None:
    for number in _STOPPING:
        signal.signal(number, _stop)


def _stop(number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the clearing up.
    for each in _STOPPING:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
