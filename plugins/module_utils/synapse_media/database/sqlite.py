# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look-ups in Synapse's media tables in SQLite: as few statements as its limit of values allows."""

from __future__ import annotations

import marshal
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import IO, Any

from ..errors import MediaError
from ..settings.homeserver import DatabaseSettings
from .errors import explain_database_words, require_file

# In seconds, as long as Synapse may be writing.
_BUSY_TIMEOUT = 30.0
# SQLite itself waits only so long at a time, because nothing interrupts it while it waits for a lock.
_BUSY_SLICE = 0.2
# After how many steps of SQLite's virtual machine, some milliseconds, a statement looks whether it was cancelled.
_STEPS = 100_000
# How many values a statement takes.
_VALUES = 32000 if sqlite3.sqlite_version_info >= (3, 32) else 900

_LOCAL = """
SELECT media_id, media_length, {sha256}, COALESCE(last_access_ts, created_ts), url_cache IS NOT NULL
FROM local_media_repository WHERE media_id IN ({ids})
"""

_REMOTE = """
SELECT media_origin, filesystem_id, media_length, {sha256}, COALESCE(last_access_ts, created_ts), 0
FROM {table} WHERE media_origin IN ({origins}) AND filesystem_id IN ({ids})
"""

_LOCAL_THUMBNAILS = """
SELECT media_id, thumbnail_length FROM local_media_repository_thumbnails WHERE media_id IN ({ids})
"""

_REMOTE_THUMBNAILS = """
SELECT media_origin, filesystem_id, thumbnail_length
FROM {table} WHERE media_origin IN ({origins}) AND filesystem_id IN ({ids})
"""

_OF_USERS = """
SELECT media_id FROM local_media_repository WHERE user_id IN ({ids}) AND url_cache IS NULL
"""

_FILESYSTEM_IDS = """
SELECT media_origin, media_id, filesystem_id FROM {table} WHERE media_origin IN ({origins}) AND media_id IN ({ids})
"""

# What is on disk has a filesystem id, and the index knows an origin's rows alone. Fetched by the index, a row costs
# seven times what it costs in a pass over the table, and SQLite's planner does not know how many rows an origin has.
_WORTH_A_PASS = 8


