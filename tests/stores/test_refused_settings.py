"""A refusal of every file alike means a wrong setting: it is named after a few requests."""

from __future__ import annotations

import pytest
from conftest import IN_PARTS, Scene
from wire_proxy import WireProxy


@pytest.mark.parametrize("place", ["rgw", "juicefs"], indirect=True)
@pytest.mark.parametrize("sizes", [[1000] * 300, [IN_PARTS] * 2], ids=["PutObject", "CreateMultipartUpload"])
def test_a_storage_class_that_the_server_does_not_have(sizes: list[int], scene: Scene, wire: WireProxy) -> None:
    """RGW responds with 400 InvalidArgument, MinIO's code with 400 InvalidStorageClass."""
    scene.engine.s3["storage_class"] = "ONEZONE_IA"
    scene.engine.offload["concurrency"] = 4
    scene.library.add(sizes, thumbnails=0)
    scene.custody.take_stock()
    outcome = scene.engine.run()
    if outcome.status == 1 and len(sizes) == 2:
        # Two refusals are too few to distinguish a setting from two files.
        assert outcome.failed_paths == sorted(scene.custody.known)
        assert all("storage_class" in reason for reason in outcome.failures.values()), outcome.failures
        scene.assert_nothing_unlinked()
    else:
        scene.assert_refused(outcome, "storage_class")
    assert len(wire.seen) <= 32, f"{len(wire.seen)} requests for one wrong setting"
    assert scene.custody.listed() == []
