# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No file is unlinked that is not proven to be in the bucket, and a good file repairs a bad object."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from fault_proxy import Response
from library import MIB, Library
from media_inventory import MediaInventory, unfinished_uploads
from offload_engine import Engine
from s3_server import S3Server
from wire_faults import with_etags
from wire_proxy import COMPLETE, GET, HEAD, LIST, PART, PUT, Exchange, WireProxy


def put(s3: S3Server, bucket: str, key: str, body: bytes) -> None:
    s3.client().put_object(Bucket=bucket, Key=key, Body=body)


def composed(content: bytes, part: int) -> str:
    parts = [hashlib.md5(content[start : start + part]).digest() for start in range(0, len(content), part)]
    return f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"


DAMAGE = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "a byte short": lambda content: content[:-1],
    "a byte more": lambda content: content + b"!",
    "other bytes": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
}


@pytest.mark.parametrize(
    ("size", "damage"),
    [
        *((5000, damage) for damage in DAMAGE),
        (2 * MIB, "other bytes"),
        (17 * MIB, "truncated"),
        (17 * MIB, "other bytes"),
    ],
)
def test_a_bad_object_is_repaired(
    library: Library,
    engine: Engine,
    inventory: MediaInventory,
    s3: S3Server,
    bucket: str,
    damage: str,
    size: int,
) -> None:
    """Upstream's script deletes the only good copy here. Tested with and without a digest in the row, and with
    thumbnails.

    Without a digest another content of the right length proves nothing: both stay.
    """
    victims = [library.add([size], with_sha256=known)[0].original for known in (True, False)]
    (item,) = library.add([1000], origin="remote.example", thumbnails=1)
    victims.append(item.paths[1])
    library.add_thumbnail_row(item, (library.media_path / item.paths[1]).stat().st_size)
    inventory.record_files()
    for victim in victims:
        put(s3, bucket, victim, DAMAGE[damage]((library.media_path / victim).read_bytes()))
    conflicts = sorted(victims[1:]) if damage == "other bytes" else []
    expected = (1 if conflicts else 0, 3 - len(conflicts), conflicts)
    before = inventory.in_bucket()
    rehearsed = engine.run("--dry-run")
    assert (rehearsed.status, rehearsed.files("repaired"), rehearsed.failed_paths) == expected, rehearsed.errors
    assert inventory.in_bucket() == before and inventory.on_disk() == inventory.known
    outcome = engine.run()
    assert (outcome.status, outcome.files("repaired"), outcome.failed_paths) == expected, outcome.errors
    assert outcome.files("uploaded") == len(inventory.known) - 3
    inventory.assert_nothing_lost()
    assert sorted(inventory.on_disk()) == conflicts
    assert all(inventory.in_bucket()[path] == before[path] for path in conflicts)


