# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bucket check against a real S3 server: what works, what is reported as wrong, and that no object is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.tests.shared.certificates import make_certificate
from encrypting_proxy import DIGEST, EncryptingProxy
from http_server import Handler, LocalServer
from refusing_proxy import DENIED, NOT_IMPLEMENTED, Refusal, RefusingProxy
from run_module import run_module, run_module_process
from s3_server import S3Server, free_port

SSE_KEY = "0123456789abcdef0123456789abcdef"


def pending_uploads(server: S3Server, bucket: str) -> list[str]:
    client = server.client()
    try:
        return [upload["UploadId"] for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
    except client.exceptions.NoSuchUpload:  # rclone's response when there are none
        return []


def refused(name: str, args: dict[str, Any]) -> dict[str, Any]:
    result = run_module(name, args)
    assert result.get("failed"), result
    return result


@pytest.fixture
def filled(s3: S3Server, bucket: str) -> Iterator[S3Server]:
    """A bucket in use, which must be the same afterwards."""
    for key in ("media/local_content/Ab/Cd/efgh", "media/.synapse-s3-test", "other/file"):
        s3.client().put_object(Bucket=bucket, Key=key, Body=key.encode())
    before = s3.keys(bucket)
    yield s3
    assert s3.keys(bucket) == before
    assert pending_uploads(s3, bucket) == []


@pytest.mark.parametrize("check", [False, True])
def test_working_bucket(filled: S3Server, bucket: str, check: bool) -> None:
    result = run_module("bucket_info", filled.connection(bucket, prefix="media/"), check=check)
    assert not result.get("failed"), result
    assert result["changed"] is False
    assert "warnings" not in result
    skew = result["bucket"].pop("clock_skew_seconds")
    assert abs(skew) <= 2
    assert result["bucket"] == {
        "name": bucket,
        "prefix": "media/",
        "exists": True,
        "is_empty": False,
        "can_list": True,
        "can_read": True,
        "can_write": True,
        "can_delete": None,
        "write_proof": "aborted_upload",
        "refusals": {},
        "left_behind": [],
    }


def test_emptiness_is_that_of_the_prefix(filled: S3Server, bucket: str) -> None:
    result = run_module("bucket_info", filled.connection(bucket, prefix="new"))
    assert result["bucket"]["is_empty"] is True


def test_prefix_is_reported_as_it_is_used(s3: S3Server, bucket: str) -> None:
    result = run_module("bucket_info", s3.connection(bucket, prefix="/a/b//"))
    assert result["bucket"]["prefix"] == "/a/b//"


def test_deleting_is_tried_where_it_is_required(filled: S3Server, bucket: str) -> None:
    args = filled.connection(bucket, prefix="media/", require=["list", "read", "write", "delete"])
    result = run_module("bucket_info", args)
    assert result["bucket"]["can_delete"] is True


def test_empty_bucket_stays_empty(s3: S3Server, bucket: str) -> None:
    assert run_module("bucket_info", s3.connection(bucket))["bucket"]["can_write"] is True
    assert s3.keys(bucket) == []
    assert pending_uploads(s3, bucket) == []
    assert list((s3.buckets / bucket).iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "code", "cause", "setting"),
    [
        ({"secret_access_key": "wrong-secret-0123"}, "SignatureDoesNotMatch", "secret", "synapse_s3_secret_access_key"),
        ({"access_key_id": "unknown"}, "InvalidAccessKeyId", "does not know", "synapse_s3_access_key_id"),
        ({"bucket": "absent"}, "NoSuchBucket", "'absent' does not exist", "synapse_s3_bucket"),
    ],
)
def test_wrong_setting_is_named(
    filled: S3Server, bucket: str, changes: dict[str, str], code: str, cause: str, setting: str
) -> None:
    result = refused("bucket_info", {**filled.connection(bucket), **changes})
    assert result["code"] == code
    assert cause in result["msg"]
    assert setting in result["msg"]


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"bucket": ""}, "synapse_s3_bucket"),
        ({"endpoint_url": "s3.example.org"}, "synapse_s3_endpoint_url"),
        ({"secret_access_key": ""}, "synapse_s3_secret_access_key"),
        ({"sse_customer_key": "short"}, "synapse_s3_sse_customer_key"),
        ({"ca_bundle": "/absent.pem"}, "synapse_s3_ca_bundle"),
    ],
)
def test_invalid_setting_is_refused_before_any_request(bucket: str, changes: dict[str, str], setting: str) -> None:
    nowhere = {"endpoint_url": "http://127.0.0.1:1", "access_key_id": "id", "secret_access_key": "secret"}
    assert setting in refused("bucket_info", {"bucket": bucket, **nowhere, **changes})["msg"]


