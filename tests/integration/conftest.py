# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures that several integration tests need."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from homeserver_database import Cluster, PostgresqlDatabase, SqliteDatabase, running_cluster
from media_host import Files, MediaHost, shared_directory
from s3_server import S3Server

BUCKET = "media-bucket"

_database_numbers = count(1)


@pytest.fixture
def bucket() -> str:
    return BUCKET


@pytest.fixture
def s3(tmp_path: Path, bucket: str) -> Iterator[S3Server]:
    """A running S3 server with one empty bucket."""
    with S3Server(tmp_path / "s3") as server:
        server.make_bucket(bucket)
        yield server


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3.endpoint_url) as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


@pytest.fixture
def sqlite_host(bucket: str) -> Iterator[MediaHost]:
    """A host whose homeserver uses SQLite: fast, for tests that do not depend on the kind of database."""
    with shared_directory() as directory:
        database = SqliteDatabase(directory / "homeserver.db")
        host = MediaHost(directory, database, bucket)
        host.own(database.path)
        yield host


@pytest.fixture
def postgresql_host(bucket: str, cluster: Cluster) -> Iterator[MediaHost]:
    with shared_directory() as directory:
        yield MediaHost(directory, PostgresqlDatabase(cluster, f"synapse_{next(_database_numbers)}"), bucket)


@pytest.fixture
def offered(sqlite_host: MediaHost) -> list[Files]:
    """Two media that update-db has put into the script's list."""
    media = [sqlite_host.add_local(), sqlite_host.add_remote()]
    assert sqlite_host.run("update-db")["rows_synced"] == 2
    return media


@pytest.fixture(params=["sqlite_host", "postgresql_host"])
def host(request: pytest.FixtureRequest) -> MediaHost:
    """A host with each kind of database in turn."""
    found: MediaHost = request.getfixturevalue(request.param)
    return found
