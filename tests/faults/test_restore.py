# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killed at any instant, stopped, or on a disk that fills up, a restore leaves only whole files under their names.

FAULT_RESTORE_KILLS sets the number of kills (20), FAULT_SEED repeats a run: it is printed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Command, Engine, finish
from s3_server import S3Server

KILLS = int(os.environ.get("FAULT_RESTORE_KILLS") or 20)
SEED = int(os.environ.get("FAULT_SEED") or time.time_ns() % 2**32)
START_UP = 0.1
TEMPORARY = ".synapse-s3-restore-"


def states(library: Library) -> dict[str, tuple[int, int, int]]:
    """Mode, owner and group of all files and directories below the first level."""
    found = {}
    for path in library.media_path.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(library.media_path))] = (status.st_mode, status.st_uid, status.st_gid)
    return found


def temporaries(library: Library) -> list[Path]:
    return [path for path in library.media_path.rglob("*") if path.name.startswith(TEMPORARY)]


@pytest.fixture
def moved(library: Library, engine: Engine, inventory: MediaInventory) -> Command:
    """Media that a run has moved to the bucket."""
    dice = random.Random(f"{SEED}/media")
    print(f"FAULT_SEED={SEED}")
    engine.offload["grace"] = "0s"
    for origin in ("", "remote.example", "xn--mnchen-3ya.example:8448"):
        sizes = [dice.choice((1, 500, 19_000, 60_000, 1_100_000)) for dummy in range(40)]
        library.add(sizes, origin=origin, thumbnails=1, with_sha256=dice.random() < 0.5)
    library.add([17 * MIB, 33 * MIB], with_sha256=False)
    inventory.record_files()
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    inventory.assert_all_moved()
    return Command(engine, "restore")


def test_what_was_moved_comes_back_as_it_was(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    engine.offload["grace"] = "0s"
    library.add([1000, 300_000, 17 * MIB], thumbnails=2)
    library.add([1000, 20_000], origin="remote.example", with_sha256=False)
    inventory.record_files()
    before = states(library)
    assert engine.run().status == 0
    inventory.assert_all_moved()
    restore = Command(engine, "restore")

    planned = restore.run("--dry-run")
    assert (planned.status, planned.files("restored")) == (0, len(inventory.known)), planned.errors
    assert inventory.on_disk() == {}
    outcome = restore.run()
    assert (outcome.status, outcome.files("restored")) == (0, len(inventory.known)), outcome.errors
    assert inventory.on_disk() == inventory.known
    assert outcome.files("by_length") == 0
    after = states(library)
    assert {path: after[path] for path in before} == before

    again = restore.run("--verify")
    assert (again.status, again.report["changed"], again.files("present")) == (0, False, len(inventory.known))
    assert restore.run().report["requests"] == {"list": 1}
    # And the way to the bucket is open again.
    assert engine.run().files("deleted") == len(inventory.known)


def test_killed_again_and_again(moved: Command, library: Library, inventory: MediaInventory) -> None:
    dice = random.Random(f"{SEED}/kills")
    began = time.monotonic()
    assert moved.run().status == 0
    span = time.monotonic() - began
    struck = left_temporaries = 0
    for attempt in range(3 * KILLS):
        if struck == KILLS:
            break
        if attempt % 3 == 0 or len(inventory.on_disk()) == len(inventory.known):
            for first in library.media_path.iterdir():
                shutil.rmtree(first)
                first.mkdir()
                library.own(first)
        process = moved.start()
        time.sleep(START_UP + dice.random() * span)
        process.kill()
        process.communicate()
        struck += process.returncode == -signal.SIGKILL
        left_temporaries += len(temporaries(library))
        found = {path: digest for path, digest in inventory.on_disk().items() if TEMPORARY not in path}
        assert found == {path: inventory.known[path] for path in found}
    assert struck == KILLS, f"only {struck} of {KILLS} kills hit an active run"
    print(f"{left_temporaries} temporary files were left by {struck} kills")
    outcome = moved.run()
    assert (outcome.status, outcome.failed_paths) == (0, []), outcome.errors
    assert inventory.on_disk() == inventory.known
    assert temporaries(library) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_true_report(
    moved: Command, library: Library, inventory: MediaInventory, number: int
) -> None:
    process = moved.start("--bandwidth-limit=8M")
    until = time.monotonic() + 60
    while not any(library.media_path.glob("*/*")) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(number)
    outcome = finish(process)
    assert outcome.status == 128 + number, outcome.errors
    assert "Stopped by" in outcome.report["error"]
    assert temporaries(library) == []
    on_disk = inventory.on_disk()
    assert 0 < len(on_disk) < len(inventory.known)
    assert outcome.files("restored") == len(on_disk)
    assert on_disk == {path: inventory.known[path] for path in on_disk}
    assert moved.run().status == 0
    assert inventory.on_disk() == inventory.known


def test_neither_runs_beside_the_other(moved: Command, inventory: MediaInventory, library: Library) -> None:
    process = moved.start("--bandwidth-limit=2M")
    until = time.monotonic() + 60
    while not any(library.media_path.glob("*/*")) and time.monotonic() < until:
        time.sleep(0.02)
    for outcome in (moved.engine.run(), moved.run()):
        assert outcome.status == 3
        assert "Another run" in outcome.report["error"]
    process.terminate()
    assert finish(process).status == 143


@pytest.fixture
def small_disk(moved: Command, library: Library) -> Any:
    """A media store on a file system of 40 MiB, with what fits of the media rows in the bucket."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(library.media_path)], check=True)
    try:
        for first in ("local_content", "local_thumbnails", "remote_content", "remote_thumbnail"):
            (library.media_path / first).mkdir()
        library.own(library.media_path, *library.media_path.iterdir())
        yield library.media_path
    finally:
        subprocess.run(["umount", str(library.media_path)], check=True)


def test_a_disk_that_is_too_small_is_refused(moved: Command, small_disk: Path, inventory: MediaInventory) -> None:
    outcome = moved.run()
    assert outcome.status == 2
    assert "40.0 MiB free" in outcome.report["error"] and "Nothing was restored" in outcome.report["error"]
    assert inventory.on_disk() == {}
    assert "get" not in outcome.report["requests"]


def test_a_disk_that_fills_up_meanwhile_ends_it_cleanly(
    moved: Command, small_disk: Path, library: Library, inventory: MediaInventory
) -> None:
    moved.engine.offload["bandwidth_limit"] = "8M"
    process = moved.start("--remote")
    until = time.monotonic() + 60
    while not any(small_disk.glob("*/*/*")) and time.monotonic() < until:
        time.sleep(0.02)
    filler = small_disk / "url_cache"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(shutil.disk_usage(small_disk).free) - 256 * 1024)
    outcome = finish(process)
    assert outcome.status == 1, outcome.errors
    assert "is full" in outcome.report["error"]
    assert temporaries(library) == []
    filler.unlink()
    on_disk = inventory.on_disk()
    assert on_disk == {path: inventory.known[path] for path in on_disk}
    assert outcome.files("restored") == len(on_disk)
    del moved.engine.offload["bandwidth_limit"]
    assert moved.run("--remote").status == 0
    assert inventory.on_disk() == {path: digest for path, digest in inventory.known.items() if path[:6] == "remote"}


def test_the_report_is_one_object_of_json(moved: Command, make_library: Callable[[str], Library]) -> None:
    outcome = moved.run("--id=none-such")
    assert outcome.status == 1
    assert json.loads(outcome.output)["failed"][0]["path"] == "none-such"
