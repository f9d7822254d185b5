# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the script fails, often with exit status 0, the module fails, says why, and loses nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from fault_proxy import ACCEPTED_BUT_NOT_KEPT, Fault, FaultProxy
from media_host import Files, MediaHost
from s3_server import S3Server

pytestmark = pytest.mark.filterwarnings("error")


def assert_refused(host: MediaHost, s3: S3Server, words: list[str], *, checks_too: bool = True, **options: Any) -> None:
    """Upload with delete fails with this message, in a real run and, unless only the script can know, in check mode."""
    files = host.on_disk()
    results = [host.upload(s3, delete=True, **options)]
    if checks_too:
        before = host.everything()
        results.append(host.upload(s3, delete=True, check=True, **options))
        assert host.everything() == before
    for result in results:
        assert result.get("failed"), result
        for word in words:
            assert word in result["msg"]
        assert (result.get("files_deleted", 0), result.get("bytes_deleted", 0)) == (0, 0)
    assert host.on_disk() == files


@pytest.mark.usefixtures("offered")
def test_missing_bucket(sqlite_host: MediaHost, s3: S3Server) -> None:
    assert_refused(sqlite_host, s3, ["'no-such-bucket' does not exist", "synapse_s3_bucket"], bucket="no-such-bucket")


@pytest.mark.usefixtures("offered")
def test_wrong_secret(sqlite_host: MediaHost, s3: S3Server) -> None:
    words = ["synapse_s3_secret_access_key"]
    assert_refused(sqlite_host, s3, words, secret_access_key="not-the-secret")


@pytest.mark.usefixtures("offered")
def test_no_credentials(sqlite_host: MediaHost, s3: S3Server) -> None:
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true"}
    words = ["no keys are set", "synapse_s3_access_key_id"]
    assert_refused(sqlite_host, s3, words, access_key_id=None, secret_access_key=None, environment=nowhere)


@pytest.mark.usefixtures("offered")
def test_unreachable_server(sqlite_host: MediaHost, s3: S3Server) -> None:
    s3.stop()
    assert_refused(sqlite_host, s3, ["cannot be reached", "synapse_s3_endpoint_url"])


@pytest.mark.usefixtures("offered")
def test_listing_refused(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("GET", "list-type=2", status=403, code="AccessDenied"))
    assert_refused(sqlite_host, s3, ["Listing the bucket failed", "s3:ListBucket"], endpoint_url=proxy.endpoint_url)


def test_put_refused(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy, offered: list[Files]) -> None:
    """The script ends with exit status 0 and prints `Uploaded 0 files`."""
    proxy.faults.append(Fault("PUT", status=403, code="AccessDenied"))
    words = ["4 files were not uploaded", "s3:PutObject"]
    assert_refused(sqlite_host, s3, words, endpoint_url=proxy.endpoint_url, checks_too=False)
    result = sqlite_host.upload(s3, endpoint_url=proxy.endpoint_url)
    failed_paths = sorted(failed["path"] for failed in result["failed_files"])
    assert failed_paths == sorted(path for media in offered for path in media.paths)
    assert "AccessDenied" in result["failed_files"][0]["error"]
    assert any("Uploaded 0 files" in line for line in result["script_lines"])
    assert result["changed"] is False


def test_one_put_refused(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy, offered: list[Files]) -> None:
    """All other files are uploaded and counted; nothing is deleted while one file is not in the bucket."""
    proxy.faults.append(Fault("PUT", "remote_content", status=403, code="AccessDenied"))
    files = sqlite_host.on_disk()
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert result["failed"]
    assert [failed["path"] for failed in result["failed_files"]] == [offered[1].paths[0]]
    assert (result["files_uploaded"], result["changed"], result["files_deleted"]) == (3, True, 0)
    assert sqlite_host.on_disk() == files
    proxy.faults.clear()
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert (result["files_uploaded"], result["files_deleted"]) == (1, 4)


@pytest.mark.usefixtures("offered")
def test_read_only_store(sqlite_host: MediaHost, tmp_path: Path, bucket: str) -> None:
    with S3Server(tmp_path / "read-only", read_only=True) as s3:
        s3.make_bucket(bucket)
        assert_refused(sqlite_host, s3, ["4 files were not uploaded"], checks_too=False)


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, ["s3:"]), (400, ["synapse_s3_endpoint_url"]), (503, ["overloaded"])],
)
@pytest.mark.usefixtures("offered")
def test_head_refused(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy, status: int, words: list[str]) -> None:
    """The script ends with a traceback; a response to HEAD has no body, so only the status code is known."""
    proxy.faults.append(Fault("HEAD", status=status))
    assert_refused(sqlite_host, s3, words, endpoint_url=proxy.endpoint_url, checks_too=False)


