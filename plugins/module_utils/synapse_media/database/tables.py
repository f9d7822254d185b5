# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's media tables in the engine that the settings name, asked in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from ..settings.homeserver import DatabaseSettings
from .errors import DATABASE_ERRORS, explain_database
from .postgresql import PostgresqlTables
from .sqlite import SqliteTables
from .thread import DatabaseThread

R = TypeVar("R")

# Seconds. A connection that is idle is closed at once; one whose database is silent dies with the process.
_CLOSE_WITHIN = 1.0


class MediaTables(Protocol):
    """Either engine; one call at a time.

    A row's values are media_length, sha256, last use and whether it is a URL preview.
    """

    def open(self) -> None:
        """Connects, and finds out which columns and tables there are; before everything else, once."""

    def local(self, media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """media_id before a row's values."""

    def remote(self, origins: Sequence[str], filesystem_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """media_origin and filesystem_id before a row's values, for any pair of the two lists."""

    def local_thumbnails(self, media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """media_id and thumbnail_length; none where Synapse keeps no such table."""

    def remote_thumbnails(self, origins: Sequence[str], filesystem_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """media_origin, filesystem_id and thumbnail_length, for any pair of the two lists."""

    def of_users(self, users: Sequence[str]) -> list[tuple[Any, ...]]:
        """The media_id of all local media of these users that is no URL preview."""

    def filesystem_ids(self, origins: Sequence[str], media_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """media_origin, media_id and filesystem_id, for any pair of the two lists."""

    def has_rows(self) -> bool:
        """Return whether the database knows any media."""

    @property
    def has_thumbnails(self) -> bool:
        """Whether there are thumbnail tables that can be read."""

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of one statement, which can change nothing."""

    def batches(self, statements: Sequence[str], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of one statement after the other, `size` at a time, all as they are at the beginning."""

    def cancel(self) -> None:
        """Ends the statement that is being run and refuses all later ones. From any thread; it does not block."""

    def close(self) -> None:
        """Close the connection."""


class MediaDatabase:
    """The tables and the thread in which they are asked, so that a caller can stop waiting for a silent database."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Raises ConfigurationError if the driver is missing, or the file of an SQLite database."""
        self._settings = settings
        self.tables: MediaTables = (SqliteTables if settings.name == "sqlite3" else PostgresqlTables)(settings)
        self._thread = DatabaseThread(self.tables.cancel)
        self._closed = False

    def open(self) -> None:
        """Before the first call. Raises ConfigurationError if the database cannot be opened or has no media tables."""
        try:
            self.call(self.tables.open)
        except DATABASE_ERRORS as error:
            raise explain_database(error, self._settings) from error

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """The function's result, or its error; MediaError once cancel() was called."""
        return self._thread.call(function, *arguments)

    def cancel(self) -> None:
        """Ends calls that are under way, whose callers get a MediaError at once, and refuses later ones.

        Safe from any thread and from a signal handler, and waits for nothing.
        """
        self._thread.cancel()

    def close(self) -> None:
        """Does not wait for a database that does not answer. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._thread.close(self.tables.close, _CLOSE_WITHIN)
