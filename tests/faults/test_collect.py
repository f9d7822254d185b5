# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killed at any instant, a garbage collection leaves every object in the bucket or in the trash.

FAULT_COLLECT_KILLS sets the number of kills (15), FAULT_SEED repeats a run: it is printed.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator

import pytest
from garbage import pass_time, put_old
from library import Library
from media_inventory import MediaInventory
from offload_engine import Command, Engine, finish
from s3_server import S3Server

KILLS = int(os.environ.get("FAULT_COLLECT_KILLS") or 15)
SEED = int(os.environ.get("FAULT_SEED") or time.time_ns() % 2**32)
START_UP = 0.1
TRASH = "synapse-s3-trash/"
ORPHANS = 200


class Garbage:
    """Media with rows in the bucket, and objects without; `orphans` are their contents by path."""

    def __init__(self, library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str) -> None:
        self.collect = Command(engine, "gc")
        self.library, self.inventory = library, inventory
        self._client, self._bucket = s3.client(), bucket
        dice = random.Random(f"{SEED}/orphans")
        self.orphans: dict[str, bytes] = {}
        for number in range(ORPHANS):
            directory = ("local_content", "remote_content/gone.example")[number % 2]
            self.orphans[f"{directory}/Or/ph/an{number:06d}"] = dice.randbytes(dice.choice((1, 900, 60_000)))

    def put(self) -> None:
        for path, content in self.orphans.items():
            put_old(self._client, self._bucket, path, content)

    def make_due(self) -> None:
        """Lets a look see what has no row, and the time pass after that."""
        looked = self.collect.run("--max-percent=90")
        assert looked.status == 0, looked.errors
        pass_time(self.library.state_dir, 31)

    def check(self) -> int:
        """How many orphans are only in the trash; every one is somewhere, and what has a row is in its place."""
        objects = self.inventory.in_bucket()
        in_trash: dict[str, set[str]] = {}
        for path, digest in objects.items():
            if path.startswith(TRASH):
                in_trash.setdefault(path[len(TRASH) :].partition("/")[2], set()).add(digest)
        assert {path: objects.get(path) for path in self.inventory.known} == self.inventory.known
        moved = 0
        for path, content in self.orphans.items():
            digest = hashlib.sha256(content).hexdigest()
            assert digest == objects.get(path) or digest in in_trash.get(path, ()), f"{path} is lost"
            assert objects.get(path) in (None, digest)
            moved += path not in objects
        return moved


@pytest.fixture
def garbage(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str
) -> Iterator[Garbage]:
    print(f"FAULT_SEED={SEED}")
    engine.offload["grace"] = "0s"
    library.add([900] * 60, thumbnails=1)
    library.add([20_000] * 20, origin="remote.example", thumbnails=1)
    inventory.record_files()
    assert engine.run().status == 0
    inventory.assert_all_moved()
    made = Garbage(library, engine, inventory, s3, bucket)
    made.put()
    yield made
    made.check()


def test_collected_and_brought_back(garbage: Garbage) -> None:
    refused = garbage.collect.run("--confirm")
    assert refused.status == 2 and "max_percent is 10" in refused.report["error"]
    garbage.make_due()
    planned = garbage.collect.run("--confirm", "--dry-run", "--max-percent=90")
    assert (planned.status, planned.files("trashed"), garbage.check()) == (0, ORPHANS, 0), planned.errors
    done = garbage.collect.run("--confirm", "--max-percent=90")
    assert (done.status, done.files("trashed"), garbage.check()) == (0, ORPHANS, ORPHANS), done.errors
    # This server takes If-Match and does not heed it, which is found out with an object put for that.
    assert done.report["conditional_deletes"] is False
    again = garbage.collect.run("--confirm")
    assert (again.status, again.report["changed"], again.files("trash")) == (0, False, ORPHANS), again.errors
    back = garbage.collect.run("--undo", str(done.report["log"]))
    assert (back.status, back.files("restored"), garbage.check()) == (0, ORPHANS, 0), back.errors
    assert garbage.collect.run("--undo", str(done.report["log"])).files("present") == ORPHANS


def test_killed_again_and_again(garbage: Garbage) -> None:
    dice = random.Random(f"{SEED}/kills")
    garbage.make_due()
    began = time.monotonic()
    assert garbage.collect.run("--confirm", "--max-percent=90").status == 0
    span = time.monotonic() - began
    struck = in_the_middle = 0
    for dummy in range(3 * KILLS):
        if struck == KILLS:
            break
        if garbage.check() == ORPHANS:
            garbage.put()
            garbage.make_due()
        process = garbage.collect.start("--confirm", "--max-percent=90")
        time.sleep(START_UP + dice.random() * span)
        process.kill()
        process.communicate()
        struck += process.returncode == -signal.SIGKILL
        in_the_middle += 0 < garbage.check() < ORPHANS
    assert struck == KILLS, f"only {struck} of {KILLS} kills hit an active run"
    print(f"{in_the_middle} of {struck} kills left some objects moved and some not")
    # What is in no place but the trash is in the logs.
    logged = set()
    for log in (garbage.library.state_dir / "gc").glob("log-*.jsonl"):
        lines = [
            json.loads(line) for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"
        ]
        logged |= {line["path"] for line in lines[1:]}
    objects = garbage.inventory.in_bucket()
    assert {path for path in garbage.orphans if path not in objects} <= logged
    last = garbage.collect.run("--confirm", "--max-percent=90")
    assert (last.status, garbage.check()) == (0, ORPHANS), last.errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_true_report(garbage: Garbage, number: int) -> None:
    garbage.make_due()
    process = garbage.collect.start("--confirm", "--max-percent=90")
    until = time.monotonic() + 60
    while not any(path.startswith(TRASH + "2") for path in garbage.inventory.in_bucket()) and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    outcome = finish(process)
    if outcome.status == 0:
        # It was done before the signal came.
        assert garbage.check() == ORPHANS
        return
    assert outcome.status == 128 + number, outcome.errors
    assert "Every object is in the bucket or in the trash" in outcome.report["error"]
    last = garbage.collect.run("--confirm", "--max-percent=90")
    assert (last.status, garbage.check()) == (0, ORPHANS), last.errors


def test_it_runs_beside_no_other(garbage: Garbage) -> None:
    garbage.make_due()
    process = garbage.collect.start("--confirm", "--max-percent=90")
    until = time.monotonic() + 60
    while not any(path.startswith(TRASH) for path in garbage.inventory.in_bucket()) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        for outcome in (
            garbage.collect.engine.run(),
            garbage.collect.run(),
            Command(garbage.collect.engine, "restore").run(),
        ):
            assert outcome.status == 3
            assert "Another run" in outcome.report["error"]
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert finish(process).status == 0


def test_a_row_that_comes_back_meanwhile_keeps_its_object(garbage: Garbage) -> None:
    garbage.make_due()
    (path, *dummy) = garbage.orphans
    garbage.library.add_row("".join(path.split("/")[1:]), 1)
    done = garbage.collect.run("--confirm", "--max-percent=90")
    assert (done.status, garbage.check()) == (0, ORPHANS - 1), done.errors
    assert path in garbage.inventory.in_bucket()