def test_without_delete_a_bad_object_is_repaired_too(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    (item,) = library.add([5000], thumbnails=0)
    inventory.record_files()
    put(s3, bucket, item.original, b"")
    engine.offload["delete_local"] = False
    outcome = engine.run()
    assert (outcome.status, outcome.files("repaired"), outcome.files("deleted")) == (0, 1, 0)
    assert inventory.on_disk() == inventory.in_bucket() == inventory.known


DISAGREEMENT = {
    "empty file": lambda content: b"",
    "truncated file": lambda content: content[: len(content) // 2],
    "longer file": lambda content: content + b"!",
    "other bytes": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
}


@pytest.mark.parametrize(
    ("size", "damage"),
    [*((5000, damage) for damage in DISAGREEMENT), (2 * MIB, "other bytes"), (17 * MIB, "other bytes")],
)
@pytest.mark.parametrize("present", [True, False], ids=["good object", "no object"])
def test_a_damaged_file_stays(
    library: Library,
    engine: Engine,
    inventory: MediaInventory,
    wire: WireProxy,
    s3: S3Server,
    bucket: str,
    damage: str,
    size: int,
    present: bool,
) -> None:
    """The row says which of the two is good. The file is named, and never replaces what may be the last good copy."""
    (victim,) = library.add([size], thumbnails=1)
    library.add([1000] * 3)
    good = (library.media_path / victim.original).read_bytes()
    if present:
        put(s3, bucket, victim.original, good)
    damaged = DISAGREEMENT[damage](good)
    library.rewrite(victim.original, damaged)
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [victim.original]), outcome.errors
    assert (library.media_path / victim.original).read_bytes() == damaged
    assert sorted(inventory.on_disk()) == [victim.original]
    assert wire.count(PUT, victim.original) == wire.count(COMPLETE, victim.original) == 0
    if present:
        assert (inventory.bucket / victim.original).read_bytes() == good
    else:
        assert not (inventory.bucket / victim.original).exists()
    assert unfinished_uploads(s3, bucket) == []


@pytest.mark.parametrize("mebibytes", [5, 7.5, 8, 10, 15, 16, 5.123], ids=lambda part: f"{part} MiB")
def test_multipart_etags_of_other_tools(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, mebibytes: float
) -> None:
    """Objects that aws s3 sync or rclone uploaded with their own part sizes are proven, not uploaded again."""
    (item,) = library.add([18 * MIB + 5], thumbnails=0)
    inventory.record_files()
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    engine.offload["delete_local"] = True
    wire.seen.clear()
    etag = composed((library.media_path / item.original).read_bytes(), int(mebibytes * MIB))
    wire.add("", with_etags(lambda dummy: etag))
    outcome = engine.run()
    assert (outcome.status, outcome.files("verified")) == (0, 1), outcome.errors
    assert wire.count(PUT) == wire.count(PART) == 0
    # Only part sizes that no tool uses require reading the object.
    assert wire.count(GET) <= (1 if mebibytes in (7.5, 5.123) else 0)
    inventory.assert_all_moved()


@pytest.mark.parametrize("verify", ["content", "size"])
def test_an_etag_that_is_not_a_digest(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, verify: str
) -> None:
    """The object is read back, unless the operator has chosen to trust the size."""
    library.add([18 * MIB], thumbnails=0)
    inventory.record_files()
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    engine.offload.update(delete_local=True, verify=verify)
    wire.seen.clear()
    wire.add("", with_etags(lambda dummy: "0" * 32 + "-3"))
    outcome = engine.run()
    assert (outcome.status, outcome.files("verified")) == (0, 1), outcome.errors
    assert wire.count(GET) == (1 if verify == "content" else 0)
    inventory.assert_all_moved()


@pytest.mark.parametrize("verify", ["content", "size"])
def test_another_size_is_never_accepted(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str, verify: str
) -> None:
    (item,) = library.add([5000], thumbnails=0)
    inventory.record_files()
    put(s3, bucket, item.original, b"x" * 4999)
    engine.offload["verify"] = verify
    wire.add(LIST, with_etags(lambda dummy: "0" * 32 + "-3"))
    outcome = engine.run()
    assert (outcome.status, outcome.files("repaired")) == (0, 1), outcome.errors
    inventory.assert_all_moved()


def with_checksum(sha256: bytes) -> Callable[[Exchange], None]:
    """A HEAD response as for an object encrypted with KMS, whose SHA-256 the server keeps."""

    def act(exchange: Exchange) -> None:
        answer = exchange.forward()
        headers = {
            **{name: value for name, value in answer.headers.items() if name.lower() != "etag"},
            "ETag": '"ffffffffffffffffffffffffffffffff"',
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-checksum-sha256": base64.b64encode(sha256).decode(),
            "x-amz-checksum-type": "FULL_OBJECT",
        }
        exchange.reply(Response(answer.status, headers, answer.body))

    return act


@pytest.mark.parametrize("right", [True, False], ids=["right checksum", "wrong checksum"])
@pytest.mark.parametrize("size", [5000, 18 * MIB], ids=["small", "large"])
def test_a_checksum_that_the_server_keeps(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, size: int, right: bool
) -> None:
    (item,) = library.add([size], thumbnails=0)
    inventory.record_files()
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    engine.offload["delete_local"] = True
    wire.seen.clear()
    content = (library.media_path / item.original).read_bytes()
    wire.add(LIST, with_etags(lambda dummy: "f" * 32), times=1)
    checksum = with_checksum(hashlib.sha256(content if right else b"").digest())
    wire.add(HEAD, checksum, times=None if right else 1)
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert wire.count(GET) == 0
    assert (outcome.files("verified"), outcome.files("repaired")) == ((1, 0) if right else (0, 1))
    inventory.assert_all_moved()


def test_objects_that_exist_are_not_uploaded(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy, s3: S3Server, bucket: str
) -> None:
    library.add([5000] * 10, thumbnails=1)
    inventory.record_files()
    for path in inventory.known:
        put(s3, bucket, path, (library.media_path / path).read_bytes())
    outcome = engine.run()
    assert (outcome.status, outcome.files("verified"), outcome.files("deleted")) == (0, 20, 20)
    # One HEAD shows that the objects can be read with these keys.
    assert (wire.count(PUT), wire.count(GET), wire.count(HEAD), wire.count(LIST)) == (0, 0, 1, 1)
    inventory.assert_all_moved()


@pytest.mark.parametrize("row_length", [None, 2000])
def test_a_damaged_thumbnail_never_replaces_its_good_object(
    library: Library, engine: Engine, inventory: MediaInventory, s3: S3Server, bucket: str, row_length: int | None
) -> None:
    """The media's row is about the original only; Synapse's tables of thumbnails have the thumbnail's length."""
    (item,) = library.add([5000], thumbnails=1)
    thumbnail = item.paths[1]
    good = (library.media_path / thumbnail).read_bytes()
    put(s3, bucket, thumbnail, good)
    if row_length is not None:
        library.add_thumbnail_row(item, row_length)
    damaged = b"" if row_length is None else good[:700]
    library.rewrite(thumbnail, damaged)
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [thumbnail]), outcome.errors
    assert outcome.files("repaired") == 0
    assert s3.client().get_object(Bucket=bucket, Key=thumbnail)["Body"].read() == good
    assert (library.media_path / thumbnail).read_bytes() == damaged
