# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Up to which last use media has to be moved to keep the disk within local_cache_size and min_free.

The media store is walked once before the run, with the rows of its files, and again only if very much media was last
used at about the same time. Memory does not grow with the number of files.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from datetime import timedelta

from ..errors import ConfigurationError
from ..reporting import Tally
from ..settings.units import in_words
from .context import Context
from .last_use import CutoffSearch, first_rank, rank_of
from .report import Report
from .selection import Rules, Window, Windows
from .settings import LOCAL_CACHE_SIZE, MIN_FREE, OLDER_THAN, OffloadSettings, Shard

# Part of a limit by which a run may move more than it has to.
_TOLERANCE = 40


def check_limits(root: str, settings: OffloadSettings) -> None:
    """Raises ConfigurationError for a min_free that no run could reach."""
    if settings.min_free is None:
        return
    disk = os.statvfs(root)
    size = disk.f_blocks * disk.f_frsize
    if settings.min_free >= size:
        raise ConfigurationError(
            f"min_free is {in_words(settings.min_free)}, and the file system of the media store {root} has "
            f"{in_words(size)} in all. Choose a smaller one."
        )


class DiskLimits:
    """Finds the media that has to be moved before it is `older_than`: that used longest ago.

    Files of other shards count too, so that each host of a shared file system finds about the same cutoffs.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        settings = context.settings
        self._limits: list[_Limit] = []
        if settings.local_cache_size is not None:
            self._limits.append(_SizeLimit(LOCAL_CACHE_SIZE, settings.local_cache_size, context))
        if settings.min_free is not None:
            self._limits.append(_FreeLimit(MIN_FREE, settings.min_free, context))

    async def apply(self, rules: Rules) -> Rules:
        """The rules with the cutoffs that keep the limits. Raises MediaError if the database cannot be read."""
        self._context.report.selected = {
            setting: Tally() for setting in (OLDER_THAN, *(limit.setting for limit in self._limits))
        }
        if all(limit.is_kept_already() for limit in self._limits):
            self._limits = []
            return rules
        await self._count(rules, is_first=True)
        for limit in self._limits:
            limit.search.want(limit.missing())
            limit.search.narrow()
        while not all(limit.search.finished for limit in self._limits):
            await self._count(rules, is_first=False)
            for limit in self._limits:
                limit.search.narrow()
        cutoffs = {limit.setting: limit.search.cutoff for limit in self._limits}
        return rules._replace(size_cutoff=cutoffs.get(LOCAL_CACHE_SIZE, 0), free_cutoff=cutoffs.get(MIN_FREE, 0))

    def warn_if_exceeded(self) -> None:
        """Adds a warning to the report for each limit that is exceeded after the run, or would be."""
        for limit in self._limits:
            warning = limit.warning()
            if warning is not None:
                self._context.report.warnings.append(warning)

    async def _count(self, rules: Rules, *, is_first: bool) -> None:
        """Goes through all files once. What is moved because of its age counts in the first pass alone."""
        context = self._context
        # All that may be moved, whenever it was used.
        movable = Rules(timedelta(0), rules.grace, rules.store_remote)
        threads = context.files.most_threads
        windows = Windows(context.files.root, context.rows, movable, Shard(1, 1), context.now, most_threads=threads)

        def count_next() -> bool:
            window = windows.next()
            if window is not None:
                self._count_window(window, rules, is_first=is_first)
            return window is not None

        while await context.files.in_thread(count_next):
            pass
        windows.close()

    def _count_window(self, window: Window, rules: Rules, *, is_first: bool) -> None:
        if is_first:
            self._context.report.counted_before += window.scanned.files
            for limit in self._limits:
                limit.all += window.scanned.bytes
        now = self._context.now
        for file, row in window.candidates:
            if row.last_used_ms is None:
                continue
            if rules.is_old(row.last_used_ms, now):
                if is_first:
                    for limit in self._limits:
                        limit.old += limit.measured(file.size)
                continue
            rank = rank_of(file.media, row.last_used_ms)
            for limit in self._limits:
                limit.search.add(rank, limit.measured(file.size))


class _Limit(ABC):
    """One limit, in bytes, and what was counted for it."""

    def __init__(self, setting: str, limit: int, context: Context) -> None:
        self.setting = setting
        self.limit = limit
        self.context = context
        # Media that was used since the run began is never moved.
        self.search = CutoffSearch(first_rank(int(context.now * 1000) + 1), limit // _TOLERANCE)
        #: Bytes of all files, whether they may be moved or not.
        self.all = 0
        #: Bytes, as measured, that are moved because of their age.
        self.old = 0

    @abstractmethod
    def is_kept_already(self) -> bool:
        """Whether it is known without looking at the files that nothing has to be moved."""

    @abstractmethod
    def measured(self, size: int) -> int:
        """How much a file of this size counts."""

    @abstractmethod
    def missing(self) -> int:
        """How much has to be moved besides what is old."""

    @abstractmethod
    def warning(self) -> str | None:
        """What to say after the run if the limit is exceeded."""

    @property
    def verb(self) -> str:
        return "would have" if self.context.rehearse else "has"

    def what_stays(self, *, reachable: bool) -> str:
        """Why the rest of the media is still there. `reachable`: it is not because too little may be moved."""
        report = self.context.report
        cause = "not all that had to leave the disk has left it" if reachable else "nothing more may be moved"
        return f"{cause}. What stays: {', '.join(_what_stays(report)) or 'nothing'}."


class _SizeLimit(_Limit):
    """local_cache_size: the most bytes of media."""

    def is_kept_already(self) -> bool:
        return False

    def measured(self, size: int) -> int:
        return size

    def missing(self) -> int:
        return self.all - self.old - self.limit

    def warning(self) -> str | None:
        # Of what other shards move is only known what they should move.
        alone = self.context.settings.shard.count == 1
        planned = self.old + self.search.moved
        left = self.all - (self.context.report.deleted.bytes if alone else planned)
        if left <= self.limit:
            return None
        return (
            f"The media store {self.verb} {in_words(left)} of media after this run, more than local_cache_size "
            f"({in_words(self.limit)}): {self.what_stays(reachable=self.all - planned <= self.limit)} "
            "Raise local_cache_size if this is to stay."
        )


class _FreeLimit(_Limit):
    """min_free: the least free bytes of the file system. A file takes whole blocks of it."""

    def __init__(self, setting: str, limit: int, context: Context) -> None:
        super().__init__(setting, limit, context)
        self._block = os.statvfs(context.files.root).f_frsize
        self._free_before = 0

    def is_kept_already(self) -> bool:
        return _free_bytes(self.context.files.root) >= self.limit

    def measured(self, size: int) -> int:
        return -(-size // self._block) * self._block

    def missing(self) -> int:
        self._free_before = _free_bytes(self.context.files.root)
        return self.limit - self._free_before - self.old

    def warning(self) -> str | None:
        report = self.context.report
        reachable = self._free_before + self.old + self.search.moved >= self.limit
        selected = sum(tally.bytes for tally in report.selected.values())
        if reachable and selected == report.deleted.bytes:
            return None
        free = _free_bytes(self.context.files.root)
        if self.context.rehearse:
            free += report.deleted.bytes
        if free >= self.limit:
            return None
        return (
            f"The file system of the media store {self.verb} {in_words(free)} free after this run, less than min_free "
            f"({in_words(self.limit)}): {self.what_stays(reachable=reachable)} "
            "Look for what else fills this file system, or lower min_free."
        )


def _free_bytes(root: str) -> int:
    disk = os.statvfs(root)
    return disk.f_bavail * disk.f_frsize


def _what_stays(report: Report) -> list[str]:
    """How many files stay for which reason."""
    found = [f"{tally.files} files ({in_words(tally.bytes)}) {reason}" for reason, tally in report.skipped.items()]
    if report.kept is not None and report.kept.files:
        found.append(report.kept_in_words())
    if report.failures:
        found.append(f"{report.failures} failed")
    return sorted(found)
