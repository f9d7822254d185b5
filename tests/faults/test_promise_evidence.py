# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which objects count as copies that Synapse could read, and how old the server's response about them may be."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.checksums import Checksum
from fault_proxy import Response
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from wire_faults import changed, refuse
from wire_proxy import COMPLETE, CREATE, GET, HEAD, LIST, PART, PUT, UPLOADS, Act, Exchange, WireProxy

FAST_CRCS = ("crc64nvme", "crc32")
CUSTOMER_KEY = "0123456789abcdef0123456789abcdef"
MIB = 1024 * 1024


def fill(s3: S3Server, bucket: str, inventory: MediaInventory, library: Library) -> None:
    """Every file on disk is in the bucket too."""
    inventory.record_files()
    for path in inventory.known:
        s3.client().put_object(Bucket=bucket, Key=path, Body=(library.media_path / path).read_bytes())


def adding(**headers: str) -> Act:
    """The server's own response with more headers, whose names are given with underscores."""

    def act(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        exchange.reply(answer)

    return act


def test_objects_that_need_a_key_are_no_copies(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    """Some servers list the plaintext's MD5 of objects with a customer key, but refuse other requests for them."""
    library.add([1000] * 10)
    fill(s3, bucket, inventory, library)
    wire.add(HEAD, refuse(400))
    wire.add(GET, refuse(400, "InvalidRequest"))
    outcome = engine.run()
    assert outcome.status in (1, 2), outcome.errors
    assert outcome.files("deleted") == outcome.files("verified") == 0
    assert inventory.on_disk() == inventory.known
    assert wire.count(PUT) == 0


def test_one_head_a_run_is_enough_where_objects_can_be_read(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    library.add([1000] * 30)
    fill(s3, bucket, inventory, library)
    assert engine.run().status == 0
    assert (wire.count(LIST), wire.count(HEAD), wire.count(GET)) == (1, 1, 0)
    inventory.assert_all_moved()


def test_with_a_customer_key_each_object_is_checked_with_it(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    """The listing shows all objects; two of them can be read only with another key."""
    items = library.add([1000] * 10, thumbnails=0)
    fill(s3, bucket, inventory, library)
    others = {items[3].original, items[7].original}
    pattern = "|".join(re.escape(path) for path in others)
    wire.add(HEAD, refuse(403), key=pattern)
    engine.s3["sse_customer_key"] = CUSTOMER_KEY
    outcome = engine.run()
    assert (outcome.status, set(outcome.failed_paths)) == (1, others), outcome.errors
    assert outcome.files("deleted") == 8
    assert set(inventory.on_disk()) == others
    assert wire.count(HEAD) >= 10
    assert CUSTOMER_KEY not in outcome.errors + outcome.output


def test_a_store_that_ignores_the_customer_key_is_refused(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy
) -> None:
    """It accepts everything and stores it unencrypted. No media is sent to find that out."""

    def without_echo(exchange: Exchange) -> None:
        answer = exchange.forward()
        for name in list(answer.headers):
            if name.lower().startswith("x-amz-server-side-encryption"):
                del answer.headers[name]
        exchange.reply(answer)

    library.add([1000] * 10)
    inventory.record_files()
    wire.add("", without_echo)
    engine.s3["sse_customer_key"] = CUSTOMER_KEY
    outcome = engine.run()
    assert (outcome.status, outcome.report["changed"]) == (2, False), outcome.errors
    assert "ignores customer keys" in outcome.report["error"]
    assert inventory.on_disk() == inventory.known
    assert inventory.in_bucket() == {} and wire.count(PUT) == 0


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_no_copy(
    library: Library,
    engine: Engine,
    inventory: MediaInventory,
    wire: WireProxy,
    s3: S3Server,
    bucket: str,
    storage_class: str,
) -> None:
    items = library.add([1000] * 4, thumbnails=0)
    fill(s3, bucket, inventory, library)
    archived = min(item.original for item in items)
    mark = f"<StorageClass>{storage_class}</StorageClass></Contents>".encode()
    wire.add(LIST, changed(lambda body: _without_classes(body).replace(b"</Contents>", mark, 1)))
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [archived]), outcome.errors
    assert storage_class in outcome.failures[archived]
    assert list(inventory.on_disk()) == [archived]


def _without_classes(body: bytes) -> bytes:
    return re.sub(rb"<StorageClass>[^<]*</StorageClass>", b"", body)


def test_intelligent_tiering_is_detected_by_head_only(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    items = library.add([1000] * 4, thumbnails=0)
    fill(s3, bucket, inventory, library)
    archived = items[2].original
    mark = b"<StorageClass>INTELLIGENT_TIERING</StorageClass></Contents>"
    wire.add(LIST, changed(lambda body: _without_classes(body).replace(b"</Contents>", mark)))
    wire.add(HEAD, adding(x_amz_archive_status="ARCHIVE_ACCESS"), key=re.escape(archived))
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [archived]), outcome.errors
    assert "ARCHIVE_ACCESS" in outcome.failures[archived]
    assert list(inventory.on_disk()) == [archived]


def test_an_old_listing_permits_no_unlink(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    """In a slow run hours pass between the listing and the unlink: objects that changed meanwhile are no copies."""
    items = library.add([1000] * 10, thumbnails=0)
    fill(s3, bucket, inventory, library)
    # Not the first: a HEAD of that one shows whether objects can be read.
    gone, replaced = sorted(item.original for item in items)[4:6]

    def then_lose_two(exchange: Exchange) -> None:
        answer = exchange.forward()
        s3.client().delete_object(Bucket=bucket, Key=gone)
        s3.client().put_object(Bucket=bucket, Key=replaced, Body=b"?" * 1000)
        exchange.reply(answer)

    wire.add(LIST, then_lose_two, times=1)
    engine.offload["evidence_age"] = "0s"
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, sorted([gone, replaced])), outcome.errors
    assert sorted(inventory.on_disk()) == sorted([gone, replaced])
    inventory.assert_nothing_lost()


def test_recent_evidence_is_not_requested_again(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    library.add([1000] * 10, thumbnails=0)
    fill(s3, bucket, inventory, library)

    def slowly(exchange: Exchange) -> None:
        answer = exchange.forward()
        time.sleep(2.5)
        exchange.reply(answer)

    engine.offload["evidence_age"] = "2s"
    wire.add(HEAD, slowly, times=1)
    assert engine.run().status == 0
    # The HEAD that shows that objects can be read took longer than the listing may be old.
    assert wire.count(HEAD) == 11
    inventory.assert_all_moved()


def leave_out(keep: int) -> Act:
    """A sorted page that omits most of its keys, as servers produce that list by directories."""

    def change(body: bytes) -> bytes:
        head, *entries = body.split(b"<Contents>")
        tail = entries[-1].partition(b"</Contents>")[2] if entries else b""
        kept = [b"<Contents>" + entry.partition(b"</Contents>")[0] + b"</Contents>" for entry in entries[:keep]]
        return head + b"".join(kept) + tail

    return changed(change)


@pytest.mark.parametrize("damage", [b"", b"damaged"], ids=["empty", "damaged"])
def test_objects_that_a_listing_left_out_are_not_overwritten(
    library: Library,
    engine: Engine,
    inventory: MediaInventory,
    wire: WireProxy,
    s3: S3Server,
    bucket: str,
    damage: bytes,
) -> None:
    """The thumbnails' objects are good, the listing omits them, and the local thumbnails are damaged."""
    items = library.add([1000] * 40, thumbnails=1)
    inventory.record_files()
    fill(s3, bucket, inventory, library)
    good = inventory.in_bucket()
    for item in items:
        library.rewrite(item.paths[1], damage)
    wire.add(LIST, leave_out(1))
    outcome = engine.run()
    thumbnails = sorted(item.paths[1] for item in items)
    assert (outcome.status, outcome.failed_paths) == (1, thumbnails), outcome.errors
    assert inventory.in_bucket() == good
    assert sorted(inventory.on_disk()) == thumbnails


def test_an_original_without_digest_does_not_replace_an_object_that_a_listing_left_out(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    items = library.add([1000] * 5 + [17 * MIB], thumbnails=0, with_sha256=False)
    fill(s3, bucket, inventory, library)
    good = inventory.in_bucket()
    for item in items:
        library.rewrite(item.original, bytes((library.media_path / item.original).stat().st_size))
    wire.add(LIST, leave_out(0))
    outcome = engine.run()
    assert (outcome.status, len(outcome.failures)) == (1, len(items)), outcome.errors
    assert inventory.in_bucket() == good
    assert wire.count(PUT) == wire.count(CREATE, "local_content") == 0


def test_a_server_with_unsorted_listings_is_not_listed_again(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    library.add([100] * 1200, thumbnails=0)
    fill(s3, bucket, inventory, library)

    def reverse(body: bytes) -> bytes:
        head, *entries = body.split(b"<Contents>")
        parts = [entry.partition(b"</Contents>") for entry in entries]
        return head + b"".join(b"<Contents>" + part[0] + b"</Contents>" for part in reversed(parts)) + parts[-1][2]

    wire.add(LIST, changed(reverse))
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    # The attempts for one page; nothing is uploaded again because of it.
    assert (wire.count(LIST), wire.count(PUT)) == (3, 0)
    inventory.assert_all_moved()


def test_an_encrypted_upload_is_not_read_back(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy
) -> None:
    """With SSE-KMS by default the ETag is no digest; the response that starts the upload says so."""
    etag = '"0123456789abcdef0123456789abcdef-3"'
    library.add([20 * MIB], thumbnails=0)
    inventory.record_files()
    encrypted = {"x_amz_server_side_encryption": "aws:kms"}
    wire.add(CREATE, adding(**encrypted))
    wire.add(HEAD, adding(ETag=etag, **encrypted))

    def complete(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.body = re.sub(rb"<ETag>[^<]*</ETag>", f"<ETag>{etag}</ETag>".encode(), answer.body)
        exchange.reply(answer)

    wire.add(COMPLETE, complete)
    outcome = engine.run()
    assert (outcome.status, outcome.files("deleted")) == (0, 1), outcome.errors
    assert wire.count(GET) == 0
    inventory.assert_all_moved()


def test_unfinished_uploads_of_a_killed_run_are_aborted_by_a_later_one(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, bucket: str
) -> None:
    """Those of Synapse's media under our prefix and older than a day; all others are left alone."""
    library.add([100], thumbnails=0)
    inventory.record_files()
    engine.s3["prefix"] = "media/"
    now = time.time()
    uploads = [
        ("media/local_content/aa/bb/killed", "1", now - 90_000),
        ("media/remote_content/example.org/aa/bb/killed", "2", now - 90_000),
        ("media/local_content/aa/bb/young", "3", now - 80_000),
        ("media/backup.tar", "4", now - 900_000),
        ("media/local_content/aa/bb/a/b", "5", now - 900_000),
        ("local_content/aa/bb/elsewhere", "6", now - 900_000),
    ]

    def tell(exchange: Exchange) -> None:
        entries = "".join(
            f"<Upload><Key>{key}</Key><UploadId>{number}</UploadId><Initiated>"
            f"{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(then))}</Initiated></Upload>"
            for key, number, then in uploads
        )
        body = f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{entries}</ListMultipartUploadsResult>"
        exchange.reply(Response(200, {"Content-Type": "application/xml"}, body.encode()))

    wire.add(UPLOADS, tell)
    aborted: list[str] = []

    def note(exchange: Exchange) -> None:
        aborted.append(exchange.key)
        exchange.reply(Response(204, {}, b""))

    wire.add("AbortMultipartUpload", note)
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert sorted(aborted) == [uploads[0][0], uploads[1][0]]
    engine.run("--dry-run")
    assert len(aborted) == 2


def test_a_server_that_cannot_list_unfinished_uploads_is_no_failure(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy
) -> None:
    library.add([100])
    inventory.record_files()
    wire.add(UPLOADS, refuse(403, "AccessDenied"))
    assert engine.run().status == 0
    inventory.assert_all_moved()


@pytest.mark.parametrize("count", [8, 48])
def test_large_files_are_uploaded_in_parallel(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, count: int
) -> None:
    """Most videos have about 20 MiB: as many requests are in flight as allowed."""
    library.add([17 * MIB] * count, thumbnails=0)
    inventory.record_files()
    under_way: list[int] = [0, 0]

    def slowly(exchange: Exchange) -> None:
        exchange.body()
        under_way[0] += 1
        under_way[1] = max(under_way)
        time.sleep(0.5)
        answer = exchange.forward()
        under_way[0] -= 1
        exchange.reply(answer)

    wire.add(PUT, slowly)
    wire.add(PART, slowly)
    engine.offload["concurrency"] = 24
    assert engine.run().status == 0
    assert under_way[1] >= 12
    inventory.assert_all_moved()


def test_a_damaged_large_file_is_aborted_before_it_becomes_an_object(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy
) -> None:
    (item,) = library.add([70 * MIB], thumbnails=0)
    path: Path = library.media_path / item.original
    content = bytearray(path.read_bytes())
    content[50 * MIB] ^= 1
    library.rewrite(item.original, bytes(content))
    inventory.record_files()
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [item.original]), outcome.errors
    assert "SHA-256" in outcome.failures[item.original]
    assert (wire.count(COMPLETE), inventory.in_bucket()) == (0, {})
    assert wire.count("AbortMultipartUpload", re.escape(item.original)) == 1


@pytest.mark.parametrize("verifies", [True, False], ids=["verifies", "accepts any"])
def test_a_checksum_replaces_the_md5_only_where_the_server_verifies_it(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, verifies: bool
) -> None:
    """The proxy emulates a server with CRC32: it verifies each part, or accepts any value, as some servers do."""
    library.add([70 * MIB], thumbnails=0)
    inventory.record_files()
    with_md5: list[bool] = []
    refused: list[str] = []

    def create(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.headers["x-amz-checksum-algorithm"] = exchange.header("x-amz-checksum-algorithm") or ""
        exchange.reply(answer)

    def part(exchange: Exchange) -> None:
        body = exchange.body()
        name = next((name for name in FAST_CRCS if exchange.header(f"x-amz-checksum-{name}")), None)
        if name is not None and verifies:
            checksum = Checksum(name)
            checksum.update(body)
            if checksum.base64() != exchange.header(f"x-amz-checksum-{name}"):
                refused.append(exchange.path)
                text = b"<Error><Code>BadDigest</Code><Message>not the announced one</Message></Error>"
                exchange.reply(Response(400, {"Content-Type": "application/xml"}, text))
                return
        if len(body) > 1:
            with_md5.append(exchange.header("content-md5") is not None)
        exchange.reply(exchange.forward())

    wire.add(CREATE, create)
    wire.add(PART, part)
    outcome = engine.run()
    assert (outcome.status, outcome.files("deleted")) == (0, 1), outcome.errors
    assert with_md5 == [not verifies] * 9
    assert bool(refused) == verifies
    inventory.assert_all_moved()


@pytest.mark.parametrize("damages", [False, True], ids=["stores it", "damages it"])
def test_an_upload_whose_checksum_the_server_does_not_return_is_compared_in_other_ways(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, damages: bool
) -> None:
    """The proxy emulates a server that verifies the checksum of parts but ignores that of whole objects."""
    library.add([17 * MIB] * 3, thumbnails=0)
    inventory.record_files()

    def create(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.headers["x-amz-checksum-algorithm"] = exchange.header("x-amz-checksum-algorithm") or ""
        exchange.reply(answer)

    def part(exchange: Exchange) -> None:
        exchange.body()
        text = b"<Error><Code>BadDigest</Code><Message>not the announced one</Message></Error>"
        exchange.reply(Response(400, {"Content-Type": "application/xml"}, text))

    def put(exchange: Exchange) -> None:
        with_md5.append(exchange.header("content-md5") is not None)
        if damages:
            body = exchange.body()
            exchange._body = bytes([body[0] ^ 1]) + body[1:]
        exchange.reply(exchange.forward())

    with_md5: list[bool] = []
    wire.add(CREATE, create)
    wire.add(PART, part)
    wire.add(PUT, put)
    # So few connections that these files are enough to use them all, and are sent whole.
    engine.offload["concurrency"] = 8
    outcome = engine.run()
    assert with_md5 == [False] * 3
    if damages:
        assert (outcome.status, len(outcome.failures), outcome.files("deleted")) == (1, 3, 0), outcome.errors
        assert inventory.on_disk() == inventory.known
    else:
        assert (outcome.status, outcome.files("deleted")) == (0, 3), outcome.errors
        inventory.assert_all_moved()
