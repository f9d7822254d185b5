# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much stays on the disk, with real databases and a real file system, and that young objects free none of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from pathlib import Path

import pytest
from library import Item, Library
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from test_disk import as_root, mounted
from wire_faults import changed
from wire_proxy import HEAD, LIST, PUT, Exchange, WireProxy

DAY = 86_400


def size_of(media_path: Path) -> int:
    return sum(path.stat().st_size for path in media_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_size_of_the_media_is_kept(
    make_library: Callable[[str], Library], kind: str, s3: S3Server, bucket: str
) -> None:
    library = make_library(kind)
    inventory = MediaInventory(library.media_path, s3.buckets / bucket)
    engine = Engine(library, s3.connection(bucket))
    items: list[Item] = []
    for number in range(60):
        origin = "" if number % 2 else "remote.example"
        items += library.add([20_000], origin=origin, age_days=90, used_days=1 + number)
    # Nobody has accessed these since their upload, and one of them has no time at all.
    untouched, timeless = library.add([20_000] * 2, age_days=90, used_days=80)
    library.database.execute(
        "UPDATE local_media_repository SET last_access_ts = NULL WHERE media_id = %s", (untouched.media_id,)
    )
    library.database.execute(
        "UPDATE local_media_repository SET last_access_ts = NULL, created_ts = NULL WHERE media_id = %s",
        (timeless.media_id,),
    )
    inventory.record_files()
    engine.offload.update(older_than="10y", local_cache_size="500K")
    dry = engine.run("--dry-run")
    assert inventory.on_disk() == inventory.known and inventory.in_bucket() == {}
    outcome = engine.run()
    assert (outcome.status, outcome.report["selected"]) == (0, dry.report["selected"]), outcome.errors
    assert 500 * 1024 * 0.95 - 22_000 <= size_of(library.media_path) <= 500 * 1024
    left = inventory.on_disk()
    stays = [item for item in [*items, timeless] if item.original in left]
    # Those of the last days, each with its thumbnail.
    assert stays == [*items[: len(stays) - 1], timeless]
    assert sorted(left) == sorted(path for item in stays for path in item.paths)
    inventory.assert_nothing_lost()
    again = engine.run()
    assert (again.status, again.report["changed"], inventory.on_disk()) == (0, False, left), again.errors


@as_root
def test_the_free_space_of_a_file_system_is_kept(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    with mounted(library.media_path, "-t", "tmpfs", "-o", "size=16m,mode=0755", "none"):
        library.own(library.media_path)
        for number in range(60):
            # With their thumbnails they take three blocks, which is more than they have bytes.
            library.add([5000], age_days=90, used_days=1 + number)
        inventory.record_files()
        disk = os.statvfs(library.media_path)
        free = disk.f_bavail * disk.f_frsize
        wanted = free + 30 * disk.f_frsize
        engine.offload.update(older_than="10y", min_free=wanted)
        outcome = engine.run()
        disk = os.statvfs(library.media_path)
        assert outcome.status == 0, outcome.errors
        assert wanted <= disk.f_bavail * disk.f_frsize <= wanted * 1.05
        assert 0 < outcome.files("deleted") < 120
        inventory.assert_nothing_lost()
        assert engine.run().report["changed"] is False
        engine.offload["min_free"] = "16M"
        left = inventory.on_disk()
        refused = engine.run()
        assert refused.status == 2 and "Choose a smaller one" in refused.report["error"]
        assert inventory.on_disk() == left


def listed_at(seconds: float) -> bytes:
    text = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))
    return f"<LastModified>{text}</LastModified>".encode()


def test_a_young_object_frees_no_disk(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy
) -> None:
    """Neither that of the same run, nor with a store whose clock or listing is wrong; an old one does."""
    library.add([1000] * 5, thumbnails=1)
    inventory.record_files()
    everything = inventory.on_disk()
    engine.offload["min_bucket_age"] = "7d"
    modified = re.compile(rb"<LastModified>[^<]*</LastModified>")
    week_ago = time.time() - 8 * DAY
    # A store that gives what was just uploaded an old time.
    wire.add(LIST, changed(partial(modified.sub, listed_at(week_ago))))
    wire.add(HEAD, last_modified(week_ago))
    uploaded = engine.run()
    assert (uploaded.files("uploaded"), uploaded.files("kept"), uploaded.files("deleted")) == (10, 10, 0)
    assert (uploaded.status, inventory.on_disk()) == (0, everything), uploaded.errors

    # The clock of the store goes to the year 2100 in the next run.
    wire.faults.clear()

    def in_the_future(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.headers["Date"] = formatdate(4_102_444_800, usegmt=True)
        exchange.reply(answer)

    wire.add(LIST, in_the_future)
    wire.add(HEAD, in_the_future)
    assert keeps(engine, inventory, everything)

    # Times that no clock could show.
    for wrong in (listed_at(time.time() + 1000 * DAY), b"", b"<LastModified>old</LastModified>"):
        wire.faults.clear()
        wire.add(LIST, changed(partial(modified.sub, wrong)))
        assert keeps(engine, inventory, everything)

    # A listing that is older than the objects.
    wire.faults.clear()
    wire.add(LIST, changed(partial(modified.sub, listed_at(week_ago))))
    engine.offload["evidence_age"] = "0s"
    assert keeps(engine, inventory, everything)

    engine.offload["evidence_age"] = "600s"
    wire.add(HEAD, last_modified(week_ago))
    assert wire.count(PUT) == 10
    outcome = engine.run()
    assert (outcome.status, outcome.files("deleted"), outcome.files("kept")) == (0, 10, 0), outcome.errors
    inventory.assert_all_moved()


def keeps(engine: Engine, inventory: MediaInventory, everything: dict[str, str]) -> bool:
    outcome = engine.run()
    assert (outcome.status, outcome.files("verified"), outcome.files("kept")) == (0, 10, 10), outcome.errors
    return inventory.on_disk() == everything and outcome.files("deleted") == 0


def last_modified(seconds: float) -> Callable[[Exchange], None]:
    def act(exchange: Exchange) -> None:
        answer = exchange.forward()
        for name in [name for name in answer.headers if name.lower() == "last-modified"]:
            del answer.headers[name]
        answer.headers["Last-Modified"] = formatdate(seconds, usegmt=True)
        exchange.reply(answer)

    return act
