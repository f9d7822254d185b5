# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resets rows that the script has marked as deleted although their media is on the disk again.

The script inserts rows and never updates one. Media that Synapse fetched again, or created a thumbnail of, keeps the
mark known_deleted; remote media that was purged and fetched again has a new filesystem id, which differs from that of
the row. Without a reset neither would ever be moved again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..database.lookups import BATCH, RemoteRow, SynapseDatabase
from ..disk.layout import LOCAL, REMOTE, Media, media_on_disk
from ..errors import ConfigurationError
from .batches import in_batches
from .cache import Cache

# In a file of SQLite's own, so that memory does not grow with the number of files.
_ON_DISK = """
    PRAGMA temp_store = FILE;
    CREATE TEMP TABLE on_disk (
        type TEXT NOT NULL, origin TEXT NOT NULL, filesystem_id TEXT NOT NULL, PRIMARY KEY (type, origin, filesystem_id)
    ) WITHOUT ROWID;
    CREATE TEMP TABLE matched (
        type TEXT NOT NULL, origin TEXT NOT NULL, filesystem_id TEXT NOT NULL,
        media_id TEXT NOT NULL, known_deleted BOOLEAN NOT NULL
    );
"""
# CROSS JOIN makes SQLite read the rows once, and look each of them up among the media on disk.
_MATCH = """
    INSERT INTO matched
    SELECT d.type, d.origin, d.filesystem_id, m.media_id, m.known_deleted FROM media AS m CROSS JOIN on_disk AS d
    WHERE d.type = m.type AND d.origin = m.origin AND d.filesystem_id = m.filesystem_id
"""
_FORGOTTEN = "SELECT origin, media_id, filesystem_id FROM matched WHERE known_deleted AND type = ?"
_UNMATCHED = """
    SELECT origin, filesystem_id FROM (
        SELECT type, origin, filesystem_id FROM on_disk EXCEPT SELECT type, origin, filesystem_id FROM matched
    ) WHERE type = ?
"""
_OFFER = """
    UPDATE media SET known_deleted = 0, filesystem_id = :filesystem_id
    WHERE type = :type AND origin = :origin AND media_id = :media_id
    AND (known_deleted OR filesystem_id != :filesystem_id)
"""

# With fewer media, files without a row may be left from failed uploads; with more, they belong to another server.
FEW = 10
_SAMPLE = 1000


class Reoffer:
    def __init__(self, cache: Cache, root: str) -> None:
        self._connection = cache.connection
        self._root = root

    def read_disk(self) -> None:
        try:
            self._connection.executescript(_ON_DISK)
            self._connection.executemany("INSERT OR IGNORE INTO on_disk VALUES (?, ?, ?)", media_on_disk(self._root))
        except PermissionError as error:
            raise ConfigurationError(
                f"{error.filename} cannot be read ({error.strerror}). "
                "Give the media store to the user this runs as (synapse_s3_synapse_user)."
            ) from error

    def refuse_foreign_disk(self, database: SynapseDatabase) -> None:
        """A disk full of media that Synapse's database does not know belongs to another server."""
        sample = [Media(*row) for row in self._query("SELECT * FROM on_disk LIMIT ?", _SAMPLE)]
        if len(sample) < FEW:
            return
        local = [media.filesystem_id for media in sample if media.kind == LOCAL]
        remote = [(media.origin, media.filesystem_id) for media in sample if media.kind == REMOTE]
        if any(database.local_ids(batch, None) for batch in in_batches(local, BATCH)):
            return
        if any(database.remote_by_filesystem_id(batch, None) for batch in in_batches(remote, BATCH)):
            return
        raise ConfigurationError(
            f"Of {len(sample)} media in {self._root} none is known to Synapse's database, "
            "so the two belong to different servers. Correct synapse_s3_media_path or synapse_s3_database. "
            f"If they do belong together, make an empty file .synapse-s3 in {self._root}."
        )

    def offer(self, database: SynapseDatabase, before: int) -> list[Media]:
        """Return the media whose rows were reset; `before` is a time in milliseconds, and only media last used earlier
        counts.
        """
        self._connection.execute(_MATCH)
        offered: list[Media] = []
        for media_id in self._forgotten_local(database, before):
            offered += self._update(Media(LOCAL, "", media_id), media_id)
        for row in (*self._forgotten_remote(database, before), *self._moved_remote(database, before)):
            offered += self._update(Media(REMOTE, row.origin, row.filesystem_id), row.media_id)
        return offered

    def _forgotten_local(self, database: SynapseDatabase, before: int) -> Iterator[str]:
        for batch in in_batches((row[1] for row in self._query(_FORGOTTEN, LOCAL)), BATCH):
            yield from sorted(database.local_ids(batch, before))

    def _forgotten_remote(self, database: SynapseDatabase, before: int) -> Iterator[RemoteRow]:
        for batch in in_batches((RemoteRow(*row) for row in self._query(_FORGOTTEN, REMOTE)), BATCH):
            current = set(database.remote_by_media_id([(row.origin, row.media_id) for row in batch], before))
            # If Synapse's row has changed, the file at the old id belongs to no media.
            yield from (row for row in batch if row in current)

    def _moved_remote(self, database: SynapseDatabase, before: int) -> Iterator[RemoteRow]:
        for batch in in_batches(self._query(_UNMATCHED, REMOTE), BATCH):
            yield from sorted(database.remote_by_filesystem_id(batch, before))

    def _update(self, media: Media, media_id: str) -> list[Media]:
        row = dict(zip(("type", "origin", "filesystem_id"), media), media_id=media_id)
        return [media] if self._connection.execute(_OFFER, row).rowcount else []

    def _query(self, sql: str, value: str | int) -> sqlite3.Cursor:
        return self._connection.execute(sql, (value,))
