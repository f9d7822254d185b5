# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All media rows and thumbnail rows, in the order of the keys of their files in S3.

An id becomes a path by slashes at fixed places, so ids that compare by their code points, which is the order of their
UTF-8 bytes, give paths in the same order. An origin stands where its name with the slash behind it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..disk.layout import (
    LOCAL,
    REMOTE,
    Media,
    content_path,
    is_ordinary,
    thumbnail_directory,
    thumbnail_name,
)
from ..errors import MediaError
from ..settings.homeserver import DatabaseSettings
from .rows import Row
from .tables import MediaDatabase

# Rows that are fetched at a time.
BATCH = 5000

# Origin, id, length, last use, whether it is a URL preview; with the thumbnails also what their names are made of.
_LOCAL = """
SELECT '', media.media_id, media.media_length, COALESCE(media.last_access_ts, media.created_ts),
    media.url_cache IS NOT NULL{columns}
FROM local_media_repository AS media{join}
ORDER BY media.media_id{collation}
"""
_REMOTE = """
SELECT media.media_origin, media.filesystem_id, media.media_length, COALESCE(media.last_access_ts, media.created_ts),
    NULL{columns}
FROM remote_media_cache AS media{join}
ORDER BY (media.media_origin || '/'){collation}, media.filesystem_id{collation}
"""
_COLUMNS = """,
    thumbnail.thumbnail_width, thumbnail.thumbnail_height, thumbnail.thumbnail_type, thumbnail.thumbnail_method"""
_JOIN_LOCAL = """
LEFT JOIN local_media_repository_thumbnails AS thumbnail ON thumbnail.media_id = media.media_id"""
_JOIN_REMOTE = """
LEFT JOIN remote_media_cache_thumbnails AS thumbnail
    ON thumbnail.media_origin = media.media_origin AND thumbnail.media_id = media.media_id"""

#: Paths in ascending order, and the row that each belongs to.
Batch = tuple[list[str], list[Row]]


