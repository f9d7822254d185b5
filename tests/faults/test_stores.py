# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers unlike that of the other tests: with TLS, with customer keys, with multipart ETags."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.tests.shared.certificates import make_certificate
from iam_store import IamStore
from library import MIB, Library
from media_host import shared_directory
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from wire_faults import with_etags
from wire_proxy import CREATE, GET, HEAD, LIST, PART, PUT, Exchange, WireProxy


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([1, 19_000, 2 * MIB], thumbnails=1)
    library.add([17 * MIB], origin="remote.example:8448", thumbnails=0)
    inventory.record_files()
    return library


def test_over_tls(filled: Library, engine: Engine, inventory: MediaInventory, bucket: str) -> None:
    with shared_directory() as directory:
        certificate, key = make_certificate(directory)
        certificate.chmod(0o644)
        with S3Server(directory / "s3", certificate=certificate, private_key=key) as server:
            server.make_bucket(bucket)
            inventory.bucket = server.buckets / bucket
            engine.s3.update(server.connection(bucket))
            refused = engine.run()
            assert refused.status == 2 and "synapse_s3_ca_bundle" in refused.errors, refused.errors
            assert inventory.on_disk() == inventory.known
            engine.s3["ca_bundle"] = str(certificate)
            engine.offload["delete_local"] = False
            assert engine.run().status == 0
            engine.offload["delete_local"] = True
            outcome = engine.run()
            assert (outcome.status, outcome.files("verified")) == (0, len(inventory.known)), outcome.errors
            inventory.assert_all_moved()


def test_with_a_customer_key(filled: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy) -> None:
    """The key is sent with every request that needs it and with no other; it is shown nowhere else."""
    secret = "0123456789abcdef0123456789ABCDEF"
    engine.s3["sse_customer_key"] = secret
    seen: dict[str, set[bool]] = {}

    def look(exchange: Exchange) -> None:
        has_key = exchange.header("x-amz-server-side-encryption-customer-key") is not None
        seen.setdefault(exchange.operation, set()).add(has_key)
        answer = exchange.forward()
        answer.headers["x-amz-server-side-encryption-customer-algorithm"] = "AES256"
        if exchange.operation != PART:
            # As in S3: the ETag of such an object is no digest.
            answer.headers = {name: value for name, value in answer.headers.items() if name.lower() != "etag"}
            answer.headers["ETag"] = f'"{hashlib.md5(exchange.key.encode()).hexdigest()}"'
        exchange.reply(answer)

    for operation in (PUT, HEAD, GET, PART, CREATE):
        wire.add(operation, look)
    wire.add(LIST, with_etags(lambda own: own[::-1]))
    engine.offload["delete_local"] = False
    first = engine.run()
    assert (first.status, first.failures) == (0, {}), first.errors
    engine.offload["delete_local"] = True
    outcome = engine.run()
    assert (outcome.status, outcome.files("deleted")) == (0, len(inventory.known)), outcome.errors
    assert all(has_key == {True} for has_key in seen.values()), seen
    assert {PUT, PART, CREATE} <= set(seen)
    assert secret not in outcome.output + outcome.errors + first.output + first.errors
    inventory.assert_all_moved()


def test_with_least_privilege(filled: Library, engine: Engine, inventory: MediaInventory, tmp_path: Path) -> None:
    """A server with multipart ETags that checks signature and policy of each request: list, get, put, abort."""
    bucket, prefix = "composed", "synapse/"
    with IamStore(tmp_path) as store:
        client = store.client()
        client.create_bucket(Bucket=bucket)
        objects = f"arn:aws:s3:::{bucket}/{prefix}*"
        rights = [(f"s3:{action}", objects) for action in ("GetObject", "PutObject", "AbortMultipartUpload")]
        user = store.make_user("engine", [("s3:ListBucket", f"arn:aws:s3:::{bucket}"), *rights])
        engine.s3.update(store.connection(bucket, prefix=prefix, **user))
        store.enforce()
        engine.offload["delete_local"] = False
        first = engine.run()
        assert (first.status, first.files("uploaded")) == (0, len(inventory.known)), first.errors
        engine.offload["delete_local"] = True
        second = engine.run()
        assert (second.status, second.files("verified")) == (0, len(inventory.known)), second.errors
        # The engine knows its own part sizes: no object is read back or checked twice.
        requests = {kind: number for kind, number in second.report["requests"].items() if number}
        # One HEAD shows that the objects can be read; listing unfinished uploads is refused, and that is no failure.
        # An upload of one part that is never completed tells, during the listing, which checksum the store verifies.
        checksum_check = {"create_multipart": 1, "upload_part": 1, "abort_multipart": 1}
        assert requests == {"list": 1, "head": 1, "list_uploads": 1, **checksum_check}
        assert inventory.on_disk() == {}
        store.relax()
        listed = client.list_objects_v2(Bucket=bucket)["Contents"]
        assert any("-" in entry["ETag"] for entry in listed)
        for path, digest in inventory.known.items():
            body = client.get_object(Bucket=bucket, Key=prefix + path)["Body"].read()
            assert hashlib.sha256(body).hexdigest() == digest
