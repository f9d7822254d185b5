# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No file is removed unless the bucket has the same content, whatever a HEAD says."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from encrypting_proxy import EncryptingProxy
from fault_proxy import Fault, FaultProxy, other_etags
from media_host import Files, MediaHost
from s3_server import S3Server

MIB = 1024 * 1024
KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"


@pytest.fixture
def offered(sqlite_host: MediaHost) -> list[Files]:
    media = [sqlite_host.add_local(), sqlite_host.add_local(), sqlite_host.add_remote()]
    assert sqlite_host.run("update-db")["rows_synced"] == 3
    return media


def put_object(s3: S3Server, bucket: str, key: str, body: bytes) -> None:
    s3.client().put_object(Bucket=bucket, Key=key, Body=body)


@pytest.mark.parametrize(
    ("damage", "difference"),
    [
        (lambda content: b"", "The object has 0 bytes, the file 1000 as Synapse's database says"),
        (lambda content: content[:-1], "The object has 999 bytes, the file 1000 as Synapse's database says"),
        (lambda content: content[:-1] + b"?", "both have 1000 bytes, as Synapse's database says, which has no SHA-256"),
    ],
    ids=["empty", "truncated", "same size"],
)
def test_good_file_survives_a_bad_object(
    sqlite_host: MediaHost,
    s3: S3Server,
    offered: list[Files],
    damage: Callable[[bytes], bytes],
    difference: str,
) -> None:
    """Upstream deletes the only good copy here and ends with exit status 0."""
    files = sqlite_host.on_disk()
    victim = offered[1].paths[0]
    bad = damage(files[victim])
    put_object(s3, sqlite_host.bucket, victim, bad)
    before = sqlite_host.everything()
    results = [sqlite_host.upload(s3, delete=True, check=True)]
    assert sqlite_host.everything() == before
    results += [sqlite_host.upload(s3, delete=True), sqlite_host.upload(s3, delete=True)]
    for result in results:
        assert result["failed"]
        assert result["differing_files"] == [victim]
        assert victim in result["msg"] and difference in result["msg"] and "Nothing was deleted" in result["msg"]
        assert (result["files_deleted"], result["media_deleted"]) == (0, 0)
    assert sqlite_host.on_disk() == files
    # The others are uploaded, and the object is left for the operator to compare.
    assert (results[0]["files_uploaded"], results[1]["files_uploaded"], results[2]["files_uploaded"]) == (5, 5, 0)
    assert (s3.buckets / sqlite_host.bucket / victim).read_bytes() == bad

    s3.client().delete_object(Bucket=sqlite_host.bucket, Key=victim)
    repaired = sqlite_host.upload(s3, delete=True)
    assert (repaired["files_uploaded"], repaired["files_deleted"]) == (1, 6)
    assert (s3.buckets / sqlite_host.bucket / victim).read_bytes() == files[victim]


@pytest.mark.parametrize(
    ("length", "digest", "damage", "words"),
    [
        (
            1000,
            False,
            lambda content: b"\0" * 1000,
            "both have 1000 bytes, as Synapse's database says, which has no SHA",
        ),
        (
            None,
            False,
            lambda content: b"\0" * 1000,
            "both have 1000 bytes, and Synapse's database has no length and no",
        ),
        (None, False, lambda content: content[:500], "the file has 500 bytes and its object 1000, and Synapse's"),
        (1000, False, lambda content: content[:500], "The file has 500 bytes, its object 1000 as Synapse's"),
        (1000, True, lambda content: b"\0" * 1000, "The file's SHA-256 is not that of Synapse's database"),
    ],
    ids=["no digest", "neither", "neither, half a file", "length", "digest"],
)
def test_good_object_survives_a_damaged_file(
    host: MediaHost,
    s3: S3Server,
    length: int | None,
    digest: bool,
    damage: Callable[[bytes], bytes],
    words: str,
) -> None:
    """A file that its row does not prove replaces no object and is not deleted: both stay, and both are named."""
    media = [host.add_local(thumbnails=0), host.add_remote(thumbnails=0)]
    assert host.run("update-db")["rows_synced"] == 2
    good = host.on_disk()
    for item, table in zip(media, ("local_media_repository", "remote_media_cache")):
        (path,) = item.paths
        sha256 = hashlib.sha256(good[path]).hexdigest() if digest else None
        host.database.execute(
            f"UPDATE {table} SET media_length = %s, sha256 = %s WHERE media_id = %s", (length, sha256, item.media_id)
        )
        put_object(s3, host.bucket, path, good[path])
        host.put(path, damage(good[path]))
    damaged = host.on_disk()
    for check in (True, False, False):
        result = host.upload(s3, delete=True, check=check)
        assert result["failed"] and sorted(result["differing_files"]) == sorted(good)
        assert result["msg"].count(words) == 2 and "Nothing was deleted" in result["msg"], result["msg"]
        assert (result["files_uploaded"], result["files_deleted"]) == (0, 0)
    assert host.on_disk() == damaged
    assert {path: (s3.buckets / host.bucket / path).read_bytes() for path in good} == good


