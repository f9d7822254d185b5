# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of exactly the given media, in few statements, from an SQLite database that is never written."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database import sqlite as rows_sqlite
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database.rows import (
    Row,
    Rows,
    open_rows,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import (
    LOCAL,
    REMOTE,
    Media,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    MediaError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)

TABLES = """
CREATE TABLE local_media_repository (media_id TEXT UNIQUE, media_length, created_ts, last_access_ts, url_cache, sha256);
CREATE TABLE remote_media_cache (
    media_origin TEXT, media_id TEXT, filesystem_id TEXT, media_length, created_ts, last_access_ts, sha256,
    UNIQUE (media_origin, media_id)
);
"""
WITHOUT_SHA256 = TABLES.replace(", sha256", "")
SHA256 = "0123456789abcdef" * 4

OURS = Media(LOCAL, "", "AbCdEfGhIjKl")
THEIRS = Media(REMOTE, "example.org", "ZyXwVuTsRqPo")


class Database:
    def __init__(self, path: Path, tables: str = TABLES) -> None:
        self.path = path
        self.settings = DatabaseSettings("sqlite3", {"database": str(path)})
        with closing(sqlite3.connect(str(path))) as connection:
            connection.executescript(tables)

    def add(self, table: str, **values: Any) -> None:
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        with closing(sqlite3.connect(str(self.path), isolation_level=None)) as connection:
            connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(values.values()))

    def add_local(self, media_id: str, **values: Any) -> None:
        self.add("local_media_repository", media_id=media_id, **values)

    def add_remote(self, origin: str, filesystem_id: str, **values: Any) -> None:
        values = {"media_id": f"id of {filesystem_id}", **values}
        self.add("remote_media_cache", media_origin=origin, filesystem_id=filesystem_id, **values)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "homeserver.db")


@pytest.fixture
def rows(database: Database) -> Iterator[Rows]:
    with open_rows(database.settings) as opened:
        yield opened


def test_a_row_with_all_columns(database: Database, rows: Rows) -> None:
    database.add_local("AbCdEfGhIjKl", media_length=7, created_ts=1000, last_access_ts=2000, sha256=SHA256)
    database.add_remote("example.org", "ZyXwVuTsRqPo", media_length=8, created_ts=1000, last_access_ts=3000)
    assert rows.look_up([OURS, THEIRS]) == {
        OURS: Row(7, bytes.fromhex(SHA256), 2000, False),
        THEIRS: Row(8, None, 3000, False),
    }
    assert rows.sent == 2


def test_media_that_was_never_used_has_its_creation_as_last_use(database: Database, rows: Rows) -> None:
    database.add_local("AbCdEfGhIjKl", created_ts=1000)
    database.add_remote("example.org", "ZyXwVuTsRqPo")
    found = rows.look_up([OURS, THEIRS])
    assert (found[OURS].last_used_ms, found[THEIRS].last_used_ms) == (1000, None)


def test_a_url_preview_is_marked(database: Database, rows: Rows) -> None:
    database.add_local("AbCdEfGhIjKl", url_cache="https://example.org/")
    assert rows.look_up([OURS])[OURS].url_cache


@pytest.mark.parametrize("sha256", ["", "x" * 64, SHA256[:-1], SHA256 + "0", SHA256 + "\n", b"\0" * 32, 5, None])
def test_an_invalid_digest_is_ignored(database: Database, rows: Rows, sha256: Any) -> None:
    database.add_local("AbCdEfGhIjKl", sha256=sha256, media_length="seven", created_ts="yesterday")
    assert rows.look_up([OURS]) == {OURS: Row(None, None, None, False)}


def test_only_the_given_media_are_sent(database: Database, rows: Rows) -> None:
    for number in range(50):
        database.add_local(f"local{number}")
        database.add_remote("example.org", f"remote{number}")
        database.add_remote("example.com", f"remote{number}")
    asked = [Media(LOCAL, "", "local7"), Media(REMOTE, "example.org", "remote8"), Media(LOCAL, "", "missing")]
    assert set(rows.look_up(asked)) == set(asked[:2])
    assert rows.sent == 2
    assert rows.look_up([]) == {}
    assert rows.sent == 2


def test_kinds_and_origins_are_not_mixed_up(database: Database, rows: Rows) -> None:
    """Two servers looked up at once, each with the other's id on disk, and one with a local id."""
    database.add_local("same-id", media_length=1)
    database.add_remote("a.example", "same-id", media_length=2)
    database.add_remote("b.example", "same-id", media_length=3)
    database.add_remote("b.example", "other-id", media_length=4)
    a_other = Media(REMOTE, "a.example", "other-id")
    b_same = Media(REMOTE, "b.example", "same-id")
    assert rows.look_up([a_other, b_same]) == {b_same: Row(3, None, None, False)}
    assert rows.look_up([Media(REMOTE, "c.example", "same-id")]) == {}


