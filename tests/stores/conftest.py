# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests against S3 servers other than rclone. Each server starts when it is first needed, once a
session.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# rclone, databases, hosts, proxies and the engine's process are shared with the other tests, and defined there.
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

from ansible_collections.matrix_ops.synapse_s3.tests.shared.certificates import Certificate, make_certificate
from bucket_inventory import BucketInventory
from homeserver_database import SqliteDatabase
from juicefs import JuiceFS, JuiceFSWithETags
from library import MIB, Library
from media_host import shared_directory
from offload_engine import Engine, Outcome
from rclone import Rclone
from rgw import Rgw
from seaweedfs import SeaweedFS
from store import Store
from wire_proxy import WireProxy

_bucket_numbers = count(1)
_host_numbers = count(1)


@pytest.fixture(scope="session")
def certificate() -> Iterator[Certificate]:
    """In a directory that the engine's user can read."""
    with shared_directory() as directory:
        made = make_certificate(directory)
        made.certificate.chmod(0o644)
        yield made


def _fixture_of(kind: type[Store], *, tls: bool = False) -> Any:
    """A fixture that starts a server of this kind, with the certificate if it is to serve over TLS too."""

    @pytest.fixture(scope="session")
    def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
        files = request.getfixturevalue("certificate") if tls else ()
        with kind(tmp_path_factory.mktemp(kind.__name__.lower()), *files) as started:
            yield started

    return server


seaweedfs = _fixture_of(SeaweedFS, tls=True)
juicefs = _fixture_of(JuiceFS)
juicefs_etags = _fixture_of(JuiceFSWithETags)
rgw = _fixture_of(Rgw, tls=True)
rclone = _fixture_of(Rclone)


class Endpoint(NamedTuple):
    """A server and how to reach it."""

    store: Store
    tls: bool


# Bytes. So large that the engine always sends it in parts.
IN_PARTS = 65 * MIB
# Those that end in _tls are reached over TLS.
ENDPOINTS = ("seaweedfs", "juicefs", "juicefs_etags", "rgw", "rgw_tls")


@pytest.fixture(params=ENDPOINTS)
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """Every one in turn, or those that a test names: parametrize("endpoint", [...], indirect=True)."""
    fixture, _tls, rest = request.param.partition("_tls")
    assert not rest
    return Endpoint(request.getfixturevalue(fixture), bool(_tls))


class Host:
    """A host with a library, a bucket of its own, the engine configured for both, and its media inventory."""

    def __init__(self, library: Library, endpoint: Endpoint, customer_key: str | None = None, prefix: str = "") -> None:
        self.library = library
        self.store = endpoint.store
        self.bucket = library.bucket
        self.client = endpoint.store.client(tls=endpoint.tls)
        self.client.create_bucket(Bucket=self.bucket)
        settings = endpoint.store.connection(self.bucket, tls=endpoint.tls)
        self.engine = Engine(library, {**settings, **({"prefix": prefix} if prefix else {})})
        if customer_key:
            self.engine.s3["sse_customer_key"] = customer_key
        self.inventory = BucketInventory(library.media_path, self.client, self.bucket, prefix, customer_key)

    def assert_refused(self, outcome: Outcome, *settings: str) -> None:
        """The run ended with an error that names one of the settings; no file was moved or changed."""
        said = f"status {outcome.status}: {outcome.errors[:1000]}\n{outcome.output[:1000]}"
        # Status 1 where requests were in flight whose results the run did not wait for.
        assert outcome.status in (1, 2), said
        reason = outcome.errors if not outcome.report else outcome.report.get("error") or ""
        assert any(setting in reason for setting in settings), f"no error that names {settings} ended the run: {said}"
        self.assert_nothing_unlinked()

    def assert_nothing_unlinked(self) -> None:
        unlinked = sorted(set(self.inventory.known) - set(self.inventory.on_disk()))
        assert not unlinked, (
            f"{len(unlinked)} of {len(self.inventory.known)} files were unlinked, such as {unlinked[:3]}"
        )
        assert self.inventory.on_disk() == self.inventory.known


MakeHost = Callable[..., Host]


@pytest.fixture
def make_host(request: pytest.FixtureRequest) -> Iterator[MakeHost]:
    """make_host(endpoint, customer_key=None, prefix="") on a new host with rows in SQLite and in a new bucket."""
    with shared_directory() as directory:

        def make(endpoint: Endpoint, customer_key: str | None = None, prefix: str = "") -> Host:
            below = directory / f"host-{next(_host_numbers)}"
            below.mkdir()
            below.chmod(0o755)
            database = SqliteDatabase(below / "homeserver.db")
            library = Library(below, database, f"media-{next(_bucket_numbers)}", request.node.name)
            library.own(below, database.path)
            return Host(library, endpoint, customer_key, prefix)

        yield make


@pytest.fixture
def host(make_host: MakeHost, endpoint: Endpoint) -> Host:
    return make_host(endpoint)


@pytest.fixture
def wire(host: Host) -> Iterator[WireProxy]:
    """A proxy through which the engine connects from here on; http only."""
    with WireProxy(host.engine.s3["endpoint_url"]) as proxy:
        host.engine.s3["endpoint_url"] = proxy.endpoint_url
        yield proxy
