# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module media_offload with a real S3 server and a real database: its report equals what it does."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

import pytest
from fault_proxy import Fault, FaultProxy
from media_host import MediaHost
from run_module import run_module, run_module_process
from s3_server import S3Server

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of files")


def arguments(host: MediaHost, s3: S3Server, **options: Any) -> dict[str, Any]:
    given = {
        **s3.connection(host.bucket, region_name="us-east-1"),
        "state_dir": str(host.state_dir),
        "homeserver_config": [str(host.config)],
        **options,
    }
    given.setdefault("synapse_configs", host.fetches_from(given))
    return {name: value for name, value in given.items() if value is not None}


def offload(
    host: MediaHost, s3: S3Server, *, check: bool = False, diff: bool = False, **options: Any
) -> dict[str, Any]:
    return run_module("media_offload", arguments(host, s3, **options), check, diff)


def in_bucket(s3: S3Server, bucket: str, prefix: str = "") -> dict[str, bytes]:
    client = s3.client()
    return {
        key[len(prefix) :]: client.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in s3.keys(bucket)
        if key.startswith(prefix)
    }


def test_check_mode_reports_what_the_real_run_does_and_a_second_run_does_nothing(host: MediaHost, s3: S3Server) -> None:
    host.add_local(size=3000)
    host.add_remote()
    young = host.add_local(age_days=0.1)
    before, everything = host.on_disk(), host.everything()

    checked = offload(host, s3, check=True, diff=True, prefix="media/")
    assert checked["changed"] and checked["dry_run"] is True
    assert host.everything() == everything and s3.keys(host.bucket) == []

    done = offload(host, s3, diff=True, prefix="media/")
    assert done["changed"] and done["dry_run"] is False
    for name in ("scanned", "uploaded", "verified", "deleted", "repaired", "skipped_files", "failed_files", "diff"):
        assert done[name] == checked[name], name
    assert done["uploaded"] == done["deleted"] == {"files": 4, "bytes": 8000}
    assert done["skipped_files"] == {"recent": {"files": 2, "bytes": 2000}}
    assert (done["failures"], done["failed_files"], done["exit_status"]) == (0, [], 0)
    assert done["requests"]["put"] == 4 and checked["requests"]["put"] == 0
    assert done["database_rows"] == 3
    kept = {path: content for path, content in before.items() if path in young.paths}
    assert host.on_disk() == kept
    assert in_bucket(s3, host.bucket, "media/") == {path: before[path] for path in before if path not in kept}

    for check in (True, False):
        again = offload(host, s3, check=check, diff=True, prefix="media/")
        assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"] == ""


def test_diff_names_the_moved_files(sqlite_host: MediaHost, s3: S3Server) -> None:
    new = sqlite_host.add_local(thumbnails=0).paths[0]
    there = sqlite_host.add_local(thumbnails=0).paths[0]
    other = sqlite_host.add_local(thumbnails=0).paths[0]
    s3.client().put_object(Bucket=sqlite_host.bucket, Key=there, Body=sqlite_host.on_disk()[there])
    s3.client().put_object(Bucket=sqlite_host.bucket, Key=other, Body=b"x" * 999)
    done = offload(sqlite_host, s3, diff=True)
    assert sorted(done["diff"]["before"].splitlines()) == [
        f"{new}: on disk",
        f"{there}: on disk and in the bucket",
        f"{other}: on disk, and another content in the bucket",
    ]
    assert sorted(done["diff"]["after"].splitlines()) == sorted(
        f"{path}: in the bucket" for path in (new, there, other)
    )
    assert (done["uploaded"]["files"], done["verified"]["files"], done["repaired"]["files"]) == (1, 1, 1)
    assert done["deleted"] == {"files": 3, "bytes": 3000}


def test_a_long_diff_says_how_many_lines_are_missing(sqlite_host: MediaHost, s3: S3Server) -> None:
    for dummy in range(60):
        sqlite_host.add_local()
    checked = offload(sqlite_host, s3, check=True, diff=True)
    lines = checked["diff"]["before"].splitlines()
    assert len(lines) == 101 and lines[-1] == "... and 20 more"


