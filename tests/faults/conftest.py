# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the fault tests. They need PostgreSQL's programs, rclone, and a user other than root to run as."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

# Servers, databases, hosts and proxies that the fault tests share with the integration tests are defined there.
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from homeserver_database import Cluster, PostgresqlDatabase, SqliteDatabase, running_cluster
from library import Library
from media_host import shared_directory
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from stalled_run import Stalled, stalled_run
from wire_proxy import WireProxy

_bucket_numbers = count(1)
_database_numbers = count(1)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests; each test has its own bucket."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def stalled(s3: S3Server) -> Iterator[Stalled]:
    """Started with the first test, because its result takes a minute; its test is one of the last."""
    with stalled_run(s3) as running:
        yield running


@pytest.fixture
def bucket(s3: S3Server) -> str:
    name = f"media-{next(_bucket_numbers)}"
    s3.make_bucket(name)
    return name


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


@pytest.fixture
def make_library(bucket: str, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Library]]:
    """Libraries with rows in "sqlite" or "postgresql", in directories that the engine's user can enter."""
    with shared_directory() as directory:

        def make(kind: str, name: str = "host") -> Library:
            below = directory / name
            below.mkdir()
            below.chmod(0o755)
            if kind == "sqlite":
                database = SqliteDatabase(directory / f"{name}.db")
                library = Library(below, database, bucket, request.node.name)
                library.own(below, database.path)
                return library
            cluster: Cluster = request.getfixturevalue("cluster")
            rows = PostgresqlDatabase(cluster, f"synapse_faults_{next(_database_numbers)}")
            library = Library(below, rows, bucket, request.node.name)
            library.own(below)
            return library

        yield make


@pytest.fixture
def library(make_library: Callable[[str], Library]) -> Library:
    """With rows in SQLite, for all tests that do not depend on the kind of database."""
    return make_library("sqlite")


@pytest.fixture
def engine(library: Library, s3: S3Server, bucket: str) -> Engine:
    return Engine(library, s3.connection(bucket))


@pytest.fixture
def inventory(library: Library, s3: S3Server, bucket: str) -> MediaInventory:
    return MediaInventory(library.media_path, s3.buckets / bucket)


@pytest.fixture
def wire(s3: S3Server, engine: Engine) -> Iterator[WireProxy]:
    """A proxy through which the engine connects from here on."""
    with WireProxy(s3.endpoint_url) as proxy:
        engine.s3["endpoint_url"] = proxy.endpoint_url
        yield proxy
