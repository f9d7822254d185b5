# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stop takes effect within seconds while the database does not respond, in any phase of the run."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from homeserver_database import Cluster, PostgresqlDatabase
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine, finish
from s3_server import S3Server
from wire_faults import meanwhile
from wire_proxy import LIST, WireProxy

# Seconds from the signal to the end of the process.
HEARD = 5.0
# More than one batch of rows.
MANY = 2100
STOPPING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


class Host:
    def __init__(self, library: Library, s3: S3Server, bucket: str, files: int = 5) -> None:
        self.library = library
        library.add([100] * files, thumbnails=0)
        self.inventory = MediaInventory(library.media_path, s3.buckets / bucket)
        self.inventory.record_files()
        self.engine = Engine(library, s3.connection(bucket))

    @contextmanager
    def started(self, act: Callable[[], None]) -> Iterator[subprocess.Popen[str]]:
        """Start a run in which `act` is called at the first listing, between the first batch of rows and the second."""
        direct = self.engine.s3["endpoint_url"]
        with WireProxy(direct) as wire:
            wire.add(LIST, meanwhile(act), times=1)
            self.engine.s3["endpoint_url"] = wire.endpoint_url
            # With more requests at once the second batch could come first.
            self.engine.offload["concurrency"] = 1
            yield self.engine.start()
        self.engine.s3["endpoint_url"] = direct
        self.engine.offload["concurrency"] = 64

    @property
    def database(self) -> PostgresqlDatabase:
        database = self.library.database
        assert isinstance(database, PostgresqlDatabase)
        return database

    def stop(self, process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> None:
        """The run ends on the signal, its report is complete, and nothing is lost."""
        assert process.poll() is None, process.communicate()
        began = time.monotonic()
        process.send_signal(number)
        outcome = finish(process)
        assert time.monotonic() - began < HEARD
        assert outcome.status == 128 + number, outcome.errors
        assert outcome.report["error"] == f"Stopped by {number.name}. Run it again to go on."
        assert len(outcome.errors.strip().splitlines()) == 1, outcome.errors
        self.inventory.assert_nothing_lost()


@pytest.fixture
def postgresql(make_library: Callable[[str], Library], s3: S3Server, bucket: str) -> Host:
    return Host(make_library("postgresql"), s3, bucket)


@pytest.fixture
def sqlite(library: Library, s3: S3Server, bucket: str) -> Host:
    return Host(library, s3, bucket)


@contextmanager
def locked(cluster: Cluster, name: str, table: str) -> Iterator[None]:
    with closing(psycopg2.connect(**cluster.arguments(name))) as other:
        other.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def waiting(cluster: Cluster, name: str) -> int:
    """Return the number of statements in this database that wait for a lock."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    return int(cluster.execute("postgres", sql, (name,))[0][0])


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_a_lock_while_the_database_is_opened(postgresql: Host, cluster: Cluster, number: signal.Signals) -> None:
    name = postgresql.database.name
    with locked(cluster, name, "local_media_repository"):
        process = postgresql.engine.start()
        until(lambda: waiting(cluster, name) == 1)
        postgresql.stop(process, number)
        # The server has ended the statement too, although it got no response.
        until(lambda: waiting(cluster, name) == 0, HEARD)
    assert postgresql.engine.run().status == 0
    postgresql.inventory.assert_all_moved()


def test_a_lock_while_a_batch_is_looked_up(
    make_library: Callable[[str], Library], s3: S3Server, bucket: str, cluster: Cluster
) -> None:
    host = Host(make_library("postgresql"), s3, bucket, MANY)
    name = host.database.name
    with closing(psycopg2.connect(**cluster.arguments(name))) as other:

        def lock() -> None:
            other.cursor().execute("LOCK TABLE local_media_repository IN ACCESS EXCLUSIVE MODE")

        with host.started(lock) as process:
            until(lambda: waiting(cluster, name) == 1)
            host.stop(process)
            until(lambda: waiting(cluster, name) == 0, HEARD)
            other.rollback()
        assert host.engine.run().status == 0
    host.inventory.assert_all_moved()


def test_a_server_that_is_suspended_during_a_run(
    make_library: Callable[[str], Library], s3: S3Server, bucket: str, cluster: Cluster
) -> None:
    """It accepts everything, including a cancel request, and responds to nothing."""
    host = Host(make_library("postgresql"), s3, bucket, MANY)
    name = host.database.name
    sql = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
    suspended: list[int] = []

    def suspend() -> None:
        for (pid,) in cluster.execute("postgres", sql, (name,)):
            suspended.append(pid)
            subprocess.run(["kill", "-STOP", str(pid)], check=True)

    with host.started(suspend) as process:
        try:
            until(lambda: bool(suspended))
            time.sleep(1)
            host.stop(process)
        finally:
            for pid in suspended:
                subprocess.run(["kill", "-CONT", str(pid)], check=True)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and sends nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        listening.settimeout(30)
        yield listening


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_a_server_that_accepts_the_connection_and_sends_nothing(
    postgresql: Host, silent: socket.socket, number: signal.Signals
) -> None:
    postgresql.engine.database["args"].update(port=silent.getsockname()[1], connect_timeout=600)
    process = postgresql.engine.start()
    with silent.accept()[0]:
        time.sleep(0.3)
        postgresql.stop(process, number)


@pytest.mark.parametrize("patience", [None, 0, -1, "0"])
def test_connecting_has_a_time_limit(postgresql: Host, silent: socket.socket, patience: object) -> None:
    """Also where the operator has set the driver to wait without limit."""
    args = postgresql.engine.database["args"]
    args["port"] = silent.getsockname()[1]
    if patience is not None:
        args["connect_timeout"] = patience
    outcome = postgresql.engine.run()
    assert outcome.status == 2 and "PostgreSQL database cannot be read" in outcome.errors
    assert outcome.seconds < 30


def test_a_connection_that_is_lost_and_cannot_be_replaced(
    make_library: Callable[[str], Library], s3: S3Server, bucket: str, cluster: Cluster
) -> None:
    """The connection is lost during the run, and the next look-up opens another."""
    host = Host(make_library("postgresql"), s3, bucket, MANY)
    name, lost = host.database.name, []
    sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with closing(psycopg2.connect(**cluster.arguments("postgres"))) as other:

        def lose() -> None:
            cluster.execute("postgres", sql, (name,))
            # This blocks new connections: authentication reads this table.
            other.cursor().execute("LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE")
            lost.append(True)

        with host.started(lose) as process:
            until(lambda: bool(lost))
            time.sleep(1.5)
            host.stop(process)


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_an_sqlite_database_that_is_locked(sqlite: Host, number: signal.Signals) -> None:
    path = sqlite.engine.database["args"]["database"]
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        process = sqlite.engine.start()
        until((Path(sqlite.engine.offload["state_dir"]) / "lock").exists)
        time.sleep(0.7)
        sqlite.stop(process, number)
    assert sqlite.engine.run().status == 0
    sqlite.inventory.assert_all_moved()


def test_an_sqlite_database_that_is_locked_during_a_run(library: Library, s3: S3Server, bucket: str) -> None:
    host = Host(library, s3, bucket, MANY)
    path = host.engine.database["args"]["database"]
    held: list[bool] = []
    other = sqlite3.connect(path, check_same_thread=False, timeout=20)

    def lock() -> None:
        other.execute("BEGIN EXCLUSIVE")
        held.append(True)

    with closing(other), host.started(lock) as process:
        until(lambda: bool(held))
        time.sleep(1)
        host.stop(process)
