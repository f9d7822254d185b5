# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a file and its object differ, one replaces the other only if the database proves which is right."""

from __future__ import annotations

import random

import pytest
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine, Outcome
from s3_server import S3Server
from wire_proxy import PUT, WireProxy

SIZE = 5000
MIB = 1024 * 1024


def put(s3: S3Server, bucket: str, key: str, body: bytes) -> None:
    s3.client().put_object(Bucket=bucket, Key=key, Body=body)


def stored(s3: S3Server, bucket: str, key: str) -> bytes:
    content: bytes = s3.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


@pytest.mark.parametrize("size", [SIZE, 17 * MIB], ids=["small", "large"])
@pytest.mark.parametrize("origin", ["", "example.org"], ids=["local", "remote"])
def test_a_damaged_file_of_the_right_length(
    library: Library, engine: Engine, s3: S3Server, bucket: str, size: int, origin: str
) -> None:
    """Like a file on a disk with errors: zeros in place of the content, and no digest in the row."""
    (item,) = library.add([size], origin=origin, thumbnails=0, with_sha256=False)
    good = (library.media_path / item.original).read_bytes()
    put(s3, bucket, item.original, good)
    library.rewrite(item.original, bytes(size))
    outcome = engine.run()
    both_stay(outcome, library, item.original, bytes(size))
    assert stored(s3, bucket, item.original) == good


def both_stay(outcome: Outcome, library: Library, path: str, local: bytes) -> None:
    assert (outcome.status, outcome.failed_paths) == (1, [path]), outcome.errors
    assert "nothing proves which of them is right" in outcome.failures[path]
    assert outcome.files("repaired") == outcome.files("deleted") == outcome.files("uploaded") == 0
    assert outcome.report["changed"] is False
    assert (library.media_path / path).read_bytes() == local


@pytest.mark.parametrize("local_size", [SIZE // 2, 0, SIZE])
def test_a_row_without_length_and_digest_proves_nothing(
    library: Library, engine: Engine, s3: S3Server, bucket: str, local_size: int
) -> None:
    item = library.write("AABBhalf", size=SIZE, thumbnails=0)
    library.add_row(item.media_id, None)
    whole = (library.media_path / item.original).read_bytes()
    put(s3, bucket, item.original, whole)
    local = whole[:local_size] if local_size < SIZE else bytes(SIZE)
    library.rewrite(item.original, local)
    both_stay(engine.run(), library, item.original, local)
    assert stored(s3, bucket, item.original) == whole


def test_a_dry_run_names_the_same_conflict(library: Library, engine: Engine, s3: S3Server, bucket: str) -> None:
    (item,) = library.add([SIZE], thumbnails=0, with_sha256=False)
    put(s3, bucket, item.original, b"?" * SIZE)
    outcome = engine.run("--dry-run")
    both_stay(outcome, library, item.original, (library.media_path / item.original).read_bytes())


@pytest.mark.parametrize("size", [SIZE, 17 * MIB], ids=["small", "large"])
def test_what_the_row_proves_wrong_is_replaced(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str, size: int
) -> None:
    """The row proves it by its digest, or by its length, which the file has and the object has not."""
    (with_digest,) = library.add([size], thumbnails=0)
    (with_length,) = library.add([size], thumbnails=0, with_sha256=False)
    inventory.record_files()
    put(s3, bucket, with_digest.original, bytes(size))
    put(s3, bucket, with_length.original, bytes(size - 1))
    outcome = engine.run()
    assert (outcome.status, outcome.files("repaired"), outcome.files("deleted")) == (0, 2, 2), outcome.errors
    inventory.assert_all_moved()


def test_a_thumbnail_that_synapse_created_again_replaces_the_old_one(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    """Synapse's tables have the length of the new one."""
    (item,) = library.add([SIZE], thumbnails=1)
    thumbnail = item.paths[1]
    library.add_thumbnail_row(item, (library.media_path / thumbnail).stat().st_size)
    inventory.record_files()
    put(s3, bucket, thumbnail, b"old")
    outcome = engine.run()
    assert (outcome.status, outcome.files("repaired")) == (0, 1), outcome.errors
    inventory.assert_all_moved()


@pytest.mark.parametrize("seed", range(3))
def test_no_good_copy_is_ever_replaced(
    library: Library, engine: Engine, s3: S3Server, bucket: str, wire: WireProxy, seed: int
) -> None:
    """With any mixture of damage on both sides, each content that was whole somewhere is still whole somewhere."""
    dice = random.Random(seed)
    good: dict[str, bytes] = {}
    for dummy in range(40):
        (item,) = library.add([dice.choice([1, 100, SIZE])], thumbnails=1, with_sha256=dice.random() < 0.5)
        for path in item.paths:
            content = (library.media_path / path).read_bytes()
            good[path] = content
            in_bucket = dice.choice([None, content, bytes(len(content)), content[:-1], content + b"+"])
            if in_bucket is not None:
                put(s3, bucket, path, in_bucket)
            on_disk = dice.choice([content, content, bytes(len(content)), content[:-1]])
            # At least one of the two is good, or nothing could be lost any more.
            if on_disk != content and in_bucket == content:
                library.rewrite(path, on_disk)
    outcome = engine.run()
    assert outcome.status in (0, 1), outcome.errors
    for path, content in good.items():
        local = library.media_path / path
        copies = [local.read_bytes()] if local.exists() else []
        if path in {entry["Key"] for entry in s3.client().list_objects_v2(Bucket=bucket).get("Contents", [])}:
            copies.append(stored(s3, bucket, path))
        assert content in copies, f"seed {seed}: {path} is lost"
        assert local.exists() or copies == [content]
    assert wire.count(PUT) <= 2 * len(good) + 2
