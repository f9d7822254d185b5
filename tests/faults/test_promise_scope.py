# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is moved and what is left alone: previews, orphans, recent media, new files, unknown files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server


def test_previews_of_links_are_never_moved(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    """Neither from their own directories nor where a row says that media is a preview."""
    (moved,) = library.add([1000], thumbnails=0)
    (preview,) = library.add([1000], thumbnails=1, url_cache="https://example.org/")
    previews = ["url_cache/2026-01-01/abcdef", "url_cache_thumbnails/2026-01-01/abcdef/32-32-image-png-scale"]
    for path in previews:
        library.put(path, b"preview")
    library.add_row("2026-01-01_abcdef", 7)
    inventory.record_files()
    outcome = engine.run()
    assert (outcome.status, outcome.skipped("url_cache")) == (0, 2), outcome.errors
    assert sorted(inventory.on_disk()) == sorted([*preview.paths, *previews])
    assert sorted(inventory.in_bucket()) == moved.paths


def test_orphans_stay_and_are_counted(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    library.add([1000] * 3, thumbnails=0)
    orphans = [*library.write("orphanorphan", thumbnails=2).paths, *library.write("orphan12", "lost.example").paths]
    inventory.record_files()
    outcome = engine.run()
    assert (outcome.status, outcome.skipped("orphan")) == (0, len(orphans)), outcome.errors
    assert sorted(inventory.on_disk()) == sorted(orphans)
    assert outcome.report["skipped"]["orphan"]["bytes"] == 4 * 1000 + 1000
    assert len(inventory.in_bucket()) == 3


def test_remote_media_stays_where_the_provider_does_not_store_it(
    library: Library, engine: Engine, inventory: MediaInventory
) -> None:
    library.add([1000] * 3)
    remote = library.add([1000] * 2, origin="remote.example", thumbnails=1)
    inventory.record_files()
    engine.offload["store_remote"] = False
    outcome = engine.run()
    assert (outcome.status, outcome.skipped("remote")) == (0, 4), outcome.errors
    assert sorted(inventory.on_disk()) == sorted(path for item in remote for path in item.paths)
    inventory.assert_nothing_lost()


def test_recently_used_media_stays(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    """By the last access if there is one, else by the creation, as upstream does."""
    kept = library.add([1000], used_days=2) + library.add([1000], origin="remote.example", used_days=6.9)
    library.add([1000], used_days=7.1)
    library.add([1000], origin="remote.example", used_days=8)
    inventory.record_files()
    engine.offload["older_than"] = "1w"
    outcome = engine.run()
    assert (outcome.status, outcome.skipped("recent")) == (0, 4), outcome.errors
    assert sorted(inventory.on_disk()) == sorted(path for item in kept for path in item.paths)
    engine.offload["older_than"] = "0s"
    assert engine.run().status == 0
    inventory.assert_all_moved()


def test_rows_without_a_time_and_from_the_future(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    items = library.add([1000] * 2, thumbnails=0)
    library.database.execute(
        "UPDATE local_media_repository SET created_ts = NULL, last_access_ts = NULL WHERE media_id = %s",
        (items[0].media_id,),
    )
    library.database.execute(
        "UPDATE local_media_repository SET last_access_ts = %s WHERE media_id = %s",
        (int(time.time() * 1000) + 10**9, items[1].media_id),
    )
    inventory.record_files()
    outcome = engine.run()
    assert (outcome.status, outcome.skipped("recent")) == (0, 2), outcome.errors
    assert inventory.on_disk() == inventory.known


def test_grace_period_of_new_files(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    """By the file's own time: Synapse writes thumbnails of old media in place, and a file may be half written."""
    young = library.add([1000] * 2, thumbnails=1, age_days=0, used_days=30)
    (future,) = library.add([1000], thumbnails=0, age_days=-1, used_days=30)
    library.add([1000], thumbnails=0, age_days=0.1, used_days=30)
    inventory.record_files()
    engine.offload["grace"] = "1h"
    outcome = engine.run()
    assert (outcome.status, outcome.skipped("grace")) == (0, 5), outcome.errors
    assert sorted(inventory.on_disk()) == sorted(path for item in (*young, future) for path in item.paths)
    engine.offload["grace"] = "0s"
    assert engine.run().status == 0
    assert sorted(inventory.on_disk()) == future.paths
    inventory.assert_nothing_lost()


def test_without_delete_no_file_leaves_the_disk(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    library.add([1000, 17 * MIB], thumbnails=1)
    inventory.record_files()
    engine.offload["delete_local"] = False
    first, second = engine.run(), engine.run()
    assert (first.status, first.files("uploaded"), first.files("deleted"), first.report["changed"]) == (0, 4, 0, True)
    assert (second.status, second.files("verified"), second.report["changed"]) == (0, 4, False)
    assert inventory.on_disk() == inventory.in_bucket() == inventory.known


def test_directories(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    """Empty directories are removed, as upstream does, but never the media store and its top level."""
    (item,) = library.add([1000], origin="remote.example", thumbnails=1)
    (kept,) = library.add([1000], origin="kept.example", thumbnails=0, used_days=0)
    beside = library.media_path / kept.original
    inventory.record_files()
    engine.offload["older_than"] = "1d"
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    first_level = sorted(path.name for path in library.media_path.iterdir() if path.is_dir())
    assert first_level == ["local_content", "local_thumbnails", "remote_content", "remote_thumbnail"]
    assert beside.exists()
    assert not (library.media_path / item.original).parent.exists()
    assert not (library.media_path / "remote_thumbnail" / "remote.example").exists()

    # All media is gone: Synapse must still find its directory, and be able to write to it.
    beside.unlink()
    assert engine.run().status == 0
    assert library.media_path.is_dir() and library.media_path.stat().st_uid == library.account.pw_uid


def test_permissions_and_owners_of_remaining_files(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    stays = library.add([1000] * 2, thumbnails=1, used_days=0)
    library.add([1000] * 4, thumbnails=1)
    paths = [library.media_path / path for item in stays for path in item.paths]
    for number, path in enumerate(paths):
        path.chmod((0o600, 0o640, 0o644, 0o444)[number])
        path.parent.chmod(0o750)
    library.media_path.chmod(0o2770)
    outside = library.put("notes.txt", b"an operator's own")
    kept = {path: _facts(path) for path in (*paths, *(path.parent for path in paths), library.media_path, outside)}
    # Of the directories above only the contents change.
    engine.offload["older_than"] = "1d"
    outcome = engine.run()
    assert (outcome.status, outcome.files("deleted")) == (0, 8), outcome.errors
    assert {path: _facts(path) for path in kept} == kept


def _facts(path: Path) -> tuple[int, ...]:
    status = path.lstat()
    times = () if path.is_dir() else (status.st_mtime_ns, status.st_atime_ns, status.st_ino, status.st_size)
    return (status.st_mode, status.st_uid, status.st_gid, *times)


@pytest.mark.parametrize("prefix", ["", "a/b/c/", "zz"], ids=["no prefix", "prefix", "prefix without a slash"])
def test_objects_of_others_are_left_alone(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str, prefix: str
) -> None:
    others = ["a", "a/b/c", "zzz", "local_content/aa/bb/other", "a/b/cc/local_content/aa/bb/cc"]
    for key in others[2:]:
        s3.client().put_object(Bucket=bucket, Key=key, Body=b"other")
    library.add([1000] * 5, thumbnails=1)
    inventory.prefix = prefix
    inventory.record_files()
    engine.s3["prefix"] = prefix
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert inventory.on_disk() == {}
    inventory.assert_nothing_lost()
    for key in others[2:]:
        assert (s3.buckets / bucket / key).read_bytes() == b"other"


def test_a_dry_run_changes_nothing(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    (item,) = library.add([5000], thumbnails=0)
    library.add([1000, 17 * MIB], thumbnails=1)
    s3.client().put_object(Bucket=bucket, Key=item.original, Body=(library.media_path / item.original).read_bytes())
    inventory.record_files()
    engine.write()
    before = library.everything()
    bucket_before = inventory.in_bucket()
    rehearsed = engine.run("--dry-run")
    assert rehearsed.status == 0, rehearsed.errors
    after = library.everything()
    # The test itself writes it again for each run.
    for name in ("offload.yml", "synapse.yaml"):
        after[name] = before[name]
    assert after == before
    assert inventory.in_bucket() == bucket_before
    real = engine.run()
    for outcome in ("scanned", "uploaded", "verified", "repaired", "deleted"):
        assert rehearsed.report[outcome] == real.report[outcome], outcome
    assert (rehearsed.report["dry_run"], real.report["dry_run"]) == (True, False)
    inventory.assert_all_moved()


def test_hard_links(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    """An operator's snapshot by hard links keeps its copies."""
    (item,) = library.add([5000], thumbnails=0)
    inventory.record_files()
    snapshot = library.directory / "snapshot"
    os.link(library.media_path / item.original, snapshot)
    assert engine.run().status == 0
    assert len(snapshot.read_bytes()) == 5000
    inventory.assert_all_moved()
