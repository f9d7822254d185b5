# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Media that is on the disk again is moved again; the script alone never lists it a second time."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from media_host import MediaHost, age_ms
from s3_server import S3Server
from test_s3_media_upload_steps import four_registers


@pytest.fixture
def offloaded(host: MediaHost, s3: S3Server) -> MediaHost:
    """One local and one remote media, in the bucket, off the disk and marked as deleted by the script."""
    host.add_local()
    host.add_remote(origin="matrix.example")
    assert host.run("update-db")["rows_synced"] == 2
    assert host.upload(s3, delete=True)["files_deleted"] == 4
    assert host.on_disk() == {}
    assert host.run("update-db")["changed"] is False
    return host


def rows(host: MediaHost) -> dict[tuple[str, str], tuple[str, int]]:
    with closing(sqlite3.connect(host.state_dir / "cache.db")) as connection:
        found = connection.execute("SELECT origin, media_id, filesystem_id, known_deleted FROM media")
        return {(origin, media_id): (filesystem_id, deleted) for origin, media_id, filesystem_id, deleted in found}


def test_thumbnail_created_again(offloaded: MediaHost, s3: S3Server) -> None:
    ((local_id, dummy),) = [(media_id, None) for origin, media_id in rows(offloaded) if not origin]
    thumbnail = f"local_thumbnails/{local_id[:2]}/{local_id[2:4]}/{local_id[4:]}/96-96-image-png-crop"
    offloaded.put(thumbnail, b"made again")
    result = four_registers(offloaded, "update-db")
    assert (result["rows_synced"], result["rows_reoffered"]) == (0, 1)
    assert "offered again" in result["diff"]["after"]
    assert offloaded.upload(s3, delete=True)["files_deleted"] == 1
    assert offloaded.on_disk() == {}
    assert thumbnail in s3.keys(offloaded.bucket)


def test_remote_media_fetched_again_under_another_id(offloaded: MediaHost, s3: S3Server) -> None:
    ((origin, media_id),) = [key for key in rows(offloaded) if key[0]]
    offloaded.database.execute(
        "UPDATE remote_media_cache SET filesystem_id = %s WHERE media_origin = %s AND media_id = %s",
        ("NewFilesystemIdOfTheSame", origin, media_id),
    )
    paths = offloaded.put_remote(origin, "NewFilesystemIdOfTheSame")
    result = four_registers(offloaded, "update-db")
    assert (result["rows_synced"], result["rows_reoffered"]) == (0, 1)
    assert rows(offloaded)[origin, media_id] == ("NewFilesystemIdOfTheSame", 0)
    assert offloaded.upload(s3, delete=True)["files_deleted"] == 2
    assert set(paths) <= set(s3.keys(offloaded.bucket))


def test_changed_row_that_was_never_offloaded(host: MediaHost, s3: S3Server) -> None:
    """Still listed under its old id, where there is no file: check-deleted would mark it as deleted."""
    host.add_remote(origin="matrix.example")
    assert host.run("update-db")["rows_synced"] == 1
    ((origin, dummy),) = rows(host)
    host.database.execute("UPDATE remote_media_cache SET filesystem_id = 'NewFilesystemIdOfTheSame'")
    new = host.put_remote(origin, "NewFilesystemIdOfTheSame")
    assert host.run("update-db")["rows_reoffered"] == 1
    assert host.run("check-deleted")["marked_deleted"] == 0
    host.upload(s3, delete=True)
    assert set(s3.keys(host.bucket)) == set(new)


def test_the_age_limit_applies(offloaded: MediaHost) -> None:
    """On the disk again because it was used a moment ago, so the local copy has to stay."""
    (local_id,) = [media_id for origin, media_id in rows(offloaded) if not origin]
    offloaded.put(f"local_content/{local_id[:2]}/{local_id[2:4]}/{local_id[4:]}", b"back")
    offloaded.database.execute("UPDATE local_media_repository SET last_access_ts = %s", (age_ms(0.1),))
    for check in (True, False):
        assert offloaded.run("update-db", check=check)["changed"] is False
    assert offloaded.run("update-db", older_than="1h")["rows_reoffered"] == 1


def test_files_without_media_stay(offloaded: MediaHost) -> None:
    """Files of an earlier filesystem id, of an id without a row, and of a URL preview."""
    ((origin, old_id),) = [(key[0], row[0]) for key, row in rows(offloaded).items() if key[0]]
    offloaded.database.execute("UPDATE remote_media_cache SET filesystem_id = 'NewFilesystemIdOfTheSame'")
    offloaded.put_remote(origin, old_id)
    offloaded.put_remote(origin, "NobodyKnowsThisIdAtAll00")
    (local_id,) = [media_id for origin, media_id in rows(offloaded) if not origin]
    offloaded.put(f"local_content/{local_id[:2]}/{local_id[2:4]}/{local_id[4:]}", b"a preview now")
    offloaded.database.execute("UPDATE local_media_repository SET url_cache = 'https://example.org'")
    assert offloaded.run("update-db")["changed"] is False


def test_more_media_than_a_batch(host: MediaHost, s3: S3Server) -> None:
    """The look-ups in Synapse's database are made in batches."""
    count = 450
    for dummy in range(count):
        host.add_local(thumbnails=0, size=10)
    for dummy in range(count):
        host.add_remote(thumbnails=0, size=10)
    assert host.run("update-db")["rows_synced"] == 2 * count
    with closing(sqlite3.connect(host.state_dir / "cache.db")) as connection, connection:  # pylint: disable=confusing-with-statement
        connection.execute("UPDATE media SET known_deleted = 1")
        connection.execute(
            "UPDATE media SET filesystem_id = 'old' || filesystem_id WHERE rowid % 2 AND type = 'remote'"
        )
    assert host.run("update-db")["rows_reoffered"] == 2 * count
    assert all(not deleted and not filesystem_id.startswith("old") for filesystem_id, deleted in rows(host).values())
