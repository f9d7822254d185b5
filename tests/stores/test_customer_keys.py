# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An object is a copy only if the configured customer key reads it; a server that ignores the key is refused."""

from __future__ import annotations

import json

import pytest
from conftest import IN_PARTS, Endpoint, Host, MakeHost
from library import MIB
from wire_proxy import WireProxy

KEY = "0123456789abcdef0123456789ABCDEF"
OTHER_KEY = "fedcba9876543210FEDCBA9876543210"
ENCRYPTING = pytest.mark.parametrize("endpoint", ["seaweedfs_tls", "rgw_tls"], indirect=True)


def stored(make_host: MakeHost, endpoint: Endpoint) -> Host:
    """All media is on the disk, and in the bucket under KEY; both servers list the MD5 of the plain content."""
    host = make_host(endpoint, customer_key=KEY)
    host.library.add([1, 19_000, 60_000, 1_100_000], thumbnails=1)
    host.library.add([500] * 4, origin="example.com", thumbnails=1)
    host.inventory.record_files()
    host.inventory.put_all()
    return host


@ENCRYPTING
@pytest.mark.parametrize("configured", [OTHER_KEY, None], ids=["another key", "no key"])
def test_objects_that_the_configured_key_does_not_read(
    configured: str | None, endpoint: Endpoint, make_host: MakeHost
) -> None:
    host = stored(make_host, endpoint)
    host.engine.s3["sse_customer_key"] = configured
    outcome = host.engine.run()
    host.assert_nothing_unlinked()
    assert host.inventory.in_bucket() == host.inventory.known, "objects were overwritten"
    assert outcome.status in (1, 2), outcome.output
    if outcome.status == 1:
        assert outcome.failed_paths == sorted(host.inventory.known)
        assert all("sse_customer_key" in reason for reason in outcome.failures.values()), outcome.failures
    else:
        assert "sse_customer_key" in outcome.errors, outcome.errors


@ENCRYPTING
def test_objects_that_the_configured_key_reads(endpoint: Endpoint, make_host: MakeHost) -> None:
    """A listing does not say which key an object has: each is checked by HEAD, and none is read."""
    host = stored(make_host, endpoint)
    count = len(host.inventory.known)
    outcome = host.engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert outcome.files("verified") == outcome.files("deleted") == count
    requests = outcome.report["requests"]
    assert requests["head"] >= count, f"{requests['head']} HEAD requests for {count} objects under a customer key"
    assert (requests["get"], requests["put"]) == (0, 0), requests
    host.inventory.assert_all_moved()


@ENCRYPTING
def test_everything_moves_under_a_key(endpoint: Endpoint, make_host: MakeHost) -> None:
    host = make_host(endpoint, customer_key=KEY)
    host.library.add([1, 19_000, 1_100_000], thumbnails=1)
    host.library.add([IN_PARTS, 17 * MIB], origin="example.com", thumbnails=0)
    host.inventory.record_files()
    host.engine.offload["delete_local"] = False
    first = host.engine.run()
    assert (first.status, first.failures) == (0, {}), first.errors
    assert host.inventory.in_bucket() == host.inventory.known
    host.engine.offload["delete_local"] = True
    second = host.engine.run()
    assert (second.status, second.failures, second.files("uploaded")) == (0, {}, 0), second.errors
    host.inventory.assert_all_moved()
    assert KEY not in first.output + first.errors + second.output + second.errors
    # Reading all of it without the key would be what the server was asked to prevent.
    path = next(iter(host.inventory.known))
    with pytest.raises(host.client.exceptions.ClientError):
        host.client.get_object(Bucket=host.bucket, Key=path)


@pytest.mark.parametrize("endpoint", ["seaweedfs"], indirect=True)
def test_a_policy_that_demands_a_key(endpoint: Endpoint, make_host: MakeHost) -> None:
    """For such a policy each request of an upload is a PutObject: completing and aborting need the key as well.

    Not on RGW 16: it does not know the condition's header, and denies every PUT.
    """
    host = make_host(endpoint, customer_key=KEY)
    condition = {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}}
    statement = {
        "Sid": "OnlyUnderACustomerKey",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{host.bucket}/*",
        "Condition": condition,
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    host.client.put_bucket_policy(Bucket=host.bucket, Policy=json.dumps(policy))
    with pytest.raises(host.client.exceptions.ClientError, match="AccessDenied"):
        host.client.put_object(Bucket=host.bucket, Key="in the clear", Body=b"x")
    host.library.add([IN_PARTS, 19_000], thumbnails=1)
    host.inventory.record_files()
    outcome = host.engine.run()
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    assert outcome.report["requests"]["complete_multipart"] == 1
    host.inventory.assert_all_moved()

    # A file that differs from its row is not completed, and no part of it stays on the server.
    damaged = host.library.add([IN_PARTS], thumbnails=0)[0].original
    host.library.rewrite(damaged, bytes(IN_PARTS))
    refused = host.engine.run()
    assert (refused.status, refused.failed_paths) == (1, [damaged]), refused.errors
    left = [upload["Key"] for upload in host.client.list_multipart_uploads(Bucket=host.bucket).get("Uploads", [])]
    assert not left, f"the upload of {left} was not aborted"


@pytest.mark.parametrize("endpoint", ["rclone"], indirect=True)
@pytest.mark.parametrize("size", [19_000, IN_PARTS], ids=["PutObject", "CreateMultipartUpload"])
def test_a_server_that_ignores_the_key(size: int, host: Host, wire: WireProxy) -> None:
    """It responds with 200 and stores the content unencrypted; only the missing algorithm in its response shows it."""
    host.engine.s3["sse_customer_key"] = KEY
    host.engine.offload["concurrency"] = 4
    host.library.add([size], thumbnails=0)
    host.library.add([1000] * (40 if size < MIB else 0), thumbnails=0)
    host.inventory.record_files()
    outcome = host.engine.run()
    host.assert_refused(outcome, "sse_customer_key")
    sent = wire.count("PutObject") + wire.count("UploadPart")
    assert sent <= 16, f"{sent} files and parts were sent to a store that keeps them in the clear"
    assert wire.count("CompleteMultipartUpload") == 0


@pytest.mark.parametrize("endpoint", ["rgw", "juicefs"], indirect=True)
def test_a_server_that_permits_keys_over_https_only(host: Host, wire: WireProxy) -> None:
    """Status 400 InvalidRequest for every file alike: a setting is wrong, and not this many files."""
    host.engine.s3["sse_customer_key"] = KEY
    host.engine.offload["concurrency"] = 4
    host.library.add([1000] * 100, thumbnails=1)
    host.inventory.record_files()
    outcome = host.engine.run()
    host.assert_refused(outcome, "sse_customer_key")
    assert len(wire.seen) <= 32, f"{len(wire.seen)} requests for one wrong setting"
