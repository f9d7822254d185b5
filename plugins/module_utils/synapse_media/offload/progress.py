# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the progress of a run says, and how many files there are."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TextIO

from ..disk.layout import OFFLOADED_DIRECTORIES
from ..runs.progress import Progress, drawn, failures_of
from ..settings.units import in_words
from .report import Report


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


class OffloadProgress(Progress[Report]):
    """How many files are finished, and once `count` is done, how many there are."""

    def __init__(self, stream: TextIO, program: str, count: FileCount | None = None) -> None:
        super().__init__(stream, program)
        self._count = count

    def moved(self, report: Report) -> tuple[int, int]:
        return report.handled, report.moved_bytes

    def terminal_line(self, report: Report) -> str:
        total = self._count.total if self._count else None
        if not total or _is_counting(report):
            return self.plain_line(report)
        share = min(report.handled / total, 1.0)
        files, size = self.rates()
        left = self._time_left(total - report.handled)
        return (
            f"{drawn(share)}, {files:.0f} files/s, {in_words(size)}/s, {left}{failures_of(report)}, "
            f"{report.handled} of {total} files, {in_words(report.moved_bytes)} moved"
        )

    def plain_line(self, report: Report) -> str:
        if _is_counting(report):
            return f"{report.counted_before} files counted for local_cache_size and min_free"
        files, size = self.rates()
        return (
            f"{report.handled} of {report.scanned.files} files found so far handled{failures_of(report)}, "
            f"{in_words(report.moved_bytes)} moved, {files:.0f} files/s, {in_words(size)}/s"
        )

    def _time_left(self, files: int) -> str:
        rate = self.rates()[0]
        if files <= 0:
            return "0:00:00 left"
        if not rate:
            return "time left unknown"
        seconds = int(files / rate)
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} left"


def _is_counting(report: Report) -> bool:
    """Whether the files are still being counted for the limits of the disk, and none was looked at to move it."""
    return report.counted_before > 0 and not report.scanned.files


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
