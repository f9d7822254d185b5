# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module media_restore with a real S3 server and both kinds of real database."""

from __future__ import annotations

import os
import random
import shutil
import time
from typing import Any

import pytest
from encrypting_proxy import EncryptingProxy
from media_host import MediaHost
from run_module import run_module, run_module_process
from s3_server import S3Server

SEED = int(os.environ.get("RESTORE_SEED") or time.time_ns() % 2**32)
CUSTOMER_KEY = "0123456789abcdef0123456789abcdef"


def arguments(host: MediaHost, s3: S3Server, **options: Any) -> dict[str, Any]:
    given = {
        **s3.connection(host.bucket, region_name="us-east-1"),
        "state_dir": str(host.state_dir),
        "homeserver_config": [str(host.config)],
        **options,
    }
    return {**given, "synapse_configs": host.fetches_from(given)}


def restore(
    host: MediaHost, s3: S3Server, *, check: bool = False, diff: bool = False, **options: Any
) -> dict[str, Any]:
    return run_module("media_restore", arguments(host, s3, **options), check, diff)


def move(host: MediaHost, s3: S3Server, **options: Any) -> dict[str, Any]:
    moved = run_module("media_offload", arguments(host, s3, **options))
    assert not moved.get("failed"), moved
    assert host.on_disk() == {}
    return moved


def test_what_left_the_disk_comes_back(host: MediaHost, s3: S3Server) -> None:
    host.add_local(thumbnails=2)
    host.add_local(size=400_000)
    host.add_remote()
    before = host.on_disk()
    move(host, s3)
    at_rest = host.everything()

    checked = restore(host, s3, check=True, diff=True)
    assert (checked["changed"], checked["restored"]["files"]) == (True, len(before)), checked
    assert sorted(line.split(":")[0] for line in checked["diff"]["after"].splitlines()) == sorted(before)
    assert host.everything() == at_rest

    restored = restore(host, s3)
    assert (restored["exit_status"], restored["changed"]) == (0, True), restored
    assert (
        restored["restored"]
        == checked["restored"]
        == {
            "files": len(before),
            "bytes": sum(map(len, before.values())),
        }
    )
    assert host.on_disk() == before
    again = restore(host, s3, check=True)
    assert (again["changed"], again["present"]["files"], again["requests"]) == (False, len(before), {"list": 1})


def test_by_user_and_by_id_in_the_real_tables(host: MediaHost, s3: S3Server) -> None:
    ours, others = host.add_local(), host.add_local()
    theirs = host.add_remote(origin="matrix.example")
    host.database.execute("UPDATE local_media_repository SET user_id = %s WHERE media_id = %s", ("@a:b", ours.media_id))
    move(host, s3)
    by_user = restore(host, s3, users=["@a:b"])
    assert sorted(host.on_disk()) == sorted(ours.paths), by_user
    by_id = restore(host, s3, media_ids=[f"mxc://matrix.example/{theirs.media_id}", others.media_id])
    assert by_id["exit_status"] == 0, by_id
    assert sorted(host.on_disk()) == sorted([*ours.paths, *others.paths, *theirs.paths])
    unknown = restore(host, s3, media_ids=["mxc://matrix.example/none"])
    assert (unknown["failed"], unknown["failures"]) == (True, 1)


def test_another_location_than_the_recorded_one_is_refused(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    move(sqlite_host, s3)
    refused = restore(sqlite_host, s3, prefix="elsewhere/")
    assert (refused["failed"], refused["exit_status"]) == (True, 2)
    assert "prefix" in refused["msg"]
    assert sqlite_host.on_disk() == {}


def test_objects_of_a_customer_key(sqlite_host: MediaHost, s3: S3Server) -> None:
    with EncryptingProxy(s3.port) as proxy:
        sqlite_host.add_local(thumbnails=1)
        sqlite_host.add_local(size=400_000)
        before = sqlite_host.on_disk()
        given = {"endpoint_url": proxy.endpoint_url, "sse_customer_key": CUSTOMER_KEY}
        move(sqlite_host, s3, **given)
        done = run_module_process("media_restore", arguments(sqlite_host, s3, **given))
        assert done.returncode == 0, done.stdout
        assert CUSTOMER_KEY not in done.stdout + done.stderr
        assert sqlite_host.on_disk() == before


@pytest.mark.parametrize("number", range(4))
def test_it_restores_what_a_brute_force_would(sqlite_host: MediaHost, s3: S3Server, number: int) -> None:
    """Some files leave the disk, some objects the bucket, some differ; the outcome is worked out path by path."""
    print(f"RESTORE_SEED={SEED}")
    host, dice, client = sqlite_host, random.Random(f"{SEED}/{number}"), s3.client()
    for dummy in range(8):
        size, age = dice.choice((1, 900, 300_000)), dice.choice((2, 40))
        host.add_local(size=size, thumbnails=dice.randrange(3), age_days=age)
        host.add_remote(origin=dice.choice(("a.example", "b.example")), age_days=dice.choice((2, 40)))
    objects = host.on_disk()
    ages = {path: (host.media_path / path).stat().st_mtime for path in objects}
    for path in list(objects):
        if dice.random() < 0.1:
            del objects[path]
        elif dice.random() < 0.1:
            objects[path] = objects[path] + b"longer"
    for path, content in objects.items():
        client.put_object(Bucket=host.bucket, Key=path, Body=content)
    for path in host.on_disk():
        if dice.random() < 0.7:
            (host.media_path / path).unlink()
    if dice.random() < 0.5:
        shutil.rmtree(host.media_path / "local_thumbnails")
    chosen: dict[str, Any] = dice.choice(
        ({}, {"kind": "local"}, {"origins": ["a.example"]}, {"originals_only": True}, {"newer_than": "7d"})
    )
    before = host.on_disk()
    expected, failures = dict(before), set()
    for path, content in objects.items():
        original = "_content/" in path
        taken = {
            "kind": not path.startswith("remote"),
            "origins": path.split("/")[1] == "a.example" and path.startswith("remote"),
            "originals_only": original,
            "newer_than": ages[path] > time.time() - 7 * 86_400,
        }
        if not all(taken[name] for name in chosen):
            continue
        if path in before:
            failures |= {path} if len(before[path]) != len(content) else set()
        elif original and content.endswith(b"longer"):
            failures.add(path)
        else:
            expected[path] = content
    found = restore(host, s3, **chosen)
    assert "error" not in found, found
    assert {failure["path"] for failure in found["failed_files"]} == failures
    assert host.on_disk() == expected
    assert found["restored"]["files"] == len(expected) - len(before)
    assert found["exit_status"] == (1 if failures else 0)
