# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All objects under the prefix with the rows of their media, by one pass over the bucket and the rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from ..database.ordered import OrderedRows
from ..database.rows import Row
from ..errors import MediaError, StoreError
from ..event_loop.loop import Loop
from ..s3.bucket import Bucket
from ..s3.documents import Listed
from .sources import ObjectSource, RowSource


class WithRow(NamedTuple):
    """An object, by its path below the prefix, and the row of its media; None if there is no row."""

    path: str
    listed: Listed
    row: Row | None


async def objects_with_rows(loop: Loop, bucket: Bucket, ordered: OrderedRows) -> AsyncIterator[list[WithRow]]:
    """Batches in ascending order of the paths; `ordered` is read to its end by this.

    A thumbnail has the row of its media, whether the thumbnail tables know it or not. Raises StoreError or MediaError
    if one of the two could not be read to its end.
    """
    objects, rows = ObjectSource(loop, bucket), RowSource(loop, ordered)
    # The media whose thumbnails the last slice ended in.
    directory = ""
    directory_row: Row | None = None
    while True:
        for source in (rows, objects):
            source.begin()
        for source in (rows, objects):
            await source.fill()
        if objects.failure is not None:
            raise StoreError(objects.failure, "ListingFailed")
        if rows.failure is not None:
            raise MediaError(rows.failure)
        if objects.last is None:
            return
        limit = min(last for last in (objects.last, rows.last) if last is not None)
        listed, some_rows = objects.take(limit), rows.take(limit)
        row_of = dict(zip(some_rows.paths, some_rows.values))
        directories = {path: row for path, row in row_of.items() if path[-1] == "/"}
        if directory_row is not None:
            directories.setdefault(directory, directory_row)
        found = []
        for path, each in zip(listed.paths, listed.values):
            row = row_of.get(path)
            if row is None:
                row = directories.get(path.rpartition("/")[0] + "/")
            found.append(WithRow(path, each, row))
        if directories:
            directory = max(directories)
            directory_row = directories[directory]
        yield found
