# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look-ups in Synapse's media tables in PostgreSQL: one statement a batch and table, in a read-only session."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from ..errors import ConfigurationError, MediaError
from ..settings.homeserver import DatabaseSettings
from .errors import HAS_PSYCOPG2, explain_database_words

if HAS_PSYCOPG2:
    import psycopg2

# The remote table may have to be read as a whole, and matrix.org's has 200 million rows; no statement of ours should
# take longer, and none that does may hold back the clean-up of Synapse's tables.
_STATEMENT_SECONDS = 300

# How often the server looks at the connection while it runs a statement or waits for a lock: it ends the statement of
# one that is gone. The driver's own cancel() is no way to that, because it holds the interpreter's lock while it waits
# for an answer, and so stops every thread for as long as the server is silent. PostgreSQL before 14 does not know the
# setting; there a statement ends by its timeout.
_CHECK_CONNECTION = "2s"
_CHECKS_CONNECTION = 140000

# A server that is gone without a word is noticed within a minute. What the operator set goes before these.
_CONNECTION = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

_LOCAL = """
SELECT found.media_id, found.media_length, {sha256}, COALESCE(found.last_access_ts, found.created_ts),
    found.url_cache IS NOT NULL
FROM unnest(%s::text[]) AS asked (media_id) JOIN local_media_repository AS found ON found.media_id = asked.media_id
"""

# The index is on (media_origin, media_id), and what is on disk has a filesystem id. So the origins narrow down what is
# read, whether by the index or as a whole is the planner's to say, and the ids are looked up in a hash table. "IS TRUE"
# is what makes it a hash table always: as a join, and with statistics that are out of date, the planner compares each
# row with each id instead, which was seen to take 200 times as long.
_REMOTE = """
SELECT found.media_origin, found.filesystem_id, found.media_length, {sha256},
    COALESCE(found.last_access_ts, found.created_ts), FALSE
FROM remote_media_cache AS found
WHERE found.media_origin = ANY (%s::text[]) AND (found.filesystem_id IN (SELECT unnest(%s::text[]))) IS TRUE
"""

# The user may have been granted no more than the two tables that are always needed.
_HAS_THUMBNAILS = """
SELECT COALESCE(
    has_table_privilege(to_regclass('local_media_repository_thumbnails')::oid, 'SELECT')
    AND has_table_privilege(to_regclass('remote_media_cache_thumbnails')::oid, 'SELECT'), FALSE)
"""

_LOCAL_THUMBNAILS = """
SELECT media_id, thumbnail_length FROM local_media_repository_thumbnails WHERE media_id = ANY (%s::text[])
"""

_REMOTE_THUMBNAILS = """
SELECT media_origin, filesystem_id, thumbnail_length FROM remote_media_cache_thumbnails
WHERE media_origin = ANY (%s::text[]) AND (filesystem_id IN (SELECT unnest(%s::text[]))) IS TRUE
"""

_OF_USERS = """
SELECT media_id FROM local_media_repository WHERE user_id = ANY (%s::text[]) AND url_cache IS NULL
"""

_FILESYSTEM_IDS = """
SELECT media_origin, media_id, filesystem_id FROM remote_media_cache
WHERE media_origin = ANY (%s::text[]) AND media_id = ANY (%s::text[])
"""


