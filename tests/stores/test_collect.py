# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Garbage collection against servers that keep versions, heed conditions and encrypt with a customer key."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Endpoint, Host, MakeHost
from offload_engine import Command, Outcome
from seaweedfs import SeaweedFS

KEY = "0123456789abcdef0123456789ABCDEF"
TRASH = "synapse-s3-trash/"
ORPHANS = {
    "local_content/Or/ph/an1": b"original",
    "local_thumbnails/Or/ph/an1/32-32-image-png-crop": b"thumbnail",
    "remote_content/gone.example/Or/ph/an 2+ö&": b"remote",
}
# No server lets an object be older than it is, so the collection believes in a later time.
_LATER = """
import sys, time
from synapse_media.collect import engine
from synapse_media.cli import main

class Clock:
    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def time():
        return time.time() + {days} * 86400

engine.time = Clock
sys.exit(main())
"""


def collect(host: Host, *options: str, days: int = 0, status: int = 0) -> Outcome:
    command = Command(host.engine, "gc", _LATER.format(days=days))
    outcome = command.run("--max-percent=90", *options)
    assert outcome.status == status, (outcome.errors, outcome.output)
    return outcome


def filled(make_host: MakeHost, endpoint: Endpoint, customer_key: str | None = None) -> Host:
    host = make_host(endpoint, customer_key)
    host.library.add([1000, 20_000], thumbnails=1)
    host.inventory.record_files()
    host.inventory.put_all()
    for path, content in ORPHANS.items():
        host.inventory.put(path, content)
    return host


def contents(host: Host, extra: dict[str, Any]) -> dict[str, bytes]:
    """Of what has no row, by the path that it has or had."""
    found = {}
    for key in host.inventory.listed():
        path = key.partition("/")[2].partition("/")[2] if key.startswith(TRASH) else key
        if path in ORPHANS:
            found[key] = host.client.get_object(Bucket=host.bucket, Key=key, **extra)["Body"].read()
    return found


@pytest.mark.parametrize(
    ("endpoint", "customer_key"),
    [("rgw", None), ("seaweedfs_tls", KEY), ("juicefs_etags", None), ("juicefs", None)],
    indirect=["endpoint"],
)
def test_collected_brought_back_and_purged(endpoint: Endpoint, customer_key: str | None, make_host: MakeHost) -> None:
    host = filled(make_host, endpoint, customer_key)
    extra = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": customer_key} if customer_key else {}
    assert collect(host).skipped("young") == len(ORPHANS)
    done = collect(host, "--confirm", days=31)
    assert done.report["conditional_deletes"] is isinstance(host.store, SeaweedFS)
    assert (done.files("trashed"), done.failures) == (len(ORPHANS), {}), done.output
    in_trash = contents(host, extra)
    assert all(key.startswith(TRASH) for key in in_trash)
    assert {key.partition("/")[2].partition("/")[2]: content for key, content in in_trash.items()} == ORPHANS

    assert collect(host, "--undo", str(done.report["log"]), days=32).files("restored") == len(ORPHANS)
    back = contents(host, extra)
    assert {path: content for path, content in back.items() if path in ORPHANS} == ORPHANS

    purged = collect(host, "--confirm", days=70)
    assert purged.files("purged") == len(ORPHANS), purged.output
    assert {path for path in contents(host, extra) if path.startswith(TRASH)} == set()
    assert host.inventory.in_bucket().items() >= host.inventory.known.items()


@pytest.mark.parametrize("endpoint", ["rgw_tls"], indirect=True)
def test_a_store_that_copies_no_encrypted_objects_keeps_them(endpoint: Endpoint, make_host: MakeHost) -> None:
    host = filled(make_host, endpoint, KEY)
    collect(host)
    done = collect(host, "--confirm", days=31, status=1)
    assert done.failed_paths == sorted(ORPHANS)
    assert all("refuses to copy" in reason for reason in done.failures.values()), done.failures
    extra = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
    assert contents(host, extra) == ORPHANS
    assert collect(host, "--confirm", "--no-trash", days=31).files("deleted") == len(ORPHANS)
    assert contents(host, extra) == {}


@pytest.mark.parametrize("endpoint", ["rgw"], indirect=True)
def test_a_bucket_with_versions_gets_delete_markers(endpoint: Endpoint, make_host: MakeHost) -> None:
    host = make_host(endpoint)
    host.client.put_bucket_versioning(Bucket=host.bucket, VersioningConfiguration={"Status": "Enabled"})
    host.library.add([1000], thumbnails=1)
    host.inventory.record_files()
    host.inventory.put_all()
    for path, content in ORPHANS.items():
        host.inventory.put(path, content)
    before = versions(host)
    collect(host)
    done = collect(host, "--confirm", days=31)
    assert done.files("trashed") == len(ORPHANS), done.output
    after = versions(host)
    assert before <= after
    assert set(ORPHANS).isdisjoint(host.inventory.listed())
    undone = collect(host, "--undo", str(done.report["log"]))
    assert undone.files("restored") == len(ORPHANS)
    assert set(ORPHANS) <= set(host.inventory.listed())


def versions(host: Host) -> set[tuple[str, str]]:
    found = host.client.list_object_versions(Bucket=host.bucket)
    return {(entry["Key"], entry["VersionId"]) for entry in found.get("Versions", [])}
