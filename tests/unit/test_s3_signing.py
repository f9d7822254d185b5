# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our signature equals botocore's, for any key, query and headers."""

from __future__ import annotations

import calendar
import time

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.address import Address
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.credentials import Keys
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.signing import (
    EMPTY_PAYLOAD,
    UNSIGNED_PAYLOAD,
    Signer,
    canonical_query,
)
from hypothesis import given, settings
from hypothesis import strategies as st

AUTHORITY = "127.0.0.1:9000"
REGION = "eu-central-1"
ADDRESS = Address(False, "127.0.0.1", 9000, AUTHORITY, "/media", "/media/", REGION)
KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)

ODD_KEYS = [
    "plain",
    "local_content/aB/cD/eFgH",
    "remote_content/matrix.org/aa/bb/cc",
    "a b+c%20d",
    "ü/ø€/😀.png",
    "~tilde-._",
    "(paren)'quote'!*;:@&=$,?#[]",
    "//double//slash/",
    "back\\slash|pipe^caret`tick{brace}",
    "line\nbreak\ttab\x7f",
    "e\u0301 is not \u00e9",
    "\U0010ffff\ufffd",
]


def by_botocore(
    method: str, path: str, query: str, headers: list[tuple[str, str]], payload: str, keys: Keys
) -> tuple[str, str]:
    """Return the Authorization header, and the date for which it is valid."""
    url = f"http://{AUTHORITY}{path}" + (f"?{query}" if query else "")
    request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=dict(headers))
    oracle = botocore.auth.S3SigV4Auth(
        botocore.credentials.Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token), "s3", REGION
    )
    # botocore would choose the payload hash by the scheme; both choices are compared here.
    oracle.payload = lambda request: payload
    oracle.add_auth(request)
    return request.headers["Authorization"], request.headers["X-Amz-Date"]


def by_us(
    method: str, path: str, query: str, headers: list[tuple[str, str]], payload: str, keys: Keys, date: str
) -> str:
    moment = calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    lines = Signer(AUTHORITY, REGION).signed_headers(keys, method, path, query, headers, payload, float(moment))
    fields = dict(line.split(": ", 1) for line in lines.splitlines())
    assert fields["x-amz-date"] == date
    assert fields["x-amz-content-sha256"] == payload
    return fields["authorization"]


def assert_same(method: str, path: str, query: str, headers: list[tuple[str, str]], payload: str, keys: Keys) -> None:
    theirs, date = by_botocore(method, path, query, headers, payload, keys)
    assert by_us(method, path, query, headers, payload, keys, date) == theirs


@pytest.mark.parametrize("key", ODD_KEYS)
def test_unusual_keys(key: str) -> None:
    assert_same("PUT", ADDRESS.path(key), "", [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")], UNSIGNED_PAYLOAD, KEYS)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_key(key: str) -> None:
    assert_same("GET", ADDRESS.path(key), "", [], EMPTY_PAYLOAD, KEYS)


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.text("ab/+ %&=~é", max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_listing(start_after: str, prefix: str) -> None:
    query = canonical_query(
        [("list-type", "2"), ("prefix", prefix), ("start-after", start_after), ("max-keys", "1000")]
    )
    assert_same("GET", ADDRESS.path(""), query, [], EMPTY_PAYLOAD, KEYS)


def test_a_query_without_a_value() -> None:
    assert canonical_query([("uploads", "")]) == "uploads="
    assert_same("POST", ADDRESS.path("a"), "uploads=", [], EMPTY_PAYLOAD, KEYS)


def test_customer_key_storage_class_and_token() -> None:
    headers = [
        ("content-type", "application/octet-stream"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-server-side-encryption-customer-key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ]
    assert_same("PUT", ADDRESS.path("a"), "", headers, UNSIGNED_PAYLOAD, KEYS._replace(session_token="FwoG/+token=="))


def test_one_signer_follows_the_date_and_renewed_keys() -> None:
    renewed = Keys("ASIANEW", "another secret", "a token")
    signer = Signer(AUTHORITY, REGION)
    for day, keys in ((1, KEYS), (1, renewed), (2, renewed), (2, KEYS)):
        moment = float(calendar.timegm((2026, 11, day, 23, 59, 59)))
        arguments = (keys, "GET", "/media/a", "", (), EMPTY_PAYLOAD, moment)
        assert signer.signed_headers(*arguments) == Signer(AUTHORITY, REGION).signed_headers(*arguments)
