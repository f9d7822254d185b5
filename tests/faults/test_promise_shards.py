# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shards are disjoint, complete and stable, so that several hosts can move one library side by side."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import pytest
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine, finish


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    for origin in ("", "remote.example", "other.example"):
        library.add([500] * 60, origin=origin, thumbnails=1)
    inventory.record_files()
    return library


def sharded(engine: Engine, index: int, count: int) -> Engine:
    other = copy.copy(engine)
    other.offload = {
        **engine.offload,
        "shard": f"{index}/{count}",
        # Each host has its own.
        "state_dir": f"{engine.offload['state_dir']}-{index}",
    }
    other.config = engine.config.with_name(f"offload-{index}.yml")
    return other


@pytest.mark.parametrize("count", [2, 5])
def test_disjoint_and_complete(filled: Library, engine: Engine, inventory: MediaInventory, count: int) -> None:
    taken: list[set[str]] = []
    for index in range(1, count + 1):
        before = set(inventory.on_disk())
        outcome = sharded(engine, index, count).run()
        assert outcome.status == 0, outcome.errors
        gone = before - set(inventory.on_disk())
        assert outcome.files("scanned") == outcome.files("uploaded") == len(gone)
        assert sharded(engine, index, count).run().report["changed"] is False
        taken.append(gone)
    inventory.assert_all_moved()
    whole = len(inventory.known)
    assert sum(len(gone) for gone in taken) == whole
    assert all(whole / count * 0.5 < len(gone) < whole / count * 1.6 for gone in taken)
    for gone in taken:
        originals = {path.partition("/")[2] for path in gone if "_content/" in path}
        thumbnails = {str(Path(path.partition("/")[2]).parent) for path in gone if "thumbnail" in path.split("/")[0]}
        assert originals == thumbnails


def test_stable(filled: Library, engine: Engine) -> None:
    """Media that one host skipped today is never in another host's shard: the choice depends on the media only."""
    first = sharded(engine, 2, 3).run("--dry-run").report["uploaded"]
    filled.add([500] * 30, thumbnails=0)
    again = sharded(engine, 2, 3).run("--dry-run").report["uploaded"]
    assert first["files"] <= again["files"] <= first["files"] + 30


def test_side_by_side(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """All at once on one file system: directories that one removes do not disturb another."""
    processes = [sharded(engine, index, 3).start() for index in (1, 2, 3)]
    outcomes = [finish(process) for process in processes]
    assert [outcome.status for outcome in outcomes] == [0, 0, 0], [outcome.errors for outcome in outcomes]
    assert sum(outcome.files("deleted") for outcome in outcomes) == len(inventory.known)
    inventory.assert_all_moved()


@pytest.mark.parametrize("shard", [(1, 1), (2, 2)], ids=["whole", "share"])
def test_a_host_that_was_left_out_of_the_group(
    filled: Library, engine: Engine, inventory: MediaInventory, shard: tuple[int, int]
) -> None:
    """It is refused while another host takes all of the media: the lock is on the media store, not only in the state
    directory, of which each host has its own."""
    engine.offload["bandwidth_limit"] = "60K"
    first = sharded(engine, 1, 1).start()
    while not filled.state_dir.with_name(f"{filled.state_dir.name}-1").joinpath("location").exists():
        assert first.poll() is None, finish(first).errors
        time.sleep(0.01)
    other = sharded(engine, *shard)
    other.offload["state_dir"] = f"{engine.offload['state_dir']}-other"
    other.config = engine.config.with_name("offload-other.yml")
    refused = other.run()
    assert first.poll() is None, "the first run had ended before the second was refused"
    assert refused.status == 3 and "media store" in refused.errors, refused.errors
    outcome = finish(first)
    assert (outcome.status, outcome.files("deleted")) == (0, len(inventory.known)), outcome.errors
    inventory.assert_all_moved()


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1/0", "-1/2", "1", "a/b", "1/2/3", 1.5])
def test_refused(filled: Library, engine: Engine, inventory: MediaInventory, shard: object) -> None:
    engine.offload["shard"] = shard
    outcome = engine.run()
    assert outcome.status == 2 and "shard" in outcome.errors, outcome.errors
    assert inventory.on_disk() == inventory.known