class PostgresqlTables:
    """One connection, made again once where it is lost. Raises MediaError; opening also raises the driver's errors."""

    _local_sql = _remote_sql = ""
    _has_thumbnails = False

    def __init__(self, settings: DatabaseSettings) -> None:
        if not HAS_PSYCOPG2:
            raise ConfigurationError(
                "The Python library psycopg2 is not installed in this Python, and Synapse's database is PostgreSQL. "
                "Run this with the Python of the migrate role, or install psycopg2-binary."
            )
        self._settings = settings
        self._connection: Any = None
        self._cancelled = False

    def open(self) -> None:
        self._connect()
        try:
            self._local_sql = _LOCAL.format(sha256=self._sha256_of("local_media_repository"))
            self._remote_sql = _REMOTE.format(sha256=self._sha256_of("remote_media_cache"))
            ((self._has_thumbnails,),) = self._rows(_HAS_THUMBNAILS, [])
        except psycopg2.extensions.QueryCanceledError as error:
            raise MediaError(self._explained(error)) from error

    def local(self, media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._rows(self._local_sql, [list(media_ids)])

    def remote(self, origins: Sequence[str], filesystem_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._rows(self._remote_sql, [list(origins), list(filesystem_ids)])

    def local_thumbnails(self, media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._rows(_LOCAL_THUMBNAILS, [list(media_ids)]) if self._has_thumbnails else []

    def remote_thumbnails(self, origins: Sequence[str], filesystem_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._rows(_REMOTE_THUMBNAILS, [list(origins), list(filesystem_ids)]) if self._has_thumbnails else []

    def of_users(self, users: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._rows(_OF_USERS, [list(users)])

    def filesystem_ids(self, origins: Sequence[str], media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._rows(_FILESYSTEM_IDS, [list(origins), list(media_ids)])

    def has_rows(self) -> bool:
        sql = (
            "SELECT EXISTS (SELECT 1 FROM local_media_repository LIMIT 1)"
            " OR EXISTS (SELECT 1 FROM remote_media_cache LIMIT 1)"
        )
        ((found,),) = self._rows(sql, [])
        return bool(found)

    @property
    def has_thumbnails(self) -> bool:
        """Whether the thumbnail tables are there and may be read."""
        return self._has_thumbnails

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of one statement. The session can change nothing."""
        return self._rows(statement, [])

    def batches(self, statements: Sequence[str], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of one statement after the other, `size` at a time, all as they are at the beginning.

        Strings sort by their UTF-8 bytes only where a statement says COLLATE "C". The server keeps what it has sorted;
        the transaction is open until the last row.
        """
        self._rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", [])
        # All rows are fetched, so the planner should not favour the first ones.
        self._rows("SET LOCAL cursor_tuple_fraction = 1.0", [])
        for statement in statements:
            self._rows(f"DECLARE media NO SCROLL CURSOR FOR {statement}", [])
            while True:
                rows = self._rows(f"FETCH FORWARD {size} FROM media", [])
                if not rows:
                    break
                yield rows
            self._rows("CLOSE media", [])
        self._rows("COMMIT", [])

    def cancel(self) -> None:
        self._cancelled = True
        self._disconnect()

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()

    def _connect(self) -> None:
        arguments = {**_CONNECTION, **self._settings.args}
        if _is_endless(arguments["connect_timeout"]):
            arguments["connect_timeout"] = _CONNECTION["connect_timeout"]
        self._connection = connection = psycopg2.connect(**arguments)
        # After it is known: cancel() has set the flag before it looks for a connection.
        if self._cancelled:
            self._disconnect()
        try:
            # Synapse's own database is always UTF-8, whatever this process's environment says.
            connection.set_client_encoding("UTF8")
            connection.set_session(readonly=True, autocommit=True)
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = %s", [_STATEMENT_SECONDS * 1000])
                if connection.server_version >= _CHECKS_CONNECTION:
                    # Servers on systems that cannot look refuse the setting.
                    with suppress(psycopg2.DataError, psycopg2.ProgrammingError):
                        cursor.execute("SET client_connection_check_interval = %s", [_CHECK_CONNECTION])
        except BaseException:
            connection.close()
            raise

    def _disconnect(self) -> None:
        """Whoever waits for the server on this connection gets an error at once, whether the server answers or not."""
        if self._connection is None:
            return
        # A duplicate, because the driver closes its own descriptor.
        with (
            suppress(psycopg2.Error, OSError),
            socket.socket(fileno=os.dup(self._connection.fileno())) as duplicate,
        ):
            duplicate.shutdown(socket.SHUT_RDWR)

    def _sha256_of(self, table: str) -> str:
        """The column as SQL; Synapse before 1.127 has none."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608 - one of two constants
            return "found.sha256" if "sha256" in [column[0] for column in cursor.description] else "NULL"

    def _rows(self, sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
        try:
            try:
                return self._ask(sql, values)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                if not self._connection.closed or self._cancelled:
                    raise
                # The server was restarted, or dropped a connection that was idle for long.
                self._connect()
                return self._ask(sql, values)
        except psycopg2.Error as error:
            raise MediaError(self._explained(error)) from error

    def _ask(self, sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            # Without values a percent sign stands for itself.
            cursor.execute(sql, values or None)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            return rows

    def _explained(self, error: Exception) -> str:
        if isinstance(error, psycopg2.extensions.QueryCanceledError):
            return (
                f"Synapse's PostgreSQL database took longer than {_STATEMENT_SECONDS} s over one look-up "
                "and was told to stop. Run this again when the server is less busy."
            )
        return explain_database_words(f"{type(error).__name__}: {error}", self._settings)


def _is_endless(connect_timeout: object) -> bool:
    """Whether the driver would wait for ever for a server that takes the connection and says nothing."""
    try:
        return int(str(connect_timeout)) <= 0
    except ValueError:
        return connect_timeout in (None, "")
