# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where file and object differ, only what the row proves wrong is replaced; otherwise both stay and are named."""

from __future__ import annotations

import hashlib

from conftest import Host

ZEROS = bytes(5000)


def test_which_copy_is_right(host: Host) -> None:
    library, inventory = host.library, host.inventory

    def original(*, with_sha256: bool) -> str:
        return library.add([5000], thumbnails=0, with_sha256=with_sha256)[0].original

    def digest(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    equal = original(with_sha256=False)
    # The row has the length of both.
    no_digest = original(with_sha256=False)
    damaged_thumbnail = library.add([100], thumbnails=1)[0].paths[1]
    # The row exists, but has neither length nor digest.
    nothing_known = library.write("ThisRowSaysNothingOfMedia", size=5000, thumbnails=0).original
    library.add_row("ThisRowSaysNothingOfMedia", None)
    # What the row proves wrong.
    damaged_object = original(with_sha256=True)
    short_object = original(with_sha256=False)
    damaged_file = original(with_sha256=True)

    inventory.record_files()
    inventory.put_all()
    good = dict(inventory.known)
    half = (library.media_path / nothing_known).read_bytes()[:2500]
    library.rewrite(no_digest, ZEROS)
    library.rewrite(damaged_thumbnail, bytes(100))
    library.rewrite(nothing_known, half)
    library.rewrite(damaged_file, ZEROS)
    inventory.put(damaged_object, ZEROS)
    inventory.put(short_object, ZEROS[:4000])

    outcome = host.engine.run()
    conflicts = [no_digest, damaged_thumbnail, nothing_known, damaged_file]
    repaired = [damaged_object, short_object]
    in_bucket = inventory.in_bucket()
    worse = [path for path in good if in_bucket.get(path) != good[path]]
    assert not worse, f"the bucket does not hold the good content of {worse}; {outcome.output}"
    assert inventory.on_disk() == {
        no_digest: digest(ZEROS),
        damaged_thumbnail: digest(bytes(100)),
        nothing_known: digest(half),
        damaged_file: digest(ZEROS),
    }
    assert (outcome.status, outcome.failed_paths) == (1, sorted(conflicts)), outcome.errors
    assert outcome.files("repaired") == len(repaired)
    assert equal not in inventory.on_disk()