class OrderedRows(MediaDatabase):
    """Reads the rows once, from one thread at a time; they are all as they were when the first was read.

    A path is that of an original, or of a thumbnail that a row of the thumbnail tables names. The directory of each
    media's thumbnails stands before these, as a path with a slash at its end.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        """Raises ConfigurationError if the driver is missing, or the file of an SQLite database."""
        super().__init__(settings)
        self._collation = "" if settings.name == "sqlite3" else ' COLLATE "C"'
        self._batches = self._read()
        #: How many rows the database has sent.
        self.sent = 0
        #: Rows of media whose files could not be at a path of Synapse's layout.
        self.unusable = 0
        #: Rows of URL previews, which are never in S3.
        self.url_cache = 0

    @property
    def knows_thumbnails(self) -> bool:
        """Whether the thumbnail tables can be read; after open()."""
        return self.tables.has_thumbnails

    def next(self) -> Batch | None:
        """The next paths, or None after the last. Raises MediaError."""
        batch: Batch | None = self.call(next, self._batches, None)
        return batch

    def _read(self) -> Iterator[Batch]:
        last = ""
        decoder = _Decoder()
        for rows in self.tables.batches(self._statements(), BATCH):
            self.sent += len(rows)
            batch = decoder.decode(rows)
            self.unusable, self.url_cache = decoder.unusable, decoder.url_cache
            if batch[0]:
                last = _check_order(last, batch[0])
                yield batch
        batch = decoder.rest()
        if batch[0]:
            _check_order(last, batch[0])
            yield batch

    def _statements(self) -> list[str]:
        """In the order of the directories: originals, then thumbnails, of local and then of remote media."""
        names = self.tables.has_thumbnails
        columns = _COLUMNS if names else ", NULL, NULL, NULL, NULL"
        joins = (_JOIN_LOCAL, _JOIN_REMOTE) if names else ("", "")
        statements = []
        for statement, join in zip((_LOCAL, _REMOTE), joins):
            statements.append(statement.format(columns="", join="", collation=self._collation))
            statements.append(statement.format(columns=columns, join=join, collation=self._collation))
        return statements


class _Decoder:
    """Makes paths of rows. What belongs to one path may come in several rows, so the last one waits for the next."""

    def __init__(self) -> None:
        self.unusable = 0
        self.url_cache = 0
        self._path = ""
        self._row: Row | None = None
        # What is above an ordinary id in its path, for the origin that the last row had.
        self._above_of: tuple[str, Any, bool] | None = None
        self._above: str | None = None
        self._end = ""
        self._names: set[str] = set()

    def decode(self, rows: Sequence[tuple[Any, ...]]) -> Batch:
        paths: list[str] = []
        found: list[Row] = []
        for values in rows:
            origin, media_id, length, last_used_ms, url_cache = values[:5]
            of_thumbnails = len(values) > 5
            # Remote media is never a URL preview, and says so by NULL.
            path = self._path_of(LOCAL if url_cache is not None else REMOTE, origin, media_id, of_thumbnails)
            if path is None:
                self.unusable += not of_thumbnails
                continue
            row = Row(
                length if isinstance(length, int) else None,
                None,
                last_used_ms if isinstance(last_used_ms, int) else None,
                bool(url_cache),
            )
            if path != self._path:
                self._finish(paths, found)
                self._path, self._row = path, row
                self.url_cache += row.url_cache and not of_thumbnails
            elif self._row is not None and row.is_later_than(self._row):
                self._row = row
            if of_thumbnails and values[5] is not None:
                name = thumbnail_name(*values[5:9])
                if name is not None:
                    self._names.add(name)
        return paths, found

    def _path_of(self, kind: str, origin: Any, media_id: Any, of_thumbnails: bool) -> str | None:
        """As _path(), which costs several times as much for an id of letters and digits, as nearly all are."""
        if not isinstance(media_id, str) or len(media_id) < 5 or not (media_id.isascii() and media_id.isalnum()):
            return _path(kind, origin, media_id, of_thumbnails)
        if self._above_of != (kind, origin, of_thumbnails):
            self._above_of = (kind, origin, of_thumbnails)
            path = _path(kind, origin, media_id, of_thumbnails)
            end = "/" if of_thumbnails else ""
            # With two slashes in the id.
            self._above = None if path is None else path[: len(path) - len(media_id) - 2 - len(end)]
            self._end = end
        if self._above is None:
            return None
        return f"{self._above}{media_id[:2]}/{media_id[2:4]}/{media_id[4:]}{self._end}"

    def rest(self) -> Batch:
        """What waits after the last row."""
        paths: list[str] = []
        found: list[Row] = []
        self._finish(paths, found)
        return paths, found

    def _finish(self, paths: list[str], found: list[Row]) -> None:
        if self._row is None:
            return
        paths.append(self._path)
        found.append(self._row)
        if self._names:
            for name in sorted(self._names):
                paths.append(self._path + name)
                found.append(self._row)
            self._names.clear()
        self._row = None


def _path(kind: str, origin: Any, media_id: Any, of_thumbnails: bool) -> str | None:
    """Of the original, or of the directory of the thumbnails; None if Synapse could not have made such a path."""
    if not isinstance(media_id, str) or not isinstance(origin, str):
        return None
    media = Media(kind, origin, media_id)
    if not is_ordinary(media):
        return None
    return thumbnail_directory(media) + "/" if of_thumbnails else content_path(media)


def _check_order(last: str, paths: Sequence[str]) -> str:
    """The last path. Raises MediaError if the paths do not ascend, which would make every comparison wrong."""
    for path in paths:
        if path <= last:
            raise MediaError(
                f"Synapse's database does not sort its rows by the bytes of their names ({path!r} after {last!r}). "
                "Report this, with the versions of Synapse and of the database."
            )
        last = path
    return last
