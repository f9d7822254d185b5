# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The three commands in order on both databases, each four times: check mode, real, check mode, real."""

from __future__ import annotations

from typing import Any

from media_host import MediaHost
from s3_server import S3Server


def four_registers(host: MediaHost, command: str, **options: Any) -> dict[str, Any]:
    """Run check, real, check, real; return the first real result. Check mode changes nothing on the host."""
    before = host.everything()
    checked = host.run(command, check=True, diff=True, **options)
    assert host.everything() == before
    done = host.run(command, diff=True, **options)
    again_checked = host.run(command, check=True, **options)
    again = host.run(command, **options)
    assert not done.get("failed"), done
    assert (checked["changed"], done["changed"], again_checked["changed"], again["changed"]) == (
        True,
        True,
        False,
        False,
    )
    foreseen = {name: value for name, value in checked.items() if name != "invocation"}
    assert foreseen == {name: value for name, value in done.items() if name != "invocation"}
    return done


def test_main_job(host: MediaHost, s3: S3Server) -> None:
    old = [host.add_local(), host.add_local(thumbnails=3), host.add_remote(), host.add_remote(thumbnails=0)]
    young = host.add_local(age_days=0.5)
    preview = host.add_local()
    host.database.execute(
        "UPDATE local_media_repository SET url_cache = 'https://example.org' WHERE media_id = %s", (preview.media_id,)
    )
    files = host.on_disk()
    old_paths = sorted(path for media in old for path in media.paths)

    synced = four_registers(host, "update-db")
    assert synced["rows_synced"] == 4
    assert f"{old[0].paths[0]}: offered" in synced["diff"]["after"]

    lost = host.add_local()
    for path in lost.paths:
        (host.media_path / path).unlink()
    assert host.run("update-db")["rows_synced"] == 1
    marked = four_registers(host, "check-deleted")
    assert marked["marked_deleted"] == 1

    # Without a slash, as in upstream's README: the prefix is put in front of each path unchanged.
    connection = s3.connection(host.bucket, region_name="us-east-1", prefix="media")
    uploaded = four_registers(host, "upload", **connection)
    assert (uploaded["media_total"], uploaded["media_uploaded"], uploaded["files_uploaded"]) == (4, 4, len(old_paths))
    assert uploaded["bytes_uploaded"] == 1000 * len(old_paths)
    assert s3.keys(host.bucket) == sorted(f"media{path}" for path in old_paths)
    assert host.on_disk() == files

    deleted = four_registers(host, "upload", delete=True, **connection)
    assert (deleted["files_uploaded"], deleted["media_deleted"], deleted["files_deleted"]) == (0, 4, len(old_paths))
    assert deleted["bytes_deleted"] == 1000 * len(old_paths)
    assert sorted(host.on_disk()) == sorted([*young.paths, *preview.paths])
    for path in old_paths:
        assert (s3.buckets / host.bucket / f"media{path}").read_bytes() == files[path]