def test_local_files_may_be_kept(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    before = sqlite_host.on_disk()
    done = offload(sqlite_host, s3, delete_local=False, diff=True)
    assert done["changed"] and done["uploaded"]["files"] == 2 and done["deleted"]["files"] == 0
    assert all(line.endswith(": on disk and in the bucket") for line in done["diff"]["after"].splitlines())
    assert sqlite_host.on_disk() == before == in_bucket(s3, sqlite_host.bucket)
    assert not offload(sqlite_host, s3, delete_local=False)["changed"]


def test_the_size_of_the_media_is_kept_with_old_objects_alone(sqlite_host: MediaHost, s3: S3Server) -> None:
    media = [sqlite_host.add_local(age_days=days, thumbnails=0).paths[0] for days in range(10, 20)]
    options: dict[str, Any] = {"older_than": "10y", "local_cache_size": "5K", "diff": True}
    selected = {"older_than": {"files": 0, "bytes": 0}, "local_cache_size": {"files": 5, "bytes": 5000}}
    for check in (True, False):
        young = offload(sqlite_host, s3, check=check, min_bucket_age="7d", **options)
        assert (young["selected"], young["kept"]) == (selected, {"files": 5, "bytes": 5000})
        assert (young["uploaded"]["files"], young["deleted"]["files"]) == (5, 0)
        after = young["diff"]["after"].splitlines()
        assert len(after) == 5 and all(line.endswith(": on disk and in the bucket") for line in after)
        assert "9.8 KiB of media after this run" in young["warnings"][-1]
    assert len(sqlite_host.on_disk()) == 10
    assert not offload(sqlite_host, s3, min_bucket_age="7d", **options)["changed"]
    done = offload(sqlite_host, s3, **options)
    assert (done["selected"], done["deleted"]["files"], "kept" in done) == (selected, 5, False)
    assert sorted(sqlite_host.on_disk()) == sorted(media[:5]) and s3.keys(sqlite_host.bucket) == sorted(media[5:])
    assert not offload(sqlite_host, s3, **options)["changed"]


def test_a_file_that_fails_is_named_and_the_others_are_moved(sqlite_host: MediaHost, s3: S3Server) -> None:
    good = sqlite_host.add_local(thumbnails=0).paths[0]
    bad = sqlite_host.add_local(thumbnails=0).paths[0]
    sqlite_host.put(bad, b"not what the row says", age_days=30)
    done = offload(sqlite_host, s3)
    assert done["failed"] is True and done["exit_status"] == 1 and done["changed"]
    assert [(failure["path"], failure["key"]) for failure in done["failed_files"]] == [(bad, bad)]
    assert bad in done["msg"] and done["failed_files"][0]["error"] in done["msg"]
    assert list(sqlite_host.on_disk()) == [bad] and s3.keys(sqlite_host.bucket) == [good]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"older_than": "soon"}, "no duration"),
        ({"grace": "1 minute"}, "grace in the task"),
        ({"concurrency": 0}, "from 1 to 1024"),
        ({"bandwidth_limit": "fast"}, "no size"),
        ({"shard": "3/2"}, "3/2"),
        ({"local_cache_size": "0"}, "local_cache_size in the task"),
        ({"local_cache_size": "5G", "delete_local": False}, "delete_local is false"),
        ({"min_free": "1000T"}, "Choose a smaller one"),
        ({"min_bucket_age": "a week"}, "min_bucket_age in the task"),
        ({"metrics_file": "/nowhere/at/all/offload.prom"}, "metrics_file"),
        ({"media_path": "/nowhere"}, "/nowhere"),
        ({"user": "root"}, "root"),
        ({"user": "no-such-user"}, "no-such-user"),
        ({"database": {"name": "sqlite3", "args": {"database": "/nowhere.db"}}}, "/nowhere.db"),
    ],
)
def test_refuses_and_changes_nothing(sqlite_host: MediaHost, s3: S3Server, options: dict[str, Any], words: str) -> None:
    sqlite_host.add_local()
    before = sqlite_host.on_disk()
    refused = offload(sqlite_host, s3, **options)
    assert refused["failed"] is True and words in refused["msg"], refused["msg"]
    assert refused["exit_status"] == 2 and not refused["changed"] and "exception" not in refused
    assert sqlite_host.on_disk() == before and s3.keys(sqlite_host.bucket) == []


