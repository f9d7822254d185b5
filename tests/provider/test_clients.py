# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of every speed get the same bytes, and slow ones hold up no others."""

from __future__ import annotations

import http.client
import random
import time

import pytest
from conftest import BUCKET, MakeHomeserver
from downloads import download
from homeserver import Homeserver, media_key
from s3_server import S3Server

MIB = 1 << 20
MEDIA_ID = "ClientMediaClientMediaCl"
CONTENT = random.Random(3).randbytes(40 * MIB)
THREADS = 8


@pytest.fixture(scope="module")
def homeserver(make_homeserver: MakeHomeserver, s3: S3Server) -> Homeserver:
    s3.client().put_object(Bucket=BUCKET, Key=media_key(MEDIA_ID), Body=CONTENT)
    made = make_homeserver(config={"threadpool_size": THREADS})
    with made:
        pass
    made.add_rows({MEDIA_ID: len(CONTENT)})
    made.start()
    return made


def requested(homeserver: Homeserver) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = homeserver.connection()
    connection.request("GET", homeserver.media_path(MEDIA_ID))
    return connection, connection.getresponse()


def test_a_client_that_pauses_gets_the_same(homeserver: Homeserver) -> None:
    connection, answer = requested(homeserver)
    content = b""
    while part := answer.read(7 * MIB):
        content += part
        # Longer than a thread waits for it.
        time.sleep(0.3)
    connection.close()
    assert content == CONTENT


def test_a_connection_is_used_for_one_download_after_another(homeserver: Homeserver) -> None:
    connection = homeserver.connection()
    for dummy in range(3):
        connection.request("GET", homeserver.media_path(MEDIA_ID))
        assert connection.getresponse().read() == CONTENT
    connection.close()


def test_a_request_for_the_headers_does_not_read_the_object(homeserver: Homeserver) -> None:
    name = "synapse_s3_provider_fetched_bytes_total"
    before = homeserver.metrics()[name]
    connection = homeserver.connection()
    for dummy in range(3):
        connection.request("HEAD", homeserver.media_path(MEDIA_ID))
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Length"), answer.read()) == (200, str(len(CONTENT)), b"")
    assert homeserver.metrics()[name] - before < MIB
    connection.request("GET", homeserver.media_path(MEDIA_ID))
    assert connection.getresponse().read() == CONTENT
    connection.close()


def test_more_slow_clients_than_threads_hold_up_no_other(homeserver: Homeserver) -> None:
    slow = [requested(homeserver) for dummy in range(3 * THREADS)]
    parts = [answer.read(MIB) for dummy, answer in slow]

    ended = download(homeserver, MEDIA_ID)

    assert ended.content == CONTENT
    assert ended.seconds < 5
    assert homeserver.health() is not None
    for (connection, answer), part in zip(slow, parts):
        assert part + answer.read() == CONTENT
        connection.close()


def test_synapse_logs_how_many_bytes_a_response_had(homeserver: Homeserver) -> None:
    download(homeserver, MEDIA_ID)
    time.sleep(0.5)
    assert f"{len(CONTENT)}B" in homeserver.log.read_text()