def test_damaged_thumbnail(sqlite_host: MediaHost, s3: S3Server, offered: list[Files]) -> None:
    thumbnail = offered[0].paths[1]
    put_object(s3, sqlite_host.bucket, thumbnail, sqlite_host.on_disk()[thumbnail])
    sqlite_host.put(thumbnail, b"\0" * 1000)
    result = sqlite_host.upload(s3, delete=True)
    assert result["failed"] and "no SHA-256 of thumbnails" in result["msg"] and result["files_deleted"] == 0


@pytest.mark.usefixtures("offered")
def test_objects_with_another_customer_key_are_no_proof(sqlite_host: MediaHost, s3: S3Server) -> None:
    """The listing shows the MD5 of the plaintext anyway, as in Ceph and SeaweedFS."""
    files = sqlite_host.on_disk()
    with EncryptingProxy(s3.port) as proxy:
        stored: dict[str, Any] = {"endpoint_url": proxy.endpoint_url, "sse_customer_key": KEY}
        assert sqlite_host.upload(s3, **stored)["files_uploaded"] == 6
        for check in (True, False):
            other = sqlite_host.upload(s3, delete=True, check=check, **{**stored, "sse_customer_key": OTHER_KEY})
            assert other["failed"] and "another key or without one" in other["msg"]
            assert sorted(failure["path"] for failure in other["failed_files"]) == sorted(files)
            none = sqlite_host.upload(s3, delete=True, check=check, endpoint_url=proxy.endpoint_url)
            assert none["failed"] and "needs a customer key" in none["msg"]
            assert "synapse_s3_sse_customer_key is not set" in none["msg"]
        assert sqlite_host.on_disk() == files
        assert sqlite_host.upload(s3, delete=True, **stored)["files_deleted"] == 6


@pytest.mark.usefixtures("offered")
def test_each_object_is_checked_with_the_customer_key(sqlite_host: MediaHost, s3: S3Server) -> None:
    """One of many objects needs another key: nothing is deleted, and the object is named."""
    files = sqlite_host.on_disk()
    victim = sorted(files)[3]
    with EncryptingProxy(s3.port) as proxy:
        stored: dict[str, Any] = {"endpoint_url": proxy.endpoint_url, "sse_customer_key": KEY}
        assert sqlite_host.upload(s3, **stored)["files_uploaded"] == 6
        proxy.digests[f"/{sqlite_host.bucket}/{victim}"] = "another digest"
        result = sqlite_host.upload(s3, delete=True, **stored)
    assert result["failed"] and [failure["path"] for failure in result["failed_files"]] == [victim]
    assert sqlite_host.on_disk() == files


