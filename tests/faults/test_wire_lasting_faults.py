# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lasting faults: failed files are named and all others are moved; an error for everything ends the run at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable

import pytest
from library import MIB, Library
from media_inventory import MediaInventory, unfinished_uploads
from offload_engine import Engine, finish
from s3_server import S3Server, free_port
from stalled_run import Stalled
from wire_faults import answer_nonsense, refuse, reset_in_request
from wire_proxy import ABORT, COMPLETE, HEAD, PART, PUT, Act, Exchange, WireProxy


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([19_000] * 40, thumbnails=1)
    library.add([17 * MIB], thumbnails=0)
    inventory.record_files()
    return library


NEVER: dict[str, Act] = {
    "500": refuse(500, "InternalError"),
    "503": refuse(503, "ServiceUnavailable"),
    "400 BadDigest": refuse(400, "BadDigest"),
    "400 EntityTooLarge": refuse(400, "EntityTooLarge"),
    "reset in the request": reset_in_request,
}


class RefuseFirstKeys:
    """Refuses the first objects that are uploaded for ever, each in its own way, and passes all others on.

    The first ones, because only uploads that succeed after a 503 show that it concerns one object.
    """

    def __init__(self, acts: Iterable[Act]) -> None:
        self._lock = threading.Lock()
        self._left = list(acts)
        self.acts: dict[str, Act] = {}

    def __call__(self, exchange: Exchange) -> None:
        with self._lock:
            if self._left and exchange.key not in self.acts:
                self.acts[exchange.key] = self._left.pop(0)
        act = self.acts.get(exchange.key)
        if act:
            act(exchange)
        else:
            exchange.reply(exchange.forward())


def test_keys_that_are_always_refused(
    filled: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory
) -> None:
    """Each is refused in its own way, all in one run, because retries take long."""
    refusals = RefuseFirstKeys(NEVER.values())
    wire.add(PUT, refusals, key="^local_")
    outcome = engine.run()
    victims = sorted(refusals.acts)
    assert len(victims) == len(NEVER)
    assert (outcome.status, outcome.failed_paths) == (1, victims), outcome.errors
    assert all(failure["key"] == failure["path"] for failure in outcome.report["failed"])
    assert outcome.files("uploaded") == outcome.files("deleted") == len(inventory.known) - len(victims)
    assert sorted(inventory.on_disk()) == victims
    assert all(victim in outcome.errors for victim in victims)
    inventory.assert_nothing_lost()
    wire.faults.clear()
    again = engine.run()
    assert (again.status, again.files("uploaded")) == (0, len(victims))
    inventory.assert_all_moved()


@pytest.mark.parametrize(
    ("kind", "refusal"), [(PART, (400, "InvalidArgument")), (COMPLETE, (500, "InternalError"))], ids=["part", "end"]
)
def test_a_multipart_upload_that_fails_is_aborted(
    filled: Library,
    engine: Engine,
    wire: WireProxy,
    inventory: MediaInventory,
    s3: S3Server,
    bucket: str,
    kind: str,
    refusal: tuple[int, str],
) -> None:
    wire.add(kind, refuse(*refusal))
    outcome = engine.run()
    (large,) = inventory.on_disk()
    assert (outcome.status, outcome.failed_paths) == (1, [large]), outcome.errors
    assert outcome.files("deleted") == len(inventory.known) - 1
    # Uploads of media only: another upload tests which checksums the server verifies.
    assert wire.count(ABORT, "^(local|remote)_") == 1
    assert unfinished_uploads(s3, bucket) == []
    inventory.assert_nothing_lost()


FATAL = [
    (403, "AccessDenied"),
    (403, "SignatureDoesNotMatch"),
    (403, "InvalidAccessKeyId"),
    (403, "RequestTimeTooSkewed"),
    (403, ""),
    (400, "ExpiredToken"),
    (403, "ExpiredToken"),
    (400, "InvalidToken"),
    (404, "NoSuchBucket"),
]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("refusal", FATAL, ids=str)
def test_refused_from_the_first_request(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, refusal: tuple[int, str]
) -> None:
    wire.add("", refuse(*refusal))
    before = inventory.on_disk()
    began = time.monotonic()
    outcome = engine.run()
    assert outcome.status == 2, outcome.errors
    assert time.monotonic() - began < 20
    assert 1 <= wire.count() <= 4
    assert len(outcome.errors.strip().splitlines()) == 1, outcome.errors
    assert outcome.report["error"] and outcome.report["changed"] is False
    assert inventory.on_disk() == before and inventory.in_bucket() == {}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("refusal", [FATAL[1], *FATAL[3::3], (507, "InsufficientStorage")], ids=str)