@pytest.mark.usefixtures("offered")
def test_head_refused_while_deleting(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    """Everything is in the bucket and proven; the HEAD before the removal is refused from the third file on."""
    assert sqlite_host.upload(s3)["files_uploaded"] == 4
    # The first HEAD shows that objects can be read with these keys.
    passed = Fault("HEAD", times=3, change=lambda answer: answer)
    proxy.faults += [passed, Fault("HEAD", status=403)]
    files = sqlite_host.on_disk()
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert result["failed"] and result["changed"]
    remaining = sqlite_host.on_disk()
    assert (result["files_deleted"], result["bytes_deleted"]) == (2, 2000) == (4 - len(remaining), 2000)
    for path in set(files) - set(remaining):
        assert (s3.buckets / sqlite_host.bucket / path).read_bytes() == files[path]


@pytest.mark.usefixtures("offered")
def test_server_that_does_not_store_what_it_accepted(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("PUT", answer=ACCEPTED_BUT_NOT_KEPT))
    words = ["the bucket does not hold", "which the script says it uploaded"]
    assert_refused(sqlite_host, s3, words, endpoint_url=proxy.endpoint_url, checks_too=False)
    assert s3.keys(sqlite_host.bucket) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change the owner of a file")
def test_unreadable_file(sqlite_host: MediaHost, s3: S3Server, offered: list[Files]) -> None:
    """The script ends with exit status 0. Check mode, which uploads nothing, finds it too."""
    path = offered[0].paths[0]
    os.chown(sqlite_host.media_path / path, 0, 0)
    (sqlite_host.media_path / path).chmod(0o600)
    assert_refused(sqlite_host, s3, [path])
    assert len(s3.keys(sqlite_host.bucket)) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change the owner of a directory")
def test_undeletable_file(sqlite_host: MediaHost, s3: S3Server, offered: list[Files]) -> None:
    path = offered[1].paths[0]
    os.chown((sqlite_host.media_path / path).parent, 0, 0)
    assert_refused(sqlite_host, s3, [path, "cannot be deleted"])
    assert len(s3.keys(sqlite_host.bucket)) == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change the owner of a directory")
def test_directory_that_cannot_be_read(sqlite_host: MediaHost, s3: S3Server, offered: list[Files]) -> None:
    """The script treats files that it cannot see as missing: it would mark the media as deleted."""
    directory = (sqlite_host.media_path / offered[0].paths[0]).parent
    os.chown(directory, 0, 0)
    directory.chmod(0o700)
    for check in (True, False):
        result = sqlite_host.run("check-deleted", check=check)
        assert result["failed"] and "cannot be looked at" in result["msg"]
    assert_refused(sqlite_host, s3, ["cannot be looked at", "Give the media store to the user"])
    directory.chmod(0o755)
    assert sqlite_host.run("check-deleted")["marked_deleted"] == 0


@pytest.mark.parametrize("check", [True, False])
def test_no_homeserver_config(sqlite_host: MediaHost, check: bool) -> None:
    sqlite_host.config.unlink()
    result = sqlite_host.run("update-db", check=check, media_path=str(sqlite_host.media_path))
    assert result["failed"] and "homeserver.yaml does not exist" in result["msg"]
    assert not sqlite_host.state_dir.exists()


@pytest.mark.parametrize("check", [True, False])
def test_missing_sqlite_database(sqlite_host: MediaHost, check: bool) -> None:
    """SQLite would create an empty one."""
    missing = sqlite_host.directory / "nowhere.db"
    database = {"name": "sqlite3", "args": {"database": str(missing)}}
    result = sqlite_host.run("update-db", check=check, database=database)
    assert (
        result["failed"] and "nowhere.db cannot be opened" in result["msg"] and "synapse_s3_database" in result["msg"]
    )
    assert not missing.exists()


def test_sqlite_database_of_another_program(sqlite_host: MediaHost) -> None:
    empty = sqlite_host.directory / "empty.db"
    empty.touch()
    sqlite_host.own(empty)
    result = sqlite_host.run("update-db", database={"name": "sqlite3", "args": {"database": str(empty)}})
    assert result["failed"] and "not Synapse's" in result["msg"] and "synapse_s3_database" in result["msg"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "Falsch-0815"}, ["password authentication failed", "user and password"]),
        ({"dbname": "nowhere"}, ["nowhere", "does not exist", "dbname"]),
        ({"dbname": "postgres"}, ["not Synapse's"]),
        ({"port": 1}, ["Connection refused", "host and port"]),
    ],
)
def test_postgresql_that_cannot_be_used(postgresql_host: MediaHost, change: dict[str, Any], words: list[str]) -> None:
    postgresql_host.add_local()
    section = postgresql_host.database.section()
    section["args"].update(change)
    for check in (True, False):
        result = postgresql_host.run("update-db", check=check, database=section)
        assert result["failed"], result
        for word in words:
            assert word in result["msg"]
        assert "Geheim" not in str(result) and "Falsch" not in str(result)


def test_missing_script(sqlite_host: MediaHost) -> None:
    for check in (True, False):
        result = sqlite_host.run("update-db", check=check, script="/nowhere/s3_media_upload")
        assert result["failed"] and "synapse_s3_migrate_script" in result["msg"]


def test_another_program_in_place_of_the_script(sqlite_host: MediaHost) -> None:
    """A program that ends with status 0 but prints no summary did not do the work."""
    other = sqlite_host.directory / "other.py"
    other.write_text("print('hello')\n")
    result = sqlite_host.run("update-db", script=str(other))
    assert result["failed"] and "summary lacks rows_synced" in result["msg"]
    assert result["script_lines"] == ["hello"]


def test_damaged_cache_database(sqlite_host: MediaHost, offered: list[Files]) -> None:
    (sqlite_host.state_dir / "cache.db").write_bytes(b"this is no database" * 100)
    result = sqlite_host.run("check-deleted")
    assert result["failed"] and "damaged" in result["msg"] and "update-db makes a new one" in result["msg"]


def test_invalid_duration(sqlite_host: MediaHost) -> None:
    result = sqlite_host.run("update-db", older_than="1min")
    assert result["failed"] and "no duration" in result["msg"]
    assert yaml.safe_load(sqlite_host.config.read_text())["media_store_path"] == str(sqlite_host.media_path)
