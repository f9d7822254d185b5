# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killed at any instant, the engine leaves each media whole on disk or whole in the bucket, and a later run finishes.

FAULT_KILLS sets the number of kills (20), FAULT_SEED repeats a run: it is printed, and pytest shows it when a test
fails.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Engine, Outcome, finish
from s3_server import S3Server
from wire_proxy import Exchange, WireProxy

BOUNDED = 20
KILLS = int(os.environ.get("FAULT_KILLS") or BOUNDED)
SEED = int(os.environ.get("FAULT_SEED") or time.time_ns() % 2**32)
KILLS_A_ROUND = 10
# More than one upload part, and small files of every kind.
LARGE = (17 * MIB, 33 * MIB)
SMALL = 160
# Python's own start takes at least this long, before the engine does anything.
START_UP = 0.1


def rounds() -> list[tuple[int, int]]:
    """The number of each round, and of the kills in it."""
    whole, rest = divmod(KILLS, KILLS_A_ROUND)
    return list(enumerate([KILLS_A_ROUND] * whole + ([rest] if rest else [])))


class KilledRuns:
    """One library, whose files are moved and added, while the engine is killed repeatedly."""

    def __init__(self, library: Library, engine: Engine, inventory: MediaInventory, dice: random.Random) -> None:
        self.library = library
        self.engine = engine
        self.inventory = inventory
        self.dice = dice
        # The duration of an undisturbed run over a full library: kills are spread over all of it.
        self.span = 1.0

    def fill(self) -> None:
        """Add files as Synapse would between two runs."""
        self.library.add(self.dice.choices(LARGE, k=1), with_sha256=self.dice.random() < 0.5)
        for origin in ("", "remote.example", "xn--mnchen-3ya.example:8448"):
            sizes = [self.dice.choice((0, 1, 500, 19_000, 60_000, 1_100_000)) for dummy in range(SMALL // 6)]
            self.library.add([size or 1 for size in sizes], origin=origin, thumbnails=1)
        self.inventory.record_files()

    def measure(self) -> None:
        began = time.monotonic()
        outcome = self.engine.run()
        assert outcome.status == 0, outcome.errors
        self.span = time.monotonic() - began

    def kill_after(self, seconds: float) -> bool:
        """Return whether the run was still active when it was killed."""
        process = self.engine.start()
        time.sleep(seconds)
        process.kill()
        process.communicate()
        return process.returncode == -signal.SIGKILL

    def kill_at_request(self, wire: WireProxy, number: int, act: Callable[[Exchange], object] | None) -> bool:
        """Kill during a request: before the server receives it (None), or after it was processed."""
        wire.faults.clear()
        process: list[subprocess.Popen[str]] = []
        ready = threading.Event()

        def strike(exchange: Exchange) -> None:
            ready.wait(30)
            if act:
                act(exchange)
            process[0].kill()

        wire.add("", strike, times=1, skip=number)
        process.append(self.engine.start())
        ready.set()
        process[0].communicate(timeout=120)
        wire.faults.clear()
        return process[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize(("number", "kills"), rounds())
def test_killed_again_and_again(
    number: int, kills: int, make_library: Callable[[str], Library], s3: S3Server, bucket: str
) -> None:
    dice = random.Random(f"{SEED}/{number}")
    print(f"FAULT_SEED={SEED} FAULT_KILLS={KILLS}, round {number}: {kills} kills")
    library = make_library(("sqlite", "postgresql")[number % 2])
    prefix = dice.choice(("", "synapse/media/"))
    with WireProxy(s3.endpoint_url) as wire:
        engine = Engine(library, {**s3.connection(bucket), "prefix": prefix, "endpoint_url": wire.endpoint_url})
        engine.offload.update(concurrency=dice.choice((4, 64)), grace="0s")
        inventory = MediaInventory(library.media_path, s3.buckets / bucket, prefix)
        scene = KilledRuns(library, engine, inventory, dice)
        scene.fill()
        scene.measure()
        inventory.assert_all_moved()

        struck = 0
        for attempt in range(3 * kills):
            if struck == kills:
                break
            if attempt % 2 == 0 or not inventory.on_disk():
                scene.fill()
            if dice.random() < 0.6:
                struck += scene.kill_after(START_UP + dice.random() * scene.span)
            else:
                done_first = dice.random() < 0.5
                struck += scene.kill_at_request(wire, dice.randrange(SMALL), Exchange.forward if done_first else None)
            inventory.assert_nothing_lost()
        assert struck == kills, f"only {struck} of {kills} kills hit an active run"
        _finish_and_compare(engine.run(), inventory)


def _finish_and_compare(outcome: Outcome, inventory: MediaInventory) -> None:
    assert (outcome.status, outcome.failed_paths) == (0, []), outcome.errors
    inventory.assert_all_moved()


def test_killed_while_synapse_adds_media(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    """Media that is added during a run that is then killed is as safe as any other."""
    dice = random.Random(f"{SEED}/live")
    print(f"FAULT_SEED={SEED}")
    engine.offload["grace"] = "0s"
    library.add([20_000] * 60, thumbnails=1)
    inventory.record_files()
    for dummy in range(3):
        process = engine.start()
        until = time.monotonic() + START_UP + dice.random() * 0.5
        while time.monotonic() < until:
            library.add([20_000] * 3, thumbnails=1)
        process.kill()
        process.communicate()
        # Files that were added and moved at once are in the bucket; those still on disk must not be lost from here on.
        inventory.known.update(inventory.in_bucket())
        inventory.record_files()
        inventory.assert_nothing_lost()
    _finish_and_compare(engine.run(), inventory)


def test_the_lock_of_a_killed_run_is_released(engine: Engine, library: Library, inventory: MediaInventory) -> None:
    library.add([1000] * 3)
    inventory.record_files()
    process = engine.start("--progress")
    process.kill()
    finish_killed = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, finish_killed
    _finish_and_compare(finish(engine.start()), inventory)