def test_refuses_another_location_than_before(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    assert offload(sqlite_host, s3)["changed"]
    sqlite_host.add_local()
    refused = offload(sqlite_host, s3, prefix="elsewhere")
    assert refused["exit_status"] == 2 and "synapse_s3_prefix" in refused["msg"]
    assert len(sqlite_host.on_disk()) == 2
    (sqlite_host.state_dir / "location").unlink()
    assert offload(sqlite_host, s3, prefix="elsewhere")["changed"]


def test_a_missing_bucket_is_one_error_and_can_be_corrected(sqlite_host: MediaHost, s3: S3Server) -> None:
    for dummy in range(5):
        sqlite_host.add_local()
    refused = offload(sqlite_host, s3, bucket="no-such-bucket")
    assert refused["exit_status"] == 2 and "synapse_s3_bucket" in refused["msg"] and refused["failed_files"] == []
    assert offload(sqlite_host, s3)["deleted"]["files"] == 10


def test_a_database_without_media_beside_a_full_disk_is_refused(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.put_remote("remote.example", "ReMoteWithoutARow123456")
    refused = offload(sqlite_host, s3)
    assert refused["exit_status"] == 2 and "knows of no media at all" in refused["msg"]
    assert len(sqlite_host.on_disk()) == 2


def test_a_second_run_is_refused(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    other_run = os.open(sqlite_host.media_path, os.O_RDONLY)
    try:
        fcntl.flock(other_run, fcntl.LOCK_EX)
        refused = offload(sqlite_host, s3)
        assert refused["exit_status"] == 3 and "Wait until it has ended" in refused["msg"]
        # Runs of different shards exclude only runs without shards.
        assert offload(sqlite_host, s3, shard="1/2")["exit_status"] == 3
        fcntl.flock(other_run, fcntl.LOCK_SH)
        assert offload(sqlite_host, s3)["exit_status"] == 3 and s3.keys(sqlite_host.bucket) == []
        shares = [offload(sqlite_host, s3, shard=f"{number}/2") for number in (1, 2)]
    finally:
        os.close(other_run)
    assert sorted(share["deleted"]["files"] for share in shares) == [0, 2] and sqlite_host.on_disk() == {}


def test_no_secret_is_in_the_output(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    sqlite_host.add_local()
    secrets = {
        "secret_access_key": "s3cr3t-of-the-key",
        "session_token": "t0ken-of-the-session",
        "sse_customer_key": "0123456789abcdef0123456789abcdeX",
    }
    database = {"name": "psycopg2", "args": {"password": "passw0rd-of-rows", "host": "127.0.0.1", "port": 9}}
    proxy.faults.append(Fault("GET", status=403, code="AccessDenied"))
    for others in ({}, {"database": database}):
        options = arguments(sqlite_host, s3, endpoint_url=proxy.endpoint_url, **secrets, **others)
        done = run_module_process("media_offload", options, diff=True)
        assert done.returncode != 0
        assert json.loads(done.stdout)["exit_status"] == 2, done.stdout
        for secret in (*secrets.values(), "passw0rd-of-rows"):
            shown = json.dumps({**json.loads(done.stdout), "invocation": None})
            assert secret not in shown and secret not in done.stderr


@root_only
def test_root_leaves_no_file_of_its_own(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    metrics = sqlite_host.directory / "offload.prom"
    done = offload(sqlite_host, s3, metrics_file=str(metrics))
    assert done["changed"], done
    made = [sqlite_host.state_dir, *sqlite_host.state_dir.iterdir(), metrics]
    assert {path.stat().st_uid for path in made} == {sqlite_host.account.pw_uid}
    assert sqlite_host.state_dir.stat().st_mode & 0o777 == 0o700
    assert metrics.stat().st_mode & 0o777 == 0o644
    assert "\nsynapse_s3_offload_success 1\n" in metrics.read_text()
