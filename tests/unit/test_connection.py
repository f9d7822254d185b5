# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections: framing, files, TLS, proxies, the bandwidth limit, and a stop during a transfer."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    RequestFailed,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3 import retry
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.bucket import Bucket
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.client import Client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import (
    Digest,
    MultipartUpload,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.connection import (
    Connection,
    FilePart,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.errors import (
    ReadTimeoutError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.response import Link
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.version import USER_AGENT
from ansible_collections.matrix_ops.synapse_s3.tests.shared.certificates import Certificate, make_certificate
from s3_client import get, md5, put, with_s3
from scripted_store import answer, cut_after, done, error, scripted_store

LARGE = os.urandom(3_000_001)


@pytest.fixture(autouse=True)
def quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.001)
    for name in ("http_proxy", "https_proxy", "no_proxy", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def large_file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(scope="module")
def certificate_and_key(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def certificate(certificate_and_key: Certificate) -> Path:
    return certificate_and_key.certificate


@pytest.fixture
def context(certificate_and_key: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate_and_key)
    return context


def put_file(settings: Any, descriptor: int, offset: int, length: int, **options: Any) -> str:
    async def main(s3: Bucket, client: Client, loop: Loop) -> str:
        return (
            await s3.put("a", FilePart(descriptor, offset, length), Digest(md5(LARGE[offset : offset + length])))
        ).etag

    return with_s3(settings, main, **options)


@pytest.mark.parametrize("offset", [0, 1_000_000])
@pytest.mark.parametrize("tls", [False, True])
def test_files_are_sent_without_a_copy(
    large_file: int, context: ssl.SSLContext, certificate: Path, tls: bool, offset: int
) -> None:
    length = len(LARGE) - offset - 1
    with scripted_store(done("x"), context=context if tls else None) as store:
        settings = store.settings(**({"ca_bundle": str(certificate)} if tls else {}))
        assert put_file(settings, large_file, offset, length) == "x"
    assert store.requests[0].body == LARGE[offset : offset + length]
    assert store.requests[0].headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


@pytest.mark.parametrize("tls", [False, True])
def test_a_file_that_becomes_shorter_fails_alone(
    large_file: int, context: ssl.SSLContext, certificate: Path, tls: bool
) -> None:
    with scripted_store(done("x"), context=context if tls else None) as store:
        settings = store.settings(**({"ca_bundle": str(certificate)} if tls else {}))
        with pytest.raises(RequestFailed, match="became shorter") as failure:
            put_file(settings, large_file, 0, len(LARGE) + 1)
    assert failure.value.code == "FileEnded"
    assert store.requests == []


@pytest.mark.parametrize("length", [0, 1, 19_000, 64 * 1024, 64 * 1024 + 1, len(LARGE)])
@pytest.mark.parametrize("limit", [None, 50_000_000])
def test_bodies_of_every_size(length: int, limit: int | None) -> None:
    with scripted_store(done("x")) as store:
        assert put(store.settings(), LARGE[:length], bandwidth_limit=limit) == "x"
    assert store.requests[0].body == LARGE[:length]
    assert store.requests[0].headers["content-length"] == str(length)


@pytest.mark.parametrize("length", [0, 1, 19_000, 64 * 1024 + 1, len(LARGE)])
def test_bodies_of_every_size_over_tls(context: ssl.SSLContext, certificate: Path, length: int) -> None:
    with scripted_store(done("x"), context=context) as store:
        assert put(store.settings(ca_bundle=str(certificate)), LARGE[:length]) == "x"
    assert store.requests[0].body == LARGE[:length]


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    body = b"".join(b"%X;name=value\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (answer(200, LARGE), LARGE),
        (answer(200, b""), b""),
        (chunked(b"abc", b"d" * 1000, LARGE), b"abc" + b"d" * 1000 + LARGE),
        (chunked(), b""),
        (chunked(b"abc", trailer=b"x-amz-checksum-crc32: AAAA\r\n"), b"abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(200, b"abc"), b"abc"),
    ],
    # Not made from the random bytes: processes that share the tests must agree on their names.
    ids=["large", "empty", "chunked", "chunked and empty", "chunked with a trailer", "after 100 Continue"],
)
def test_responses_of_every_framing(reply: bytes, body: bytes) -> None:
    with scripted_store(reply) as store:
        assert get(store.settings()) == (len(body), body)


def test_responses_in_small_pieces() -> None:
    reply = chunked(b"abc", b"defgh")

    def in_pieces(link: socket.socket) -> None:
        for position in range(len(reply)):
            link.sendall(reply[position : position + 1])
            time.sleep(0.001)

    with scripted_store(in_pieces) as store:
        assert get(store.settings()) == (8, b"abcdefgh")


def test_a_missing_object_writes_nothing_to_the_sink() -> None:
    with scripted_store(error(404, "NoSuchKey")) as store:
        assert get(store.settings()) == (None, b"")


def test_an_error_response_during_the_body_is_read() -> None:
    def refuse(link: socket.socket) -> None:
        link.recv(1000)
        link.sendall(error(403, "AccessDenied", "Connection: close"))
        time.sleep(0.3)

    with scripted_store(done()) as store:
        store.before_reading(refuse)
        with pytest.raises(RequestFailed, match="not allowed"):
            put(store.settings(), b"x" * 30_000_000)


def test_a_success_response_before_the_end_of_the_body_does_not_count() -> None:
    def respond_early(link: socket.socket) -> None:
        link.recv(1000)
        link.sendall(done("too soon"))
        time.sleep(0.3)

    with scripted_store(done("right")) as store:
        store.before_reading(respond_early)
        assert put(store.settings(), b"x" * 30_000_000) == "right"
    assert len(store.requests[0].body) == 30_000_000


def test_an_untrusted_certificate_ends_the_run(context: ssl.SSLContext, tmp_path: Path) -> None:
    with scripted_store(done(), context=context) as store:
        with pytest.raises(StoreError, match=r"not trusted by this host.*synapse_s3_ca_bundle"):
            put(store.settings())
        with pytest.raises(ConfigurationError, match="synapse_s3_ca_bundle"):
            put(store.settings(ca_bundle=str(tmp_path / "none.pem")))
    assert store.requests == []


def test_a_certificate_for_another_name_ends_the_run(context: ssl.SSLContext, certificate: Path) -> None:
    with scripted_store(done(), context=context) as store:
        endpoint = f"https://localhost:{store.port}"
        with pytest.raises(StoreError, match="for another name"):
            put(store.settings(endpoint_url=endpoint, ca_bundle=str(certificate)))


def test_a_server_without_tls_gets_its_own_message(certificate: Path) -> None:
    def refuse(link: socket.socket) -> None:
        link.recv(1000)
        link.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with scripted_store(done()) as store:
        store.before_reading(refuse)
        endpoint = f"https://127.0.0.1:{store.port}"
        with pytest.raises(StoreError, match="does not speak TLS"):
            put(store.settings(endpoint_url=endpoint, ca_bundle=str(certificate)))


def test_a_handshake_that_fails_is_retried(context: ssl.SSLContext, certificate: Path) -> None:
    # A TLS alert of the server: internal error.
    for refusal in (b"", b"\x15\x03\x03\x00\x02\x02\x50"):
        with scripted_store(done("x"), context=context) as store:
            store.before_handshake(cut_after(refusal))
            assert put(store.settings(ca_bundle=str(certificate))) == "x"
            assert store.connections == 2


def test_completing_an_upload_has_a_longer_timeout() -> None:
    completed = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"

    def slowly(link: socket.socket) -> None:
        time.sleep(0.6)
        link.sendall(answer(200, completed))

    async def main(s3: Bucket, client: Client, loop: Loop) -> str:
        return await s3.complete_multipart("a", MultipartUpload("id", False, ""), ["e"])

    with scripted_store(slowly) as store:
        assert with_s3(store.settings(), main, read_timeout=0.3) == "e"
    assert len(store.requests) == 1


def test_an_object_that_is_truncated_under_tls_is_read_again(context: ssl.SSLContext, certificate: Path) -> None:
    whole = answer(200, b"0123456789")
    with scripted_store(cut_after(whole[:-1]), whole, context=context) as store:
        assert get(store.settings(ca_bundle=str(certificate))) == (10, b"0123456789")
    assert len(store.requests) == 2


def test_the_bandwidth_limit_applies_to_uploads_and_downloads() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> float:
        begun = time.monotonic()
        tasks = [loop.start(s3.put(f"{number}", b"x" * 20_000, Digest(md5(b"x" * 20_000)))) for number in range(10)]
        for task in tasks:
            await task
        await s3.get("a", lambda: lambda data: None)
        return time.monotonic() - begun

    with scripted_store(*[done()] * 10, answer(200, b"y" * 200_000)) as store:
        seconds = with_s3(store.settings(), main, bandwidth_limit=500_000)
    assert 0.7 <= seconds < 2


def test_a_low_bandwidth_limit_reduces_the_requests_in_flight() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> int:
        return client.allowed_in_flight

    with scripted_store(done()) as store:
        assert with_s3(store.settings(), main, concurrency=64, bandwidth_limit=65_536) == 4
        assert with_s3(store.settings(), main, concurrency=64, bandwidth_limit=1_000) == 1


def test_requests_carry_the_name_and_version_of_the_collection() -> None:
    with scripted_store(done()) as store:
        put(store.settings())
    assert store.requests[0].headers["user-agent"] == USER_AGENT
    assert "user-agent" not in store.requests[0].headers["authorization"]


DRIBBLED = done("dribbled")


def dribble(link: socket.socket) -> None:
    """Send ten bytes a second, so that the connection is never silent."""
    for position in range(len(DRIBBLED)):
        link.sendall(DRIBBLED[position : position + 1])
        time.sleep(0.1)


def test_a_response_that_is_too_slow_is_given_up() -> None:
    with scripted_store(dribble, done("whole")) as store:
        begun = time.monotonic()
        assert put(store.settings(), read_timeout=0.5) == "whole"
        assert 0.5 <= time.monotonic() - begun < 0.1 * len(DRIBBLED)


def test_an_object_that_is_too_slow_is_given_up() -> None:
    def send_the_body_slowly(link: socket.socket) -> None:
        link.sendall(answer(200, b"x" * 100)[:-100])
        for dummy in range(100):
            link.sendall(b"x")
            time.sleep(0.1)

    with scripted_store(send_the_body_slowly, answer(200, b"y" * 100)) as store:
        begun = time.monotonic()
        assert get(store.settings(), read_timeout=0.5) == (100, b"y" * 100)
        assert time.monotonic() - begun < 9


def send_to_a_slow_peer(slowest: float, timeout: float) -> float:
    """Return the seconds until an upload of 100 KB is given up, where the server reads 1 KB every 50 ms."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.setblocking(False)

    def take() -> None:
        with suppress(OSError):
            while theirs.recv(1000):
                time.sleep(0.05)

    loop = Loop(threads=1)
    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    connection = Connection(loop, Link(ours, loop.watch(ours.fileno())), None, slowest)
    connection.timeout = timeout
    begun = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        loop.run(connection.exchange(b"PUT / HTTP/1.1\r\n\r\n", b"x" * 100_000, False, None))
    seconds = time.monotonic() - begun
    connection.close()
    loop.close()
    taking.join(10)
    theirs.close()
    return seconds


def test_an_upload_that_is_too_slow_is_given_up() -> None:
    assert 0.5 <= send_to_a_slow_peer(slowest=1_000_000, timeout=0.5) < 3
    # Sending takes 5 s, and then no response comes. On a busy machine the server may not run for a second.
    assert send_to_a_slow_peer(slowest=1_000, timeout=2) >= 5


def test_a_slow_connection_is_not_cut_off() -> None:
    """Longer than the read timeout, as long as bytes arrive at the rate of a slow connection."""

    def slowly(link: socket.socket) -> None:
        reply = answer(200, b"z" * 16_000)
        for position in range(0, len(reply), 800):
            link.sendall(reply[position : position + 800])
            time.sleep(0.1)

    with scripted_store(slowly) as store:
        begun = time.monotonic()
        assert get(store.settings(), read_timeout=0.5) == (16_000, b"z" * 16_000)
        assert time.monotonic() - begun >= 2
        assert len(store.requests) == 1


def test_the_bandwidth_limit_does_not_count_as_a_slow_connection() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        for task in [loop.start(s3.put(f"{number}", b"x" * 10_000, Digest(md5(b"x" * 10_000)))) for number in range(4)]:
            await task

    with scripted_store(done()) as store:
        begun = time.monotonic()
        with_s3(store.settings(), main, bandwidth_limit=20_000, read_timeout=0.3)
        assert time.monotonic() - begun >= 1.5
        assert len(store.requests) == 4


class Stopped(BaseException):
    pass


@pytest.mark.parametrize("after", [0.0, 0.002, 0.05, 0.2])
def test_after_a_signal_the_client_can_still_clean_up(after: float) -> None:
    """The bytes of a stopped request must not appear in the response to the next request."""
    half = done("half")[:-4]

    async def main(s3: Bucket, loop: Loop) -> None:
        tasks = [loop.start(s3.put(f"{number}", b"x" * 500_000, Digest(md5(b"x")))) for number in range(12)]
        for task in tasks:
            await task

    async def clean_up(s3: Bucket) -> str:
        await s3.abort_multipart("a", "id")
        return (await s3.put("b", b"y", Digest(md5(b"y")))).etag

    with scripted_store(done("1"), done("2")) as store:
        store.script(done("1"), done("2"), store.stall_after(half))
        loop = Loop()
        settings = store.settings()
        client = Client(loop, settings, concurrency=4)
        s3 = Bucket(client, settings)
        previous = signal.signal(signal.SIGALRM, lambda number, frame: loop.interrupt(Stopped()))
        try:
            if after:
                signal.setitimer(signal.ITIMER_REAL, after)
            else:
                loop.interrupt(Stopped())
            with pytest.raises(Stopped):
                loop.run(main(s3, loop))
        finally:
            signal.signal(signal.SIGALRM, previous)
        store.script(answer(204), done("cleaned"))
        assert loop.run(clean_up(s3)) == "cleaned"
        client.close()
        loop.close()


class ConnectProxy:
    """An HTTP proxy that supports CONNECT, and responds to plain requests itself."""

    def __init__(self, reply: bytes, target: tuple[str, int] | None = None) -> None:
        self.heads: list[bytes] = []
        self._reply = reply
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:word@127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        ours, dummy = self._listener.accept()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += ours.recv(1)
        self.heads.append(head)
        ours.sendall(self._reply)
        if head.startswith(b"CONNECT ") and b" 200 " in self._reply:
            host, dummy, port = head.split()[1].decode().partition(":")
            theirs = socket.create_connection(self._target or (host, int(port)))
            other = threading.Thread(target=_pump, args=(theirs, ours), daemon=True)
            other.start()
            _pump(ours, theirs)
            other.join(10)
            theirs.close()
        ours.close()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


def test_tls_uses_a_tunnel_through_the_proxy(
    context: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunnel = ConnectProxy(b"HTTP/1.1 200 Connection established\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    with scripted_store(done("x"), context=context) as store:
        assert put(store.settings(ca_bundle=str(certificate))) == "x"
        assert tunnel.heads[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % store.port)
    assert b"proxy-authorization: Basic dXNlcjp3b3Jk\r\n" in tunnel.heads[0]
    assert "proxy-authorization" not in store.requests[0].headers
    tunnel.close()


def test_an_ipv6_address_has_brackets_in_the_tunnel_request(
    context: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_store(done("x"), context=context) as store:
        tunnel = ConnectProxy(b"HTTP/1.1 200 Connection established\r\n\r\n", ("127.0.0.1", store.port))
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
        # The certificate is for 127.0.0.1; only the request to the proxy matters here.
        with pytest.raises(StoreError, match="for another name"):
            put(store.settings(endpoint_url=f"https://[::1]:{store.port}", ca_bundle=str(certificate)))
        assert tunnel.heads[0].startswith(b"CONNECT [::1]:%d HTTP/1.1\r\nhost: [::1]:%d\r\n" % (store.port, store.port))
    assert f"user-agent: {USER_AGENT}\r\n".encode() in tunnel.heads[0]
    tunnel.close()


def test_plain_requests_are_sent_to_the_proxy_with_the_full_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_store(done("x")) as proxy, scripted_store(done("y")) as store:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:word@127.0.0.1:{proxy.port}")
        assert put(store.settings()) == "x"
    assert proxy.requests[0].target == f"http://127.0.0.1:{store.port}/media/a"
    assert proxy.requests[0].headers["host"] == f"127.0.0.1:{store.port}"
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjp3b3Jk"


def test_a_proxy_that_cannot_be_reached_is_named(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    with scripted_store(done()) as store:
        settings = store.settings(endpoint_url=f"https://127.0.0.1:{store.port}", ca_bundle=str(certificate))
        with pytest.raises(StoreError, match="HTTPS_PROXY"):
            put(settings)
