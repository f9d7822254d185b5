"""A bucket as operators set it up on Ceph: versioned, with a policy that permits little or denies some of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from conftest import IN_PARTS, MakeScene, Place, Scene
from library import MIB
from rgw import Rgw

pytestmark = pytest.mark.parametrize("place", ["rgw"], indirect=True)


def allow(scene: Scene, user: str, prefix: str = "", denied: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """Return the keys of a new user who may list, get, put and abort; `denied` are pairs of action and key pattern."""
    assert isinstance(scene.store, Rgw)
    keys = scene.store.make_user(user)
    bucket = f"arn:aws:s3:::{scene.bucket}"
    who = {"AWS": [f"arn:aws:iam:::user/{user}"]}
    # Objects that the user uploads belong to the user, and custody reads them as the bucket's owner.
    owner = {"AWS": ["arn:aws:iam:::user/administrator"]}
    statements = [
        {"Effect": "Allow", "Principal": who, "Action": ["s3:ListBucket"], "Resource": [bucket]},
        {
            "Effect": "Allow",
            "Principal": who,
            "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": [f"{bucket}/{prefix}*"],
        },
        {"Effect": "Allow", "Principal": owner, "Action": ["s3:GetObject"], "Resource": [f"{bucket}/*"]},
        *(
            {"Effect": "Deny", "Principal": who, "Action": [action], "Resource": [f"{bucket}/{pattern}"]}
            for action, pattern in denied
        ),
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    scene.client.put_bucket_policy(Bucket=scene.bucket, Policy=json.dumps(policy))
    scene.engine.s3.update(keys)
    return keys


def test_with_least_privilege(make_scene: MakeScene, place: Place) -> None:
    scene = make_scene(place, prefix="synapse/")
    keys = allow(scene, f"least-{scene.bucket}", prefix="synapse/")
    client = scene.store.client_of(keys["access_key_id"], keys["secret_access_key"])
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.put_object(Bucket=scene.bucket, Key="outside", Body=b"x")
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.list_multipart_uploads(Bucket=scene.bucket)
    scene.library.add([1, 19_000, IN_PARTS], thumbnails=1)
    scene.library.add([1000] * 20, origin="example.com", thumbnails=1)
    scene.custody.take_stock()
    scene.engine.offload["delete_local"] = False
    first = scene.engine.run()
    assert (first.status, first.failures) == (0, {}), first.errors
    scene.engine.offload["delete_local"] = True
    second = scene.engine.run()
    assert (second.status, second.files("verified")) == (0, len(scene.custody.known)), second.errors
    scene.custody.assert_all_moved()


def test_refusal_to_put_some_keys(scene: Scene) -> None:
    """Status 403 for one folder fails its files only; all other media is moved."""
    items = scene.library.add([1000] * 30, thumbnails=1)
    folder = items[0].original.rsplit("/", 2)[0]
    allow(scene, f"deny-put-{scene.bucket}", denied=[("s3:PutObject", f"{folder}/*")])
    scene.custody.take_stock()
    refused = sorted(path for path in scene.custody.known if path.startswith(f"{folder}/"))
    outcome = scene.engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, refused), outcome.errors
    assert sorted(scene.custody.on_disk()) == refused
    scene.custody.assert_reported(outcome)


def test_refusal_to_get_some_keys(scene: Scene) -> None:
    """An object with an ETag of unknown parts must be read to be proven; here it cannot be."""
    items = scene.library.add([6 * MIB] + [1000] * 30, thumbnails=0)
    composed = items[0].original
    scene.custody.take_stock()
    content = (scene.library.media_path / composed).read_bytes()
    upload_id = scene.client.create_multipart_upload(Bucket=scene.bucket, Key=composed)["UploadId"]
    parts = []
    for number, part in enumerate((content[: 5 * MIB + 7], content[5 * MIB + 7 :]), 1):
        where = {"Bucket": scene.bucket, "Key": composed, "UploadId": upload_id, "PartNumber": number}
        parts.append({"PartNumber": number, "ETag": scene.client.upload_part(Body=part, **where)["ETag"]})
    scene.client.complete_multipart_upload(
        Bucket=scene.bucket, Key=composed, UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    allow(scene, f"deny-get-{scene.bucket}", denied=[("s3:GetObject", composed)])
    outcome = scene.engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [composed]), outcome.errors
    assert sorted(scene.custody.on_disk()) == [composed]
    scene.custody.assert_reported(outcome)


def test_versioned_bucket(scene: Scene) -> None:
    scene.client.put_bucket_versioning(Bucket=scene.bucket, VersioningConfiguration={"Status": "Enabled"})
    scene.library.add([1, 19_000, 17 * MIB], thumbnails=1)
    scene.library.add([1000] * 20, origin="example.com", thumbnails=1)
    scene.custody.take_stock()
    # One was deleted in the bucket, which leaves a marker; one has another content, which the row proves wrong.
    deleted, damaged = (item.original for item in scene.library.add([5000] * 2, thumbnails=0))
    scene.custody.take_stock()
    scene.custody.put(deleted)
    scene.client.delete_object(Bucket=scene.bucket, Key=deleted)
    scene.custody.put(damaged, bytes(5000))
    scene.engine.offload["delete_local"] = False
    first = scene.engine.run()
    assert (first.status, first.failures, first.files("repaired")) == (0, {}, 1), first.errors
    versions = scene.client.list_object_versions(Bucket=scene.bucket, Prefix=damaged)["Versions"]
    assert [version["IsLatest"] for version in versions] == [True, False]
    scene.engine.offload["delete_local"] = True
    second = scene.engine.run()
    assert (second.status, second.files("uploaded"), second.files("repaired")) == (0, 0, 0), second.errors
    assert second.files("deleted") == len(scene.custody.known)
    scene.custody.assert_all_moved()


def test_storage_class_of_the_zone(scene: Scene) -> None:
    scene.engine.s3["storage_class"] = "STANDARD_IA"
    scene.library.add([1, 19_000, 17 * MIB], thumbnails=1)
    scene.custody.take_stock()
    outcome = scene.engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    scene.custody.assert_all_moved()
    listed = scene.client.list_objects_v2(Bucket=scene.bucket)["Contents"]
    assert {entry["StorageClass"] for entry in listed} == {"STANDARD_IA"}
