# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds what is to be restored: objects of the bucket joined with rows of the database, and what the disk lacks of it.

Nothing is written before all of it is known, so that a disk that is too small is known too. The plan lies in a
temporary file, so that memory stays flat.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from ..audit.objects_with_rows import objects_with_rows
from ..database.rows import Row
from ..disk.directories import OpenDirectories
from ..disk.layout import Media, is_media_path, media_at
from ..disk.placement import TEMPORARY_PREFIX
from ..proof.received import Contradiction, refuse_length
from ..runs.spool import Spool
from ..s3.objects import is_archive_class
from .context import Context, Wanted, is_original

# Why an object is not restored.
NO_ROW = "no_row"
URL_CACHE = "url_cache"
FOREIGN = "foreign"


class Candidate(NamedTuple):
    """An object that is chosen; `archived` names the class that keeps it from being read."""

    path: str
    size: int
    etag: str
    archived: str
    row: Row | None


class Plan:
    """What is missing, in a file: batches of Wanted in the order of their keys."""

    def __init__(self, file: IO[bytes]) -> None:
        self._spool = Spool(file)
        self.files = 0
        #: What the missing files take on the disk, in bytes, by blocks of 4 KiB.
        self.needed = 0

    def add(self, wanted: Sequence[Wanted]) -> None:
        self._spool.add(wanted)
        for each in wanted:
            if not each.is_there:
                self.files += 1
                # Its directory takes a block too.
                self.needed += (each.size + 4095) // 4096 * 4096 + 4096

    def batches(self) -> Iterator[list[Wanted]]:
        """All that was added; call it once, after the last add()."""
        for batch in self._spool.batches():
            yield [Wanted(*each) for each in batch]


class Planner:
    """Adds to the plan what the disk lacks, and reports what is there already or stands in the way."""

    def __init__(self, context: Context, plan: Plan) -> None:
        self._context = context
        self._plan = plan
        selection = context.settings.selection
        self._selection = selection
        self._oldest_ms = (
            None if selection.newer_than is None else (context.now - selection.newer_than.total_seconds()) * 1000
        )

    async def from_listing(self, only: set[Media] | None = None) -> None:
        """Everything that is selected, by one pass over the bucket and the rows; of `only` these media if given.

        Raises StoreError or MediaError if one of them could not be read to its end.
        """
        context = self._context
        async for objects in objects_with_rows(context.loop, context.bucket, context.ordered):
            candidates = []
            for path, found, row in objects:
                if self._takes(path, row, found.size, only):
                    archived = found.storage_class if is_archive_class(found.storage_class) else ""
                    candidates.append(Candidate(path, found.size, found.etag, archived, row))
            await self.add(candidates)

    def _takes(self, path: str, row: Row | None, size: int, only: set[Media] | None) -> bool:
        report = self._context.report
        if not is_media_path(path) or path.rpartition("/")[2].startswith(TEMPORARY_PREFIX):
            report.skip(FOREIGN, size)
        elif row is None and not self._selection.without_rows:
            report.skip(NO_ROW, size)
        elif row is not None and row.url_cache:
            report.skip(URL_CACHE, size)
        else:
            return (
                self._selection.takes_path(path)
                and (row is None or self.is_recent(row))
                and (only is None or media_at(path) in only)
            )
        return False

    def is_recent(self, row: Row) -> bool:
        """Whether a row is as new as was asked for; one without any time is never old."""
        return self._oldest_ms is None or row.last_used_ms is None or row.last_used_ms >= self._oldest_ms

    async def add(self, candidates: Sequence[Candidate]) -> None:
        """Compares them with the disk, and adds what is missing."""
        if not candidates:
            return
        context = self._context
        for candidate in candidates:
            context.report.selected.add(candidate.size)
        looks = await context.loop.in_thread(look_at, context.root, [candidate.path for candidate in candidates])
        wanted = []
        for candidate, look in zip(candidates, looks):
            path, size, etag, dummy, row = candidate
            if look is None:
                if self._may_be_restored(candidate):
                    context.report.missing.add(size)
                    wanted.append(Wanted(path, size, etag))
            elif isinstance(look, OSError):
                context.fail(path, f"What is at its path cannot be looked at ({look.strerror or look}). {_LINKS}")
            elif not stat.S_ISREG(look.st_mode):
                context.fail(path, f"At its path is no regular file. {_LINKS}")
            elif look.st_size != size:
                context.fail(
                    path,
                    f"The file on the disk has {look.st_size} bytes, its object {size}. Both stay as they are: "
                    f"{_which(look.st_size, size, row if is_original(path) else None)}",
                )
            elif context.settings.verify:
                wanted.append(Wanted(path, size, etag, is_there=True))
            else:
                context.report.present.add(size)
        self._plan.add(wanted)

    def _may_be_restored(self, candidate: Candidate) -> bool:
        """Names an object that cannot be read, or is not the media that its row speaks of."""
        if candidate.archived:
            self._context.fail(candidate.path, archived_words(candidate.archived))
            return False
        try:
            refuse_length(candidate.size, candidate.row if is_original(candidate.path) else None)
        except Contradiction as contradiction:
            self._context.fail(candidate.path, contradiction)
            return False
        return True


_LINKS = "Nothing is followed or replaced: move it away, and run this again."


def archived_words(storage_class: str) -> str:
    """Why an object of this class or tier is not restored."""
    return (
        f"Its object is archived ({storage_class}) and cannot be read. Have the store thaw it (RestoreObject), run "
        "this again then, and see which lifecycle rule of the bucket moved it there."
    )


def _which(on_disk: int, in_bucket: int, row: Row | None) -> str:
    if row is not None and row.length == on_disk:
        return "the row in Synapse's database has the length of the file, so the object is wrong."
    if row is not None and row.length == in_bucket:
        return "the row in Synapse's database has the length of the object. Move the file away, and run this again."
    return "nothing tells which of them is right. Move the file away to have the object."


def look_at(root: str, paths: Sequence[str]) -> list[os.stat_result | OSError | None]:
    """What is at each path, without following a link; None for nothing."""
    looks: list[os.stat_result | OSError | None] = []
    with OpenDirectories(root) as directories:
        for path in paths:
            try:
                directory, name = directories.place_of(path)
                looks.append(os.stat(name, dir_fd=directory, follow_symlinks=False))
            except FileNotFoundError:
                looks.append(None)
            except OSError as error:
                looks.append(error)
    return looks
