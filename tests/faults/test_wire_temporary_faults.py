# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Temporary faults: the engine retries, and the run ends as if there had been none."""

from __future__ import annotations

import itertools

import pytest
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Engine
from wire_faults import (
    answer_nonsense,
    changed,
    close_before_answer,
    refuse,
    reset_at_once,
    reset_before_answer,
    reset_in_answer,
    reset_in_request,
    stall,
    with_etags,
)
from wire_proxy import ABORT, COMPLETE, CREATE, GET, HEAD, LIST, PART, PUT, Act, Exchange, WireProxy

ON_ANY_REQUEST = {
    "500": refuse(500, "InternalError"),
    "500 without a body": refuse(500),
    "502": refuse(502),
    "503 SlowDown": refuse(503, "SlowDown"),
    "504": refuse(504),
    "429": refuse(429, "TooManyRequests"),
    "RequestTimeout": refuse(400, "RequestTimeout"),
    "reset at once": reset_at_once,
    "reset in the request": reset_in_request,
    "reset before the answer": reset_before_answer,
    "reset in the answer": reset_in_answer,
    "closed before the answer": close_before_answer,
    "slow": stall(0.7),
    "slow answer": stall(0.7, before=False),
}


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([500, 19_000, 300_000, 1], thumbnails=2)
    library.add([1000, 90_000], origin="remote.example", thumbnails=1)
    library.add([17 * MIB], thumbnails=1)
    inventory.record_files()
    return library


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("act", ON_ANY_REQUEST.values(), ids=ON_ANY_REQUEST.keys())
def test_every_kind_of_request_once(engine: Engine, wire: WireProxy, inventory: MediaInventory, act: Act) -> None:
    """The first and the third of each kind: one on a new connection, and one on a kept connection."""
    faults = [wire.add(kind, act, times=1) for kind in (LIST, PUT, CREATE, PART, COMPLETE)]
    faults += [wire.add(kind, act, times=1, skip=1) for kind in (PUT, PART)]
    outcome = engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert [fault.struck for fault in faults] == [1] * len(faults)
    inventory.assert_all_moved()
    # Including retries; requests on a connection that was already closed did not arrive.
    for kind, came in wire.counts().items():
        assert came <= outcome.report["requests"].get(kind, 0) <= came + 2 * len(faults), kind


GARBLED = {
    "cut in the middle": changed(lambda body: body[: len(body) // 2]),
    "empty": changed(lambda body: b""),
    "nonsense": answer_nonsense,
    "zeros inside": changed(lambda body: body.replace(b"<Size>", b"<Size>\0\0")),
    "no size": changed(lambda body: body.replace(b"<Size>", b"<Siz>").replace(b"</Size>", b"</Siz>")),
    "size that is no number": changed(lambda body: body.replace(b"<Size>", b"<Size>many")),
    "an error in place of a page": changed(lambda body: b"<Error><Code>InternalError</Code></Error>"),
}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("act", GARBLED.values(), ids=GARBLED.keys())
def test_damaged_listing_once(engine: Engine, wire: WireProxy, inventory: MediaInventory, act: Act) -> None:
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    engine.offload["delete_local"] = True
    fault = wire.add(LIST, act, times=1)
    outcome = engine.run()
    assert (outcome.status, outcome.failures, fault.struck) == (0, {}, 1), outcome.errors
    assert outcome.files("verified") == len(inventory.known)
    inventory.assert_all_moved()


@pytest.mark.usefixtures("filled")
def test_listings_that_are_always_damaged(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """No page is ever valid: either HEAD requests are enough, or all files are named; none counts as missing or
    present.
    """
    acts = itertools.cycle(GARBLED.values())
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    engine.offload["delete_local"] = True
    wire.seen.clear()

    def garble(exchange: Exchange) -> None:
        next(acts)(exchange)

    wire.add(LIST, garble)
    outcome = engine.run()
    assert wire.count(PUT) == 0
    inventory.assert_reported(outcome)


@pytest.mark.usefixtures("filled")
def test_complete_that_returns_an_error_with_200(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """S3 sends 200 before it knows, and the error in the body."""
    act = changed(lambda body: b"<Error><Code>InternalError</Code><Message>We are sorry.</Message></Error>")
    fault = wire.add(COMPLETE, act, times=1)
    outcome = engine.run()
    assert fault.struck == 1
    inventory.assert_reported(outcome)


@pytest.mark.usefixtures("filled")
def test_responses_truncated_while_an_object_is_read_back(
    engine: Engine, wire: WireProxy, inventory: MediaInventory
) -> None:
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    engine.offload["delete_local"] = True

    # An ETag that is no digest, so that the proof needs the bytes.
    for kind in (LIST, HEAD):
        wire.add(kind, with_etags(lambda own: "f" * 32))
    faults = [wire.add(GET, act, times=2, skip=skip) for skip, act in enumerate((reset_in_answer, close_before_answer))]
    outcome = engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert all(fault.struck for fault in faults)
    assert outcome.files("verified") == len(inventory.known)
    inventory.assert_all_moved()
    # Uploads of media only: others test which checksums the server verifies.
    assert wire.count(ABORT, "^(local|remote)_") == 0


@pytest.mark.usefixtures("filled")
def test_a_server_that_is_busy_for_a_while(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    wire.add("", refuse(503, "SlowDown"), times=25, skip=1)
    outcome = engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    inventory.assert_all_moved()
