# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""List requests are at most as many as local files, and at most one for every 1,000 objects and one more.

A first run, which fills a bucket, may ask for one page more, in write of a HEAD for each of its last uploads.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine, Outcome
from s3_server import S3Server
from wire_proxy import LIST, PUT, WireProxy

# Objects in the bucket that are no longer on disk.
HISTORY = 12_000


class Host:
    def __init__(self, engine: Engine, inventory: MediaInventory, wire: WireProxy) -> None:
        self.engine = engine
        self.inventory = inventory
        self.wire = wire

    def lists_of(self, outcome: Outcome) -> int:
        assert outcome.status == 0, outcome.errors
        lists = self.wire.count(LIST)
        assert outcome.report["requests"]["list"] == lists
        return lists


@pytest.fixture
def host(library: Library, tmp_path: Path, bucket: str) -> Iterator[Callable[[int, int], Host]]:
    """A library of this many files that are all in the bucket, among this many older objects.

    The server finds the objects on its own disk when it starts: uploading them one by one would take a minute.
    """

    def make(files: int, history: int) -> Host:
        library.add([50] * files, thumbnails=0)
        server = S3Server(tmp_path / "server")
        folder = server.buckets / bucket
        inventory = MediaInventory(library.media_path, folder)
        inventory.record_files()
        for path in inventory.known:
            write(folder / path, (library.media_path / path).read_bytes())
        dice = random.Random("history")
        for dummy in range(history):
            name = "".join(dice.choices(string.ascii_letters, k=24))
            write(folder / "local_content" / name[:2] / name[2:4] / name[4:], b"history")
        proxy = running.enter_context(WireProxy(running.enter_context(server).endpoint_url))
        engine = Engine(library, {**server.connection(bucket), "endpoint_url": proxy.endpoint_url})
        return Host(engine, inventory, proxy)

    with ExitStack() as running:
        yield make


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("files", "history"),
    [(1, HISTORY), (5, HISTORY), (400, HISTORY), (3000, 0), (1500, 1500), (0, 500)],
    ids=["one of many", "sparse", "huge history", "dense", "half and half", "nothing to do"],
)
def test_list_requests(host: Callable[[int, int], Host], files: int, history: int) -> None:
    made = host(files, history)
    outcome = made.engine.run()
    lists = made.lists_of(outcome)
    objects = files + history
    # A run with nothing to do may still check that the bucket exists.
    assert lists <= max(1, min(files, objects // 1000 + 1)), f"{lists} list requests for {files} of {objects} objects"
    assert outcome.files("verified") == outcome.files("deleted") == files
    assert made.wire.count(PUT) == 0
    assert made.inventory.on_disk() == {}
    made.inventory.assert_nothing_lost()


def test_list_requests_of_a_first_run(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy
) -> None:
    """Nothing is there at first: one page says so. Pages prove the uploads, the last of which need not be full."""
    library.add([50] * 2500, thumbnails=0)
    inventory.record_files()
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert outcome.report["requests"]["list"] == wire.count(LIST)
    # This server sometimes responds with 500 while many directories are created, and the upload is sent again.
    assert 2500 <= wire.count(PUT) <= 2510 and wire.count("HeadObject") == 0
    assert wire.count(LIST) <= 1 + 2500 // 1000 + 1
    inventory.assert_all_moved()


def test_no_request_for_files_that_stay(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy
) -> None:
    """Orphans, recent media and remote media that is excluded cost no request."""
    library.add([50] * 20, thumbnails=1, age_days=30, used_days=0)
    for number in range(20):
        library.write(f"orphan{number:018d}")
    inventory.record_files()
    engine.offload["older_than"] = "1d"
    outcome = engine.run()
    assert (outcome.status, outcome.report["changed"]) == (0, False), outcome.errors
    assert wire.count() <= 1
    assert (outcome.skipped("recent"), outcome.skipped("orphan")) == (40, 40)
    assert inventory.on_disk() == inventory.known
