# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An object in an archive class cannot be read before it is restored, so it is no copy that Synapse could serve."""

from __future__ import annotations

import pytest
from conftest import Host

pytestmark = pytest.mark.parametrize("endpoint", ["rgw", "seaweedfs"], indirect=True)


@pytest.mark.parametrize("others", [0, 60], ids=["alone", "among others"])
def test_archived_objects_are_no_copies(others: int, host: Host) -> None:
    archived = []
    for storage_class in ("GLACIER", "DEEP_ARCHIVE"):
        for path in host.library.add([5000], thumbnails=1)[0].paths:
            host.inventory.put(path, StorageClass=storage_class)
            archived.append(path)
    for path in host.library.add([5000], thumbnails=0)[0].paths:
        host.inventory.put(path, StorageClass="STANDARD_IA")
    host.library.add([1000] * others, thumbnails=0)
    host.inventory.record_files()
    outcome = host.engine.run()
    on_disk = host.inventory.on_disk()
    unlinked = [path for path in archived if path not in on_disk]
    assert not unlinked, f"{len(unlinked)} of {len(archived)} files were removed although their objects are archived"
    assert (outcome.status, outcome.failed_paths) == (1, sorted(archived)), outcome.errors
    for path, reason in outcome.failures.items():
        assert "GLACIER" in reason or "DEEP_ARCHIVE" in reason or "archive" in reason, (path, reason)
    assert sorted(on_disk) == sorted(archived)
    classes = {host.client.head_object(Bucket=host.bucket, Key=path).get("StorageClass") for path in archived}
    assert classes == {"GLACIER", "DEEP_ARCHIVE"}, "archived objects were overwritten"
    host.inventory.assert_nothing_lost()
