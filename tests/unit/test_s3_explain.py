# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every error of an S3 server becomes a message with its cause and the setting to change."""

from __future__ import annotations

import datetime
import email.utils
from typing import Any

import boto3.exceptions
import botocore.exceptions
import botocore.parsers
import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import StoreError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.explain import (
    clock_skew,
    error_code,
    explain,
    is_denied,
    is_refusal,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

SETTINGS = StoreSettings(
    bucket="media",
    endpoint_url="https://s3.example.org",
    region_name="eu-central-1",
    access_key_id="the-id",
    secret_access_key="the-secret",
    session_token="the-token",
)
WITHOUT_KEYS = StoreSettings(bucket="media", endpoint_url="https://s3.example.org")


def answer(
    code: str, status: int, message: str = "", *, headers: dict[str, str] | None = None, **details: Any
) -> Exception:
    error: Exception = botocore.exceptions.ClientError(
        {
            "Error": {"Code": code, "Message": message, **details},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},
        },
        "ListObjectsV2",
    )
    return error


def http_date(seconds_ahead: float) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_ahead)
    return email.utils.format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("code", "status", "cause", "setting"),
    [
        ("NoSuchBucket", 404, "the bucket 'media' does not exist", "synapse_s3_bucket"),
        ("NoSuchKey", 404, "not in the bucket 'media'", "synapse_s3_prefix"),
        ("InvalidAccessKeyId", 403, "does not know the access key id", "synapse_s3_access_key_id"),
        ("SignatureDoesNotMatch", 403, "secret does not fit", "synapse_s3_secret_access_key"),
        ("ExpiredToken", 400, "session token has expired", "synapse_s3_session_token"),
        ("InvalidToken", 400, "session token", "synapse_s3_session_token"),
        ("PermanentRedirect", 301, "not in the region 'eu-central-1'", "synapse_s3_region_name"),
        ("301", 301, "not in the region", "synapse_s3_region_name"),
        ("AuthorizationHeaderMalformed", 400, "not in the region", "synapse_s3_region_name"),
        ("AccessDenied", 403, "not allowed", "s3:ListBucket"),
        ("403", 403, "not allowed", "synapse_s3_access_key_id"),
        ("InvalidStorageClass", 400, "no storage class STANDARD", "synapse_s3_storage_class"),
        ("QuotaExceeded", 403, "full", "quota"),
        ("SlowDown", 503, "overloaded", "later"),
        ("503", 503, "overloaded", "later"),
        ("NotImplemented", 501, "does not offer", "synapse_s3_endpoint_url"),
        ("404", 404, "not as an S3 store does", "synapse_s3_endpoint_url"),
        ("500", 500, "not as an S3 store does", "synapse_s3_endpoint_url"),
        ("InternalError", 500, "error of its own (InternalError: text)", "read-only"),
        ("SomethingNew", 409, "refuses the request (SomethingNew: text)", "documentation"),
    ],
)
def test_error_response_of_the_server(code: str, status: int, cause: str, setting: str) -> None:
    error = answer(code, status, "text.")
    explained = explain(error, SETTINGS, "listing the bucket")
    assert isinstance(explained, StoreError)
    assert explained.code == code == error_code(error)
    assert is_refusal(error)
    text = str(explained)
    assert text.startswith("Listing the bucket failed: ")
    assert cause in text
    assert setting in text
    assert text.endswith(".")
    assert ".." not in text


@pytest.mark.parametrize(
    ("error", "cause", "setting"),
    [
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="x", error="[Errno 111] Connection refused"),
            "the connection is refused",
            "synapse_s3_endpoint_url",
        ),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="x", error="Failed to resolve 's3.example.org'"),
            "its name does not resolve",
            "synapse_s3_endpoint_url",
        ),
        (
            botocore.exceptions.ConnectTimeoutError(endpoint_url="x"),
            "did not answer in time",
            "synapse_s3_endpoint_url",
        ),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="x"), "did not answer in time", "synapse_s3_endpoint_url"),
        (
            botocore.exceptions.ConnectionClosedError(endpoint_url="x"),
            "broke the connection off",
            "synapse_s3_endpoint_url",
        ),
        (botocore.exceptions.ProxyConnectionError(proxy_url="x"), "the proxy", "HTTPS_PROXY"),
        (botocore.exceptions.NoCredentialsError(), "no keys are set", "synapse_s3_use_instance_role"),
        (
            botocore.exceptions.CredentialRetrievalError(provider="iam-role", error_msg="x"),
            "no keys are set",
            "synapse_s3_access_key_id",
        ),
        (botocore.exceptions.InvalidRegionError(region_name="x y"), "the region", "synapse_s3_region_name"),
        (botocore.parsers.ResponseParserError("not XML"), "not as an S3 store does", "synapse_s3_endpoint_url"),
        (RecursionError("maximum recursion depth"), "not as an S3 store does", "synapse_s3_endpoint_url"),
        (
            botocore.exceptions.SSLError(endpoint_url="x", error="[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "does not speak TLS",
            "http://",
        ),
        (
            botocore.exceptions.SSLError(
                endpoint_url="x", error="CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate"
            ),
            "not trusted",
            "synapse_s3_ca_bundle",
        ),
        (
            botocore.exceptions.SSLError(endpoint_url="x", error="CERTIFICATE_VERIFY_FAILED: Hostname mismatch"),
            "for another name",
            "synapse_s3_endpoint_url",
        ),
        (
            botocore.exceptions.SSLError(endpoint_url="x", error="EOF occurred"),
            "breaks the TLS handshake off",
            "synapse_s3_ca_bundle",
        ),
        (botocore.exceptions.ParamValidationError(report="bad"), "ParamValidationError", "synapse_s3_"),
    ],
)
def test_without_a_response(error: Exception, cause: str, setting: str) -> None:
    explained = explain(error, SETTINGS, "storing a/b")
    assert explained.code == type(error).__name__ == error_code(error)
    assert not is_refusal(error)
    assert str(explained).startswith("Storing a/b failed: ")
    assert cause in str(explained)
    assert setting in str(explained)


