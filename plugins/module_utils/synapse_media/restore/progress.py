# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress of a restore: a bar on a terminal, a line every 30 seconds anywhere else."""

from __future__ import annotations

import shutil
import time
from collections import deque
from typing import TextIO

from ..settings.units import in_words
from .report import Failure, Report

LINE_EVERY = 30.0
_RATE_OVER = 30.0
_BAR_WIDTH = 20


class Progress:
    """Draws on a stream. `observe` may be called as often as one likes; it knows when there is something to draw."""

    def __init__(self, stream: TextIO, program: str) -> None:
        self._stream = stream
        self._program = program
        self._is_terminal = stream.isatty()
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._next_line = time.monotonic() + LINE_EVERY
        self._drawn = False

    def observe(self, report: Report) -> None:
        now = time.monotonic()
        self._samples.append((now, report.received))
        while len(self._samples) > 2 and now - self._samples[1][0] > _RATE_OVER:
            self._samples.popleft()
        if self._is_terminal:
            # A line that wraps could not be drawn over.
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{self._words(report)[:width]}\x1b[K")
            self._stream.flush()
            self._drawn = True
        elif now >= self._next_line:
            self._next_line = now + LINE_EVERY
            self._stream.write(f"{self._program}: {self._words(report)}\n")
            self._stream.flush()

    def write(self, line: str) -> None:
        """A line that stays, above the bar."""
        self.clear()
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def clear(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False

    def _words(self, report: Report) -> str:
        failures = f", {report.failures} failed" if report.failures else ""
        missing = report.missing
        if report.free_bytes is None:
            return f"{report.selected.files} files compared, {missing.files} missing so far{failures}"
        share = min(report.received / missing.bytes, 1.0) if missing.bytes else 1.0
        full = int(share * _BAR_WIDTH)
        return (
            f"[{'#' * full}{'-' * (_BAR_WIDTH - full)}] {share:4.0%}, {in_words(self._rate())}/s{failures}, "
            f"{report.restored.files} of {missing.files} files, "
            f"{in_words(report.received)} of {in_words(missing.bytes)}"
        )

    def _rate(self) -> float:
        """Bytes a second."""
        (began, size), (ended, size_now) = self._samples[0], self._samples[-1]
        return (size_now - size) / (ended - began) if ended > began else 0.0


def failure_line(failure: Failure) -> str:
    """A name may hold line breaks and whatever else would make a mess of a terminal."""
    path = failure.path if failure.path.isprintable() else ascii(failure.path)
    return f"{path}: {failure.error}"
