# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The round trip through a real Synapse with the real storage provider."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from refusing_proxy import DENIED, RefusingProxy
from run_module import run_module, run_module_process
from s3_server import S3Server
from synapse_server import SynapseServer

BUCKET = "media-bucket"
PREFIX = "media/"


class Site(NamedTuple):
    store: S3Server
    synapse: SynapseServer
    admin: str
    user: str

    def args(self, token: str, **others: Any) -> dict[str, Any]:
        homeserver = {"homeserver_url": self.synapse.url, "access_token": token, "timeout": 30}
        return {**self.store.connection(BUCKET, prefix=PREFIX), **homeserver, **others}

    def media_is_known(self, uri: str) -> bool:
        path = uri.removeprefix("mxc://")
        try:
            self.synapse.call("GET", f"/_synapse/admin/v1/media/{path}", token=self.admin)
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return False
        return True


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    with S3Server(directory) as store:
        store.make_bucket(BUCKET)
        with SynapseServer(directory, store.connection(BUCKET, prefix=PREFIX)) as synapse:
            admin = synapse.register("admin", admin=True)
            yield Site(store, synapse, admin, synapse.register("user", admin=False))


@pytest.fixture(autouse=True)
def bucket_empty_again(site: Site) -> Iterator[None]:
    yield
    for key in site.store.keys(BUCKET):
        site.store.client().delete_object(Bucket=BUCKET, Key=key)


def test_media_is_stored_through_synapse_and_removed_again(site: Site) -> None:
    files = site.synapse.media_files()
    with RefusingProxy(site.store.port, {}) as proxy:
        args = site.args(site.admin, endpoint_url=proxy.endpoint_url, server_name=site.synapse.server_name)
        result = run_module("bucket_round_trip", args)
        assert not result.get("failed"), result
        # The module itself only reads: the objects in the bucket were written by Synapse.
        assert {request.operation for request in proxy.requests} == {"ListObjectsV2", "GetObject", "DeleteObject"}
    trip = result["round_trip"]
    media_id = trip["media"].rsplit("/", 1)[1]
    assert trip["through"] == "synapse"
    assert trip["media"].startswith(f"mxc://{site.synapse.server_name}/")
    assert trip["key"] == f"{PREFIX}local_content/{media_id[:2]}/{media_id[2:4]}/{media_id[4:]}"
    assert trip["left_behind"] == []
    assert result["changed"] is False
    assert "warnings" not in result
    assert site.store.keys(BUCKET) == []
    assert site.synapse.media_files() == files
    assert not site.media_is_known(trip["media"])


def test_round_trip_through_a_unix_socket(site: Site) -> None:
    result = run_module("bucket_round_trip", site.args(site.admin, homeserver_url=site.synapse.socket_url))
    assert not result.get("failed"), result
    assert result["round_trip"]["through"] == "synapse"
    assert result["round_trip"]["left_behind"] == []


def test_round_trip_through_local_tls_with_any_name_in_the_certificate(site: Site) -> None:
    args = site.args(site.admin, homeserver_url=site.synapse.tls_url)
    refused = run_module("bucket_round_trip", args)
    assert "got no answer" in refused["msg"]
    assert "certificate" in refused["msg"].lower()
    result = run_module("bucket_round_trip", {**args, "homeserver_validate_certs": False})
    assert not result.get("failed"), result
    assert result["round_trip"]["through"] == "synapse"


def test_media_of_an_ordinary_user_stays_in_synapse_and_is_named(site: Site) -> None:
    result = run_module("bucket_round_trip", site.args(site.user))
    assert not result.get("failed"), result
    media = result["round_trip"]["media"]
    assert media in result["warnings"][0]
    assert "administrator" in result["warnings"][0]
    assert site.media_is_known(media)
    assert result["round_trip"]["key"].removeprefix(PREFIX) in site.synapse.media_files()
    assert site.store.keys(BUCKET) == []


def test_object_that_cannot_be_deleted_is_named(site: Site) -> None:
    with RefusingProxy(site.store.port, {"DeleteObject": DENIED}) as proxy:
        result = run_module("bucket_round_trip", site.args(site.admin, endpoint_url=proxy.endpoint_url))
    assert not result.get("failed"), result
    key = result["round_trip"]["key"]
    assert site.store.keys(BUCKET) == [key]
    assert key in result["warnings"][0]
    assert "s3:DeleteObject" in result["warnings"][0]


def test_media_that_does_not_arrive_is_a_failure_and_is_removed(site: Site) -> None:
    files = site.synapse.media_files()
    result = run_module("bucket_round_trip", site.args(site.admin, prefix="elsewhere", timeout=2))
    assert result["failed"]
    assert result["code"] == "NotSeen"
    assert "synapse_s3_storage_provider_store_local" in result["msg"]
    assert site.synapse.media_files() == files


def test_unknown_access_token(site: Site) -> None:
    done = run_module_process("bucket_round_trip", site.args("syt_wrong_token"), diff=True)
    result = json.loads(done.stdout)
    assert "M_UNKNOWN_TOKEN" in result["msg"]
    assert "synapse_s3_storage_provider_verify_access_token" in result["msg"]
    assert "syt_wrong_token" not in done.stdout + done.stderr
    assert site.store.keys(BUCKET) == []


def test_another_server_is_refused_before_any_upload(site: Site) -> None:
    files = site.synapse.media_files()
    result = run_module("bucket_round_trip", site.args(site.admin, server_name="other.test"))
    assert "is the server synapse.test, not other.test" in result["msg"]
    assert site.synapse.media_files() == files
    assert site.store.keys(BUCKET) == []


def test_check_mode_uploads_nothing(site: Site) -> None:
    files = site.synapse.media_files()
    result = run_module("bucket_round_trip", site.args(site.admin), check=True)
    assert result["round_trip"] is None
    assert site.synapse.media_files() == files
    assert site.store.keys(BUCKET) == []


def test_no_secret_in_any_output(site: Site) -> None:
    done = run_module_process("bucket_round_trip", site.args(site.user), diff=True)
    assert json.loads(done.stdout)["round_trip"]["through"] == "synapse"
    for secret in (site.user, site.store.secret_access_key):
        assert secret not in done.stdout + done.stderr


def test_synapse_cannot_reach_the_s3_server(site: Site, tmp_path: Path) -> None:
    """Synapse responds with 500 to a synchronous upload that it cannot store."""
    site.store.stop()
    try:
        result = run_module("bucket_round_trip", site.args(site.admin, timeout=120))
    finally:
        site.store.start()
    assert result["failed"]
    assert "was refused (500 " in result["msg"]
    assert "Read Synapse's log" in result["msg"]
