# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two steps that update cache.db: rows come from Synapse's database, and are marked when no file is on disk.

The script inserts rows and never updates one. Media that Synapse fetched again, or created a thumbnail of, keeps the
mark known_deleted; remote media that was purged and fetched again has a new filesystem id, which differs from that of
the row. Without a reset neither would ever be moved again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..database.errors import require_file
from ..database.lookups import BATCH, RemoteRow, SynapseDatabase, in_batches, open_database
from ..disk.layout import LOCAL, REMOTE, Media, content_path, media_on_disk
from ..errors import ConfigurationError
from ..reporting import SHOWN
from ..settings.homeserver import DatabaseSettings
from ..settings.units import in_seconds, parse_duration
from .candidates import look_for_files
from .job import Job
from .report import CheckDeletedResult, StepFailedError, UpdateDbResult
from .workspace import Cache, open_cache, write_database

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
_MARKED = "SELECT origin, media_id, filesystem_id FROM matched WHERE known_deleted AND type = ?"
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


def update_db(job: Job, older_than: str) -> UpdateDbResult:
    """Add media that was last used longer ago than a duration, including media that is on the disk again."""
    duration = parse_duration(older_than)
    database = _database(job)
    with open_cache(job.workspace.directory) as cache:
        job.media_store.check(cache.offered_count())
        before = cache.snapshot()
        if not job.media_store.is_known:
            _refuse_foreign_media_store(job, cache, database)
    write_database(job.workspace, database)
    output = job.run_or_fail(["update-db", in_seconds(duration)])
    if output.since_ms is None:
        raise _unknown_release("update-db", "the time it compares with")
    result = UpdateDbResult(rows_synced=output.counts["rows_synced"])
    with open_cache(job.workspace.directory) as cache:
        _check_count("update-db", result.rows_synced, cache.count_since(before))
        for media in cache.added_since(before, SHOWN):
            result.diff.add(content_path(media), None, "offered")
        result.diff.add_uncounted(max(0, result.rows_synced - SHOWN))
        reoffer = Reoffer(cache, job.root)
        reoffer.read_disk()
        with open_database(database) as rows:
            offered_again = reoffer.offer(rows, output.since_ms)
    for media in offered_again:
        result.diff.add(content_path(media), "given up, yet on disk", "offered again")
    result.rows_reoffered = len(offered_again)
    job.remember_media_store()
    return result


def check_deleted(job: Job) -> CheckDeletedResult:
    """Mark rows of media that has no file on disk."""
    with open_cache(job.workspace.directory) as cache:
        job.media_store.check(cache.offered_count())
        before = cache.snapshot()
        findings = look_for_files(job.root, cache.offered())
    if findings.hidden:
        # The script would treat files that it cannot see as deleted.
        raise ConfigurationError(
            f"Of {len(findings.hidden)} media it cannot be told whether they are on disk: {findings.hidden}. "
            "Give the media store to the user this runs as (synapse_s3_synapse_user)."
        )
    output = job.run_or_fail(["check-deleted", job.root])
    result = CheckDeletedResult(marked_deleted=output.counts["marked_deleted"])
    with open_cache(job.workspace.directory) as cache:
        _check_count("check-deleted", result.marked_deleted, cache.snapshot().known_deleted - before.known_deleted)
    for path in findings.some_without_files:
        result.diff.add(path, "offered, yet not on disk", "not offered")
    result.diff.add_uncounted(max(0, result.marked_deleted - SHOWN))
    job.remember_media_store()
    return result


def _database(job: Job) -> DatabaseSettings:
    if job.database is None:
        raise ConfigurationError(
            "update-db needs Synapse's database. "
            "Set homeserver_config to the files Synapse is started with, or set database."
        )
    require_file(job.database)
    return job.database


def _refuse_foreign_media_store(job: Job, cache: Cache, database: DatabaseSettings) -> None:
    reoffer = Reoffer(cache, job.root)
    reoffer.read_disk()
    with open_database(database) as rows:
        reoffer.refuse_foreign_disk(rows)


def _check_count(command: str, reported: int, counted: int) -> None:
    if reported != counted:
        reason = f"its counts do not add up: it reports {reported} rows, and {counted} rows changed in cache.db."
        raise StepFailedError(f"s3_media_upload {command} failed: {reason}", reason)


def _unknown_release(command: str, missing: str) -> StepFailedError:
    reason = f"it did not print {missing}, so it is a release that is not known here."
    return StepFailedError(f"s3_media_upload {command} failed: {reason}", reason)


class Reoffer:
    """Resets rows that the script has marked as deleted although their media is on the disk again."""

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
        for media_id in self._marked_local(database, before):
            offered += self._update(Media(LOCAL, "", media_id), media_id)
        for row in (*self._marked_remote(database, before), *self._fetched_again(database, before)):
            offered += self._update(Media(REMOTE, row.origin, row.filesystem_id), row.media_id)
        return offered

    def _marked_local(self, database: SynapseDatabase, before: int) -> Iterator[str]:
        for batch in in_batches((row[1] for row in self._query(_MARKED, LOCAL)), BATCH):
            yield from sorted(database.local_ids(batch, before))

    def _marked_remote(self, database: SynapseDatabase, before: int) -> Iterator[RemoteRow]:
        for batch in in_batches((RemoteRow(*row) for row in self._query(_MARKED, REMOTE)), BATCH):
            current = set(database.remote_by_media_id([(row.origin, row.media_id) for row in batch], before))
            # If Synapse's row has changed, the file at the old id belongs to no media.
            yield from (row for row in batch if row in current)

    def _fetched_again(self, database: SynapseDatabase, before: int) -> Iterator[RemoteRow]:
        for batch in in_batches(self._query(_UNMATCHED, REMOTE), BATCH):
            yield from sorted(database.remote_by_filesystem_id(batch, before))

    def _update(self, media: Media, media_id: str) -> list[Media]:
        row = dict(zip(("type", "origin", "filesystem_id"), media), media_id=media_id)
        return [media] if self._connection.execute(_OFFER, row).rowcount else []

    def _query(self, sql: str, value: str | int) -> sqlite3.Cursor:
        return self._connection.execute(sql, (value,))
