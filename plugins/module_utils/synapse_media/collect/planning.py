# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds what is due: objects whose media has no row, and what has been in the trash long enough. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

from ..audit.objects_with_rows import objects_with_rows
from ..database.ordered import OrderedRows
from ..disk.layout import is_media_path
from ..disk.placement import TEMPORARY_PREFIX
from ..runs.spool import Spool
from ..s3.documents import Listed
from ..s3.times import seconds_of
from .context import Context
from .report import SEEN_LATELY, UNDATED, YOUNG
from .sightings import Sightings
from .trash import trashed


class Due(NamedTuple):
    """An object as the listing shows it; the path is below the prefix. `original` is where one of the trash was."""

    path: str
    size: int
    etag: str
    original: str = ""


class DueObjects:
    """In a file: batches in the order of their paths."""

    def __init__(self, file: IO[bytes]) -> None:
        self._spool = Spool(file)

    def add(self, due: list[Due]) -> None:
        self._spool.add(due)

    def batches(self, size: int) -> Iterator[list[Due]]:
        """All that was added, at most `size` at a time; call it once, after the last add()."""
        for batch in self._spool.batches():
            for start in range(0, len(batch), size):
                yield [Due(*each) for each in batch[start : start + size]]


async def find_due(
    context: Context, ordered: OrderedRows, sightings: Sightings, orphans: DueObjects, expired: DueObjects
) -> None:
    """Compares the whole bucket with all rows.

    Raises StoreError or MediaError if one of the two could not be read to its end.
    """
    async for objects in objects_with_rows(context.loop, context.bucket, ordered):
        due, due_in_trash = [], []
        for path, listed, row in objects:
            if is_media_path(path) and not path.rpartition("/")[2].startswith(TEMPORARY_PREFIX):
                context.report.objects.add(listed.size)
                if row is None and _is_due(context, path, listed, sightings):
                    due.append(Due(path, listed.size, listed.etag))
                    context.report.due.add(listed.size)
            else:
                original = _expired(context, path, listed)
                if original:
                    due_in_trash.append(Due(path, listed.size, listed.etag, original))
                    context.report.trash_due.add(listed.size)
        orphans.add(due)
        expired.add(due_in_trash)


def _is_due(context: Context, path: str, listed: Listed, sightings: Sightings) -> bool:
    """Whether an object without a row is old enough in itself, and known to have none for long enough."""
    report, min_age = context.report, context.settings.min_age.total_seconds()
    report.orphans.add(listed.size)
    # A store without ETags tells a replaced object by its time.
    seen = sightings.first_seen(path, f"{listed.etag or listed.modified} {listed.size}")
    modified = seconds_of(listed.modified)
    if modified is None:
        report.skip(UNDATED, listed.size)
    elif context.now - modified < min_age:
        report.skip(YOUNG, listed.size)
    elif context.now - seen < min_age:
        report.skip(SEEN_LATELY, listed.size)
    else:
        return True
    return False


def _expired(context: Context, path: str, listed: Listed) -> str:
    """Where an object of the trash was that has been there long enough; empty for any other object."""
    put_aside = trashed(path)
    if put_aside is None:
        return ""
    context.report.trash.add(listed.size)
    # Some stores give a copy the time of the original, so the time in its name counts too.
    times = (put_aside.seconds, seconds_of(listed.modified))
    keep = context.settings.trash_keep.total_seconds()
    return put_aside.path if all(time is not None and context.now - time >= keep for time in times) else ""
