# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that do not do what they report, and wrong listings: no file is unlinked because of them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from wire_faults import changed, entries_changed, keep_half, keep_nothing, no_etags, with_etags
from wire_proxy import HEAD, LIST, PUT, WireProxy

FOREIGN = "0" * 32


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([19_000] * 12, thumbnails=1)
    library.add([2 * MIB], origin="remote.example", thumbnails=0)
    inventory.record_files()
    return library


@pytest.fixture
def mirrored(filled: Library, engine: Engine, wire: WireProxy) -> Library:
    """Every file is in the bucket already."""
    engine.offload["delete_local"] = False
    outcome = engine.run()
    assert (outcome.status, outcome.files("deleted")) == (0, 0), outcome.errors
    engine.offload["delete_local"] = True
    wire.seen.clear()
    return filled


@pytest.mark.parametrize("etag", [None, FOREIGN, ""], ids=["its ETag", "foreign ETag", "no ETag"])
@pytest.mark.parametrize("kept", ["nothing", "half"])
def test_a_put_that_is_not_stored(
    filled: Library,
    engine: Engine,
    wire: WireProxy,
    inventory: MediaInventory,
    s3: S3Server,
    bucket: str,
    kept: str,
    etag: str | None,
) -> None:
    act = keep_nothing(etag) if kept == "nothing" else keep_half(s3.client(), bucket, etag)
    victims = sorted(inventory.known)[2:6]
    for victim in victims:
        wire.add(PUT, act, key=victim)
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, victims), outcome.errors
    assert sorted(inventory.on_disk()) == victims
    inventory.assert_nothing_lost()
    # The server works again: the object of which it had kept half is repaired.
    wire.faults.clear()
    again = engine.run()
    assert (again.status, again.files("uploaded") + again.files("repaired")) == (0, 4)
    assert again.files("repaired") == (4 if kept == "half" else 0)
    inventory.assert_all_moved()


def test_a_server_that_stores_nothing(
    filled: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory
) -> None:
    wire.add(PUT, keep_nothing(None))
    before = inventory.on_disk()
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, sorted(before)), outcome.errors
    assert (outcome.files("deleted"), outcome.files("uploaded")) == (0, 0)
    assert inventory.on_disk() == before


def _shuffled(entries: list[bytes]) -> list[bytes]:
    return random.Random(7).sample(entries, len(entries))


DISTORTED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "duplicates": lambda entries: [entry for entry in entries for dummy in (1, 2)],
    "duplicates at the end": lambda entries: entries + entries[:3],
    "every second missing": lambda entries: entries[::2],
    "first missing": lambda entries: entries[1:],
    "last missing": lambda entries: entries[:-1],
    "all missing": lambda entries: [],
    "reversed": lambda entries: entries[::-1],
    "shuffled": _shuffled,
    "two swapped": lambda entries: [entries[1], entries[0], *entries[2:]],
}


@pytest.mark.usefixtures("mirrored")
@pytest.mark.parametrize("change", DISTORTED.values(), ids=DISTORTED.keys())
def test_distorted_listings(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    wire.add(LIST, entries_changed(change))
    inventory.assert_reported(engine.run())


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("change", DISTORTED.values(), ids=DISTORTED.keys())
def test_distorted_listings_of_recent_uploads(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    wire.add(LIST, entries_changed(change))
    inventory.assert_reported(engine.run())


def test_entries_for_missing_objects(
    mirrored: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    """An outdated page: the former sizes, and digests of other contents."""
    gone = sorted(inventory.known)[:3]
    page = wire.add(LIST, entries_changed(lambda entries: entries))
    client = s3.client()
    listed = client.list_objects_v2(Bucket=bucket)["Contents"]
    for path in gone:
        client.delete_object(Bucket=bucket, Key=path)
    stale = [
        f"<Contents><Key>{entry['Key']}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{FOREIGN}&quot;</ETag><Size>{entry['Size']}</Size></Contents>".encode()
        for entry in listed
    ]
    page.act = entries_changed(lambda dummy: stale)
    outcome = engine.run()
    inventory.assert_reported(outcome)
    wire.faults.clear()
    assert engine.run().status == 0
    inventory.assert_all_moved()


@pytest.mark.usefixtures("mirrored")
def test_other_etags_everywhere(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """As with SSE-C and SSE-KMS: the objects' bytes are compared."""
    wire.add("", with_etags(lambda own: own[::-1]))
    outcome = engine.run()
    assert (outcome.status, outcome.files("verified")) == (0, len(inventory.known)), outcome.errors
    assert wire.count("GetObject") == len(inventory.known) and wire.count(PUT) == 0
    inventory.assert_all_moved()


@pytest.mark.usefixtures("mirrored")
def test_no_etags_at_all(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    for kind in (LIST, HEAD, PUT):
        wire.add(kind, no_etags)
    outcome = engine.run()
    inventory.assert_reported(outcome)


@pytest.mark.usefixtures("filled")
def test_other_etags_of_uploads(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    wire.add("", with_etags(lambda own: own[::-1]))
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    inventory.assert_all_moved()


@pytest.mark.usefixtures("filled")
def test_a_page_that_is_always_truncated(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, s3: S3Server, bucket: str
) -> None:
    """Every page says that more follow, although none do: the engine must not ask without end."""
    client = s3.client()
    client.put_object(Bucket=bucket, Key="a", Body=b"1")

    wire.add(LIST, changed(lambda body: body.replace(b"<IsTruncated>false", b"<IsTruncated>true")))
    outcome = engine.run()
    assert wire.count(LIST) <= 2 * len(inventory.known) + 2
    client.delete_object(Bucket=bucket, Key="a")
    inventory.assert_reported(outcome)
