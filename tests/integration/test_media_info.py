# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module media_info with a real S3 server and both kinds of real database, before and after the migrate job."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database import ordered
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    database_settings,
)
from homeserver_database import Cluster, HomeserverDatabase, PostgresqlDatabase, SqliteDatabase
from media_host import MediaHost
from run_module import run_module
from s3_server import S3Server
from test_offload_rows import THUMBNAILS

_numbers = count(1)
LETTERS = "aab!-.+0~é\uffdc\U0001f600"
ORIGINS = ("a", "a-b", "a.b", "a+b", "a:84", "a0", "é", "a~", "ab", "\U0001f600.org")


def make_thumbnail_tables(database: HomeserverDatabase) -> None:
    for statement in THUMBNAILS.split(";")[:-1]:
        database.execute(statement)


def arguments(host: MediaHost, s3: S3Server, **options: Any) -> dict[str, Any]:
    given = {
        **s3.connection(host.bucket, region_name="us-east-1"),
        "state_dir": str(host.state_dir),
        "homeserver_config": [str(host.config)],
        **options,
    }
    return {**given, "synapse_configs": host.fetches_from(given)}


def look(host: MediaHost, s3: S3Server, **options: Any) -> dict[str, Any]:
    return run_module("media_info", arguments(host, s3, **options))


def files(found: dict[str, Any]) -> dict[str, int]:
    return {
        name: finding["files"]
        for name, finding in found["audit"].items()
        if isinstance(finding, dict) and finding.get("files") and "oldest" in finding
    }


def test_the_audit_follows_the_media_into_the_bucket(host: MediaHost, s3: S3Server) -> None:
    make_thumbnail_tables(host.database)
    old = [host.add_local(thumbnails=2), host.add_remote()]
    host.add_local(age_days=0.1)
    host.database.execute(
        "INSERT INTO local_media_repository_thumbnails (media_id, thumbnail_width, thumbnail_height, thumbnail_type,"
        " thumbnail_method, thumbnail_length) VALUES (%s, 32, 32, 'image/png', 'scale', 1000)",
        (old[0].media_id,),
    )
    everything = host.everything()
    before = look(host, s3)
    assert (before["state"], before["changed"]) == ("HEALTHY", False), before["report"]
    assert files(before) == {"disk_only": 7}
    assert before["audit"]["run_would"]["upload"]["files"] == 5
    assert host.everything() == everything and s3.keys(host.bucket) == []

    moved = run_module("media_offload", arguments(host, s3))
    assert moved["uploaded"]["files"] == before["audit"]["run_would"]["upload"]["files"]
    after = look(host, s3, usage=True)
    assert after["state"] == "HEALTHY", after["report"]
    assert files(after) == {"bucket_only": 5, "disk_only": 2}
    assert after["audit"]["run_would"]["move"]["files"] == 0
    assert after["audit"]["requests"] == {"head": 1, "list": 1}
    assert {row["name"]: row["files"] for row in after["usage"]["kind"]} == {"local": 2, "remote": 1}

    lost, orphan = old[0].paths[0], "local_content/No/Ro/wAtAll"
    client = s3.client()
    client.delete_object(Bucket=host.bucket, Key=lost)
    client.put_object(Bucket=host.bucket, Key=orphan, Body=b"orphan")
    worse = look(host, s3)
    assert (worse["state"], worse["exit_status"]) == ("DEGRADED", 2), worse["report"]
    assert files(worse) == {"bucket_only": 4, "disk_only": 2, "nowhere": 1, "new": 1}
    assert worse["audit"]["nowhere"]["examples"] == [lost]
    assert lost in worse["report"]


def test_a_bucket_that_is_not_there_is_said_and_nothing_is_called_lost(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    sqlite_host.bucket = "no-such-bucket"
    found = look(sqlite_host, s3)
    assert not found.get("failed")
    assert (found["state"], found["exit_status"]) == ("UNKNOWN", 3)
    assert "no-such-bucket" in found["audit"]["not_asked_because"]["bucket"]
    assert files(found) == {"not_asked": 2}


def test_a_database_that_is_away_is_said_and_nothing_is_called_lost(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    away = {"name": "psycopg2", "args": {"host": "127.0.0.1", "port": 9, "user": "synapse", "password": "Geheim-4711"}}
    found = look(sqlite_host, s3, database=away)
    assert not found.get("failed")
    assert (found["state"], found["exit_status"]) == ("UNKNOWN", 3)
    assert "Geheim-4711" not in str({**found, "invocation": None})
    assert files(found) == {"disk_only": 2}


@pytest.mark.parametrize("kind", ["sqlite", "C", "en-x-icu"])
def test_rows_come_in_the_order_of_the_keys(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Whatever the database itself sorts by."""
    database: HomeserverDatabase
    if kind == "sqlite":
        database = SqliteDatabase(tmp_path / "homeserver.db")
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        database = PostgresqlDatabase(cluster, f"ordered_{next(_numbers)}")
        for table, column in (
            ("local_media_repository", "media_id"),
            ("remote_media_cache", "media_origin"),
            ("remote_media_cache", "filesystem_id"),
        ):
            database.execute(f'ALTER TABLE {table} ALTER {column} TYPE text COLLATE "{kind}"')
    make_thumbnail_tables(database)
    chance = random.Random(7)
    names = {"".join(chance.choice(LETTERS) for dummy in range(chance.choice((5, 6, 7)))) for dummy in range(300)}
    # In two statements: each one makes a connection of its own.
    marks = ", ".join(["(%s, 10, 1000)"] * len(names))
    database.execute(
        f"INSERT INTO local_media_repository (media_id, media_length, created_ts) VALUES {marks}", tuple(sorted(names))
    )
    remote = [(chance.choice(ORIGINS), f"m{number}", name) for number, name in enumerate(sorted(names))]
    marks = ", ".join(["(%s, %s, %s, 10, 1000)"] * len(names))
    database.execute(
        "INSERT INTO remote_media_cache (media_origin, media_id, filesystem_id, media_length, created_ts)"
        f" VALUES {marks}",
        tuple(value for row in remote for value in row),
    )
    rows = ordered.OrderedRows(database_settings({"database": database.section()}))
    rows.open()
    paths: list[str] = []
    batch = rows.next()
    while batch is not None:
        paths += batch[0]
        batch = rows.next()
    rows.close()
    assert paths == sorted(paths, key=str.encode)
    usable = {name for name in names if ".." not in (name[:2], name[2:4], name[4:]) and name[4:] != "."}
    assert len(paths) == 4 * len(usable)
    assert rows.sent == 4 * len(names)


def test_a_lost_connection_ends_the_rows_with_words(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that come after it cannot be told from rows that are not there."""
    monkeypatch.setattr(ordered, "BATCH", 2)
    database = PostgresqlDatabase(cluster, f"ordered_{next(_numbers)}")
    for number in range(10):
        database.add_local(f"AbCd{number:04}", 10, 1000)
    rows = ordered.OrderedRows(database_settings({"database": database.section()}))
    rows.open()
    assert rows.next() is not None
    cluster.execute(
        "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database.name,)
    )
    with pytest.raises(MediaError, match="cannot be read"):
        while rows.next() is not None:
            pass
    rows.close()