def test_no_server_at_the_endpoint(s3: S3Server, bucket: str) -> None:
    result = refused("bucket_info", {**s3.connection(bucket), "endpoint_url": f"http://127.0.0.1:{free_port()}"})
    assert result["code"] == "EndpointConnectionError"
    assert "the connection is refused" in result["msg"]
    assert "synapse_s3_endpoint_url" in result["msg"]


def test_http_typed_as_https(s3: S3Server, bucket: str) -> None:
    endpoint = s3.endpoint_url.replace("http:", "https:")
    result = refused("bucket_info", {**s3.connection(bucket), "endpoint_url": endpoint})
    assert "does not speak TLS" in result["msg"]
    assert "'http://'" in result["msg"]


def test_no_keys_and_no_role(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    environment = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": ""}
    args = {"bucket": bucket, "endpoint_url": s3.endpoint_url}
    result = run_module("bucket_info", args, environment=environment)
    assert result["code"] == "NoCredentialsError"
    assert "synapse_s3_use_instance_role" in result["msg"]


class WebPage(Handler):
    """A web console in place of the S3 endpoint."""

    def do_GET(self) -> None:
        page = b"<!doctype html><p>Sign in"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


class MovedPage(WebPage):
    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", "/login")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET


class NoPage(WebPage):
    def do_GET(self) -> None:
        self.send_error(404)


@pytest.mark.parametrize("page", [WebPage, MovedPage, NoPage])
def test_endpoint_that_is_no_s3_server(bucket: str, page: type[WebPage]) -> None:
    with LocalServer(page) as server:
        keys = {"access_key_id": "id", "secret_access_key": "secret"}
        result = refused("bucket_info", {"bucket": bucket, "endpoint_url": server.endpoint_url, **keys})
    assert "not as an S3 store does" in result["msg"]
    assert "synapse_s3_endpoint_url" in result["msg"]


def test_read_only_store(tmp_path: Path, bucket: str) -> None:
    with S3Server(tmp_path / "store", read_only=True) as server:
        server.make_bucket(bucket)
        result = refused("bucket_info", server.connection(bucket))
        assert result["bucket"]["can_read"] is True
        assert result["bucket"]["can_write"] is False
        assert "read-only" in result["msg"]
        assert pending_uploads(server, bucket) == []


def test_untrusted_certificate_and_then_a_trusted_one(tmp_path: Path, bucket: str) -> None:
    files = make_certificate(tmp_path)
    with S3Server(tmp_path / "tls", certificate=files.certificate, private_key=files.private_key) as server:
        server.make_bucket(bucket)
        result = refused("bucket_info", server.connection(bucket))
        assert "not trusted" in result["msg"]
        assert "synapse_s3_ca_bundle" in result["msg"]
        trusting = run_module("bucket_info", server.connection(bucket, ca_bundle=str(files.certificate)))
        assert trusting["bucket"]["can_write"] is True
        plain = server.endpoint_url.replace("https:", "http:")
        assert "scheme" in refused("bucket_info", {**server.connection(bucket), "endpoint_url": plain})["msg"]


def test_certificate_for_another_name(tmp_path: Path, bucket: str) -> None:
    files = make_certificate(tmp_path, "127.0.0.2")
    with S3Server(tmp_path / "tls", certificate=files.certificate, private_key=files.private_key) as server:
        result = refused("bucket_info", server.connection(bucket, ca_bundle=str(files.certificate)))
    assert "for another name" in result["msg"]


@pytest.mark.parametrize(
    ("operation", "refused_ability", "permission"),
    [
        ("ListObjectsV2", "list", "s3:ListBucket"),
        ("GetObject", "read", "s3:GetObject"),
        ("CreateMultipartUpload", "write", "s3:PutObject"),
        ("UploadPart", "write", "s3:PutObject"),
    ],
)
def test_one_operation_is_denied(
    filled: S3Server, bucket: str, operation: str, refused_ability: str, permission: str
) -> None:
    with RefusingProxy(filled.port, {operation: DENIED}) as proxy:
        args = {**filled.connection(bucket, prefix="media/"), "endpoint_url": proxy.endpoint_url}
        result = refused("bucket_info", args)
        tolerated = run_module("bucket_info", {**args, "require": []})
    assert permission in result["msg"]
    abilities = {ability: result["bucket"][f"can_{ability}"] for ability in ("list", "read", "write")}
    assert abilities == {ability: ability != refused_ability for ability in ("list", "read", "write")}
    assert list(result["bucket"]["refusals"]) == [refused_ability]
    assert not tolerated.get("failed")
    assert tolerated["bucket"]["refusals"] == result["bucket"]["refusals"]


@pytest.mark.parametrize(
    ("refusal", "changes", "words"),
    [
        (Refusal(403, "AccessDenied", "local_content"), {}, "s3:GetObject"),
        (Refusal(403, "AccessDenied", "local_content"), {"sse_customer_key": SSE_KEY}, "synapse_s3_sse_customer_key"),
        (Refusal(400, "InvalidArgument", "local_content"), {}, "synapse_s3_sse_customer_key"),
    ],
)
def test_existing_media_that_cannot_be_read(
    filled: S3Server, bucket: str, refusal: Refusal, changes: dict[str, str], words: str
) -> None:
    with RefusingProxy(filled.port, {"GetObject": refusal}) as proxy:
        args = {**filled.connection(bucket, prefix="media/"), "endpoint_url": proxy.endpoint_url, **changes}
        result = refused("bucket_info", args)
    assert result["bucket"]["can_read"] is False
    assert words in result["msg"]


def test_archived_media_is_accepted(filled: S3Server, bucket: str) -> None:
    with RefusingProxy(filled.port, {"GetObject": Refusal(403, "InvalidObjectState", "local_content")}) as proxy:
        args = {**filled.connection(bucket, prefix="media/"), "endpoint_url": proxy.endpoint_url}
        result = run_module("bucket_info", args)
        assert [request.path for request in proxy.asked("GetObject")][1] == f"/{bucket}/media/local_content/Ab/Cd/efgh"
        assert proxy.asked("GetObject")[1].headers["range"] == "bytes=0-0"
    assert result["bucket"]["can_read"] is True


def test_denied_delete_counts_only_where_it_is_required(filled: S3Server, bucket: str) -> None:
    with RefusingProxy(filled.port, {"DeleteObject": DENIED}) as proxy:
        args = {**filled.connection(bucket), "endpoint_url": proxy.endpoint_url}
        assert run_module("bucket_info", args)["bucket"]["can_delete"] is None
        assert proxy.asked("DeleteObject") == []
        result = refused("bucket_info", {**args, "require": ["delete"]})
    assert result["bucket"]["can_delete"] is False
    assert "s3:DeleteObject" in result["msg"]


@pytest.mark.parametrize(
    "refusals",
    [
        {"AbortMultipartUpload": DENIED},
        {"AbortMultipartUpload": NOT_IMPLEMENTED},
        {"CreateMultipartUpload": NOT_IMPLEMENTED},
    ],
)
def test_writing_without_multipart_uploads(filled: S3Server, bucket: str, refusals: dict[str, Any]) -> None:
    with RefusingProxy(filled.port, refusals) as proxy:
        args = {**filled.connection(bucket), "endpoint_url": proxy.endpoint_url}
        result = run_module("bucket_info", args)
        assert len(proxy.asked("PutObject")) == 1
        assert proxy.asked("PutObject")[0].path == proxy.asked("DeleteObject")[-1].path
    assert result["bucket"]["can_write"] is True
    assert result["bucket"]["write_proof"] == "deleted_object"


def test_no_object_is_written_that_could_not_be_deleted(filled: S3Server, bucket: str) -> None:
    with RefusingProxy(filled.port, {"AbortMultipartUpload": DENIED, "DeleteObject": DENIED}) as proxy:
        result = refused("bucket_info", {**filled.connection(bucket), "endpoint_url": proxy.endpoint_url})
        assert proxy.asked("PutObject") == proxy.asked("CreateMultipartUpload") == []
    assert "s3:AbortMultipartUpload" in result["msg"]


def test_customer_key_and_storage_class_are_used_as_by_the_provider(s3: S3Server, bucket: str) -> None:
    with EncryptingProxy(s3.port) as proxy:
        args = s3.connection(bucket, sse_customer_key=SSE_KEY, storage_class="STANDARD_IA")
        result = run_module("bucket_info", {**args, "endpoint_url": proxy.endpoint_url})
    assert result["bucket"]["can_write"] is True
    header = "x-amz-server-side-encryption-customer-algorithm"
    for operation in ("GetObject", "CreateMultipartUpload"):
        (request,) = proxy.asked(operation)
        assert request.headers[header] == "AES256"
    # The second part comes without the key and is refused.
    assert [header in request.headers for request in proxy.asked("UploadPart")] == [True, False]
    assert proxy.asked("PutObject") == [] and result["bucket"]["write_proof"] == "aborted_upload"
    assert header not in proxy.asked("ListObjectsV2")[0].headers
    assert proxy.asked("CreateMultipartUpload")[0].headers["x-amz-storage-class"] == "STANDARD_IA"


def test_server_that_ignores_the_customer_key(filled: S3Server, bucket: str) -> None:
    """rclone accepts the headers but stores everything unencrypted."""
    result = refused("bucket_info", filled.connection(bucket, sse_customer_key=SSE_KEY, prefix="new"))
    assert result["code"] == "CustomerKeyIgnored" and result["bucket"]["can_write"] is False
    assert "ignores synapse_s3_sse_customer_key" in result["msg"] and "supports SSE-C" in result["msg"]
    assert "UploadPart" in result["msg"] and SSE_KEY not in result["msg"]


@pytest.mark.parametrize("refusals", [{}, {"CreateMultipartUpload": NOT_IMPLEMENTED}, {"DeleteObject": DENIED}])
def test_server_that_confirms_a_key_without_using_it(filled: S3Server, bucket: str, refusals: dict[str, Any]) -> None:
    with EncryptingProxy(filled.port, refusals, enforces=False) as proxy:
        args = filled.connection(bucket, sse_customer_key=SSE_KEY, prefix="media/")
        result = refused("bucket_info", {**args, "endpoint_url": proxy.endpoint_url})
    assert result["code"] == "CustomerKeyIgnored" and "can be read without it" in result["msg"]


@pytest.mark.parametrize(
    ("refusals", "left"),
    [
        ({}, []),
        ({"CreateMultipartUpload": NOT_IMPLEMENTED}, []),
        ({"DeleteObject": DENIED}, ["media/.synapse-s3-test"]),
    ],
)
def test_server_that_requires_the_key_for_whole_objects_only(
    filled: S3Server, bucket: str, refusals: dict[str, Any], left: list[str]
) -> None:
    """Like SeaweedFS: an object is stored to test it; where it cannot be deleted, it is that of the round trip."""
    with EncryptingProxy(filled.port, refusals, parts_need_key=False) as proxy:
        args = filled.connection(bucket, sse_customer_key=SSE_KEY, prefix="media/")
        result = run_module("bucket_info", {**args, "endpoint_url": proxy.endpoint_url})
        assert [bool(request.headers.get(DIGEST)) for request in proxy.asked("HeadObject")] == [True, False]
    assert not result.get("failed"), result
    assert result["bucket"]["can_write"] is True
    assert [key in str(result["bucket"]["left_behind"]) for key in left] == [True for key in left]
    assert len(result["bucket"]["left_behind"]) == len(left)


@pytest.mark.parametrize("break_it", [{}, {"bucket": "absent"}, {"access_key_id": "unknown"}])
def test_no_secret_in_any_output(s3: S3Server, bucket: str, break_it: dict[str, str]) -> None:
    secrets = {"session_token": "the-session-token", "sse_customer_key": SSE_KEY}
    args = {**s3.connection(bucket, **secrets), **break_it}
    done = run_module_process("bucket_info", args, diff=True, environment={"ANSIBLE_DEBUG": "1"})
    assert json.loads(done.stdout)["invocation"]["module_args"]["bucket"] == args["bucket"]
    for secret in (s3.secret_access_key, *secrets.values()):
        assert secret not in done.stdout + done.stderr
