# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress of a run: a bar on a terminal, a line every 30 seconds anywhere else."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import deque
from pathlib import Path
from typing import TextIO

from ..disk.layout import OFFLOADED_DIRECTORIES
from ..settings.units import in_words
from .report import Failure, Report

LINE_EVERY = 30.0
# Rates are those of the last seconds: an earlier stretch of skipped files says nothing about what follows.
_RATE_OVER = 30.0
_BAR_WIDTH = 20


class FileCount:
    """Counts the files of a media store on a thread of its own, so that a bar can say how much is left.

    `total` is None until it is done. Of several shards each takes about an equal part.
    """

    def __init__(self, root: str, shards: int = 1) -> None:
        self.total: int | None = None
        self._root = root
        self._shards = shards

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        count = sum(_files_below(f"{self._root}/{name}") for name in OFFLOADED_DIRECTORIES)
        self.total = count // self._shards


class Progress:
    """Draws on a stream. `observe` may be called as often as one likes; it knows when there is something to draw."""

    def __init__(self, stream: TextIO, program: str, count: FileCount | None = None) -> None:
        self._stream = stream
        self._program = program
        self._count = count
        self._is_terminal = stream.isatty()
        self._samples: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])
        self._next_line = time.monotonic() + LINE_EVERY
        self._drawn = False

    def observe(self, report: Report) -> None:
        now = time.monotonic()
        self._samples.append((now, report.handled, report.moved_bytes))
        while len(self._samples) > 2 and now - self._samples[1][0] > _RATE_OVER:
            self._samples.popleft()
        if self._is_terminal:
            self._draw(self._bar(report))
        elif now >= self._next_line:
            self._next_line = now + LINE_EVERY
            self._stream.write(f"{self._program}: {self._words(report)}\n")
            self._stream.flush()

    def write(self, line: str) -> None:
        """A line that stays, above the bar."""
        self.clear()
        self._stream.write(f"{line}\n")

    def clear(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False

    def _draw(self, text: str) -> None:
        # A line that wraps could not be drawn over.
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r{text[:width]}\x1b[K")
        self._stream.flush()
        self._drawn = True

    def _bar(self, report: Report) -> str:
        total = self._count.total if self._count else None
        if not total:
            return self._words(report)
        share = min(report.handled / total, 1.0)
        full = int(share * _BAR_WIDTH)
        drawn = "#" * full + "-" * (_BAR_WIDTH - full)
        files, size = self._rates()
        left = self._time_left(total - report.handled)
        # The least important comes last, where a terminal of 80 columns cuts the line off.
        return (
            f"[{drawn}] {share:4.0%}, {files:.0f} files/s, {in_words(size)}/s, {left}{_failures(report)}, "
            f"{report.handled} of {total} files, {in_words(report.moved_bytes)} moved"
        )

    def _time_left(self, files: int) -> str:
        rate = self._rates()[0]
        if files <= 0:
            return "0:00:00 left"
        if not rate:
            return "time left unknown"
        seconds = int(files / rate)
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} left"

    def _words(self, report: Report) -> str:
        files, size = self._rates()
        return (
            f"{report.handled} of {report.scanned.files} files found so far handled{_failures(report)}, "
            f"{in_words(report.moved_bytes)} moved, {files:.0f} files/s, {in_words(size)}/s"
        )

    def _rates(self) -> tuple[float, float]:
        """Files and bytes a second."""
        (began, files, size), (ended, files_now, size_now) = self._samples[0], self._samples[-1]
        elapsed = ended - began
        if elapsed <= 0:
            return 0.0, 0.0
        return (files_now - files) / elapsed, (size_now - size) / elapsed


def _failures(report: Report) -> str:
    return f", {report.failures} failed" if report.failures else ""


def failure_line(failure: Failure) -> str:
    """A name may hold line breaks and whatever else would make a mess of a terminal."""
    path = failure.path if failure.path.isprintable() else ascii(failure.path)
    return f"{path}: {failure.error}"


def _files_below(directory: str) -> int:
    count = 0
    waiting = [] if Path(directory).is_symlink() else [directory]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        count += 1
        except OSError:
            # The run itself reports what cannot be read.
            continue
    return count
