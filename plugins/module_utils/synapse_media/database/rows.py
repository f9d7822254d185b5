# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of Synapse's database about the media on disk, read in batches and never written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..disk.layout import LOCAL, REMOTE, Media
from ..settings.homeserver import DatabaseSettings
from .tables import MediaDatabase

_UPLOADERS = "SELECT user_id FROM local_media_repository WHERE user_id IS NOT NULL LIMIT {limit}"
_SHA256 = re.compile("[0-9A-Fa-f]{64}")


class Row(NamedTuple):
    """A media's row: bytes, raw digest, milliseconds since 1970; None if the row or Synapse's version has none."""

    length: int | None
    sha256: bytes | None
    last_used_ms: int | None
    url_cache: bool

    def is_later_than(self, other: Row) -> bool:
        """Which of two rows of one file speaks for both: that of the last use, and one without a time is never old."""
        if other.last_used_ms is None:
            return False
        return self.last_used_ms is None or self.last_used_ms > other.last_used_ms


class Rows(MediaDatabase):
    """Look-ups by what is on disk, from any thread; raises MediaError if the database fails.

    In the main thread a signal handler's exception ends the wait for a look-up, however long the database takes.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        """Raises ConfigurationError if the driver is missing, or the file of an SQLite database."""
        super().__init__(settings)
        #: How many rows the database has sent.
        self.sent = 0

    def look_up(self, media: Sequence[Media]) -> dict[Media, Row]:
        """The rows by media; media without a row are left out. Best for up to some 3,000 at a time."""
        asked = {one for one in media if _can_be_asked(one)}
        return self.call(self._look_up, asked)

    def thumbnail_lengths(self, media: Sequence[Media]) -> dict[Media, set[int]]:
        """The sizes in bytes that thumbnails of these media have; media without any are left out."""
        asked = {one for one in media if _can_be_asked(one)}
        lengths: dict[Media, set[int]] = {}
        for one, length in self.call(self._thumbnail_lengths, asked):
            if one in asked and isinstance(length, int):
                lengths.setdefault(one, set()).add(length)
        return lengths

    def of_users(self, users: Sequence[str]) -> set[Media]:
        """The media that these users, such as @alice:example.org, have uploaded."""
        found = self.call(self.tables.of_users, sorted(set(users)))
        self.sent += len(found)
        return {Media(LOCAL, "", row[0]) for row in found}

    def uploaders(self, limit: int) -> list[str]:
        """The users, such as @alice:example.org, of up to so many rows of local media."""
        found = self.call(self.tables.ask, _UPLOADERS.format(limit=int(limit)))
        self.sent += len(found)
        return [row[0] for row in found if isinstance(row[0], str)]

    def remote_media(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Media]:
        """The media of other servers, by origin and media id; those without a row are left out."""
        asked = {name for name in names if _can_be_asked(Media(REMOTE, *name))}
        if not asked:
            return {}
        origins, media_ids = sorted({name[0] for name in asked}), sorted({name[1] for name in asked})
        found = self.call(self.tables.filesystem_ids, origins, media_ids)
        self.sent += len(found)
        return {(row[0], row[1]): Media(REMOTE, row[0], row[2]) for row in found if (row[0], row[1]) in asked}

    def empty(self) -> bool:
        """Whether there is no media at all in the database."""
        return not self.call(self.tables.has_rows)

    def _thumbnail_lengths(self, asked: set[Media]) -> list[tuple[Media, Any]]:
        local, (origins, filesystem_ids) = _names(asked)
        found = [(Media(LOCAL, "", row[0]), row[1]) for row in self.tables.local_thumbnails(local)] if local else []
        if origins:
            rows = self.tables.remote_thumbnails(origins, filesystem_ids)
            found += [(Media(REMOTE, row[0], row[1]), row[2]) for row in rows]
        self.sent += len(found)
        return found

    def _look_up(self, asked: set[Media]) -> dict[Media, Row]:
        rows: dict[Media, Row] = {}
        local, (origins, filesystem_ids) = _names(asked)
        if local:
            self._keep(rows, asked, ((Media(LOCAL, "", row[0]), row[1:]) for row in self.tables.local(local)))
        if origins:
            found = self.tables.remote(origins, filesystem_ids)
            self._keep(rows, asked, ((Media(REMOTE, row[0], row[1]), row[2:]) for row in found))
        return rows

    def _keep(self, rows: dict[Media, Row], asked: set[Media], found: Iterable[tuple[Media, Sequence[Any]]]) -> None:
        for media, values in found:
            self.sent += 1
            if media not in asked:
                continue
            row = _row(*values)
            other = rows.get(media)
            # No index makes a filesystem id unique. The row that was used last speaks for both.
            if other is None or row.is_later_than(other):
                rows[media] = row


@contextmanager
def open_rows(settings: DatabaseSettings) -> Iterator[Rows]:
    """Raises ConfigurationError if the database cannot be opened or has no media tables."""
    rows = Rows(settings)
    try:
        rows.open()
        yield rows
    finally:
        rows.close()


def _names(asked: Iterable[Media]) -> tuple[list[str], tuple[list[str], list[str]]]:
    """Ids of local media; origins and filesystem ids of remote media."""
    local = sorted(one.filesystem_id for one in asked if one.kind == LOCAL)
    remote = [one for one in asked if one.kind == REMOTE]
    return local, (sorted({one.origin for one in remote}), sorted({one.filesystem_id for one in remote}))


def _can_be_asked(media: Media) -> bool:
    """Whether both engines take the names as text; no row can have others."""
    names = media.origin + media.filesystem_id
    if "\0" in names:
        return False
    try:
        names.encode()
    except UnicodeEncodeError:
        return False
    return True


def _row(length: Any, sha256: Any, last_used_ms: Any, url_cache: Any) -> Row:
    digest = bytes.fromhex(sha256) if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None
    return Row(_number(length), digest, _number(last_used_ms), bool(url_cache))


def _number(value: Any) -> int | None:
    # SQLite keeps whatever it is given in a column of whatever type.
    return value if isinstance(value, int) else None