@pytest.mark.usefixtures("offered")
def test_server_that_ignores_the_customer_key(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    files = sqlite_host.on_disk()

    def without_confirmation(answer: Any) -> Any:
        answer.headers = {
            name: value for name, value in answer.headers.items() if "encryption-customer" not in name.lower()
        }
        return answer

    proxy.faults.append(Fault("HEAD", change=without_confirmation))
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url, sse_customer_key=KEY)
    assert result["failed"] and "ignores synapse_s3_sse_customer_key" in result["msg"]
    assert sqlite_host.on_disk() == files


def test_without_delete_nothing_is_compared(sqlite_host: MediaHost, s3: S3Server, offered: list[Files]) -> None:
    put_object(s3, sqlite_host.bucket, offered[0].paths[0], b"")
    assert sqlite_host.upload(s3)["files_uploaded"] == 5


@pytest.mark.usefixtures("offered")
def test_etag_that_is_not_a_digest(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    """As with SSE-C and SSE-KMS: the object's bytes are compared instead of its ETag."""
    assert sqlite_host.upload(s3)["files_uploaded"] == 6
    proxy.faults += [Fault(method, change=other_etags) for method in ("GET", "HEAD", "PUT")]
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert result["files_deleted"] == 6
    assert proxy.count("GET", r"/(local|remote)_") == 6


def test_etag_that_is_not_a_digest_and_other_bytes(
    sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy, offered: list[Files]
) -> None:
    assert sqlite_host.upload(s3)["files_uploaded"] == 6
    victim = offered[2].paths[1]
    put_object(s3, sqlite_host.bucket, victim, b"!" * 1000)
    proxy.faults += [Fault(method, change=other_etags) for method in ("GET", "HEAD")]
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert result["failed"] and result["differing_files"] == [victim]


@pytest.mark.parametrize("part_mib", [8, 5, 7.5], ids=["boto3's parts", "other parts", "unknown parts"])
def test_multipart_etag(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy, part_mib: float) -> None:
    """The ETag is computed here as S3 does, since this server gives plain MD5s; unusual part sizes need the bytes."""
    large = sqlite_host.add_local(size=18 * MIB, thumbnails=0).paths[0]
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    assert sqlite_host.upload(s3)["files_uploaded"] == 1
    content = sqlite_host.on_disk()[large]
    part = int(part_mib * MIB)
    parts = [hashlib.md5(content[start : start + part]).digest() for start in range(0, len(content), part)]
    etag = f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"
    plain = hashlib.md5(content).hexdigest()

    def composed(answer: Any) -> Any:
        answer.body = answer.body.replace(plain.encode(), etag.encode())
        return answer

    proxy.faults.append(Fault("GET", "list-type=2", change=composed))
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert result["files_deleted"] == 1
    assert proxy.count("GET", "/local_content/") == (1 if part_mib == 7.5 else 0)


def test_large_file_is_uploaded_in_parts_and_proven(sqlite_host: MediaHost, s3: S3Server) -> None:
    large = sqlite_host.add_local(size=20 * MIB, thumbnails=0).paths[0]
    content = sqlite_host.on_disk()[large]
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    result = sqlite_host.upload(s3, delete=True)
    assert (result["bytes_uploaded"], result["bytes_deleted"]) == (20 * MIB, 20 * MIB)
    assert (s3.buckets / sqlite_host.bucket / large).read_bytes() == content


def test_listings_need_fewer_requests_than_one_a_file(
    sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy, offered: list[Files]
) -> None:
    assert sqlite_host.upload(s3)["files_uploaded"] == 6
    checked = sqlite_host.upload(s3, delete=True, check=True, endpoint_url=proxy.endpoint_url)
    assert checked["files_deleted"] == 6
    # One HEAD shows that the objects can be read with these keys.
    assert (proxy.count("GET"), proxy.count("HEAD")) == (1, 1)


def test_listing_that_leaves_existing_keys_out(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    """On an S3 server with an order of its own, a key that no listing has is checked by HEAD before it counts as
    missing.
    """
    only = sqlite_host.add_local(thumbnails=0)
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    assert sqlite_host.upload(s3)["files_uploaded"] == 1

    def without_contents(answer: Any) -> Any:
        start, end = answer.body.find(b"<Contents>"), answer.body.rfind(b"</Contents>")
        answer.body = answer.body[:start] + answer.body[end + len(b"</Contents>") :]
        return answer

    proxy.faults.append(Fault("GET", "list-type=2", change=without_contents))
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert (result["files_uploaded"], result["files_deleted"]) == (0, 1), only


@pytest.mark.usefixtures("offered")
def test_object_that_disappears_before_the_removal(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    """Proven by a listing, missing at the HEAD before the removal: the next run uploads it again."""
    assert sqlite_host.upload(s3)["files_uploaded"] == 6
    files = sqlite_host.on_disk()
    victim = sorted(files)[0]
    proxy.faults.append(Fault("HEAD", victim, status=404, times=2))
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert result["failed"] and result["failed_files"][0]["path"] == victim
    assert "gone" in result["failed_files"][0]["error"]
    assert sqlite_host.on_disk() == {victim: files[victim]}
    assert result["files_deleted"] == 5


def test_file_that_is_created_while_the_script_runs(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    """A thumbnail that Synapse creates meanwhile may be half written; the next run moves it."""
    media = sqlite_host.add_local(thumbnails=1)
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    assert sqlite_host.upload(s3)["files_uploaded"] == 2
    late = media.paths[1].replace("32-32", "96-96")

    def synapse_makes_a_thumbnail(dummy: str) -> None:
        sqlite_host.put(late, b"half a thumb")

    # The listing is over and the script has not read the disk yet: its first HEAD is for the original.
    proxy.faults.append(Fault("GET", "list-type=2", times=1, before=synapse_makes_a_thumbnail))
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert not result.get("failed"), result
    assert (result["files_deleted"], result["left_alone"]) == (2, [late])
    assert sqlite_host.on_disk() == {late: b"half a thumb"}
    assert s3.keys(sqlite_host.bucket) == sorted(media.paths)
    again = sqlite_host.upload(s3, delete=True)
    assert (again["files_uploaded"], again["files_deleted"], sqlite_host.on_disk()) == (1, 1, {})


def test_file_that_changes_after_its_proof(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    """The last guard: the file differs when the script is about to remove it."""
    media = sqlite_host.add_local(thumbnails=0)
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    assert sqlite_host.upload(s3)["files_uploaded"] == 1

    def written_to(dummy: str) -> None:
        sqlite_host.put(media.paths[0], b"newer content", age_days=0)

    # The first HEAD shows that objects can be read with these keys.
    proxy.faults += [
        Fault("HEAD", times=1, change=lambda answer: answer),
        Fault("HEAD", media.paths[0], before=written_to),
    ]
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert result["failed"] and media.paths[0] in result["msg"] and "was not removed" in result["msg"]
    assert (result["files_deleted"], sqlite_host.on_disk()) == (0, {media.paths[0]: b"newer content"})


def test_file_that_changes_while_it_is_uploaded(sqlite_host: MediaHost, s3: S3Server, proxy: FaultProxy) -> None:
    media = sqlite_host.add_local(thumbnails=0)
    assert sqlite_host.run("update-db")["rows_synced"] == 1

    def written_to(dummy: str) -> None:
        sqlite_host.put(media.paths[0], b"newer content", age_days=0)

    proxy.faults.append(Fault("PUT", media.paths[0], times=1, before=written_to))
    result = sqlite_host.upload(s3, delete=True, endpoint_url=proxy.endpoint_url)
    assert result["failed"] and media.paths[0] in result["msg"] and "Nothing was deleted" in result["msg"]
    assert sqlite_host.on_disk() == {media.paths[0]: b"newer content"}


def test_recent_files_are_left_for_later(sqlite_host: MediaHost, s3: S3Server) -> None:
    media = sqlite_host.add_local(thumbnails=0)
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    path = sqlite_host.media_path / media.paths[0]
    os.utime(path)
    started = time.time()
    assert sqlite_host.upload(s3, delete=True)["files_deleted"] == 1
    assert time.time() - started > 4
