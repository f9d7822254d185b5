# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stopped by a signal, or refused by the lock: the state is consistent, and no unfinished upload is left."""

from __future__ import annotations

import signal
import time

import pytest
from library import MIB, Library
from media_inventory import MediaInventory, unfinished_uploads
from offload_engine import Engine, finish
from s3_server import S3Server
from wire_faults import HoldResponse, Pause
from wire_proxy import COMPLETE, CREATE, PART, PUT, WireProxy


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([19_000] * 10, thumbnails=1)
    library.add([17 * MIB, 33 * MIB], thumbnails=0)
    inventory.record_files()
    return library


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("moment", [PUT, PART, COMPLETE])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_stops_cleanly(
    engine: Engine,
    wire: WireProxy,
    inventory: MediaInventory,
    s3: S3Server,
    bucket: str,
    moment: str,
    number: signal.Signals,
) -> None:
    pause = Pause()
    wire.add(moment, pause, times=1)
    process = engine.start()
    assert pause.reached.wait(30)
    process.send_signal(number)
    began = time.monotonic()
    outcome = finish(process)
    pause.go_on.set()
    assert outcome.status == 128 + number, outcome.errors
    assert time.monotonic() - began < 15
    # The report of a stopped run is as correct as any.
    assert outcome.report["changed"] or outcome.files("uploaded") == outcome.files("deleted") == 0
    inventory.assert_nothing_lost()
    assert len(inventory.known) - len(inventory.on_disk()) == outcome.files("deleted")
    time.sleep(0.2)
    assert unfinished_uploads(s3, bucket) == []
    wire.faults.clear()
    assert engine.run().status == 0
    inventory.assert_all_moved()


def test_an_upload_whose_begin_was_not_answered_is_aborted(
    library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    """The store has begun it, and the run is stopped before it learns the upload's id."""
    (item,) = library.add([33 * MIB], thumbnails=0)
    inventory.record_files()
    hold = HoldResponse()
    wire.add(CREATE, hold, key=item.original, times=1)
    process = engine.start()
    assert hold.reached.wait(30)
    assert item.original in unfinished_uploads(s3, bucket)
    process.send_signal(signal.SIGTERM)
    outcome = finish(process)
    hold.go_on.set()
    assert outcome.status == 128 + signal.SIGTERM, outcome.errors
    assert unfinished_uploads(s3, bucket) == []
    assert inventory.on_disk() == inventory.known


@pytest.mark.usefixtures("filled")
def test_a_second_signal_does_not_interrupt_the_clean_up(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    pause = Pause()
    wire.add(PART, pause, times=1)
    process = engine.start()
    assert pause.reached.wait(30)
    for dummy in range(5):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    outcome = finish(process)
    pause.go_on.set()
    assert outcome.status == 143, outcome.errors
    time.sleep(0.2)
    assert unfinished_uploads(s3, bucket) == []
    inventory.assert_nothing_lost()


@pytest.mark.usefixtures("filled")
def test_a_server_that_hangs_does_not_delay_a_stop(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """The uploads cannot be aborted either: after some seconds the run ends anyway."""
    pause = Pause()
    wire.add("", pause, skip=12)
    process = engine.start()
    assert pause.reached.wait(30)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    outcome = finish(process)
    pause.go_on.set()
    assert outcome.status == 143, outcome.errors
    assert time.monotonic() - began < 20
    inventory.assert_nothing_lost()


@pytest.mark.usefixtures("filled")
def test_one_run_at_a_time(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    pause = Pause()
    wire.add(PUT, pause, times=1)
    process = engine.start()
    assert pause.reached.wait(30)
    second = engine.run()
    assert second.status == 3, second.errors
    assert len(second.errors.strip().splitlines()) == 1
    assert not second.report or second.report["changed"] is False
    # Another state directory makes no difference: it is the same media store.
    engine.offload["state_dir"] += "-other"
    third = engine.run()
    assert third.status == 3, third.errors
    pause.go_on.set()
    assert finish(process).status == 0
    inventory.assert_all_moved()


@pytest.mark.usefixtures("filled")
def test_a_dry_run_beside_a_run(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """It may read or be refused, but it changes nothing."""
    pause = Pause()
    wire.add(PUT, pause, times=1)
    process = engine.start()
    assert pause.reached.wait(30)
    assert engine.run("--dry-run").status in (0, 3)
    pause.go_on.set()
    assert finish(process).status == 0
    inventory.assert_all_moved()
