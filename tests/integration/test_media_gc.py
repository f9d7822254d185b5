# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module media_gc with a real S3 server and both kinds of real database."""

from __future__ import annotations

from typing import Any

from garbage import pass_time, put_old
from media_host import MediaHost
from run_module import run_module
from s3_server import S3Server

LOCAL_ORPHAN = "local_content/Go/ne/aaaaaaaaaaaaaaaaaaaa"
THUMBNAIL = "local_thumbnails/Go/ne/aaaaaaaaaaaaaaaaaaaa/32-32-image-png-scale"
REMOTE_ORPHAN = "remote_content/gone.example/Go/ne/bbbbbbbbbbbbbbbbbbbb"
ORPHANS = (LOCAL_ORPHAN, THUMBNAIL, REMOTE_ORPHAN)


def arguments(host: MediaHost, s3: S3Server, **options: Any) -> dict[str, Any]:
    return {
        **s3.connection(host.bucket, region_name="us-east-1"),
        "state_dir": str(host.state_dir),
        "homeserver_config": [str(host.config)],
        "max_percent": 90,
        **options,
    }


def collect(
    host: MediaHost, s3: S3Server, *, check: bool = False, diff: bool = False, **options: Any
) -> dict[str, Any]:
    return run_module("media_gc", arguments(host, s3, **options), check, diff)


def fill(host: MediaHost, s3: S3Server) -> dict[str, bytes]:
    """Media with rows on the disk and in the bucket, and objects without; the contents of all objects."""
    host.add_local(thumbnails=2)
    host.add_remote(thumbnails=1)
    objects = {**host.on_disk(), **{path: path.encode() for path in ORPHANS}}
    for path, content in objects.items():
        put_old(s3.client(), host.bucket, path, content)
    return objects


def in_bucket(host: MediaHost, s3: S3Server) -> dict[str, bytes]:
    return {
        key: s3.client().get_object(Bucket=host.bucket, Key=key)["Body"].read()
        for key in s3.keys(host.bucket)
        if key != "synapse-s3-trash/trial"
    }


def test_what_has_no_row_goes_to_the_trash_and_comes_back(host: MediaHost, s3: S3Server) -> None:
    objects = fill(host, s3)
    at_rest = host.everything()
    checked = collect(host, s3, check=True, confirm=True)
    assert (checked["exit_status"], checked["changed"], checked["orphans"]["files"]) == (0, False, 3), checked
    assert host.everything() == at_rest

    looked = collect(host, s3, confirm=True)
    assert (looked["changed"], looked["skipped_files"]["seen_lately"]["files"]) == (False, 3), looked
    pass_time(host.state_dir, 31)
    at_rest = host.everything()
    checked = collect(host, s3, check=True, diff=True, confirm=True)
    assert (checked["changed"], checked["trashed"]["files"]) == (True, 3), checked
    assert [line.split(":")[0] for line in checked["diff"]["after"].splitlines()] == sorted(ORPHANS)
    assert host.everything() == at_rest and in_bucket(host, s3) == objects

    collected = collect(host, s3, confirm=True)
    assert (collected["exit_status"], collected["changed"], collected["trashed"]["files"]) == (0, True, 3), collected
    left = {path: content for path, content in objects.items() if path not in ORPHANS}
    found = in_bucket(host, s3)
    assert {path: content for path, content in found.items() if not path.startswith("synapse-s3-trash/")} == left
    assert sorted(found.values()) == sorted(objects.values())
    again = collect(host, s3, confirm=True)
    assert (again["changed"], again["trash"]["files"]) == (False, 3), again

    given = {name: value for name, value in arguments(host, s3).items() if name != "max_percent"}
    status = run_module("media_info", given)
    assert (status["audit"]["trash"]["files"], status["audit"]["foreign_in_bucket"]["files"]) == (3, 0), status

    undone = collect(host, s3, undo=collected["log"])
    assert (undone["exit_status"], undone["changed"], undone["restored"]["files"]) == (0, True, 3), undone
    found = in_bucket(host, s3)
    assert {path: found[path] for path in objects} == objects
    assert collect(host, s3, undo=collected["log"])["changed"] is False


def test_another_servers_database_is_refused(sqlite_host: MediaHost, s3: S3Server) -> None:
    fill(sqlite_host, s3)
    sqlite_host.database.execute("UPDATE local_media_repository SET user_id = %s", ("@a:other.example",))
    sqlite_host.config.write_text(sqlite_host.config.read_text() + "server_name: synapse.example\n")
    refused = collect(sqlite_host, s3, confirm=True)
    assert (refused["failed"], refused["exit_status"]) == (True, 2), refused
    assert "@a:other.example" in refused["msg"]
    sqlite_host.database.execute("UPDATE local_media_repository SET user_id = %s", ("@a:synapse.example",))
    assert collect(sqlite_host, s3)["exit_status"] == 0


def test_another_location_than_the_recorded_one_is_refused(sqlite_host: MediaHost, s3: S3Server) -> None:
    fill(sqlite_host, s3)
    moved = run_module(
        "media_offload",
        {
            **{name: value for name, value in arguments(sqlite_host, s3).items() if name != "max_percent"},
            "synapse_configs": sqlite_host.fetches_from(arguments(sqlite_host, s3)),
        },
    )
    assert not moved.get("failed"), moved
    refused = collect(sqlite_host, s3, prefix="elsewhere/", confirm=True)
    assert (refused["failed"], refused["exit_status"]) == (True, 2)
    assert "prefix" in refused["msg"]
