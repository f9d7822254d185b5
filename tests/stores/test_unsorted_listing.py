# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""SeaweedFS lists by directories: pages that look sorted leave keys out. A key that a page leaves out is not missing.

Among keys `example.com.au/` sorts before `example.com/`, among directories after it; together they exceed a page.
"""

from __future__ import annotations

import hashlib

import pytest
from conftest import Host

pytestmark = pytest.mark.parametrize("endpoint", ["seaweedfs"], indirect=True)
# Originals, each with a thumbnail.
MANY = 520
FEW = 40
SIZE = 5000


def test_media_that_a_listing_leaves_out(host: Host) -> None:
    """All of it is in the bucket. 20 empty thumbnails, 20 of the right length, 20 originals without a sha256."""
    library, inventory = host.library, host.inventory
    library.add([50] * MANY, origin="example.com", thumbnails=1, with_sha256=False)
    items = library.add([SIZE] * FEW, origin="example.com.au", thumbnails=1, with_sha256=False)
    inventory.record_files()
    inventory.put_all()
    good = dict(inventory.known)
    listed = inventory.listed()
    assert sorted(listed) == sorted(good)
    assert listed != sorted(listed), "this SeaweedFS lists in the order of keys: the test proves nothing"
    page = host.client.list_objects_v2(Bucket=host.bucket)["Contents"]
    assert len(page) == 1000 < len(listed)

    damaged: dict[str, bytes] = {}
    for number, item in enumerate(items):
        length = (library.media_path / item.paths[1]).stat().st_size
        damaged[item.paths[1]] = b"" if number % 2 else bytes(length)
        if number % 4 < 2:
            damaged[item.original] = bytes(SIZE)
    for path, content in damaged.items():
        library.rewrite(path, content)
    written = inventory.modified()
    outcome = host.engine.run()

    in_bucket = inventory.in_bucket()
    overwritten = [path for path in good if in_bucket.get(path) != good[path]]
    assert not overwritten, f"{len(overwritten)} good objects were overwritten by {len(damaged)} damaged files"
    on_disk = inventory.on_disk()
    gone = [path for path in damaged if path not in on_disk]
    assert not gone, f"{len(gone)} of {len(damaged)} files that differ from their objects were unlinked"
    assert (outcome.status, outcome.failed_paths) == (1, sorted(damaged)), outcome.errors
    assert on_disk == {path: hashlib.sha256(content).hexdigest() for path, content in damaged.items()}
    # The server supports If-None-Match, to detect which one PUT may have been sent twice.
    again = [path for path, when in inventory.modified().items() if when != written[path]]
    assert len(again) <= 1, f"{len(again)} objects were uploaded again"
    done = {kind: outcome.files(kind) for kind in ("uploaded", "repaired", "verified", "deleted")}
    proven = len(good) - len(damaged)
    assert done == {"uploaded": 0, "repaired": 0, "verified": proven, "deleted": proven}
