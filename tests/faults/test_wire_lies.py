"""Stores that do not do what they say, listings that do not say what is there: nothing is unlinked on their word."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from custody import Custody
from library import MIB, Library
from offload_engine import Engine
from s3_server import S3Server
from wire_faults import changed, entries_changed, keep_half, keep_nothing, no_etags, with_etags
from wire_proxy import HEAD, LIST, PUT, WireProxy

FOREIGN = "0" * 32


@pytest.fixture
def filled(library: Library, custody: Custody) -> Library:
    library.add([19_000] * 12, thumbnails=1)
    library.add([2 * MIB], origin="remote.example", thumbnails=0)
    custody.take_stock()
    return library


@pytest.fixture
def mirrored(filled: Library, engine: Engine, wire: WireProxy) -> Library:
    """Everything is in the bucket already."""
    engine.offload["delete_local"] = False
    outcome = engine.run()
    assert (outcome.status, outcome.files("deleted")) == (0, 0), outcome.errors
    engine.offload["delete_local"] = True
    wire.seen.clear()
    return filled


@pytest.mark.parametrize("etag", [None, FOREIGN, ""], ids=["its ETag", "foreign ETag", "no ETag"])
@pytest.mark.parametrize("kept", ["nothing", "half"])
def test_a_put_that_is_not_kept(
    filled: Library,
    engine: Engine,
    wire: WireProxy,
    custody: Custody,
    s3: S3Server,
    bucket: str,
    kept: str,
    etag: str | None,
) -> None:
    act = keep_nothing(etag) if kept == "nothing" else keep_half(s3.client(), bucket, etag)
    victims = sorted(custody.known)[2:6]
    for victim in victims:
        wire.add(PUT, act, key=victim)
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, victims), outcome.errors
    assert sorted(custody.on_disk()) == victims
    custody.assert_nothing_lost()
    # The store comes to its senses: what it had kept half of is repaired.
    wire.faults.clear()
    again = engine.run()
    assert (again.status, again.files("uploaded") + again.files("repaired")) == (0, 4)
    assert again.files("repaired") == (4 if kept == "half" else 0)
    custody.assert_all_moved()


def test_a_store_that_keeps_nothing_at_all(filled: Library, engine: Engine, wire: WireProxy, custody: Custody) -> None:
    wire.add(PUT, keep_nothing(None))
    before = custody.on_disk()
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, sorted(before)), outcome.errors
    assert (outcome.files("deleted"), outcome.files("uploaded")) == (0, 0)
    assert custody.on_disk() == before


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
    engine: Engine, wire: WireProxy, custody: Custody, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    wire.add(LIST, entries_changed(change))
    custody.assert_told_truly(engine.run())


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("change", DISTORTED.values(), ids=DISTORTED.keys())
def test_distorted_listings_of_what_was_just_uploaded(
    engine: Engine, wire: WireProxy, custody: Custody, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    wire.add(LIST, entries_changed(change))
    custody.assert_told_truly(engine.run())


def test_entries_for_objects_that_are_not_there(
    mirrored: Library, engine: Engine, wire: WireProxy, custody: Custody, s3: S3Server, bucket: str
) -> None:
    """A stale page: sizes as they were, digests of something else."""
    gone = sorted(custody.known)[:3]
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
    custody.assert_told_truly(outcome)
    wire.faults.clear()
    assert engine.run().status == 0
    custody.assert_all_moved()


@pytest.mark.usefixtures("mirrored")
def test_other_etags_everywhere(engine: Engine, wire: WireProxy, custody: Custody) -> None:
    """As with SSE-C and SSE-KMS: the bytes themselves are the proof."""
    wire.add("", with_etags(lambda own: own[::-1]))
    outcome = engine.run()
    assert (outcome.status, outcome.files("verified")) == (0, len(custody.known)), outcome.errors
    assert wire.count("GetObject") == len(custody.known) and wire.count(PUT) == 0
    custody.assert_all_moved()


@pytest.mark.usefixtures("mirrored")
def test_no_etags_at_all(engine: Engine, wire: WireProxy, custody: Custody) -> None:
    for kind in (LIST, HEAD, PUT):
        wire.add(kind, no_etags)
    outcome = engine.run()
    custody.assert_told_truly(outcome)


@pytest.mark.usefixtures("filled")
def test_other_etags_on_what_is_uploaded(engine: Engine, wire: WireProxy, custody: Custody) -> None:
    wire.add("", with_etags(lambda own: own[::-1]))
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    custody.assert_all_moved()


@pytest.mark.usefixtures("filled")
def test_a_page_that_lies_about_its_end(
    engine: Engine, wire: WireProxy, custody: Custody, s3: S3Server, bucket: str
) -> None:
    """Truncated for ever, although nothing follows: the engine must not ask without end."""
    client = s3.client()
    client.put_object(Bucket=bucket, Key="a", Body=b"1")

    wire.add(LIST, changed(lambda body: body.replace(b"<IsTruncated>false", b"<IsTruncated>true")))
    outcome = engine.run()
    assert wire.count(LIST) <= 2 * len(custody.known) + 2
    client.delete_object(Bucket=bucket, Key="a")
    custody.assert_told_truly(outcome)
