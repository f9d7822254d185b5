# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress of a run: a bar on a terminal, a line every 30 seconds anywhere else."""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, TextIO, TypeVar

from .report import RunReport

LINE_EVERY = 30.0
# Rates are those of the last seconds: an earlier stretch of skipped files says nothing about what follows.
_RATE_OVER = 30.0
_BAR_WIDTH = 20

R = TypeVar("R", bound=RunReport)


class Progress(ABC, Generic[R]):
    """Draws on a stream. `observe` may be called as often as one likes; it knows when there is something to draw."""

    def __init__(self, stream: TextIO, program: str) -> None:
        self._stream = stream
        self._program = program
        self._is_terminal = stream.isatty()
        self._samples: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])
        self._next_line = time.monotonic() + LINE_EVERY
        self._drawn = False

    @abstractmethod
    def moved(self, report: R) -> tuple[int, int]:
        """Files and bytes so far."""

    @abstractmethod
    def terminal_line(self, report: R) -> str:
        """What a terminal shows. The least important comes last: a terminal of 80 columns cuts the line off."""

    @abstractmethod
    def plain_line(self, report: R) -> str:
        """The line for anything else."""

    def observe(self, report: R) -> None:
        now = time.monotonic()
        self._samples.append((now, *self.moved(report)))
        while len(self._samples) > 2 and now - self._samples[1][0] > _RATE_OVER:
            self._samples.popleft()
        if self._is_terminal:
            # A line that wraps could not be drawn over.
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{self.terminal_line(report)[:width]}\x1b[K")
            self._stream.flush()
            self._drawn = True
        elif now >= self._next_line:
            self._next_line = now + LINE_EVERY
            self.write(f"{self._program}: {self.plain_line(report)}")

    def write(self, line: str) -> None:
        """A line that stays, above the bar."""
        self.clear()
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def clear(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False

    def rates(self) -> tuple[float, float]:
        """Files and bytes a second."""
        (began, files, size), (ended, files_now, size_now) = self._samples[0], self._samples[-1]
        elapsed = ended - began
        if elapsed <= 0:
            return 0.0, 0.0
        return (files_now - files) / elapsed, (size_now - size) / elapsed


def drawn(share: float) -> str:
    """A bar for this share of 1, and the share in percent."""
    full = int(share * _BAR_WIDTH)
    return f"[{'#' * full}{'-' * (_BAR_WIDTH - full)}] {share:4.0%}"


def failures_of(report: RunReport) -> str:
    return f", {report.failures} failed" if report.failures else ""
