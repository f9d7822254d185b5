# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the client retries, what it gives up, and what ends the whole run."""

from __future__ import annotations

import random
import socket
import time

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    RequestFailed,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3 import retry
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.bucket import Bucket
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.client import Client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import Digest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.retry import Retries
from s3_client import get, md5, put, with_s3
from scripted_store import Reply, ScriptedStore, answer, cut_after, done, error, reset_after, scripted_store


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.001)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


WHOLE = done("whole")
BODY = answer(200, b"0123456789")


@pytest.mark.parametrize(
    "trouble",
    [
        error(500, "InternalError"),
        answer(502),
        error(503, "SlowDown"),
        error(503, "ServiceUnavailable"),
        answer(504),
        answer(522),
        error(429, "TooManyRequests"),
        answer(429),
        answer(503),
        error(503, "SlowDownRead"),
        error(503, "SlowDownWrite"),
        error(400, "Throttling"),
        error(400, "ThrottlingException"),
        error(400, "KMS.ThrottlingException"),
        error(403, "RateLimitExceeded"),
        error(400, "RequestLimitExceeded"),
        error(400, "RequestTimeout"),
        error(400, "BadDigest"),
        cut_after(b""),
        reset_after(b""),
        cut_after(WHOLE[:9]),
        reset_after(WHOLE[:-1]),
        cut_after(b"no HTTP at all\r\n\r\n"),
        cut_after(b"HTTP/1.1 2000 OK\r\n\r\n"),
        cut_after(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"),
        cut_after(b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nabcde"),
        cut_after(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"),
        cut_after(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab"),
        cut_after(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        cut_after(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"),
        cut_after(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
        cut_after(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n"),
    ],
)
def test_passing_errors_are_retried(trouble: Reply) -> None:
    with scripted_store(trouble, WHOLE) as store:
        assert put(store.settings()) == "whole"
    assert [request.body for request in store.requests] == [b"abc", b"abc"]


@pytest.mark.parametrize("length", range(len(BODY)))
def test_an_object_that_is_truncated_anywhere_is_read_again(length: int) -> None:
    with scripted_store(cut_after(BODY[:length]), BODY) as store:
        assert get(store.settings()) == (10, b"0123456789")
    assert len(store.requests) == 2


def test_a_body_without_a_length_never_counts_as_a_whole_object() -> None:
    with scripted_store(done(), cut_after(b"HTTP/1.1 200 OK\r\n\r\n01234"), BODY) as store:
        put(store.settings())
        assert get(store.settings()) == (10, b"0123456789")


def test_a_stalled_response_times_out_and_is_retried() -> None:
    with scripted_store(WHOLE) as store:
        store.script(store.stall, store.stall_after(WHOLE[:20]), WHOLE)
        begun = time.monotonic()
        assert put(store.settings(), read_timeout=0.3) == "whole"
        assert 0.6 <= time.monotonic() - begun < 5
        assert len(store.requests) == 3


def test_a_server_that_stops_reading_times_out() -> None:
    def read_a_little_and_stall(link: socket.socket) -> None:
        link.recv(10)
        store.stall(link)

    with scripted_store(WHOLE) as store:
        store.before_reading(read_a_little_and_stall)
        assert put(store.settings(), b"x" * 30_000_000, read_timeout=0.3) == "whole"
        assert store.connections == 2


def test_a_kept_connection_that_was_closed_costs_no_attempt() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        for number in range(20):
            await s3.put(f"{number}", b"x", Digest(md5(b"x")))
            await loop.sleep(0.005 * (number % 2))

    with scripted_store(cut_after(WHOLE)) as store:
        with_s3(store.settings(), main, concurrency=1)
        assert len(store.requests) == 20


def test_a_connection_is_kept_where_the_server_keeps_it() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        for number in range(6):
            await s3.put(f"{number}", b"x", Digest(md5(b"x")))

    closing = answer(200, b"", "ETag: x", "Connection: close")
    with scripted_store(done(), done(), closing, done()) as store:
        with_s3(store.settings(), main)
        assert [request.connection for request in store.requests] == [1, 1, 1, 2, 2, 2]


def test_unexpected_bytes_are_not_read_as_the_next_response() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> list[str]:
        etags = []
        for dummy in range(3):
            etags.append((await s3.put("a", b"x", Digest(md5(b"x")))).etag)
            await loop.sleep(0.02)
        return etags

    with scripted_store(done("1") + done("stray"), done("2"), done("3")) as store:
        assert with_s3(store.settings(), main) == ["1", "2", "3"]


def test_a_request_that_never_succeeds_fails_and_the_others_continue() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> str:
        await s3.put("a", b"x", Digest(md5(b"x")))
        with pytest.raises(
            RequestFailed, match=r"Uploading 'b' failed: .*InternalError: words of the store"
        ) as failure:
            await s3.put("b", b"x", Digest(md5(b"x")))
        assert (failure.value.code, failure.value.status) == ("InternalError", 500)
        assert client.requests["put"] == 9
        return (await s3.put("c", b"x", Digest(md5(b"x")))).etag

    with scripted_store(done(), *[error(500, "InternalError")] * 8, WHOLE) as store:
        assert with_s3(store.settings(), main) == "whole"


def test_a_refused_request_is_not_retried() -> None:
    with scripted_store(error(400, "KeyTooLongError")) as store, pytest.raises(RequestFailed, match="KeyTooLongError"):
        put(store.settings())
    assert len(store.requests) == 1


def test_a_body_that_changes_is_given_up_soon() -> None:
    with (
        scripted_store(error(400, "BadDigest")) as store,
        pytest.raises(RequestFailed, match=r"Uploading 'Aa' failed: what arrived is not what was announced"),
    ):
        put(store.settings(), key="Aa")
    assert len(store.requests) == 3


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (error(403, "SignatureDoesNotMatch"), "synapse_s3_secret_access_key"),
        (error(403, "InvalidAccessKeyId"), "synapse_s3_access_key_id"),
        (error(400, "ExpiredToken"), "synapse_s3_session_token"),
        (
            error(403, "RequestTimeTooSkewed", "Date: Sat, 21 Nov 2020 00:00:00 GMT"),
            "the clock of this host is [0-9]+ seconds ahead of .*chrony",
        ),
        (error(401, "Unauthorized"), "not allowed"),
        (error(404, "NoSuchBucket"), "the bucket 'media' does not exist"),
        (error(301, "PermanentRedirect", "x-amz-bucket-region: eu-west-3"), r"\(eu-west-3\)"),
        (answer(307, b"", "x-amz-bucket-region: eu-west-3"), r"\(eu-west-3\)"),
        (error(403, "QuotaExceeded"), "quota"),
        (answer(507), "quota"),
    ],
)
def test_an_error_that_affects_all_requests_ends_the_run_at_once(reply: bytes, words: str) -> None:
    with scripted_store(reply) as store, pytest.raises(StoreError, match=words) as refusal:
        put(store.settings())
    assert len(store.requests) == 1
    assert refusal.value.exit_status == 2
    assert "the-secret" not in str(refusal.value)


def test_an_unreachable_server_ends_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with scripted_store(WHOLE) as store:
        settings = store.settings(endpoint_url=f"http://127.0.0.1:{port}")
        with pytest.raises(StoreError, match=r"cannot be reached \(the connection is refused\)"):
            put(settings)
        with pytest.raises(StoreError, match="its name does not resolve"):
            put(store.settings(endpoint_url="http://no-such-host.invalid:1"))


def test_a_server_that_becomes_unreachable_is_waited_for_within_the_patience() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        await s3.put("a", b"x", Digest(md5(b"x")))
        store.close()
        begun = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached"):
            await s3.put("b", b"x", Digest(md5(b"x")))
        # Eight attempts take a few milliseconds in this test.
        assert time.monotonic() - begun >= 0.5

    store = ScriptedStore([done()])
    with_s3(store.settings(), main, patience=0.5)


def test_delays_double_with_jitter_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.1)
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr(random, "uniform", uniform)
    assert [Retries.delay(attempts) for attempts in (1, 2, 3, 50)] == [0.1, 0.2, 0.4, 20.0]
    assert {low for low, dummy in bounds} == {0.0}


def test_no_more_connections_than_allowed() -> None:
    def slowly(link: socket.socket) -> None:
        time.sleep(0.01)
        link.sendall(WHOLE)

    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        tasks = [loop.start(s3.put(f"{number}", b"x", Digest(md5(b"x")))) for number in range(30)]
        for task in tasks:
            await task

    with scripted_store(slowly) as store:
        with_s3(store.settings(), main, concurrency=3)
        assert store.most_at_once <= 3
        assert len(store.requests) == 30
