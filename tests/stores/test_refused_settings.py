# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A refusal of every file alike means a wrong setting: it is named after a few requests."""

from __future__ import annotations

import pytest
from conftest import IN_PARTS, Host
from wire_proxy import WireProxy


@pytest.mark.parametrize("endpoint", ["rgw", "juicefs"], indirect=True)
@pytest.mark.parametrize("sizes", [[1000] * 300, [IN_PARTS] * 2], ids=["PutObject", "CreateMultipartUpload"])
def test_a_storage_class_that_the_server_does_not_have(sizes: list[int], host: Host, wire: WireProxy) -> None:
    """RGW responds with 400 InvalidArgument, MinIO's code with 400 InvalidStorageClass."""
    host.engine.s3["storage_class"] = "ONEZONE_IA"
    host.engine.offload["concurrency"] = 4
    host.library.add(sizes, thumbnails=0)
    host.inventory.record_files()
    outcome = host.engine.run()
    if outcome.status == 1 and len(sizes) == 2:
        # Two refusals are too few to distinguish a setting from two files.
        assert outcome.failed_paths == sorted(host.inventory.known)
        assert all("storage_class" in reason for reason in outcome.failures.values()), outcome.failures
        host.assert_nothing_unlinked()
    else:
        host.assert_refused(outcome, "storage_class")
    assert len(wire.seen) <= 32, f"{len(wire.seen)} requests for one wrong setting"
    assert host.inventory.listed() == []