def test_right_region_is_named_where_the_server_names_it() -> None:
    from_body = explain(answer("AuthorizationHeaderMalformed", 400, Region="eu-west-3"), SETTINGS, "listing")
    from_header = explain(answer("301", 301, headers={"x-amz-bucket-region": "eu-west-3"}), SETTINGS, "listing")
    assert "(eu-west-3)" in str(from_body)
    assert "(eu-west-3)" in str(from_header)


@pytest.mark.parametrize(("ahead", "words"), [(-1200, "1200 seconds ahead of"), (1200, "1200 seconds behind")])
def test_clock_skew_is_given_with_its_direction(ahead: float, words: str) -> None:
    error = answer("RequestTimeTooSkewed", 403, headers={"date": http_date(ahead)})
    text = str(explain(error, SETTINGS, "listing"))
    seconds = int(text.split("this host is ")[1].split(" ")[0])
    assert abs(seconds - 1200) <= 1
    assert words.split(" ", 1)[1] in text


def test_skew_of_unreadable_dates_is_unknown() -> None:
    assert clock_skew(None) is None
    assert clock_skew("yesterday") is None
    assert "too far from" in str(explain(answer("RequestTimeTooSkewed", 403), SETTINGS, "listing"))


def test_skew_of_a_right_clock_is_small() -> None:
    skew = clock_skew(http_date(0))
    assert skew is not None
    assert abs(skew) < 2


def test_missing_permission_is_named() -> None:
    text = str(explain(answer("AccessDenied", 403), SETTINGS, "storing", permission="s3:PutObject on its objects"))
    assert "Grant it s3:PutObject on its objects" in text


def test_role_of_the_instance_is_distinguished_from_a_key() -> None:
    text = str(explain(answer("AccessDenied", 403), WITHOUT_KEYS, "storing"))
    assert "the role of this instance" in text


def test_refusal_with_a_customer_key_names_it() -> None:
    settings = StoreSettings(bucket="media", sse_customer_key="0123456789abcdef0123456789abcdef")
    text = str(explain(answer("InvalidRequest", 400, "must be made over a secure connection"), settings, "storing"))
    assert "synapse_s3_sse_customer_key" in text
    assert "https" in text


def test_aws_is_named_where_there_is_no_endpoint() -> None:
    assert "AWS S3" in str(explain(answer("NoSuchBucket", 404), StoreSettings(bucket="media"), "listing"))


@pytest.mark.parametrize("secret", ["the-secret", "the-token"])
def test_messages_of_the_server_are_shown_without_our_secrets(secret: str) -> None:
    text = str(explain(answer("Odd", 418, f"your {secret} is {{odd}}"), SETTINGS, "listing"))
    assert secret not in text
    assert "your ******** is {odd}" in text


def test_wrapped_error_of_a_transfer_is_unwrapped() -> None:
    wrapped = boto3.exceptions.S3UploadFailedError("Failed to upload")
    wrapped.__cause__ = answer("NoSuchBucket", 404)
    assert explain(wrapped, SETTINGS, "storing").code == "NoSuchBucket" == error_code(wrapped)


def test_explained_error_is_not_explained_again() -> None:
    error = StoreError("Said already.", "Code")
    assert explain(error, SETTINGS, "listing") is error
    assert error_code(error) == "Code"


@pytest.mark.parametrize(
    ("code", "denied"), [("AccessDenied", True), ("403", True), ("SignatureDoesNotMatch", False), ("NoSuchKey", False)]
)
def test_denied_access_is_distinguished_from_wrong_keys(code: str, denied: bool) -> None:
    assert is_denied(answer(code, 403)) is denied