def test_of_two_rows_for_one_file_the_last_used_counts(database: Database, rows: Rows) -> None:
    for number, used in enumerate([2000, 9000, 3000]):
        database.add_remote("example.org", "ZyXwVuTsRqPo", media_id=f"m{number}", last_access_ts=used)
    assert rows.look_up([THEIRS])[THEIRS].last_used_ms == 9000
    database.add_remote("example.org", "ZyXwVuTsRqPo", media_id="m9")
    assert rows.look_up([THEIRS])[THEIRS].last_used_ms is None
    assert rows.sent == 7


HOSTILE = ["'; DROP TABLE local_media_repository; --", '"', "%s", "?1", ":x", "{ids}", "a\\", "bücher\U0001f600", "*%_"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_with_sql_in_it_is_only_a_name(database: Database, rows: Rows, name: str) -> None:
    database.add_local(name, media_length=1)
    database.add_local("other")
    database.add_remote(name, name, media_length=2)
    local, remote = Media(LOCAL, "", name), Media(REMOTE, name, name)
    assert rows.look_up([local, remote]) == {local: Row(1, None, None, False), remote: Row(2, None, None, False)}


@pytest.mark.parametrize("name", ["nul\0byte", "half a \udcff"])
def test_a_name_that_is_not_utf_8_has_no_row(database: Database, rows: Rows, name: str) -> None:
    database.add_local("AbCdEfGhIjKl")
    odd = [Media(LOCAL, "", name), Media(REMOTE, name, "id"), Media(REMOTE, "example.org", name)]
    assert set(rows.look_up([*odd, OURS])) == {OURS}


@pytest.mark.parametrize("values", [1, 7, 1000])
def test_batches_are_split_where_a_statement_takes_fewer_values(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch, values: int
) -> None:
    # At most half of the values are origins.
    monkeypatch.setattr(rows_sqlite, "_VALUES", values * 2)
    asked = []
    for number in range(40):
        asked += [Media(LOCAL, "", f"local{number}"), Media(REMOTE, f"server{number % 9}.example", f"remote{number}")]
        database.add_local(f"local{number}", media_length=number)
        database.add_remote(f"server{number % 9}.example", f"remote{number}", media_length=number)
    found = rows.look_up(asked)
    assert [found[media].length for media in asked] == [number // 2 for number in range(80)]
    assert rows.sent == 80


def test_both_ways_of_reading_find_the_same(database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """One origin has most rows of the table, the others few."""
    statements: list[str] = []
    ask = rows_sqlite.SqliteTables._rows

    def listen(self: rows_sqlite.SqliteTables, sql: str, values: Any) -> list[tuple[Any, ...]]:
        statements.append(sql)
        return ask(self, sql, values)

    monkeypatch.setattr(rows_sqlite.SqliteTables, "_rows", listen)
    for number in range(100):
        database.add_remote("large.example" if number % 25 else f"small{number}.example", f"id{number}")
    few = [Media(REMOTE, f"small{number}.example", f"id{number}") for number in (0, 25)]
    many = [Media(REMOTE, "large.example", f"id{number}") for number in (1, 24, 26, 99)]
    assert set(rows.look_up(few)) == set(few)
    assert not any("NOT INDEXED" in sql for sql in statements)
    assert set(rows.look_up([*few, *many])) == {*few, *many}
    assert any("NOT INDEXED" in sql for sql in statements)
    assert rows.sent == 8


def test_a_database_without_the_column_of_the_digest(tmp_path: Path) -> None:
    database = Database(tmp_path / "old.db", WITHOUT_SHA256)
    database.add_local("AbCdEfGhIjKl", media_length=7)
    database.add_remote("example.org", "ZyXwVuTsRqPo", media_length=8)
    with open_rows(database.settings) as rows:
        assert rows.look_up([OURS, THEIRS]) == {OURS: Row(7, None, None, False), THEIRS: Row(8, None, None, False)}


def test_thumbnails_of_the_given_media(database: Database, rows: Rows, tmp_path: Path) -> None:
    assert rows.thumbnail_lengths([OURS, THEIRS]) == {}
    thumbnails = Database(
        tmp_path / "thumbnails.db",
        TABLES + "CREATE TABLE local_media_repository_thumbnails (media_id TEXT, thumbnail_length);"
        "CREATE TABLE remote_media_cache_thumbnails"
        " (media_origin TEXT, media_id TEXT, filesystem_id TEXT, thumbnail_length);"
        "CREATE INDEX by_origin ON remote_media_cache_thumbnails (media_origin, media_id);",
    )
    for length in (10, 20, 20, None):
        thumbnails.add("local_media_repository_thumbnails", media_id="AbCdEfGhIjKl", thumbnail_length=length)
    thumbnails.add("local_media_repository_thumbnails", media_id="other", thumbnail_length=30)
    for origin, length in (("example.org", 40), ("example.com", 50)):
        thumbnails.add(
            "remote_media_cache_thumbnails", media_origin=origin, filesystem_id="ZyXwVuTsRqPo", thumbnail_length=length
        )
    with open_rows(thumbnails.settings) as found:
        assert found.thumbnail_lengths([OURS, THEIRS]) == {OURS: {10, 20}, THEIRS: {40}}


def test_an_empty_database_is_distinguished_from_one_with_media(database: Database, rows: Rows) -> None:
    assert rows.empty()
    database.add_remote("example.org", "ZyXwVuTsRqPo")
    assert not rows.empty()


def test_a_database_with_local_media_only_is_not_empty(database: Database, rows: Rows) -> None:
    database.add_local("AbCdEfGhIjKl")
    assert not rows.empty()


def test_any_thread_may_look_rows_up(database: Database, rows: Rows) -> None:
    database.add_local("AbCdEfGhIjKl")
    found: list[dict[Media, Row]] = []
    threads = [threading.Thread(target=lambda: found.append(rows.look_up([OURS]))) for dummy in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [set(one) for one in found] == [{OURS}] * 4


def test_the_database_is_never_written(database: Database) -> None:
    tables = rows_sqlite.SqliteTables(database.settings)
    tables.open()
    with closing(tables), pytest.raises(MediaError, match="readonly"):
        tables._rows("DELETE FROM local_media_repository", [])


def test_a_missing_database_is_not_created(tmp_path: Path) -> None:
    settings = DatabaseSettings("sqlite3", {"database": str(tmp_path / "missing.db")})
    with pytest.raises(ConfigurationError, match="cannot be opened"), open_rows(settings):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_program(tmp_path: Path) -> None:
    database = Database(tmp_path / "other.db", "CREATE TABLE other (id INTEGER);")
    with pytest.raises(ConfigurationError, match="has no media tables"), open_rows(database.settings):
        pass


def test_a_database_that_breaks_off_is_an_error(database: Database, rows: Rows) -> None:
    """An empty result would make all files look like orphans."""
    with closing(sqlite3.connect(str(database.path))) as connection:
        connection.execute("DROP TABLE local_media_repository")
    with pytest.raises(MediaError, match=r"SQLite database .* cannot be read"):
        rows.look_up([OURS])


@pytest.fixture
def locked(database: Database) -> Iterator[Rows]:
    """Rows of a database that another connection locks from now on."""
    with open_rows(database.settings) as rows, closing(sqlite3.connect(database.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield rows


def test_a_lock_is_waited_for(database: Database) -> None:
    database.add_local("AbCdEfGhIjKl")
    with closing(sqlite3.connect(database.path, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        threading.Timer(1, other.rollback).start()
        with open_rows(database.settings) as rows:
            assert set(rows.look_up([OURS])) == {OURS}


def test_a_lasting_lock_is_an_error(locked: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_sqlite, "_BUSY_TIMEOUT", 0.5)
    with pytest.raises(MediaError, match="Synapse is writing to it"):
        locked.look_up([OURS])


def test_cancelling_ends_the_wait_of_every_thread(locked: Rows) -> None:
    errors: list[MediaError] = []

    def ask() -> None:
        with pytest.raises(MediaError, match="cancelled") as caught:
            locked.look_up([OURS])
        errors.append(caught.value)

    threads = [threading.Thread(target=ask) for dummy in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    locked.cancel()
    for thread in threads:
        thread.join(5)
    with pytest.raises(MediaError, match="cancelled"):
        locked.empty()
    locked.close()
    assert len(errors) == 3 and time.monotonic() - began < 2


def test_a_signal_ends_the_wait_of_the_main_thread(locked: Rows) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            locked.empty()
    finally:
        signal.signal(signal.SIGUSR1, before)
    locked.close()
    assert time.monotonic() - began < 2


def test_cancelling_ends_a_statement_that_runs(database: Database) -> None:
    tables = rows_sqlite.SqliteTables(database.settings)
    tables.open()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
    timer = threading.Timer(0.3, tables.cancel)
    timer.start()
    began = time.monotonic()
    with closing(tables), pytest.raises(MediaError, match="interrupted"):
        tables._rows(endless, [])
    assert time.monotonic() - began < 5