def test_refused_during_the_run(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, refusal: tuple[int, str]
) -> None:
    """One error, not one a file; requests in flight may end, but hardly any follow."""
    engine.offload["concurrency"] = 4
    fault = wire.add(PUT, refuse(*refusal), skip=10)
    outcome = engine.run()
    assert outcome.status in (1, 2), outcome.errors
    assert outcome.report["error"]
    assert 1 <= fault.struck <= 10
    assert len(outcome.report["failed"]) <= 1
    assert len(outcome.errors.strip().splitlines()) <= 2, outcome.errors
    inventory.assert_nothing_lost()
    wire.faults.clear()
    assert engine.run().status == 0
    inventory.assert_all_moved()


@pytest.mark.usefixtures("filled")
def test_may_list_but_not_write(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    for kind in (PUT, "CreateMultipartUpload", PART):
        wire.add(kind, refuse(403, "AccessDenied"))
    before = inventory.on_disk()
    outcome = engine.run()
    assert (outcome.status, outcome.report["changed"]) == (2, False), outcome.errors
    assert inventory.on_disk() == before
    # More than 20 in a row, and those that were in flight meanwhile.
    assert wire.count(PUT) <= 21 + 2 * 64
    assert "s3:PutObject" in outcome.report["error"]


def test_wrong_secret(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    engine.s3["secret_access_key"] = "wrong-" + "x" * 34
    outcome = engine.run()
    assert outcome.status == 2 and len(outcome.errors.strip().splitlines()) == 1, outcome.errors
    assert engine.s3["secret_access_key"] not in outcome.output + outcome.errors
    assert sorted(inventory.on_disk()) == sorted(inventory.known)


def test_no_such_bucket(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    engine.s3["bucket"] = "never-made"
    outcome = engine.run()
    assert outcome.status == 2 and len(outcome.errors.strip().splitlines()) == 1, outcome.errors
    assert "never-made" in outcome.errors
    assert sorted(inventory.on_disk()) == sorted(inventory.known)


@pytest.mark.usefixtures("filled")
def test_a_server_that_is_not_s3(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """A web server that responds with a page to everything: that is no listing, and no proof."""

    wire.add("", answer_nonsense)
    outcome = engine.run()
    assert outcome.status in (1, 2), outcome.errors
    assert outcome.report["error"] or outcome.failed_paths == sorted(inventory.known)
    assert sorted(inventory.on_disk()) == sorted(inventory.known)


@pytest.mark.usefixtures("filled")
def test_a_redirect_to_another_region(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    wire.add("", refuse(301, "PermanentRedirect"))
    outcome = engine.run()
    assert outcome.status == 2 and wire.count() <= 4, outcome.errors
    assert sorted(inventory.on_disk()) == sorted(inventory.known)


def test_what_no_head_confirms_stays_until_one_does(
    library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory
) -> None:
    library.add([19_000] * 10, thumbnails=1)
    inventory.record_files()
    wire.add(HEAD, refuse(500, "InternalError"))
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, sorted(inventory.known)), outcome.errors
    assert sorted(inventory.on_disk()) == sorted(inventory.known)
    # A listing alone does not tell that objects can be read: they may need another customer key.
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, sorted(inventory.known)), outcome.errors
    assert sorted(inventory.on_disk()) == sorted(inventory.known)
    wire.faults.clear()
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    inventory.assert_all_moved()


def test_a_stalled_connection_is_given_up(stalled: Stalled) -> None:
    """After a minute of silence the request is sent again."""
    outcome = finish(stalled.process)
    assert (outcome.status, stalled.fault.struck) == (0, 1), outcome.errors
    assert 10 < outcome.report["seconds"] < 90
    stalled.inventory.assert_all_moved()


def test_unreachable_server(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """A signal ends the run while it still retries: an unreachable server must not delay a stop."""

    engine.s3["endpoint_url"] = f"http://127.0.0.1:{free_port()}"
    process = engine.start()
    time.sleep(3)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        outcome = finish(process)
        assert outcome.status == 143, outcome.errors
    else:
        outcome = finish(process)
        assert outcome.status == 2, outcome.errors
    assert sorted(inventory.on_disk()) == sorted(inventory.known)
