# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look-ups in Synapse's tables in both kinds of real database, and lost or blocked connections to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database import (
    postgresql as rows_postgresql,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database.rows import Row, open_rows
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
    database_settings,
)
from homeserver_database import Cluster, HomeserverDatabase, PostgresqlDatabase, SqliteDatabase

SHA256 = "0123456789abcdef" * 4
OURS = Media(LOCAL, "", "AbCdEfGhIjKl")
THEIRS = Media(REMOTE, "example.org", "ZyXwVuTsRqPo")
HOSTILE = ["'; DROP TABLE local_media_repository; --", '"', "%s", "{a,b}", "NULL", "a\\", "bücher\U0001f600", ""]

# Synapse's tables, without columns that are not used here.
THUMBNAILS = """
CREATE TABLE local_media_repository_thumbnails (
    media_id text, thumbnail_width integer, thumbnail_height integer, thumbnail_type text, thumbnail_method text,
    thumbnail_length integer
);
CREATE TABLE remote_media_cache_thumbnails (
    media_origin text, media_id text, thumbnail_width integer, thumbnail_height integer, thumbnail_method text,
    thumbnail_type text, thumbnail_length integer, filesystem_id text
);
"""

_numbers = count(1)


def settings_of(database: HomeserverDatabase) -> DatabaseSettings:
    return database_settings({"database": database.section()})


@pytest.fixture
def postgresql(cluster: Cluster) -> PostgresqlDatabase:
    return PostgresqlDatabase(cluster, f"rows_{next(_numbers)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HomeserverDatabase]:
    if request.param == "sqlite":
        yield SqliteDatabase(tmp_path / "homeserver.db")
    else:
        yield request.getfixturevalue("postgresql")


def test_rows_of_the_given_media(database: HomeserverDatabase) -> None:
    for number in range(100):
        database.add_local(f"local{number}", number, 1000 + number)
        database.add_remote(f"server{number % 3}.example", f"m{number}", f"remote{number}", number, 2000 + number)
    database.execute("UPDATE local_media_repository SET sha256 = %s WHERE media_id = 'local5'", (SHA256,))
    database.execute("UPDATE remote_media_cache SET sha256 = 'rubbish', media_length = NULL WHERE media_id = 'm6'")
    database.execute("UPDATE remote_media_cache SET created_ts = NULL, last_access_ts = NULL WHERE media_id = 'm7'")
    database.execute("UPDATE local_media_repository SET url_cache = 'https://example.org/' WHERE media_id = 'local8'")
    rows_by_media = {
        Media(LOCAL, "", "local5"): Row(5, bytes.fromhex(SHA256), 1005, False),
        Media(LOCAL, "", "local8"): Row(8, None, 1008, True),
        Media(REMOTE, "server0.example", "remote6"): Row(None, None, 2006, False),
        Media(REMOTE, "server1.example", "remote7"): Row(7, None, None, False),
    }
    without_rows = [
        Media(LOCAL, "", "remote6"),
        Media(LOCAL, "", "nul\0byte"),
        Media(REMOTE, "server1.example", "remote6"),
        Media(REMOTE, "half \udcff", "remote6"),
    ]
    with open_rows(settings_of(database)) as rows:
        assert rows.look_up([*rows_by_media, *without_rows, *rows_by_media]) == rows_by_media
        assert rows.sent == 4


def test_names_with_sql_in_them_are_only_names(database: HomeserverDatabase) -> None:
    asked = []
    for number, name in enumerate(HOSTILE):
        database.add_local(name, number, 1000)
        database.add_remote(name, f"m{number}", name, number, 1000)
        asked += [Media(LOCAL, "", name), Media(REMOTE, name, name)]
    with open_rows(settings_of(database)) as rows:
        found = rows.look_up(asked)
    assert [found[media].length for media in asked] == [number // 2 for number in range(2 * len(HOSTILE))]


def test_thumbnails(database: HomeserverDatabase) -> None:
    with open_rows(settings_of(database)) as rows:
        assert rows.thumbnail_lengths([OURS, THEIRS]) == {}
    for statement in THUMBNAILS.split(";")[:-1]:
        database.execute(statement)
    for length in (10, 20):
        database.execute(
            "INSERT INTO local_media_repository_thumbnails (media_id, thumbnail_length) VALUES (%s, %s)",
            (OURS.filesystem_id, length),
        )
    for origin, length in (("example.org", 30), ("example.com", 40)):
        database.execute(
            "INSERT INTO remote_media_cache_thumbnails (media_origin, filesystem_id, thumbnail_length)"
            " VALUES (%s, %s, %s)",
            (origin, THEIRS.filesystem_id, length),
        )
    with open_rows(settings_of(database)) as rows:
        assert rows.thumbnail_lengths([OURS, THEIRS]) == {OURS: {10, 20}, THEIRS: {30}}


def test_a_user_who_may_only_read_the_media_tables(postgresql: PostgresqlDatabase) -> None:
    for statement in THUMBNAILS.split(";")[:-1]:
        postgresql.execute(statement)
    settings = settings_of(postgresql)
    role = f"reader_of_{postgresql.name}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN PASSWORD %s", (Cluster.PASSWORD,))
    try:
        postgresql.execute(f"GRANT SELECT ON local_media_repository, remote_media_cache TO {role}")
        postgresql.add_local("AbCdEfGhIjKl", 7, 1000)
        with open_rows(DatabaseSettings(settings.name, {**settings.args, "user": role})) as rows:
            assert set(rows.look_up([OURS])) == {OURS}
            assert rows.thumbnail_lengths([OURS, THEIRS]) == {}
    finally:
        postgresql.execute(f"DROP OWNED BY {role}")
        postgresql.execute(f"DROP ROLE {role}")


def test_empty_database(database: HomeserverDatabase) -> None:
    with open_rows(settings_of(database)) as rows:
        assert rows.empty()
        database.add_remote("example.org", "m", "ZyXwVuTsRqPo", 7, 1000)
        assert not rows.empty()


def test_a_database_without_the_column_of_the_digest(postgresql: PostgresqlDatabase) -> None:
    for table in ("local_media_repository", "remote_media_cache"):
        postgresql.execute(f"ALTER TABLE {table} DROP COLUMN sha256")
    postgresql.add_local("AbCdEfGhIjKl", 7, 1000)
    postgresql.add_remote("example.org", "m", "ZyXwVuTsRqPo", 8, 2000)
    with open_rows(settings_of(postgresql)) as rows:
        assert rows.look_up([OURS, THEIRS]) == {OURS: Row(7, None, 1000, False), THEIRS: Row(8, None, 2000, False)}


def drop_connections(database: PostgresqlDatabase) -> None:
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        (database.name,),
    )


