# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks once more at what looked lost or damaged: row, file and object as they are now, and not when each was read.

Without it, media that a run of the migrate job moves during the audit would be taken for lost.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from ..database.rows import Row, Rows
from ..disk.layout import REMOTE_THUMBNAILS, Media, earlier_thumbnail_path, media_at
from ..errors import MediaError, RequestFailed, StoreError
from ..event_loop.loop import Loop
from ..proof.object_index import ask
from ..s3.bucket import Bucket
from . import counts
from .comparison import Comparison, Suspect
from .counts import ORIGINALS

_BATCH = 500


class _Copy(NamedTuple):
    """One of the two copies as it is now: its size in bytes, None if there is none; or that nobody can tell."""

    size: int | None = None
    seconds: float | None = None
    unknown: bool = False


_ABSENT = _Copy()
_UNKNOWN = _Copy(unknown=True)


class Confirmation:
    """`root` (the media store), `bucket` and `rows` are None where they cannot be asked."""

    def __init__(self, loop: Loop, root: str | None, bucket: Bucket | None, rows: Rows | None) -> None:
        self._loop = loop
        self._root = root
        self._bucket = bucket
        self._rows = rows
        #: Suspects that turned out to be neither lost nor damaged.
        self.settled = 0
        #: Why the bucket or the database could not be asked again.
        self.bucket_failure: str | None = None
        self.rows_failure: str | None = None

    async def confirm(self, comparison: Comparison) -> None:
        """Counts each suspect as what it is now."""
        # Originals first, so that they are the examples.
        for dummy, suspects in sorted(comparison.suspects.items(), key=lambda item: item[0][1] not in ORIGINALS):
            for start in range(0, len(suspects), _BATCH):
                await self._confirm(suspects[start : start + _BATCH], comparison)
        comparison.suspects.clear()

    async def _confirm(self, suspects: Sequence[Suspect], comparison: Comparison) -> None:
        paths = [suspect.path for suspect in suspects]
        # The order matters: a file that leaves the disk is in the bucket before.
        files = await self._loop.in_thread(self._look_at_all, paths)
        objects = await self._ask_all(paths)
        for position, suspect in enumerate(suspects):
            if suspect.kind == REMOTE_THUMBNAILS and files[position] == objects[position] == _ABSENT:
                earlier = earlier_thumbnail_path(suspect.path)
                files[position] = await self._loop.in_thread(self._look_at, earlier)
                objects[position] = await self._ask(earlier)
        rows = await self._loop.in_thread(self._look_up, {media_at(path) for path in paths})
        for suspect, file, found in zip(suspects, files, objects):
            row = suspect.row if rows is None else rows.get(media_at(suspect.path))
            if row is None and rows is not None:
                # Synapse has removed the media since.
                self.settled += 1
            elif suspect.finding == counts.WRONG_LENGTH:
                self._count_length(suspect, row, file, found, comparison)
            else:
                self._count(suspect, row, file, found, comparison, row_is_sure=rows is not None)

    def _count(
        self,
        suspect: Suspect,
        row: Row | None,
        file: _Copy,
        found: _Copy,
        comparison: Comparison,
        *,
        row_is_sure: bool,
    ) -> None:
        size = file.size if file.size is not None else found.size
        seconds = file.seconds
        if file.size is not None and found.size is not None:
            finding = counts.EQUAL if file.size == found.size else counts.DIFFERENT
        elif file.unknown or found.unknown:
            finding = counts.UNASKED
        elif file.size is not None:
            finding = counts.DISK_ONLY
        elif found.size is not None:
            finding = counts.BUCKET_ONLY
        else:
            finding = counts.NOWHERE if row_is_sure else counts.UNASKED
            size = row.length if row is not None and suspect.kind in ORIGINALS else None
            seconds = None if row is None or row.last_used_ms is None else row.last_used_ms / 1000
        self.settled += finding not in (suspect.finding, counts.UNASKED)
        comparison.findings[finding].add(suspect.kind, suspect.path, size or 0, seconds)

    def _count_length(
        self, suspect: Suspect, row: Row | None, file: _Copy, found: _Copy, comparison: Comparison
    ) -> None:
        """The file is counted already; this says that no copy of it has the right length."""
        if file.unknown or found.unknown:
            return
        sizes = [copy.size for copy in (file, found) if copy.size is not None]
        length = None if row is None else row.length
        if length is None or not sizes or length in sizes:
            self.settled += 1
            return
        comparison.findings[counts.WRONG_LENGTH].add(suspect.kind, suspect.path, sizes[0], file.seconds)

    def _look_at_all(self, paths: Sequence[str]) -> list[_Copy]:
        return [self._look_at(path) for path in paths]

    def _look_at(self, path: str) -> _Copy:
        if self._root is None:
            return _UNKNOWN
        try:
            status = os.stat(os.path.join(self._root, path), follow_symlinks=False)  # noqa: PTH116, PTH118 - one system call
        except (FileNotFoundError, NotADirectoryError):
            return _ABSENT
        except (OSError, ValueError):
            return _UNKNOWN
        if not stat.S_ISREG(status.st_mode):
            return _UNKNOWN
        return _Copy(status.st_size, status.st_mtime)

    async def _ask_all(self, paths: Sequence[str]) -> list[_Copy]:
        tasks = [self._loop.start(self._ask(path)) for path in paths]
        return [await task for task in tasks]

    async def _ask(self, path: str) -> _Copy:
        if self._bucket is None or self.bucket_failure is not None:
            return _UNKNOWN
        try:
            found = await ask(self._bucket, self._bucket.key(path))
        except StoreError as error:
            self.bucket_failure = str(error)
            return _UNKNOWN
        if isinstance(found, RequestFailed):
            self.bucket_failure = str(found)
            return _UNKNOWN
        return _ABSENT if found is None else _Copy(found.size)

    def _look_up(self, media: set[Media]) -> dict[Media, Row] | None:
        if self._rows is None or self.rows_failure is not None:
            return None
        try:
            return self._rows.look_up(list(media))
        except MediaError as error:
            self.rows_failure = str(error)
            return None
