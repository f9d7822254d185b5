# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the engine waits: long for a server that throttles, no longer than necessary for one that always fails."""

from __future__ import annotations

import threading
import time

import pytest
from fault_proxy import Response
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Engine
from wire_faults import refuse
from wire_proxy import LIST, PUT, Exchange, WireProxy

# The attempts of one request, and the number of objects in a row for which an operation may fail.
_ATTEMPTS = 8
_IN_A_ROW = 20
_CONCURRENCY = 64


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([2_000] * 120, thumbnails=1)
    inventory.record_files()
    return library


@pytest.mark.usefixtures("filled")
def test_every_put_fails_while_every_list_works(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """240 files cost 1,920 PUTs when a successful LIST counted as a success of the server."""
    before = inventory.on_disk()
    wire.add(PUT, refuse(500, "InternalError"))
    outcome = engine.run()
    assert outcome.status in (1, 2), outcome.errors
    assert "InternalError" in outcome.report["error"]
    assert wire.count(LIST) >= 1
    assert wire.count(PUT) <= (_IN_A_ROW + 1) * _ATTEMPTS + 2 * _CONCURRENCY + 8 * _ATTEMPTS
    assert outcome.report["seconds"] < 150
    assert (inventory.on_disk(), inventory.in_bucket()) == (before, {})


class Throttle:
    """Refuses requests for this many seconds after the first one."""

    def __init__(self, seconds: float, refusal: Response) -> None:
        self._seconds = seconds
        self._refusal = refusal
        self._lock = threading.Lock()
        self.times: list[float] = []

    def __call__(self, exchange: Exchange) -> None:
        now = time.monotonic()
        with self._lock:
            self.times.append(now)
            over = now - self.times[0] >= self._seconds
        if over:
            exchange.reply(exchange.forward())
            return
        exchange.body()
        exchange.reply(self._refusal)


def refusal(status: int, code: str, **headers: str) -> Response:
    body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>" if code else ""
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "answer",
    [refusal(503, "SlowDownWrite"), refusal(429, ""), refusal(400, "ThrottlingException")],
    ids=["SlowDownWrite", "429", "ThrottlingException"],
)
def test_throttling_that_lasts_longer_than_all_attempts(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, answer: Response
) -> None:
    throttle = Throttle(25, answer)
    wire.add(PUT, throttle)
    outcome = engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    inventory.assert_all_moved()
    assert 25 <= outcome.report["seconds"] < 120
    first = throttle.times[0]
    # What 96 waiting requests would send in ten attempts each, without growing delays.
    assert sum(moment - first < 25 for moment in throttle.times) < 960


@pytest.mark.usefixtures("filled")
def test_no_request_is_sent_during_retry_after(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    engine.offload["concurrency"] = 4
    throttle = Throttle(0.05, refusal(503, "SlowDown", Retry_After="5"))
    wire.add(PUT, throttle)
    outcome = engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    inventory.assert_all_moved()
    first = throttle.times[0]
    waits = [later - earlier for earlier, later in zip(throttle.times, throttle.times[1:])]
    # Requests in flight arrive within moments; then there are none.
    assert max(waits) > 4
    assert all(moment - first < 1 or moment - first > 4.5 for moment in throttle.times)


@pytest.mark.usefixtures("filled")
def test_half_of_all_requests_are_throttled(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    count = 0

    def every_other(exchange: Exchange) -> None:
        nonlocal count
        count += 1
        if count % 2:
            refuse(503, "SlowDown")(exchange)
        else:
            exchange.reply(exchange.forward())

    wire.add("", every_other)
    outcome = engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    inventory.assert_all_moved()


def dribble(exchange: Exchange) -> None:
    """The server's own response, one byte a second: 150 s and more."""
    exchange.dribble(exchange.forward(), 1.0)


@pytest.mark.parametrize("kind", [LIST, PUT])
def test_a_response_that_is_too_slow(
    library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory, kind: str
) -> None:
    library.add([1000] * 4, thumbnails=0)
    inventory.record_files()
    fault = wire.add(kind, dribble, times=1)
    outcome = engine.run()
    assert (outcome.status, fault.struck) == (0, 1), outcome.errors
    assert outcome.report["seconds"] < 90
    inventory.assert_all_moved()


def test_our_low_limit_ends_no_request(
    library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory
) -> None:
    """With our own limit a part takes longer than a response may be silent."""
    library.add([3 * MIB] * 2, thumbnails=0)
    inventory.record_files()
    engine.offload["bandwidth_limit"] = "80K"
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert outcome.report["seconds"] > 65
    assert wire.count(PUT) == 2
    inventory.assert_all_moved()