class SqliteTables:
    """One connection that cannot write. Raises MediaError; opening also raises the driver's errors."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Does not touch the database yet: see open()."""
        require_file(settings)
        self._settings = settings
        self._connection: sqlite3.Connection | None = None
        self._cancelled = False
        self._local_sha256 = self._remote_sha256 = "NULL"
        self._has_thumbnails = False

    def open(self) -> None:
        # The thread that asks need not be the one that opens or cancels.
        self._connection = sqlite3.connect(
            self._settings.args["database"], timeout=_BUSY_SLICE, isolation_level=None, check_same_thread=False
        )
        # interrupt() does nothing to a statement that is about to begin; this ends that one too.
        self._connection.set_progress_handler(lambda: self._cancelled, _STEPS)
        self._ask("PRAGMA query_only = ON")
        self._local_sha256 = self._sha256_of("local_media_repository")
        self._remote_sha256 = self._sha256_of("remote_media_cache")
        dummy, tables = self._ask("SELECT name FROM sqlite_master WHERE type = 'table'")
        self._has_thumbnails = {"local_media_repository_thumbnails", "remote_media_cache_thumbnails"} <= {
            name for (name,) in tables
        }

    def local(self, media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._by_id(_LOCAL, media_ids)

    def remote(self, origins: Sequence[str], filesystem_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._by_origin_and_id("remote_media_cache", _REMOTE, origins, filesystem_ids)

    def local_thumbnails(self, media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._by_id(_LOCAL_THUMBNAILS, media_ids) if self._has_thumbnails else []

    def remote_thumbnails(self, origins: Sequence[str], filesystem_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        if not self._has_thumbnails:
            return []
        return self._by_origin_and_id("remote_media_cache_thumbnails", _REMOTE_THUMBNAILS, origins, filesystem_ids)

    def of_users(self, users: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._by_id(_OF_USERS, users)

    def filesystem_ids(self, origins: Sequence[str], media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for some_origins in _chunks(origins, _VALUES // 2):
            for ids in _chunks(media_ids, _VALUES - len(some_origins)):
                marks = {"origins": _marks(some_origins), "ids": _marks(ids)}
                rows += self._rows(_FILESYSTEM_IDS.format(table="remote_media_cache", **marks), [*some_origins, *ids])
        return rows

    def has_rows(self) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM local_media_repository) OR EXISTS (SELECT 1 FROM remote_media_cache)"
        ((found,),) = self._rows(sql, [])
        return bool(found)

    @property
    def has_thumbnails(self) -> bool:
        """Whether the thumbnail tables are there."""
        return self._has_thumbnails

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of one statement. The connection can change nothing."""
        return self._rows(statement, [])

    def batches(self, statements: Sequence[str], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of one statement after the other, `size` at a time, all as they are at the beginning.

        They are copied to a temporary file first: as long as a statement is being read, Synapse may be unable to write.
        """
        try:
            with tempfile.TemporaryFile() as file:
                self._copy(statements, size, file)
                file.seek(0)
                while True:
                    rows: list[tuple[Any, ...]] = marshal.load(file)  # noqa: S302 - of this process's own making
                    if not rows:
                        return
                    yield rows
        except OSError as error:
            raise MediaError(
                f"The rows of Synapse's database could not be copied to a temporary file ({error.strerror}). "
                "Free space in /var/tmp or /tmp, or set TMPDIR to a directory on another disk."
            ) from error

    def _copy(self, statements: Sequence[str], size: int, file: IO[bytes]) -> None:
        self._rows("BEGIN", [])
        try:
            for statement in statements:
                with closing(self._cursor(statement)) as cursor:
                    while rows := cursor.fetchmany(size):
                        marshal.dump(rows, file)
            marshal.dump([], file)
        except sqlite3.Error as error:
            raise MediaError(explain_database_words(f"{type(error).__name__}: {error}", self._settings)) from error
        finally:
            with suppress(sqlite3.Error, MediaError):
                self._rows("ROLLBACK", [])

    def cancel(self) -> None:
        self._cancelled = True
        if self._connection is not None:
            self._connection.interrupt()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _sha256_of(self, table: str) -> str:
        """The column as SQL; Synapse before 1.127 has none."""
        columns, dummy = self._ask(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608 - a constant
        return "sha256" if "sha256" in columns else "NULL"

    def _by_id(self, sql: str, media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for ids in _chunks(media_ids, _VALUES):
            rows += self._rows(sql.format(sha256=self._local_sha256, ids=_marks(ids)), ids)
        return rows

    def _by_origin_and_id(
        self, table: str, sql: str, origins: Sequence[str], filesystem_ids: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for some_origins in _chunks(origins, _VALUES // 2):
            source = f"{table} NOT INDEXED" if self._are_many(table, some_origins) else table
            for ids in _chunks(filesystem_ids, _VALUES - len(some_origins)):
                marks = {"origins": _marks(some_origins), "ids": _marks(ids)}
                filled = sql.format(sha256=self._remote_sha256, table=source, **marks)
                rows += self._rows(filled, [*some_origins, *ids])
        return rows

    def _are_many(self, table: str, origins: Sequence[str]) -> bool:
        """Whether so many of a table's rows are of these origins that a pass over all of them is cheaper."""
        # Not fewer than there are, and known without counting.
        ((rows,),) = self._rows(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}", [])  # noqa: S608 - a constant
        limit = rows // _WORTH_A_PASS
        counted = f"SELECT 1 FROM {table} WHERE media_origin IN ({_marks(origins)}) LIMIT {limit + 1}"  # noqa: S608
        ((found,),) = self._rows(f"SELECT COUNT(*) FROM ({counted})", origins)  # noqa: S608 - numbers and placeholders
        return bool(found > limit)

    def _rows(self, sql: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
        try:
            return self._ask(sql, values)[1]
        except sqlite3.Error as error:
            raise MediaError(explain_database_words(f"{type(error).__name__}: {error}", self._settings)) from error

    def _ask(self, sql: str, values: Sequence[str] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names of columns, and rows. Waits while Synapse is writing."""
        with closing(self._cursor(sql, values)) as cursor:
            return [column[0] for column in cursor.description or ()], cursor.fetchall()

    def _cursor(self, sql: str, values: Sequence[str] = ()) -> sqlite3.Cursor:
        """Of a statement that has begun, and so has its lock. Waits while Synapse is writing."""
        deadline = time.monotonic() + _BUSY_TIMEOUT
        while True:
            if self._connection is None or self._cancelled:
                raise sqlite3.OperationalError("interrupted")
            try:
                return self._connection.execute(sql, values)
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= deadline:
                    raise


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
