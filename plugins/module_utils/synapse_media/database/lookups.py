# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look-ups for the wrapped script, in SQL that both engines speak; a row's age is counted as the script counts it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from ..disk.layout import LOCAL, Media
from ..errors import ConfigurationError
from ..settings.homeserver import DatabaseSettings
from .errors import DATABASE_ERRORS, HAS_PSYCOPG2, explain_database, require_file

if HAS_PSYCOPG2:
    import psycopg2

# SQLite before 3.32 takes at most 999 values a statement; PostgreSQL takes arrays. One batch size serves both.
BATCH = 400

Item = TypeVar("Item")

# The age rule is upstream's own, so that only rows are reset that the script would have added.
_OLD = "COALESCE(last_access_ts, created_ts) < {mark}"


class RemoteRow(NamedTuple):
    origin: str
    media_id: str
    filesystem_id: str


class RowFacts(NamedTuple):
    """Length and digest of the original in a row; None if the row lacks them. Synapse stores digests since 1.127."""

    length: int | None = None
    sha256: str | None = None


class SynapseDatabase:
    """Look-ups with SQL that both databases accept; `before` is a time in milliseconds, or None for rows of any age."""

    def __init__(self, connection: Any, mark: str) -> None:
        self._connection = connection
        self._mark = mark

    def local_ids(self, media_ids: Sequence[str], before: int | None) -> set[str]:
        """Return the ids of this server's own media that are no URL previews."""
        marks = ", ".join([self._mark] * len(media_ids))
        sql = (
            "SELECT media_id FROM local_media_repository "  # noqa: S608 - placeholders only
            f"WHERE url_cache IS NULL AND media_id IN ({marks})"
        )
        return {row[0] for row in self._rows(sql, list(media_ids), before)}

    def remote_by_media_id(self, pairs: Sequence[tuple[str, str]], before: int | None) -> list[RemoteRow]:
        return self._remote("media_id", pairs, before)

    def remote_by_filesystem_id(self, pairs: Sequence[tuple[str, str]], before: int | None) -> list[RemoteRow]:
        """There is no index on the filesystem id, so the database reads the origin's rows, or all of them, once a
        batch.
        """
        return self._remote("filesystem_id", pairs, before)

    def facts(self, media: Media) -> RowFacts:
        """Return what the row of this media says; all None if there is no row."""
        try:
            rows = self._facts("media_length, sha256", media)
        except DATABASE_ERRORS:
            # Older releases of Synapse lack the column.
            rows = [(length, None) for (length,) in self._facts("media_length", media)]
        return RowFacts(*rows[0]) if len(rows) == 1 else RowFacts()

    def _facts(self, columns: str, media: Media) -> list[tuple[Any, ...]]:
        if media.kind == LOCAL:
            sql = f"SELECT {columns} FROM local_media_repository WHERE media_id = {self._mark}"  # noqa: S608 - no values
            return self._rows(sql, [media.filesystem_id], None)
        sql = (
            f"SELECT {columns} FROM remote_media_cache "  # noqa: S608 - the same
            f"WHERE media_origin = {self._mark} AND filesystem_id = {self._mark}"
        )
        return self._rows(sql, [media.origin, media.filesystem_id], None)

    def _remote(self, column: str, pairs: Sequence[tuple[str, str]], before: int | None) -> list[RemoteRow]:
        values = ", ".join([f"({self._mark}, {self._mark})"] * len(pairs))
        sql = (
            "SELECT media_origin, media_id, filesystem_id FROM remote_media_cache "  # noqa: S608 - the same
            f"WHERE (media_origin, {column}) IN (VALUES {values})"
        )
        return [RemoteRow(*row) for row in self._rows(sql, [value for pair in pairs for value in pair], before)]

    def _rows(self, sql: str, values: list[Any], before: int | None) -> list[tuple[Any, ...]]:
        if before is not None:
            sql += " AND " + _OLD.format(mark=self._mark)
            values = [*values, before]
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(sql, values)
            return [tuple(row) for row in cursor.fetchall()]


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """For databases that accept many values in a statement but not any number."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


@contextmanager
def open_database(settings: DatabaseSettings) -> Iterator[SynapseDatabase]:
    try:
        if settings.name == "sqlite3":
            with closing(_open_sqlite(settings)) as connection:
                yield SynapseDatabase(connection, "?")
        else:
            with closing(_open_postgresql(settings)) as connection:
                yield SynapseDatabase(connection, "%s")
    except DATABASE_ERRORS as error:
        raise explain_database(error, settings) from error


def _open_sqlite(settings: DatabaseSettings) -> sqlite3.Connection:
    require_file(settings)
    connection = sqlite3.connect(settings.args["database"], timeout=30)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _open_postgresql(settings: DatabaseSettings) -> Any:
    if not HAS_PSYCOPG2:
        raise ConfigurationError(
            "The Python library psycopg2 is not installed in this Python, and Synapse's database is PostgreSQL. "
            "Run this with the Python of the migrate role, or install psycopg2-binary."
        )
    connection = psycopg2.connect(**settings.args)
    connection.set_session(readonly=True, autocommit=True)
    return connection
