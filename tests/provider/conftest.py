# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for a real Synapse with a storage provider, and a real S3 server behind a faulty network."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# The servers that all tests share are defined there.
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from homeserver import RESILIENT, Homeserver
from s3_server import S3Server
from switchable_proxy import PASS, SwitchableProxy

BUCKET = "provider-media"
_numbers = count(1)


class Release(NamedTuple):
    """A Python with a release of Synapse, and the release of the official provider that fits it."""

    name: str
    python: str


# As dev/provider-image.sh installs them.
NEWEST = Release("newest", os.environ.get("SYNAPSE_NEWEST", "/opt/synapse/venv/bin/python"))
OLDEST = Release("oldest", os.environ.get("SYNAPSE_OLDEST", "/opt/synapse-oldest/bin/python"))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        server.make_bucket(BUCKET)
        yield server


@pytest.fixture(scope="session")
def proxy(s3: S3Server) -> Iterator[SwitchableProxy]:
    with SwitchableProxy(s3.port) as running:
        yield running


@pytest.fixture
def network(proxy: SwitchableProxy) -> Iterator[SwitchableProxy]:
    """The proxy, which passes everything again after the test."""
    yield proxy
    proxy.switch(PASS)


MakeHomeserver = Callable[..., Homeserver]


@pytest.fixture(scope="session")
def connection(s3: S3Server, proxy: SwitchableProxy) -> dict[str, Any]:
    """The provider's settings for the S3 server behind the proxy."""
    return {**s3.connection(BUCKET, region_name="us-east-1"), "endpoint_url": proxy.endpoint_url}


@pytest.fixture(scope="module")
def make_homeserver(tmp_path_factory: pytest.TempPathFactory, connection: dict[str, Any]) -> Iterator[MakeHomeserver]:
    """Makes homeservers, which are stopped after the tests of a module."""
    made: list[Homeserver] = []

    def make(release: Release = NEWEST, module: str = RESILIENT, **options: Any) -> Homeserver:
        """`config` in `options` is added to the connection; None as a value removes a key."""
        config = {**connection, **options.pop("config", {})}
        config = {key: value for key, value in config.items() if value is not None}
        directory = tmp_path_factory.mktemp(f"homeserver-{next(_numbers)}")
        homeserver = Homeserver(directory, release.python, module, config, **options)
        made.append(homeserver)
        return homeserver

    yield make
    for homeserver in made:
        homeserver.stop()
