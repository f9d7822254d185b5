# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""On every server a whole library is moved: equal content afterwards, nothing sent twice, nothing lost by a kill."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence

import pytest
from conftest import IN_PARTS, Host
from library import MIB

SEED = int(os.environ.get("FAULT_SEED") or time.time_ns() % 2**32)
KILLS = 3
# "." sorts before "/" in a key, and the shorter name before the longer one among directories.
ORIGINS = ("example.com", "example.com.au", "example.com:8448", "example-com", "xn--mnchen-3ya.example")


def fill(host: Host, dice: random.Random, large: Sequence[int] = (17 * MIB, 20 * MIB + 1)) -> None:
    for origin in ("", *ORIGINS):
        sizes = [dice.choice((1, 500, 19_000, 60_000, 1_100_000)) for dummy in range(6)]
        host.library.add(sizes, origin=origin, thumbnails=2)
    for size in large:
        host.library.add([size], origin="example.com.au", thumbnails=0, with_sha256=dice.random() < 0.5)
    host.inventory.record_files()


def test_everything_moves(host: Host) -> None:
    fill(host, random.Random("moves"), [IN_PARTS, 17 * MIB])
    count = len(host.inventory.known)
    host.engine.offload["delete_local"] = False
    first = host.engine.run()
    assert (first.status, first.failures) == (0, {}), first.errors
    assert first.files("uploaded") == count
    assert first.report["requests"]["complete_multipart"] >= 1
    assert host.inventory.in_bucket() == host.inventory.known

    host.engine.offload["delete_local"] = True
    second = host.engine.run()
    assert (second.status, second.failures) == (0, {}), second.errors
    moved = {outcome: second.files(outcome) for outcome in ("uploaded", "repaired", "verified", "deleted")}
    assert moved == {"uploaded": 0, "repaired": 0, "verified": count, "deleted": count}
    host.inventory.assert_all_moved()

    third = host.engine.run()
    assert (third.status, third.report["requests"]["put"], third.files("uploaded")) == (0, 0, 0), third.errors


@pytest.mark.parametrize("endpoint", ["seaweedfs", "juicefs", "rgw_tls"], indirect=True)
def test_everything_moves_at_once(host: Host) -> None:
    """Uploaded, confirmed and unlinked by one run."""
    fill(host, random.Random("at once"))
    outcome = host.engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert outcome.files("uploaded") == outcome.files("deleted") == len(host.inventory.known)
    host.inventory.assert_all_moved()


@pytest.mark.parametrize("endpoint", ["seaweedfs", "juicefs", "juicefs_etags", "rgw"], indirect=True)
def test_killed_at_random_instants(host: Host) -> None:
    dice = random.Random(f"{SEED}/{type(host.store).__name__}")
    print(f"FAULT_SEED={SEED}")
    fill(host, dice)
    host.engine.offload.update(grace="0s", concurrency=dice.choice((4, 64)))
    began = time.monotonic()
    struck = 0
    for dummy in range(KILLS):
        process = host.engine.start()
        # A run without a kill takes one or two seconds, of which Python's start is the first tenth.
        time.sleep(0.1 + dice.random())
        process.kill()
        process.communicate(timeout=60)
        struck += process.returncode < 0
        host.inventory.assert_nothing_lost()
        if not host.inventory.on_disk():
            fill(host, dice, large=())
    assert struck, f"no kill hit an active run in {time.monotonic() - began:.1f} s"
    outcome = host.engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    host.inventory.assert_all_moved()
