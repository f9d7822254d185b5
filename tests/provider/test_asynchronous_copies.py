# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""With store_synchronous false an upload does not wait for S3; a copy that fails is tried again, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from conftest import BUCKET, MakeHomeserver
from homeserver import Homeserver, media_key
from s3_server import S3Server
from switchable_proxy import PASS, REFUSE, SwitchableProxy

RETRIES = 3
PREFIX = "synapse_s3_provider_"


@pytest.fixture(scope="module")
def homeserver(make_homeserver: MakeHomeserver) -> Homeserver:
    config = {"store_retries": RETRIES, "store_retry_delay": 0.2, "store_max_attempts": 1, "circuit_failures": 1000}
    made = make_homeserver(config=config, synchronous=False)
    made.start()
    return made


@pytest.fixture(scope="module")
def token(homeserver: Homeserver) -> str:
    return homeserver.register("uploader")


def wait_until(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_failed_copy_is_made_when_the_store_is_back(
    homeserver: Homeserver, token: str, network: SwitchableProxy, s3: S3Server
) -> None:
    network.switch(REFUSE)
    before = homeserver.metrics()
    status, media_id = homeserver.upload(token, b"copied later")
    assert status == 200
    wait_until(lambda: homeserver.metrics()[PREFIX + "store_retries_pending"] == 1)

    network.switch(PASS)

    wait_until(lambda: homeserver.metrics()[PREFIX + "store_retries_pending"] == 0)
    copied = s3.client().get_object(Bucket=BUCKET, Key=media_key(media_id))["Body"].read()
    assert copied == b"copied later"
    after = homeserver.metrics()
    assert 1 <= after[PREFIX + "store_retries_total"] - before[PREFIX + "store_retries_total"] <= RETRIES
    stored = PREFIX + 'stores_total{outcome="stored"}'
    assert after[stored] == before[stored] + 1
    assert after[PREFIX + 'errors_total{operation="store",reason="connection"}'] >= 1


def test_a_copy_that_keeps_failing_is_given_up_and_the_file_stays(
    homeserver: Homeserver, token: str, network: SwitchableProxy
) -> None:
    network.switch(REFUSE)
    before = homeserver.metrics()
    status, media_id = homeserver.upload(token, b"never copied")
    assert status == 200

    name = PREFIX + 'stores_total{outcome="given_up"}'
    wait_until(lambda: homeserver.metrics()[name] == before[name] + 1)

    after = homeserver.metrics()
    assert after[PREFIX + "store_retries_total"] == before[PREFIX + "store_retries_total"] + RETRIES
    assert after[PREFIX + "store_retries_pending"] == 0
    assert (homeserver.media_store / media_key(media_id)).read_bytes() == b"never copied"
    assert f"{media_key(media_id)} was not copied to S3 in {RETRIES + 1} attempts" in homeserver.log.read_text()


def test_a_file_that_is_gone_is_not_tried_for_ever(
    homeserver: Homeserver, token: str, network: SwitchableProxy
) -> None:
    network.switch(REFUSE)
    media_id = homeserver.upload(token, b"deleted meanwhile")[1]
    wait_until(lambda: homeserver.metrics()[PREFIX + "store_retries_pending"] == 1)
    (homeserver.media_store / media_key(media_id)).unlink()
    network.switch(PASS)

    wait_until(lambda: homeserver.metrics()[PREFIX + "store_retries_pending"] == 0)
    assert f"{media_key(media_id)} is no longer on the disk" in homeserver.log.read_text()


def test_the_log_has_no_secret(homeserver: Homeserver) -> None:
    assert str(homeserver.config["secret_access_key"]) not in homeserver.log.read_text()
