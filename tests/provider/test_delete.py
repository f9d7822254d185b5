# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The method delete(), which a later release of Synapse calls; until then a module of Synapse stands for that call."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import BUCKET, MakeHomeserver
from homeserver import Homeserver, media_key
from s3_server import S3Server
from switchable_proxy import SILENT, SwitchableProxy

MODULES = Path(__file__).parent / "synapse_modules"


@pytest.fixture(scope="module")
def homeserver(make_homeserver: MakeHomeserver) -> Homeserver:
    made = make_homeserver(
        packages=[MODULES], modules=[{"module": "delete_from_providers.DeleteFromProviders", "config": {}}]
    )
    made.start()
    return made


def test_the_object_of_a_deleted_media_is_deleted(homeserver: Homeserver, s3: S3Server) -> None:
    token = homeserver.register("owner")
    deleted, kept = (homeserver.upload(token, content)[1] for content in (b"deleted", b"kept"))
    assert media_key(deleted) in s3.keys(BUCKET)

    status = homeserver.request("POST", f"/_test/delete?media_id={deleted}")[0]

    assert status == 200
    keys = s3.keys(BUCKET)
    assert (media_key(deleted) in keys, media_key(kept) in keys) == (False, True)
    assert homeserver.metrics()['synapse_s3_provider_deletes_total{outcome="deleted"}'] == 1


def test_a_deletion_that_fails_ends_in_time(homeserver: Homeserver, network: SwitchableProxy) -> None:
    network.switch(SILENT)
    began = time.monotonic()

    status = homeserver.request("POST", "/_test/delete?media_id=LocalMediaLocalMediaLoca")[0]

    assert status == 503
    assert time.monotonic() - began < 15
    assert homeserver.metrics()['synapse_s3_provider_deletes_total{outcome="failed"}'] == 1
