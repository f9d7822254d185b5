# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any name that a federated server can send is stored under its own key, in S3's order."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable

import pytest
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from wire_proxy import LIST, PUT, WireProxy

ORIGINS = [
    "remote.example",
    "remote.example:8448",
    "[2001:db8::1]:8448",
    "192.0.2.1",
    "münchen.example",
    # Not beside its composed form: the file system of the test server treats both as one.
    unicodedata.normalize("NFD", "nürnberg.example"),
    "例え.テスト",
    "😀.example",
    "\uffee.example",
    "a b c",
    "percent%20.example",
    "plus+and&and=and?and#",
    "quotes'\"<>.example",
    "semi;colon,comma!",
    "~tilde*star(paren)@at$",
    "back\\slash",
    "-dash",
    "o" * 250,
]
# Neighbours whose order differs between paths and keys: "/" sorts among these characters, not before all of them.
NEIGHBOURS = ["nb", "nb!", "nb-", "nb.", "nb.a", "nb0", "nb~", "nbé", "nb\U0001f600", "nb\uffee"]
IDENTIFIERS = ["abcd" + "x" * 20, "äöü€" + "é" * 20, "😀😀😀😀😀", "ab d e f", "a%2Fb%2Fc", "abcd" + "long" * 60]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("prefix", ["", "préfix +%/"], ids=["no prefix", "odd prefix"])
def test_odd_names(kind: str, prefix: str, make_library: Callable[[str], Library], s3: S3Server, bucket: str) -> None:
    library = make_library(kind)
    for origin in (*ORIGINS, *NEIGHBOURS):
        for identifier in IDENTIFIERS if origin == ORIGINS[0] else IDENTIFIERS[:2]:
            library.write(identifier, origin, size=100)
            library.add_remote_row(origin, identifier, 100)
    for identifier in IDENTIFIERS:
        library.write(identifier, size=100)
        library.add_row(identifier, 100)
    inventory = MediaInventory(library.media_path, s3.buckets / bucket, prefix)
    inventory.record_files()
    with WireProxy(s3.endpoint_url) as wire:
        engine = Engine(library, {**s3.connection(bucket), "prefix": prefix, "endpoint_url": wire.endpoint_url})
        engine.offload["delete_local"] = False
        first = engine.run()
        assert (first.status, first.failures) == (0, {}), first.errors
        assert first.files("uploaded") == len(inventory.known)
        assert inventory.in_bucket() == inventory.known
        engine.offload["delete_local"] = True
        wire.seen.clear()
        second = engine.run()
        assert (second.status, second.failures) == (0, {}), second.errors
        assert second.files("verified") == second.files("deleted") == len(inventory.known)
        # One page answers for all keys in S3's order: a file out of order would cost a list request of its own.
        assert (wire.count(LIST), wire.count(PUT)) == (1, 0)
    inventory.assert_all_moved()


def test_random_names(library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy) -> None:
    dice = random.Random("names")
    codes = (*range(0x21, 0x7F), *range(0xA1, 0x180), *range(0x4E00, 0x4E20), *range(0x1F600, 0x1F620))
    letters = [letter for letter in map(chr, codes) if letter.isprintable() and letter != "/"]
    for dummy in range(150):
        origin = "".join(dice.choices(letters, k=dice.randint(1, 12))) + ".x"
        identifier = "".join(dice.choices(letters, k=dice.randint(5, 30)))
        if any(part in (".", "..") for part in (identifier[:2], identifier[2:4], identifier[4:])):
            continue
        if dice.random() < 0.5:
            library.write(identifier, origin, size=50)
            library.add_remote_row(origin, identifier, 50)
        else:
            library.write(identifier, size=50)
            library.add_row(identifier, 50)
    inventory.record_files()
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    assert inventory.in_bucket() == inventory.known
    engine.offload["delete_local"] = True
    wire.seen.clear()
    outcome = engine.run()
    assert (outcome.status, outcome.files("verified"), wire.count(LIST)) == (0, len(inventory.known), 1), outcome.errors
    inventory.assert_all_moved()


def test_names_that_are_not_text(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    """Names with invalid UTF-8 or control characters were not written by Synapse, so they stay and are counted."""
    library.add([1000] * 2, thumbnails=0)
    inventory.record_files()
    folder = library.media_path / "local_content" / "aa" / "bb"
    folder.mkdir(parents=True)
    library.own(folder, folder.parent)
    names = [b"latin-\xe9", b"line\nbreak", b"bell\x07", b"surrogate-\xed\xa0\x80"]
    for name in names:
        path = folder / name.decode("utf-8", "surrogateescape")
        path.write_bytes(b"odd")
        library.own(path)
    outcome = engine.run()
    assert (outcome.status, outcome.skipped("unusable_name")) == (0, len(names)), outcome.errors
    assert len(list(folder.iterdir())) == len(names)
    assert inventory.in_bucket() == inventory.known
