# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that throttles gets fewer requests and more time; a server that fails gets few at a time."""

from __future__ import annotations

import datetime
import email.utils
import socket
import threading
import time
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    RequestFailed,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3 import retry
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.adaptive_concurrency import (
    AdaptiveConcurrency,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.bucket import Bucket
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.client import Client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.errors import (
    RefusedError,
    ThrottledError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import Digest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.operations import (
    LIST,
    PUT,
    Operation,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.retry import (
    Decision,
    RequestErrors,
    Retries,
    retry_after,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.errors import (
    RetryableError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.response import Response
from s3_client import md5, put, with_s3
from scripted_store import Reply, Request, answer, done, error, scripted_store

SLOW_DOWN = error(503, "SlowDown")


@pytest.fixture(autouse=True)
def quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(retry, "LONGEST_DELAY", 0.05)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


def put_many(store: Any, count: int, **options: Any) -> list[RequestFailed]:
    """Return the requests that failed; all start together."""

    async def one(s3: Bucket, number: int, failed: list[RequestFailed]) -> None:
        try:
            await s3.put(f"k{number:04}", b"x", Digest(md5(b"x")))
        except RequestFailed as failure:
            failed.append(failure)

    async def main(s3: Bucket, client: Client, loop: Loop) -> list[RequestFailed]:
        failed: list[RequestFailed] = []
        for task in [loop.start(one(s3, number, failed)) for number in range(count)]:
            await task
        return failed

    return with_s3(store.settings(), main, **options)


def test_a_throttled_request_has_no_limit_of_attempts() -> None:
    with scripted_store(*[SLOW_DOWN] * 60, done("at last")) as store:
        assert put(store.settings()) == "at last"


def test_a_server_that_always_throttles_is_given_up_after_the_patience() -> None:
    with scripted_store(SLOW_DOWN) as store:
        begun = time.monotonic()
        with pytest.raises(StoreError, match="asks for fewer requests"):
            put_many(store, 30, concurrency=8, patience=1)
        assert 1 <= time.monotonic() - begun < 5


def test_a_single_request_that_is_always_throttled_fails_alone() -> None:
    with scripted_store(SLOW_DOWN) as store, pytest.raises(RequestFailed, match="asks for fewer requests"):
        put(store.settings(), patience=0.5)


def test_an_object_that_is_throttled_while_others_succeed_fails_soon() -> None:
    throttled = threading.Event()

    def serve(link: socket.socket) -> None:
        # Only successes after its first refusal show that the refusals concern this object.
        throttled.wait(10)
        link.sendall(done())

    def choose(request: Request) -> Reply:
        if request.target.endswith("k0003"):
            throttled.set()
            return SLOW_DOWN
        return serve

    with scripted_store(done()) as store:
        store.choose(choose)
        (failure,) = put_many(store, 100)
        assert failure.status == 503
        assert len(store.requests) == 99 + 8


@pytest.mark.parametrize(
    "refusal", [SLOW_DOWN, answer(429), answer(503), error(400, "Throttling"), error(503, "SlowDownWrite")]
)
def test_throttling_halves_the_requests_in_flight_and_successes_restore_them(refusal: bytes) -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        assert client.allowed_in_flight == client.concurrency == 16
        tasks = [loop.start(s3.put(f"{number}", b"x", Digest(md5(b"x")))) for number in range(16)]
        for task in tasks:
            await task
        assert 8 <= client.allowed_in_flight < 12
        while client.allowed_in_flight < 16:
            await s3.put("a", b"x", Digest(md5(b"x")))

    with scripted_store(*[refusal] * 5, done()) as store:
        with_s3(store.settings(), main, concurrency=16)


def test_waiting_requests_obey_the_halved_number() -> None:
    loop = Loop()
    slots = AdaptiveConcurrency(loop, 8)
    inside = most_after = 0

    async def work() -> None:
        nonlocal inside, most_after
        async with slots:
            inside += 1
            if slots.reduced:
                most_after = max(most_after, inside)
            await loop.sleep(0.02)
            inside -= 1

    async def main() -> None:
        tasks = [loop.start(work()) for dummy in range(40)]
        await loop.sleep(0.005)
        slots.slow_down()
        for task in tasks:
            await task

    loop.run(main())
    loop.close()
    # The eight requests in flight end together; from then on there are four.
    assert most_after == 4


def test_retry_after_delays_new_requests_too() -> None:
    arrivals: list[float] = []

    def choose(request: Request) -> Reply:
        arrivals.append(time.monotonic())
        return error(503, "SlowDown", "Retry-After: 1") if len(arrivals) == 1 else done()

    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        first = loop.start(s3.put("first", b"x", Digest(md5(b"x"))))
        while not arrivals:
            await loop.sleep(0.005)
        await loop.sleep(0.1)
        await s3.put("second", b"x", Digest(md5(b"x")))
        await first

    with scripted_store(done()) as store:
        store.choose(choose)
        with_s3(store.settings(), main)
    assert len(arrivals) == 3
    assert all(later - arrivals[0] >= 0.99 for later in arrivals[1:])


def date_in(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("0", 0, 0),
        ("7", 7, 7),
        (" 7 ", 7, 7),
        ("3600", 60, 60),
        ("9" * 5000, 60, 60),
        ("-5", 0, 0),
        ("1.5", 0, 0),
        ("soon", 0, 0),
        ("Wed, 99 Foo 2026", 0, 0),
        ("", 0, 0),
        (None, 0, 0),
    ],
)
def test_values_of_retry_after(value: str | None, least: float, most: float) -> None:
    assert least <= retry_after(value) <= most


def test_retry_after_may_be_a_date() -> None:
    assert 17 <= retry_after(date_in(20)) <= 20
    assert retry_after(date_in(86400)) == 60
    assert retry_after(date_in(-20)) == 0


@pytest.mark.parametrize("concurrency", [1, 64])
def test_a_server_that_fails_every_put_ends_the_run_after_few(concurrency: int) -> None:
    def choose(request: Request) -> Reply:
        page = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        return answer(200, page) if request.method == "GET" else error(500, "InternalError")

    async def one(s3: Bucket, number: int) -> None:
        try:
            await s3.put(f"k{number:04}", b"x", Digest(md5(b"x")))
        except RequestFailed:
            await s3.list_page("")

    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        await s3.list_page("")
        for task in [loop.start(one(s3, number)) for number in range(240)]:
            await task

    with scripted_store(done()) as store:
        store.choose(choose)
        with pytest.raises(StoreError, match=r"InternalError.*21 objects in a row"):
            with_s3(store.settings(), main, concurrency=concurrency)
        puts = [request.method for request in store.requests].count("PUT")
    # Each of 21 objects has its 8 attempts; of the others, those in flight have one or two, a few have more.
    assert 21 * 8 <= puts <= 21 * 8 + 2 * concurrency + 8 * 8


def test_after_an_outage_all_requests_continue_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few requests are tried while nothing works; the first success allows all others."""
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(retry, "LONGEST_DELAY", 0.5)
    begun = time.monotonic()

    def slowly(link: socket.socket) -> None:
        time.sleep(0.05)
        link.sendall(done())

    def choose(request: Request) -> Reply:
        return error(500, "InternalError") if time.monotonic() - begun < 0.2 else slowly

    with scripted_store(done()) as store:
        store.choose(choose)
        assert put_many(store, 60, concurrency=32) == []
        assert store.most_at_once > 16


@pytest.fixture
def loop() -> Any:
    loop = Loop(threads=1)
    yield loop
    loop.close()


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def throttled() -> ThrottledError:
    return ThrottledError(Response(503, {}, b"", 0))


def refused() -> RefusedError:
    return RefusedError(Response(500, {}, b"", 0))


def test_patience_counts_from_the_first_error_after_a_success(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    retries = Retries(loop, (PUT, LIST), patience=600)
    put = retries.history(PUT)
    all_faults = {key: RequestErrors(put) for key in "abc"}

    def judge(key: str, operation: Operation = PUT) -> Decision:
        return retries.judge(throttled(), all_faults[key], operation, key)

    assert judge("a") is judge("b") is Decision.RETRY
    clock.now += 300
    retries.history(LIST).successes += 1  # and says nothing about the other operation
    assert judge("a") is Decision.RETRY
    clock.now += 299
    assert judge("b") is Decision.RETRY
    clock.now += 2
    assert judge("c") is Decision.END_RUN
    put.successes += 1
    all_faults["c"] = RequestErrors(put)
    assert judge("c") is Decision.RETRY
    clock.now += 5000  # no request was made meanwhile
    all_faults = {key: RequestErrors(put) for key in "abc"}
    assert judge("a") is judge("b") is Decision.RETRY


def test_the_only_object_that_is_throttled_is_given_up_earlier(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    retries = Retries(loop, (PUT,), patience=600)
    put = retries.history(PUT)

    def judge(errors: RequestErrors, key: str) -> Decision:
        return retries.judge(throttled(), errors, PUT, key)

    put.successes += 50  # before this request began, and so no evidence that it alone is refused
    first = RequestErrors(put)
    assert judge(first, "a") is Decision.RETRY
    clock.now += 119
    assert judge(first, "a") is Decision.RETRY
    clock.now += 1
    assert judge(first, "a") is Decision.FAIL_REQUEST
    put.successes += 1
    first, second = RequestErrors(put), RequestErrors(put)
    assert judge(first, "a") is judge(second, "b") is Decision.RETRY
    clock.now += 599
    assert judge(first, "a") is judge(second, "b") is Decision.RETRY


def test_a_server_that_was_reached_before_is_waited_for(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    retries = Retries(loop, (PUT, LIST), patience=600)
    away = RetryableError("nobody listens")
    away.unreachable = True

    def judge() -> Decision:
        faults = RequestErrors(retries.history(PUT))
        faults.attempts = 7
        return retries.judge(away, faults, PUT, "a")

    assert judge() is Decision.END_RUN
    retries.history(LIST).successes += 1
    assert judge() is Decision.RETRY
    clock.now += 350
    assert judge() is Decision.RETRY
    clock.now += 251
    assert judge() is Decision.END_RUN


def test_a_first_listing_that_never_works_ends_the_run(loop: Loop) -> None:
    retries = Retries(loop, (PUT, LIST))
    faults = RequestErrors(retries.history(LIST))
    faults.attempts = 7
    assert retries.judge(refused(), faults, LIST, "") is Decision.END_RUN
    retries.history(PUT).successes += 1
    assert retries.judge(refused(), faults, LIST, "") is Decision.FAIL_REQUEST
