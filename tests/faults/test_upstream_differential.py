# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upstream's script and the engine on the same library: the same bucket and the same disk, file by file.

Where they differ, the difference is named here with its reason, and there is no other difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from library import MIB, Item, Library
from media_inventory import MediaInventory
from offload_engine import Engine, Outcome
from s3_server import S3Server
from upstream_script import find_script, run_upstream

PREFIX = "synapse/"
OLDER_THAN = "7d"


@dataclass
class LibraryCopy:
    """One of two identical libraries, and its bucket."""

    library: Library
    inventory: MediaInventory
    s3: S3Server
    bucket: str

    def put(self, path: str, body: bytes) -> None:
        self.s3.client().put_object(Bucket=self.bucket, Key=PREFIX + path, Body=body)


@dataclass
class LibraryPair:
    upstream: LibraryCopy
    engine: LibraryCopy

    def both(self, do: Callable[[LibraryCopy], list[Item] | None]) -> list[Item]:
        """Add the same to both; return the media."""
        first, second = (do(copy) for copy in (self.upstream, self.engine))
        assert first == second
        return first or []

    def run(self, **options: object) -> Outcome:
        """Run both, one after the other; return the engine's report."""
        upstream, engine = self.upstream, self.engine
        for copy in (upstream, engine):
            copy.inventory.record_files()
        assert upstream.inventory.known == engine.inventory.known
        run_upstream(upstream.library, upstream.s3, upstream.bucket, PREFIX, OLDER_THAN)
        ours = Engine(engine.library, {**engine.s3.connection(engine.bucket), "prefix": PREFIX})
        ours.offload.update(older_than=OLDER_THAN, **options)
        return ours.run()

    def differences(self) -> tuple[set[str], set[str]]:
        """Return the paths at which the two buckets, or the two disks, differ."""
        return (
            _differing(self.upstream.inventory.in_bucket(), self.engine.inventory.in_bucket()),
            _differing(self.upstream.inventory.on_disk(), self.engine.inventory.on_disk()),
        )


def _differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {path for path in {*one, *other} if one.get(path) != other.get(path)}


@pytest.fixture(params=["sqlite", "postgresql"])
def pair(
    request: pytest.FixtureRequest, make_library: Callable[[str, str], Library], s3: S3Server, bucket: str
) -> Iterator[LibraryPair]:
    find_script()
    copies = []
    for name in ("upstream", "engine"):
        own = f"{bucket}-{name}"
        s3.make_bucket(own)
        library = make_library(request.param, name)
        # Otherwise upstream removes the media store itself with its last file.
        library.put(".synapse-s3", b"")
        copies.append(LibraryCopy(library, MediaInventory(library.media_path, s3.buckets / own, PREFIX), s3, own))
    pair = LibraryPair(*copies)
    pair.both(fill)
    yield pair


def fill(copy: LibraryCopy) -> list[Item]:
    """Add files of every kind that both programs treat alike."""
    library = copy.library
    dice = library.random
    items = []
    for origin in ("", "remote.example", "other.example:8448", "münchen.example"):
        sizes = [dice.choice((1, 700, 19_000, 200_000)) for dummy in range(25)]
        items += library.add(sizes, origin=origin, thumbnails=dice.choice((0, 1, 3)), with_sha256=dice.random() < 0.5)
        # Recently used media.
        library.add(sizes[:6], origin=origin, thumbnails=1, used_days=3)
    items += library.add([0], thumbnails=0)
    library.add([9 * MIB, 17 * MIB], thumbnails=0)
    # Previews, orphans, rows without files, thumbnails without an original, originals already in the bucket.
    library.add([700] * 3, thumbnails=1, url_cache="https://example.org/")
    library.put("url_cache/2026-01-01/abcdef", b"preview")
    for number in range(5):
        library.write(f"orphanorphan{number}", "remote.example" if number % 2 else "")
        library.add_row(f"gonegonegone{number}", 700)
    for item in items[:3]:
        if len(item.paths) > 1:
            (library.media_path / item.original).unlink()
    for item in items[10:20]:
        copy.put(item.original, (library.media_path / item.original).read_bytes())
    library.put("local_content/notes.txt", b"an operator's own")
    return items


def test_the_same_result(pair: LibraryPair) -> None:
    outcome = pair.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert pair.differences() == (set(), set())
    assert outcome.files("deleted") > 150 and outcome.files("verified") == 10
    # The files that both leave: recently used, previews, orphans, unknown files.
    assert len(pair.engine.inventory.on_disk()) == outcome.files("scanned") - outcome.files("deleted") + 2
    pair.engine.inventory.assert_nothing_lost()
    pair.upstream.inventory.assert_nothing_lost()

    pair.both(lambda copy: copy.library.add([700] * 5, thumbnails=2))
    assert pair.run().status == 0
    assert pair.differences() == (set(), set())


def test_named_differences(pair: LibraryPair) -> None:
    """Each of them is a defect of upstream's, or a precaution of the engine."""
    repaired, damaged, linked, young = (
        pair.both(lambda copy: copy.library.add([5000], thumbnails=0))[0].original for dummy in range(4)
    )

    def spoil(copy: LibraryCopy) -> None:
        library = copy.library
        # A truncated object is in the bucket: upstream takes it for the file and deletes the only good copy.
        copy.put(repaired, (library.media_path / repaired).read_bytes()[:100])
        # A file that is damaged according to its row: upstream uploads it, the engine leaves it and reports it.
        library.rewrite(damaged, b"!" * 5000)
        # Upstream follows a link out of the media store, and uploads files that are not Synapse's.
        library.rewrite(linked, b"")
        path = library.media_path / linked
        path.unlink()
        secret = library.directory / "secret"
        secret.write_bytes(b"an operator's own")
        path.symlink_to(secret)
        # A file that was written a second ago may still be incomplete.
        (library.media_path / young).touch()

    pair.both(spoil)
    good = (pair.engine.library.media_path / repaired).read_bytes()
    outcome = pair.run(grace="1h")
    assert (outcome.status, outcome.failed_paths, outcome.files("repaired")) == (1, [damaged], 1), outcome.errors
    assert pair.differences() == ({repaired, damaged, linked, young}, {damaged, young})
    assert (pair.engine.inventory.bucket / PREFIX / repaired).read_bytes() == good
    assert not (pair.upstream.library.media_path / linked).is_symlink()
    assert (pair.engine.library.media_path / linked).is_symlink()
    assert pair.upstream.inventory.lost() == [repaired]
    pair.engine.inventory.assert_nothing_lost()


def test_media_that_is_local_again(pair: LibraryPair) -> None:
    """Synapse creates a thumbnail of media that was moved: upstream has marked it as done and never checks again."""
    (item,) = pair.both(lambda copy: copy.library.add([5000], thumbnails=1))
    assert pair.run().status == 0
    again = item.paths[1].replace("32-96", "800-600")
    for copy in (pair.upstream, pair.engine):
        copy.library.put(again, b"made again")
    assert pair.run().status == 0
    assert pair.differences() == ({again}, {again})
    assert Path(pair.upstream.library.media_path / again).exists()
    pair.engine.inventory.assert_nothing_lost()
