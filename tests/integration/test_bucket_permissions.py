# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both modules under real policies: with the documented least privilege, and with one permission less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from iam_store import IamStore
from run_module import run_module

BUCKET = "media-bucket"
OTHER_BUCKET = "somebody-elses"
VERSIONED_BUCKET = "versioned-bucket"

LIST = "s3:ListBucket"
GET = "s3:GetObject"
PUT = "s3:PutObject"
ABORT = "s3:AbortMultipartUpload"
DELETE = "s3:DeleteObject"
DELETE_VERSION = "s3:DeleteObjectVersion"
LEAST = (LIST, GET, PUT, ABORT)


class Store(NamedTuple):
    server: IamStore
    users: dict[str, dict[str, str]]

    def args(self, user: str, bucket: str = BUCKET, **others: Any) -> dict[str, Any]:
        return self.server.connection(bucket, prefix="media/", **self.users[user], **others)


def permissions(*actions: str) -> list[tuple[str, str]]:
    buckets = (BUCKET, VERSIONED_BUCKET)
    return [
        (action, f"arn:aws:s3:::{bucket}" + ("" if action == LIST else "/*"))
        for action in actions
        for bucket in buckets
    ]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with IamStore(tmp_path_factory.mktemp("iam")) as server:
        s3 = server.client()
        for bucket in (BUCKET, OTHER_BUCKET, VERSIONED_BUCKET):
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=VERSIONED_BUCKET, VersioningConfiguration={"Status": "Enabled"})
        users = {"least": server.make_user("least", permissions(*LEAST))}
        for action in LEAST:
            others = [other for other in LEAST if other != action]
            users[f"without {action}"] = server.make_user(action.split(":")[1], permissions(*others))
        users["deleting"] = server.make_user("deleting", permissions(*LEAST, DELETE))
        users["deleting versions"] = server.make_user("versions", permissions(*LEAST, DELETE, DELETE_VERSION))
        users["stranger"] = server.make_user("stranger", [("s3:ListAllMyBuckets", "*")])
        yield Store(server, users)


@pytest.fixture
def store(running: Store) -> Iterator[Store]:
    """The policies apply during the test, which must leave no unfinished upload."""
    running.server.enforce()
    yield running
    running.server.relax()
    for bucket in (BUCKET, OTHER_BUCKET, VERSIONED_BUCKET):
        assert "Uploads" not in running.server.client().list_multipart_uploads(Bucket=bucket)


def leavings(store: Store, bucket: str) -> list[str]:
    """Return each object, version and marker in the bucket, and empty it for the next test."""
    store.server.relax()
    s3 = store.server.client()
    page = s3.list_object_versions(Bucket=bucket)
    versions, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
    for item in (*versions, *markers):
        s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
    return [f"version {item['Key']}" for item in versions] + [f"marker {item['Key']}" for item in markers]


@pytest.mark.parametrize("bucket", [BUCKET, VERSIONED_BUCKET])
def test_least_privilege_is_enough_for_the_check(store: Store, bucket: str) -> None:
    result = run_module("bucket_info", store.args("least", bucket))
    assert not result.get("failed"), result
    assert {ability: result["bucket"][f"can_{ability}"] for ability in ("list", "read", "write", "delete")} == {
        "list": True,
        "read": True,
        "write": True,
        "delete": None,
    }
    assert leavings(store, bucket) == []


@pytest.mark.parametrize(("missing", "ability"), [(LIST, "list"), (GET, "read"), (PUT, "write"), (ABORT, "write")])
def test_missing_permission_is_named(store: Store, missing: str, ability: str) -> None:
    result = run_module("bucket_info", store.args(f"without {missing}"))
    assert result["failed"]
    assert result["code"] == "AccessDenied"
    assert missing in result["msg"]
    assert result["bucket"]["exists"] is True
    assert set(result["bucket"]["refusals"]) - {"delete"} == {ability}
    assert leavings(store, BUCKET) == []


@pytest.mark.parametrize(("user", "bucket"), [("stranger", BUCKET), ("least", OTHER_BUCKET)])
def test_keys_of_another_user(store: Store, user: str, bucket: str) -> None:
    result = run_module("bucket_info", store.args(user, bucket))
    assert result["failed"]
    assert f"neither list nor read nor write the bucket '{bucket}'" in result["msg"]
    assert "synapse_s3_bucket" in result["msg"]
    assert result["bucket"]["exists"] is None


def test_wrong_secret(store: Store) -> None:
    result = run_module("bucket_info", {**store.args("least"), "secret_access_key": "not-the-secret"})
    assert result["code"] == "SignatureDoesNotMatch"
    assert "synapse_s3_secret_access_key" in result["msg"]


@pytest.mark.parametrize(("user", "allowed"), [("least", False), ("deleting", True)])
def test_permission_to_delete(store: Store, user: str, allowed: bool) -> None:
    result = run_module("bucket_info", store.args(user, require=["delete"]))
    assert result["bucket"]["can_delete"] is allowed
    assert bool(result.get("failed")) is not allowed


@pytest.mark.parametrize("bucket", [BUCKET, VERSIONED_BUCKET])
def test_round_trip_with_keys_that_may_delete(store: Store, bucket: str) -> None:
    result = run_module("bucket_round_trip", store.args("deleting versions", bucket))
    assert not result.get("failed"), result
    assert result["round_trip"]["left_behind"] == []
    assert "warnings" not in result
    assert leavings(store, bucket) == []


def test_round_trip_names_the_version_it_could_not_delete(store: Store) -> None:
    result = run_module("bucket_round_trip", store.args("deleting", VERSIONED_BUCKET))
    key = result["round_trip"]["key"]
    assert leavings(store, VERSIONED_BUCKET) == [f"version {key}", f"marker {key}"]
    told = " ".join(result["round_trip"]["left_behind"])
    assert "version " in told
    assert f"a delete marker at {key}" in told
    assert len(result["warnings"]) == 2


def test_round_trips_without_delete_leave_at_most_one_object(store: Store) -> None:
    for _attempt in range(2):
        result = run_module("bucket_round_trip", store.args("least"))
        assert not result.get("failed"), result
        assert result["round_trip"]["key"] == "media/.synapse-s3-test"
        assert "media/.synapse-s3-test" in result["warnings"][0]
    assert leavings(store, BUCKET) == ["version media/.synapse-s3-test"]


@pytest.mark.parametrize("missing", [LIST, GET, PUT])
def test_round_trip_names_the_missing_permission(store: Store, missing: str) -> None:
    result = run_module("bucket_round_trip", store.args(f"without {missing}"))
    assert result["failed"]
    assert missing in result["msg"]
    if missing == PUT:
        assert leavings(store, BUCKET) == []
    else:
        assert leavings(store, BUCKET) == ["version media/.synapse-s3-test"]
        assert "media/.synapse-s3-test" in result["warnings"][0]