def test_a_lost_connection_is_replaced(postgresql: PostgresqlDatabase) -> None:
    postgresql.add_local("AbCdEfGhIjKl", 7, 1000)
    with open_rows(settings_of(postgresql)) as rows:
        for dummy in range(2):
            drop_connections(postgresql)
            assert set(rows.look_up([OURS])) == {OURS}
            drop_connections(postgresql)
            assert rows.thumbnail_lengths([OURS]) == {}


def test_a_missing_database_is_an_error(postgresql: PostgresqlDatabase, cluster: Cluster) -> None:
    """An empty result would make all files look like orphans; the error must not have the password."""
    with open_rows(settings_of(postgresql)) as rows:
        cluster.execute("postgres", f"ALTER DATABASE {postgresql.name} ALLOW_CONNECTIONS false")
        cluster.execute(
            "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (postgresql.name,)
        )
        with pytest.raises(MediaError, match="PostgreSQL database cannot be read") as raised:
            rows.look_up([OURS])
        assert not isinstance(raised.value, ConfigurationError)
        assert Cluster.PASSWORD not in str(raised.value)


def test_a_look_up_that_waits_too_long_is_given_up(
    postgresql: PostgresqlDatabase, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_postgresql, "_STATEMENT_SECONDS", 1)
    with open_rows(settings_of(postgresql)) as rows:
        with closing(psycopg2.connect(**cluster.arguments(postgresql.name))) as other:
            other.cursor().execute("LOCK TABLE local_media_repository IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(MediaError, match="took longer than 1 s"):
                rows.look_up([OURS])
        assert rows.look_up([OURS]) == {}


def test_the_session_cannot_write(postgresql: PostgresqlDatabase) -> None:
    tables = rows_postgresql.PostgresqlTables(settings_of(postgresql))
    tables.open()
    with closing(tables), pytest.raises(MediaError, match="read-only"):
        tables._rows("DELETE FROM local_media_repository RETURNING media_id", [])


def test_outdated_statistics_do_not_mislead_the_planner(postgresql: PostgresqlDatabase) -> None:
    """Where the planner expects one row it may compare every row with every id, instead of using a hash table."""
    tables = rows_postgresql.PostgresqlTables(settings_of(postgresql))
    tables.open()
    origins, ids = [f"server{number}.example" for number in range(100)], [f"id{number}" for number in range(1000)]
    with closing(tables):
        plan = tables._rows("EXPLAIN " + tables._remote_sql, [origins, ids])
    assert any("hashed SubPlan" in line for (line,) in plan)
    assert not any("Join" in line or "Nested Loop" in line for (line,) in plan)


def test_a_wrong_password_is_a_wrong_setting(postgresql: PostgresqlDatabase) -> None:
    settings = settings_of(postgresql)
    wrong = DatabaseSettings(settings.name, {**settings.args, "password": "wrong-4711"})
    with pytest.raises(ConfigurationError, match="Correct user and password") as raised, open_rows(wrong):
        pass
    assert "wrong-4711" not in str(raised.value)


def test_a_database_of_another_program(postgresql: PostgresqlDatabase) -> None:
    postgresql.execute("DROP TABLE remote_media_cache")
    with pytest.raises(ConfigurationError, match="has no media tables"), open_rows(settings_of(postgresql)):
        pass
