# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store, or a proxy before it, that does not say how long an object is: the official provider never asks."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import NEWEST, OLDEST, MakeHomeserver, Release
from downloads import download
from homeserver import media_key

CHUNKED = "ChunkedMediaChunkedMedia"
CLOSED = "ClosedMediaClosedMediaCl"
EMPTY = "EmptyMediaEmptyMediaEmpt"
TORN = "TornMediaTornMediaTornMe"
CONTENT = random.Random(5).randbytes(3_000_000)
LENGTHS = {CHUNKED: len(CONTENT), CLOSED: len(CONTENT), EMPTY: 0, TORN: len(CONTENT)}


class Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path.endswith(media_key(CLOSED)):
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(CONTENT)
            self.close_connection = True
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.path.endswith(media_key(EMPTY)):
            self.wfile.write(b"0\r\n\r\n")
            return
        part = 100_000
        for start in range(0, len(CONTENT), part):
            if start and self.path.endswith(media_key(TORN)):
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (part, CONTENT[start : start + part]))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("release", [NEWEST, OLDEST], ids=["newest", "oldest"])
def test_media_of_unknown_length_is_delivered_whole_or_broken_off(
    release: Release, endpoint_url: str, make_homeserver: MakeHomeserver
) -> None:
    homeserver = make_homeserver(release, config={"endpoint_url": endpoint_url})
    with homeserver:
        pass
    homeserver.add_rows(LENGTHS)
    homeserver.start()
    for media_id in (CHUNKED, CLOSED, CHUNKED):
        ended = download(homeserver, media_id)
        assert (ended.status, ended.complete, ended.content == CONTENT) == (200, True, True)
    ended = download(homeserver, EMPTY)
    assert (ended.status, ended.complete, ended.content) == (200, True, b"")
    ended = download(homeserver, TORN)
    assert not ended.complete
    assert CONTENT.startswith(ended.content)
