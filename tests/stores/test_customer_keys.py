"""An object is a copy only if the configured customer key reads it; a server that ignores the key is refused."""

from __future__ import annotations

import json

import pytest
from conftest import IN_PARTS, MakeScene, Place, Scene
from library import MIB
from wire_proxy import WireProxy

KEY = "0123456789abcdef0123456789ABCDEF"
OTHER_KEY = "fedcba9876543210FEDCBA9876543210"
ENCRYPTING = pytest.mark.parametrize("place", ["seaweedfs_tls", "rgw_tls"], indirect=True)


def stored(make_scene: MakeScene, place: Place) -> Scene:
    """All media is on the disk, and in the bucket under KEY; both servers list the MD5 of the plain content."""
    scene = make_scene(place, customer_key=KEY)
    scene.library.add([1, 19_000, 60_000, 1_100_000], thumbnails=1)
    scene.library.add([500] * 4, origin="example.com", thumbnails=1)
    scene.custody.take_stock()
    scene.custody.put_all()
    return scene


@ENCRYPTING
@pytest.mark.parametrize("configured", [OTHER_KEY, None], ids=["another key", "no key"])
def test_objects_that_the_configured_key_does_not_read(
    configured: str | None, place: Place, make_scene: MakeScene
) -> None:
    scene = stored(make_scene, place)
    scene.engine.s3["sse_customer_key"] = configured
    outcome = scene.engine.run()
    scene.assert_nothing_unlinked()
    assert scene.custody.in_bucket() == scene.custody.known, "objects were overwritten"
    assert outcome.status in (1, 2), outcome.output
    if outcome.status == 1:
        assert outcome.failed_paths == sorted(scene.custody.known)
        assert all("sse_customer_key" in reason for reason in outcome.failures.values()), outcome.failures
    else:
        assert "sse_customer_key" in outcome.errors, outcome.errors


@ENCRYPTING
def test_objects_that_the_configured_key_reads(place: Place, make_scene: MakeScene) -> None:
    """A listing does not say which key an object has: each is checked by HEAD, and none is read."""
    scene = stored(make_scene, place)
    count = len(scene.custody.known)
    outcome = scene.engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert outcome.files("verified") == outcome.files("deleted") == count
    requests = outcome.report["requests"]
    assert requests["head"] >= count, f"{requests['head']} HEAD requests for {count} objects under a customer key"
    assert (requests["get"], requests["put"]) == (0, 0), requests
    scene.custody.assert_all_moved()


@ENCRYPTING
def test_everything_moves_under_a_key(place: Place, make_scene: MakeScene) -> None:
    scene = make_scene(place, customer_key=KEY)
    scene.library.add([1, 19_000, 1_100_000], thumbnails=1)
    scene.library.add([IN_PARTS, 17 * MIB], origin="example.com", thumbnails=0)
    scene.custody.take_stock()
    scene.engine.offload["delete_local"] = False
    first = scene.engine.run()
    assert (first.status, first.failures) == (0, {}), first.errors
    assert scene.custody.in_bucket() == scene.custody.known
    scene.engine.offload["delete_local"] = True
    second = scene.engine.run()
    assert (second.status, second.failures, second.files("uploaded")) == (0, {}, 0), second.errors
    scene.custody.assert_all_moved()
    assert KEY not in first.output + first.errors + second.output + second.errors
    # Reading all of it without the key would be what the server was asked to prevent.
    path = next(iter(scene.custody.known))
    with pytest.raises(scene.client.exceptions.ClientError):
        scene.client.get_object(Bucket=scene.bucket, Key=path)


@pytest.mark.parametrize("place", ["seaweedfs"], indirect=True)
def test_a_policy_that_demands_a_key(place: Place, make_scene: MakeScene) -> None:
    """For such a policy each request of an upload is a PutObject: completing and aborting need the key as well.

    Not on RGW 16: it does not know the condition's header, and denies every PUT.
    """
    scene = make_scene(place, customer_key=KEY)
    condition = {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}}
    statement = {
        "Sid": "OnlyUnderACustomerKey",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{scene.bucket}/*",
        "Condition": condition,
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    scene.client.put_bucket_policy(Bucket=scene.bucket, Policy=json.dumps(policy))
    with pytest.raises(scene.client.exceptions.ClientError, match="AccessDenied"):
        scene.client.put_object(Bucket=scene.bucket, Key="in the clear", Body=b"x")
    scene.library.add([IN_PARTS, 19_000], thumbnails=1)
    scene.custody.take_stock()
    outcome = scene.engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert outcome.report["requests"]["complete_multipart"] == 1
    scene.custody.assert_all_moved()

    # A file that differs from its row is not completed, and no part of it stays on the server.
    damaged = scene.library.add([IN_PARTS], thumbnails=0)[0].original
    scene.library.rewrite(damaged, bytes(IN_PARTS))
    refused = scene.engine.run()
    assert (refused.status, refused.failed_paths) == (1, [damaged]), refused.errors
    left = [upload["Key"] for upload in scene.client.list_multipart_uploads(Bucket=scene.bucket).get("Uploads", [])]
    assert not left, f"the upload of {left} was not aborted"


@pytest.mark.parametrize("place", ["rclone"], indirect=True)
@pytest.mark.parametrize("size", [19_000, IN_PARTS], ids=["PutObject", "CreateMultipartUpload"])
def test_a_server_that_ignores_the_key(size: int, scene: Scene, wire: WireProxy) -> None:
    """It responds with 200 and stores the content unencrypted; only the missing algorithm in its response shows that.
    """
    scene.engine.s3["sse_customer_key"] = KEY
    scene.engine.offload["concurrency"] = 4
    scene.library.add([size], thumbnails=0)
    scene.library.add([1000] * (40 if size < MIB else 0), thumbnails=0)
    scene.custody.take_stock()
    outcome = scene.engine.run()
    scene.assert_refused(outcome, "sse_customer_key")
    sent = wire.count("PutObject") + wire.count("UploadPart")
    assert sent <= 16, f"{sent} files and parts were sent to a store that keeps them in the clear"
    assert wire.count("CompleteMultipartUpload") == 0


@pytest.mark.parametrize("place", ["rgw", "juicefs"], indirect=True)
def test_a_server_that_permits_keys_over_https_only(scene: Scene, wire: WireProxy) -> None:
    """Status 400 InvalidRequest for every file alike: a setting is wrong, and not this many files."""
    scene.engine.s3["sse_customer_key"] = KEY
    scene.engine.offload["concurrency"] = 4
    scene.library.add([1000] * 100, thumbnails=1)
    scene.custody.take_stock()
    outcome = scene.engine.run()
    scene.assert_refused(outcome, "sse_customer_key")
    assert len(wire.seen) <= 32, f"{len(wire.seen)} requests for one wrong setting"
