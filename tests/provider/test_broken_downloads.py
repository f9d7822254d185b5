# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A download that dies in the middle ends: the client sees that it is incomplete, and no part stays on the disk."""

from __future__ import annotations

import random
import socket
import struct
import zlib

import pytest
from conftest import BUCKET, MakeHomeserver
from downloads import download
from homeserver import Homeserver, media_key
from s3_server import S3Server
from switchable_proxy import PASS, RESET, STALL, SwitchableProxy

MIB = 1 << 20
LARGE = "LargeMediaLargeMediaLarg"
SHORT = "ShortMediaShortMediaShor"
LONG = "LongerMediaLongerMediaLo"
PICTURE = "PicturePicturePicturePic"
LARGE_CONTENT = random.Random(1).randbytes(20 * MIB)
STALL_TIMEOUT = 2.0


def noisy_png(side: int) -> bytes:
    """A picture that cannot be compressed, so that its file is large."""
    noise = random.Random(2)
    rows = b"".join(b"\0" + noise.randbytes(3 * side) for dummy in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def homeserver(make_homeserver: MakeHomeserver, s3: S3Server) -> Homeserver:
    contents = {LARGE: LARGE_CONTENT, SHORT: b"s" * 1000, LONG: b"l" * 1000, PICTURE: noisy_png(600)}
    for media_id, content in contents.items():
        s3.client().put_object(Bucket=BUCKET, Key=media_key(media_id), Body=content)
    made = make_homeserver(config={"stall_timeout": STALL_TIMEOUT, "circuit_failures": 1000})
    with made:
        pass
    lengths = {media_id: len(content) for media_id, content in contents.items()}
    made.add_rows({**lengths, SHORT: 2000, LONG: 500})
    made.start()
    return made


@pytest.mark.parametrize("mode", [RESET, STALL])
@pytest.mark.parametrize("after", [100 * 1024, 5 * MIB, 19 * MIB])
def test_the_client_sees_that_a_download_broke_off(
    mode: str, after: int, homeserver: Homeserver, network: SwitchableProxy
) -> None:
    network.switch(mode, after)

    ended = download(homeserver, LARGE)

    assert ended.status == 200
    assert not ended.complete
    assert LARGE_CONTENT.startswith(ended.content)
    assert ended.seconds < STALL_TIMEOUT + 5
    network.switch(PASS)
    assert download(homeserver, LARGE).content == LARGE_CONTENT


@pytest.mark.parametrize("mode", [RESET, STALL])
def test_before_the_first_byte_it_is_an_error(mode: str, homeserver: Homeserver, network: SwitchableProxy) -> None:
    network.switch(mode, 1000)

    ended = download(homeserver, LARGE)

    assert ended.status == 503
    assert ended.seconds < 10


@pytest.mark.parametrize(("media_id", "content"), [(SHORT, b"s" * 1000), (LONG, b"l" * 1000)])
def test_an_object_of_another_length_than_the_row_does_not_make_a_client_wait(
    media_id: str, content: bytes, homeserver: Homeserver
) -> None:
    with socket.create_connection(("127.0.0.1", homeserver.port), timeout=10) as client:
        client.sendall(f"GET {homeserver.media_path(media_id)} HTTP/1.1\r\nHost: provider.test\r\n\r\n".encode())
        # To the end of the connection, which HTTP would keep open.
        with client.makefile("rb") as stream:
            received = stream.read()
    assert received.partition(b"\r\n\r\n")[2] == content
    assert f"{media_key(media_id)} has 1000 bytes in S3" in homeserver.log.read_text()


def test_no_part_of_a_picture_stays_on_the_disk(homeserver: Homeserver, network: SwitchableProxy) -> None:
    path = f"/_matrix/media/v3/thumbnail/provider.test/{PICTURE}?width=50&height=50&method=crop"
    network.switch(RESET, 500 * 1024)

    status = homeserver.request("GET", path)[0]

    assert status >= 400
    assert not (homeserver.media_store / media_key(PICTURE)).exists()
    network.switch(PASS)
    assert homeserver.request("GET", path)[0] == 200


def test_clients_that_leave_give_their_connections_back(homeserver: Homeserver, network: SwitchableProxy) -> None:
    before = homeserver.metrics()['synapse_s3_provider_fetches_total{outcome="abandoned"}']
    for dummy in range(60):
        connection = homeserver.connection()
        connection.request("GET", homeserver.media_path(LARGE))
        connection.getresponse().read(1000)
        connection.close()

    assert download(homeserver, LARGE).content == LARGE_CONTENT
    assert homeserver.metrics()['synapse_s3_provider_fetches_total{outcome="abandoned"}'] - before > 50
