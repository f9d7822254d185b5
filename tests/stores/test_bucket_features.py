# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket as operators set it up on Ceph: versioned, with a policy that permits little or denies some of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from conftest import IN_PARTS, Endpoint, Host, MakeHost
from library import MIB
from rgw import Rgw

pytestmark = pytest.mark.parametrize("endpoint", ["rgw"], indirect=True)


def allow(host: Host, user: str, prefix: str = "", denied: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """Return the keys of a new user who may list, get, put and abort; `denied` are pairs of action and key pattern."""
    assert isinstance(host.store, Rgw)
    keys = host.store.make_user(user)
    bucket = f"arn:aws:s3:::{host.bucket}"
    who = {"AWS": [f"arn:aws:iam:::user/{user}"]}
    # Objects that the user uploads belong to the user, and inventory reads them as the bucket's owner.
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
    host.client.put_bucket_policy(Bucket=host.bucket, Policy=json.dumps(policy))
    host.engine.s3.update(keys)
    return keys


def test_with_least_privilege(make_host: MakeHost, endpoint: Endpoint) -> None:
    host = make_host(endpoint, prefix="synapse/")
    keys = allow(host, f"least-{host.bucket}", prefix="synapse/")
    client = host.store.client_of(keys["access_key_id"], keys["secret_access_key"])
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.put_object(Bucket=host.bucket, Key="outside", Body=b"x")
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.list_multipart_uploads(Bucket=host.bucket)
    host.library.add([1, 19_000, IN_PARTS], thumbnails=1)
    host.library.add([1000] * 20, origin="example.com", thumbnails=1)
    host.inventory.record_files()
    host.engine.offload["delete_local"] = False
    first = host.engine.run()
    assert (first.status, first.failures) == (0, {}), first.errors
    host.engine.offload["delete_local"] = True
    second = host.engine.run()
    assert (second.status, second.files("verified")) == (0, len(host.inventory.known)), second.errors
    host.inventory.assert_all_moved()


def test_refusal_to_put_some_keys(host: Host) -> None:
    """Status 403 for one folder fails its files only; all other media is moved."""
    items = host.library.add([1000] * 30, thumbnails=1)
    folder = items[0].original.rsplit("/", 2)[0]
    allow(host, f"deny-put-{host.bucket}", denied=[("s3:PutObject", f"{folder}/*")])
    host.inventory.record_files()
    refused = sorted(path for path in host.inventory.known if path.startswith(f"{folder}/"))
    outcome = host.engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, refused), outcome.errors
    assert sorted(host.inventory.on_disk()) == refused
    host.inventory.assert_reported(outcome)


def test_refusal_to_get_some_keys(host: Host) -> None:
    """An object with an ETag of unknown parts must be read to be proven; here it cannot be."""
    items = host.library.add([6 * MIB] + [1000] * 30, thumbnails=0)
    composed = items[0].original
    host.inventory.record_files()
    content = (host.library.media_path / composed).read_bytes()
    upload_id = host.client.create_multipart_upload(Bucket=host.bucket, Key=composed)["UploadId"]
    parts = []
    for number, part in enumerate((content[: 5 * MIB + 7], content[5 * MIB + 7 :]), 1):
        where = {"Bucket": host.bucket, "Key": composed, "UploadId": upload_id, "PartNumber": number}
        parts.append({"PartNumber": number, "ETag": host.client.upload_part(Body=part, **where)["ETag"]})
    host.client.complete_multipart_upload(
        Bucket=host.bucket, Key=composed, UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    allow(host, f"deny-get-{host.bucket}", denied=[("s3:GetObject", composed)])
    outcome = host.engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [composed]), outcome.errors
    assert sorted(host.inventory.on_disk()) == [composed]
    host.inventory.assert_reported(outcome)


def test_versioned_bucket(host: Host) -> None:
    host.client.put_bucket_versioning(Bucket=host.bucket, VersioningConfiguration={"Status": "Enabled"})
    host.library.add([1, 19_000, 17 * MIB], thumbnails=1)
    host.library.add([1000] * 20, origin="example.com", thumbnails=1)
    host.inventory.record_files()
    # One was deleted in the bucket, which leaves a marker; one has another content, which the row proves wrong.
    deleted, damaged = (item.original for item in host.library.add([5000] * 2, thumbnails=0))
    host.inventory.record_files()
    host.inventory.put(deleted)
    host.client.delete_object(Bucket=host.bucket, Key=deleted)
    host.inventory.put(damaged, bytes(5000))
    host.engine.offload["delete_local"] = False
    first = host.engine.run()
    assert (first.status, first.failures, first.files("repaired")) == (0, {}, 1), first.errors
    versions = host.client.list_object_versions(Bucket=host.bucket, Prefix=damaged)["Versions"]
    assert [version["IsLatest"] for version in versions] == [True, False]
    host.engine.offload["delete_local"] = True
    second = host.engine.run()
    assert (second.status, second.files("uploaded"), second.files("repaired")) == (0, 0, 0), second.errors
    assert second.files("deleted") == len(host.inventory.known)
    host.inventory.assert_all_moved()


def test_storage_class_of_the_zone(host: Host) -> None:
    host.engine.s3["storage_class"] = "STANDARD_IA"
    host.library.add([1, 19_000, 17 * MIB], thumbnails=1)
    host.inventory.record_files()
    outcome = host.engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    host.inventory.assert_all_moved()
    listed = host.client.list_objects_v2(Bucket=host.bucket)["Contents"]
    assert {entry["StorageClass"] for entry in listed} == {"STANDARD_IA"}
