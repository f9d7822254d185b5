# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse writes while the engine runs: files are replaced, appended to, removed and created."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from test_kill import BOUNDED, KILLS
from wire_faults import meanwhile
from wire_proxy import COMPLETE, CREATE, LIST, PART, PUT, WireProxy

SMALL, MEDIUM, LARGE = 5000, 3 * MIB, 17 * MIB


def append(library: Library, path: str) -> None:
    with (library.media_path / path).open("ab") as file:
        file.write(b"and more")


def append_keeping_the_time(library: Library, path: str) -> None:
    before = (library.media_path / path).stat()
    append(library, path)
    os.utime(library.media_path / path, ns=(before.st_atime_ns, before.st_mtime_ns))


def overwrite(library: Library, path: str) -> None:
    size = (library.media_path / path).stat().st_size
    with (library.media_path / path).open("r+b") as file:
        file.write(b"?" * size)


def replace(library: Library, path: str) -> None:
    """Replace by a file of the same size and time: only the inode differs."""
    before = (library.media_path / path).stat()
    library.rewrite(path, b"!" * before.st_size)
    os.utime(library.media_path / path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(library: Library, path: str) -> None:
    os.truncate(library.media_path / path, 100)


CHANGES = [append, append_keeping_the_time, overwrite, replace, truncate]
CASES = [(size, PUT, change) for size in (SMALL, MEDIUM) for change in CHANGES]
CASES += [(LARGE, moment, change) for moment in (CREATE, PART, COMPLETE) for change in (append, replace)]
CASES += [(LARGE, COMPLETE, overwrite), (LARGE, COMPLETE, truncate)]
if KILLS > BOUNDED:
    # The server refuses each part several times, so that the upload takes long enough.
    CASES += [(LARGE, PART, overwrite), (LARGE, PART, truncate)]


@pytest.mark.parametrize(("size", "moment", "change"), CASES, ids=lambda each: getattr(each, "__name__", str(each)))
def test_a_file_that_changes_while_it_is_uploaded(
    library: Library,
    engine: Engine,
    wire: WireProxy,
    inventory: MediaInventory,
    size: int,
    moment: str,
    change: Callable[[Library, str], None],
) -> None:
    """Thumbnails have no digest in the database, so only the engine's own checks protect them."""
    library.add([1000] * 3)
    (item,) = library.add([100], thumbnails=0)
    thumbnail = f"local_thumbnails/{item.original.partition('/')[2]}/32-32-image-png-scale"
    library.put(thumbnail, library.random.randbytes(size))
    inventory.record_files()
    wire.add(moment, meanwhile(lambda: change(library, thumbnail)), key=thumbnail, times=1)
    outcome = engine.run()
    assert outcome.status in (0, 1), outcome.errors
    changed = (library.media_path / thumbnail).read_bytes()
    # The new content is the media now, and it must still be on disk.
    inventory.record_files()
    assert sorted(inventory.on_disk()) == [thumbnail]
    inventory.assert_nothing_lost()

    then = time.time() - 30 * 86_400
    os.utime(library.media_path / thumbnail, (then, then))
    stored = inventory.in_bucket().get(thumbnail)
    again = engine.run()
    if stored in (None, inventory.known[thumbnail]):
        assert (again.status, again.failed_paths) == (0, []), again.errors
        inventory.assert_all_moved()
        assert (inventory.bucket / thumbnail).read_bytes() == changed
    else:
        # The first content was uploaded, and nothing in the database says which of the two is right.
        assert (again.status, again.failed_paths) == (1, [thumbnail]), again.errors
        assert (library.media_path / thumbnail).read_bytes() == changed
        assert inventory.in_bucket()[thumbnail] == stored


def test_files_that_disappear(library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """Synapse's own retention may remove a file at any step; that is no failure."""
    items = library.add([SMALL] * 5 + [LARGE], thumbnails=1)
    inventory.record_files()

    def remove(path: str) -> None:
        (library.media_path / path).unlink()
        del inventory.known[path]

    wire.add(LIST, meanwhile(lambda: remove(items[0].original)), times=1)
    wire.add(PUT, meanwhile(lambda: remove(items[1].original)), key=items[1].original, times=1)
    wire.add(PUT, meanwhile(lambda: remove(items[2].paths[1])), key=items[3].original, times=1)
    outcome = engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert inventory.on_disk() == {}
    inventory.assert_nothing_lost()


def test_directories_that_disappear(
    library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory
) -> None:
    items = library.add([SMALL] * 4, thumbnails=1)
    inventory.record_files()

    def remove() -> None:
        path = library.media_path / items[2].paths[1]
        path.unlink()
        path.parent.rmdir()
        del inventory.known[items[2].paths[1]]

    wire.add(LIST, meanwhile(remove), times=1)
    outcome = engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert inventory.on_disk() == {}
    inventory.assert_nothing_lost()


def test_a_directory_that_becomes_a_link(
    library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory
) -> None:
    """Between proof and unlink: the file behind the link is not the one that was proven."""
    (item,) = library.add([SMALL], thumbnails=0)
    inventory.record_files()
    parent = (library.media_path / item.original).parent
    elsewhere = library.directory / "elsewhere"

    def swap() -> None:
        parent.rename(elsewhere)
        parent.symlink_to(elsewhere)

    wire.add(PUT, meanwhile(swap), times=1)
    outcome = engine.run()
    assert outcome.status in (0, 1), outcome.errors
    assert (elsewhere / Path(item.original).name).exists()
    assert parent.is_symlink()


def test_new_media_during_the_run(library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """Files younger than the grace period stay, in directories that were just emptied."""
    items = library.add([SMALL] * 4, thumbnails=1)
    inventory.record_files()
    fresh: list[str] = []

    def upload() -> None:
        beside = items[0].original[:-1] + "_"
        library.put(beside, b"fresh", age_days=0)
        library.add_row(beside.removeprefix("local_content/").replace("/", "", 2), 5, days=0)
        fresh.append(beside)

    wire.add(PUT, meanwhile(upload), key=items[0].original, times=1)
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert sorted(inventory.on_disk()) == fresh
    inventory.assert_nothing_lost()


def test_bucket_emptied_between_two_runs(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    """Nothing that an earlier run recorded counts as proof."""
    library.add([SMALL] * 5, thumbnails=1)
    library.add([LARGE], thumbnails=0)
    inventory.record_files()
    engine.offload["delete_local"] = False
    first = engine.run()
    assert (first.status, first.files("uploaded"), first.files("deleted")) == (0, 11, 0)
    for key in s3.keys(bucket):
        s3.client().delete_object(Bucket=bucket, Key=key)
    engine.offload["delete_local"] = True
    second = engine.run()
    assert (second.status, second.files("uploaded"), second.files("verified")) == (0, 11, 0)
    inventory.assert_all_moved()


def test_bucket_removed_between_two_runs(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    library.add([SMALL] * 5, thumbnails=1)
    inventory.record_files()
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    for key in s3.keys(bucket):
        s3.client().delete_object(Bucket=bucket, Key=key)
    s3.client().delete_bucket(Bucket=bucket)
    engine.offload["delete_local"] = True
    outcome = engine.run()
    assert outcome.status == 2, outcome.errors
    assert sorted(inventory.on_disk()) == sorted(inventory.known)
