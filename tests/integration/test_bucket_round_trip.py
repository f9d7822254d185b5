# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The round trip without Synapse, against a real S3 server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from encrypting_proxy import EncryptingProxy
from refusing_proxy import DENIED, RefusingProxy
from run_module import run_module, run_module_process
from s3_server import S3Server

SSE_KEY = "0123456789abcdef0123456789abcdef"


def test_object_is_stored_read_back_and_removed(s3: S3Server, bucket: str) -> None:
    s3.client().put_object(Bucket=bucket, Key="media/local_content/Ab/Cd/efgh", Body=b"kept")
    with RefusingProxy(s3.port, {}) as proxy:
        args = {**s3.connection(bucket, prefix="media/"), "endpoint_url": proxy.endpoint_url}
        result = run_module("bucket_round_trip", args)
        assert not result.get("failed"), result
        key = result["round_trip"]["key"]
        steps = [request.operation for request in proxy.requests if request.path.split("?")[0] == f"/{bucket}/{key}"]
        assert steps == ["PutObject", "GetObject", "DeleteObject"]
        assert proxy.asked("ListObjectsV2")
    assert result["changed"] is False
    assert key.startswith("media/.synapse-s3-test-")
    assert result["round_trip"]["through"] == "bucket"
    assert result["round_trip"]["size"] > 0
    assert result["round_trip"]["left_behind"] == []
    assert s3.keys(bucket) == ["media/local_content/Ab/Cd/efgh"]


def test_check_mode_does_nothing_and_says_so(s3: S3Server, bucket: str) -> None:
    with RefusingProxy(s3.port, {}) as proxy:
        args = {**s3.connection(bucket), "endpoint_url": proxy.endpoint_url}
        result = run_module("bucket_round_trip", args, check=True)
        assert proxy.requests == []
    assert result["changed"] is False
    assert result["round_trip"] is None
    assert "nothing is tested" in result["msg"]


def test_check_mode_still_refuses_a_wrong_setting(bucket: str) -> None:
    result = run_module("bucket_round_trip", {"bucket": bucket, "endpoint_url": "s3.example.org"}, check=True)
    assert "synapse_s3_endpoint_url" in result["msg"]


def test_fixed_key_is_used_where_nothing_can_be_deleted(s3: S3Server, bucket: str) -> None:
    with RefusingProxy(s3.port, {"DeleteObject": DENIED}) as proxy:
        args = {**s3.connection(bucket, prefix="media/"), "endpoint_url": proxy.endpoint_url}
        contents = []
        for _attempt in range(2):
            result = run_module("bucket_round_trip", args)
            assert not result.get("failed"), result
            assert "media/.synapse-s3-test" in result["warnings"][0]
            contents.append((s3.buckets / bucket / "media/.synapse-s3-test").read_bytes())
    assert contents[0] != contents[1]
    assert s3.keys(bucket) == ["media/.synapse-s3-test"]


@pytest.mark.parametrize(
    ("operation", "permission"),
    [("PutObject", "s3:PutObject"), ("ListObjectsV2", "s3:ListBucket"), ("GetObject", "s3:GetObject")],
)
def test_failed_round_trip_leaves_nothing(s3: S3Server, bucket: str, operation: str, permission: str) -> None:
    with RefusingProxy(s3.port, {operation: DENIED}) as proxy:
        args = {**s3.connection(bucket), "endpoint_url": proxy.endpoint_url}
        result = run_module("bucket_round_trip", args)
    assert result["failed"]
    assert result["code"] == "AccessDenied"
    assert permission in result["msg"]
    assert s3.keys(bucket) == []


def test_read_only_store(tmp_path: Path, bucket: str) -> None:
    with S3Server(tmp_path / "store", read_only=True) as server:
        server.make_bucket(bucket)
        result = run_module("bucket_round_trip", server.connection(bucket))
    assert result["failed"]
    assert "read-only" in result["msg"]


def test_customer_key_and_storage_class_are_sent(s3: S3Server, bucket: str) -> None:
    with EncryptingProxy(s3.port) as proxy:
        args = s3.connection(bucket, sse_customer_key=SSE_KEY, storage_class="STANDARD_IA")
        result = run_module("bucket_round_trip", {**args, "endpoint_url": proxy.endpoint_url})
    assert not result.get("failed"), result
    for operation in ("PutObject", "GetObject"):
        (request,) = proxy.asked(operation)
        assert request.headers["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
    assert proxy.asked("PutObject")[0].headers["x-amz-storage-class"] == "STANDARD_IA"


def test_server_that_ignores_the_customer_key(s3: S3Server, bucket: str) -> None:
    result = run_module("bucket_round_trip", s3.connection(bucket, sse_customer_key=SSE_KEY))
    assert result["failed"] and result["code"] == "CustomerKeyIgnored"
    assert "PutObject does not confirm the key" in result["msg"]
    assert s3.keys(bucket) == []


def test_server_that_confirms_a_key_without_using_it(s3: S3Server, bucket: str) -> None:
    with EncryptingProxy(s3.port, enforces=False) as proxy:
        args = s3.connection(bucket, sse_customer_key=SSE_KEY)
        result = run_module("bucket_round_trip", {**args, "endpoint_url": proxy.endpoint_url})
    assert result["failed"] and result["code"] == "CustomerKeyIgnored"
    assert "can be read without it" in result["msg"]
    assert s3.keys(bucket) == []


@pytest.mark.parametrize(
    ("homeserver", "words"),
    [
        ({"homeserver_url": "http://127.0.0.1:1"}, "Connection refused"),
        ({}, "no URL of Synapse"),
    ],
)
def test_missing_homeserver(s3: S3Server, bucket: str, homeserver: dict[str, str], words: str) -> None:
    args: dict[str, Any] = {**s3.connection(bucket), "access_token": "the-access-token", **homeserver}
    done = run_module_process("bucket_round_trip", args, diff=True)
    result = json.loads(done.stdout)
    assert words in result["msg"]
    assert "synapse_s3_synapse_url" in result["msg"]
    for secret in ("the-access-token", s3.secret_access_key):
        assert secret not in done.stdout + done.stderr
