# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""While the store is away every download ends within 10 seconds, and Synapse answers everything else at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from conftest import BUCKET, MakeHomeserver
from downloads import Ended, download, download_at_once
from homeserver import Homeserver, media_key
from s3_server import S3Server
from switchable_proxy import BLACK_HOLE, DRIBBLE, PASS, REFUSE, SILENT, SwitchableProxy

CLIENTS = 50
LONGEST = 10.0
CIRCUIT_SECONDS = 2.0
MEDIA = {f"Unavailable{number:013d}": 1000 + number for number in range(CLIENTS)}


def content_of(media_id: str) -> bytes:
    return (media_id * 100).encode()[: MEDIA[media_id]]


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> None:
    for media_id in MEDIA:
        s3.client().put_object(Bucket=BUCKET, Key=media_key(media_id), Body=content_of(media_id))


def started(homeserver: Homeserver) -> Homeserver:
    # The first start makes the database.
    with homeserver:
        pass
    homeserver.add_rows(MEDIA)
    homeserver.start()
    return homeserver


@pytest.fixture(scope="module")
def homeserver(make_homeserver: MakeHomeserver, bucket: None) -> Homeserver:
    return started(make_homeserver(config={"circuit_seconds": CIRCUIT_SECONDS}))


@pytest.fixture
def closed_circuit(homeserver: Homeserver, network: SwitchableProxy) -> Iterator[None]:
    network.switch(PASS)
    wait_for_download(homeserver)
    yield
    network.switch(PASS)


def wait_for_download(homeserver: Homeserver) -> Ended:
    media_id = next(iter(MEDIA))
    deadline = time.monotonic() + 30
    while True:
        ended = download(homeserver, media_id)
        if ended.status == 200:
            return ended
        assert time.monotonic() < deadline, ended
        time.sleep(0.2)


def assert_all_end(ended: list[Ended], slowest_health: float) -> None:
    assert [one.status for one in ended] == [503] * CLIENTS
    assert max(one.seconds for one in ended) < LONGEST
    assert slowest_health < 1.0


@pytest.mark.parametrize("mode", [REFUSE, BLACK_HOLE, SILENT, DRIBBLE])
def test_fifty_downloads_end_and_synapse_stays_responsive(
    mode: str, homeserver: Homeserver, closed_circuit: None, network: SwitchableProxy
) -> None:
    network.switch(mode)
    assert_all_end(*download_at_once(homeserver, list(MEDIA)))


def test_fifty_downloads_end_without_credentials(make_homeserver: MakeHomeserver, bucket: None) -> None:
    homeserver = started(make_homeserver(config={"access_key_id": None, "secret_access_key": None}))
    assert_all_end(*download_at_once(homeserver, list(MEDIA)))
    assert homeserver.metrics()['synapse_s3_provider_errors_total{operation="fetch",reason="credentials"}'] >= 5


def test_fifty_downloads_end_where_the_instance_does_not_give_credentials(
    make_homeserver: MakeHomeserver, bucket: None, s3: S3Server
) -> None:
    with SwitchableProxy(s3.port) as metadata_service:
        metadata_service.switch(BLACK_HOLE)
        homeserver = make_homeserver(
            config={"access_key_id": None, "secret_access_key": None},
            environment={
                "AWS_EC2_METADATA_DISABLED": "false",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata_service.endpoint_url,
            },
        )
        assert_all_end(*download_at_once(started(homeserver), list(MEDIA)))


def test_an_open_circuit_asks_nothing_of_the_store_until_one_request_succeeds(
    homeserver: Homeserver, closed_circuit: None, network: SwitchableProxy
) -> None:
    network.switch(SILENT)
    download_at_once(homeserver, list(MEDIA))
    opened = homeserver.metrics()
    assert opened['synapse_s3_provider_circuit_open{operation="fetch"}'] == 1
    asked = network.connections

    ended = download(homeserver, next(iter(MEDIA)))

    assert (ended.status, ended.seconds < 1.0) == (503, True)
    assert network.connections == asked
    refused = homeserver.metrics()
    name = 'synapse_s3_provider_fetches_total{outcome="circuit_open"}'
    assert refused[name] == opened[name] + 1

    network.switch(PASS)
    assert wait_for_download(homeserver).content == content_of(next(iter(MEDIA)))
    assert homeserver.metrics()['synapse_s3_provider_circuit_open{operation="fetch"}'] == 0


def test_missing_objects_are_answered_with_404_and_do_not_open_the_circuit(
    homeserver: Homeserver, closed_circuit: None, s3: S3Server
) -> None:
    media_id = list(MEDIA)[-1]
    s3.client().delete_object(Bucket=BUCKET, Key=media_key(media_id))
    try:
        assert [download(homeserver, media_id).status for dummy in range(10)] == [404] * 10
    finally:
        s3.client().put_object(Bucket=BUCKET, Key=media_key(media_id), Body=content_of(media_id))
    assert homeserver.metrics()['synapse_s3_provider_circuit_open{operation="fetch"}'] == 0


def test_uploads_fail_in_time_and_the_log_has_no_secret(
    homeserver: Homeserver, closed_circuit: None, network: SwitchableProxy
) -> None:
    token = homeserver.register("uploader")
    network.switch(REFUSE)
    began = time.monotonic()

    status = homeserver.upload(token, b"not in S3")[0]

    assert status == 503
    assert time.monotonic() - began < LONGEST
    log = homeserver.log.read_text()
    assert "S3 store of local_content/" in log
    assert str(homeserver.config["secret_access_key"]) not in log
