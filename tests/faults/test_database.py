# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database that is missing, empty, or has rows that Synapse would never write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homeserver_database import Cluster, PostgresqlDatabase
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from wire_faults import meanwhile
from wire_proxy import LIST, PUT, WireProxy

# More than one batch of rows, so that the database is needed again after the first files were removed; and more than
# two windows, so that the second is read while the first is looked up in the bucket.
MANY = 3200
Wide = tuple[Engine, MediaInventory, WireProxy]


@pytest.fixture
def wide(make_library: Callable[[str], Library], s3: S3Server, bucket: str) -> Iterator[Wide]:
    """Many small files with rows in PostgreSQL."""
    library = make_library("postgresql")
    library.add([100] * MANY, thumbnails=0)
    inventory = MediaInventory(library.media_path, s3.buckets / bucket)
    inventory.record_files()
    with WireProxy(s3.endpoint_url) as wire:
        engine = Engine(library, {**s3.connection(bucket), "endpoint_url": wire.endpoint_url})
        # Slow enough that the last batch of rows is not read before the first file is uploaded.
        engine.offload["concurrency"] = 8
        yield engine, inventory, wire


def disconnect(cluster: Cluster, name: str, *, for_good: bool) -> None:
    if for_good:
        cluster.execute("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    cluster.execute("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def name_of(engine: Engine) -> str:
    database = engine.library.database
    assert isinstance(database, PostgresqlDatabase)
    return database.name


def test_database_becomes_unavailable_during_a_run(wide: Wide, cluster: Cluster) -> None:
    engine, inventory, wire = wide
    name = name_of(engine)
    gone = wire.add(LIST, meanwhile(lambda: disconnect(cluster, name, for_good=True)), times=1)
    outcome = engine.run()
    assert (outcome.status, gone.struck) in ((1, 1), (2, 1)), outcome.errors
    assert outcome.report["error"] and len(outcome.errors.strip().splitlines()) == 1, outcome.errors
    # Status 2 would mean that nothing was done.
    assert outcome.status == 1 or not outcome.report["changed"]
    assert inventory.on_disk()
    inventory.assert_nothing_lost()
    cluster.execute("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert engine.run().status == 0
    inventory.assert_all_moved()


def test_connection_is_lost_during_a_run(wide: Wide, cluster: Cluster) -> None:
    """After a restart of PostgreSQL the run continues."""
    engine, inventory, wire = wide
    name = name_of(engine)
    lost = wire.add(LIST, meanwhile(lambda: disconnect(cluster, name, for_good=False)), times=1)
    outcome = engine.run()
    assert (outcome.status, lost.struck) == (0, 1), outcome.errors
    inventory.assert_all_moved()


def test_the_database_is_never_written(make_library: Callable[[str], Library], s3: S3Server, bucket: str) -> None:
    """Neither a row nor an index changes."""
    library = make_library("postgresql")
    library.add([100] * 300, thumbnails=0)
    inventory = MediaInventory(library.media_path, s3.buckets / bucket)
    inventory.record_files()
    database = library.database
    state = "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    rows = "SELECT md5(string_agg(t::text, '|' ORDER BY media_id)) FROM local_media_repository t"
    before = database.execute(state), database.execute(rows)
    outcome = Engine(library, s3.connection(bucket)).run()
    assert outcome.status == 0, outcome.errors
    assert (database.execute(state), database.execute(rows)) == before
    assert outcome.report["database_rows"] == 300
    inventory.assert_all_moved()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_read_are_proportional_to_the_files(
    kind: str, make_library: Callable[[str], Library], s3: S3Server, bucket: str
) -> None:
    """The history has rows too, and none of them is sent."""
    library = make_library(kind)
    library.add([100] * 20, thumbnails=2)
    library.add([100] * 10, origin="remote.example", thumbnails=2)
    inventory = MediaInventory(library.media_path, s3.buckets / bucket)
    inventory.record_files()
    for number in range(3):
        history = [(f"{letter}{number}" + "x" * 22, 0) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
        for media_id, size in history:
            library.add_row(media_id, size)
            library.add_remote_row("remote.example", media_id, size)
    outcome = Engine(library, s3.connection(bucket)).run()
    assert outcome.status == 0, outcome.errors
    assert outcome.report["database_rows"] == 30
    inventory.assert_all_moved()


def test_sqlite_file_is_missing(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    library.add([1000] * 3)
    inventory.record_files()
    path = Path(engine.database["args"]["database"])
    path.rename(path.with_suffix(".away"))
    outcome = engine.run()
    assert outcome.status == 2, outcome.errors
    assert str(path) in outcome.errors and not path.exists()
    assert sorted(inventory.on_disk()) == sorted(inventory.known) and inventory.in_bucket() == {}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_empty_database_beside_a_full_disk(
    kind: str, make_library: Callable[[str], Library], s3: S3Server, bucket: str
) -> None:
    """Most likely the wrong database: the run is refused instead of reporting a thousand orphans."""
    library = make_library(kind)
    for number in range(5):
        library.write(f"abcdefgh{number}")
    inventory = MediaInventory(library.media_path, s3.buckets / bucket)
    inventory.record_files()
    outcome = Engine(library, s3.connection(bucket)).run()
    assert outcome.status == 2 and "database" in outcome.errors, outcome.errors
    assert sorted(inventory.on_disk()) == sorted(inventory.known) and inventory.in_bucket() == {}


ODD_ROWS = [
    ("", "../../outside/secret"),
    ("", "..abcdefgh"),
    ("", "ab../outside/secret"),
    ("", "/etc/passwd"),
    ("", ""),
    ("", "ab"),
    ("", "abcd"),
    ("..", "outside"),
    ("..", "ab/../../secret"),
    ("../..", "abcdefgh"),
    (".", "abcdefgh"),
    ("/etc", "passwd"),
    ("remote.example/..", "abcdefgh"),
    ("remote.example", "ab../../../secret"),
    ("line\nbreak", "abcdefgh"),
]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_with_outside_paths(kind: str, make_library: Callable[[str], Library], s3: S3Server, bucket: str) -> None:
    """Whatever a federated server got into the database, only the media store's own files are touched."""
    library = make_library(kind)
    library.add([1000] * 3)
    inventory = MediaInventory(library.media_path, s3.buckets / bucket)
    inventory.record_files()
    outside = library.directory / "outside"
    outside.mkdir()
    for path in (outside / "secret", library.directory / "secret", library.media_path / "secret"):
        path.write_bytes(b"not for the bucket")
        library.own(path)
    (library.directory / "ab" / "cd").mkdir(parents=True)
    (library.directory / "ab" / "cd" / "efgh").write_bytes(b"not for the bucket either")
    for origin, identifier in ODD_ROWS:
        if origin:
            library.add_remote_row(origin, identifier, 18)
        else:
            library.add_row(identifier, 18)
    before = {path: data for path, data in library.everything().items() if "media_store/" not in path}
    with WireProxy(s3.endpoint_url) as wire:
        engine = Engine(library, {**s3.connection(bucket), "endpoint_url": wire.endpoint_url})
        outcome = engine.run()
        assert outcome.status == 0, outcome.errors
        assert {one.key for one in wire.seen if one.operation == PUT} == set(inventory.known)
    after = library.everything()
    assert {path: after.get(path) for path in before} == before
    assert (library.media_path / "secret").exists()
    assert inventory.in_bucket() == inventory.known
