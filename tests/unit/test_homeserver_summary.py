# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary of Synapse's configuration that the roles receive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import KEY, PROVIDER_MODULE
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_summary import (
    base_url,
    retention_warning,
    summary,
)
from homeserver_files import ConfigurationFiles, entry

HTTP = {"type": "http", "port": 8008, "resources": [{"names": ["client", "federation"]}]}


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "http://127.0.0.1:8008"),
        ({"bind_addresses": ["0.0.0.0"]}, "http://127.0.0.1:8008"),
        ({"bind_addresses": ["::"]}, "http://[::1]:8008"),
        ({"bind_addresses": ["::", "0.0.0.0"]}, "http://127.0.0.1:8008"),
        ({"bind_addresses": ["::1", "127.0.0.1"]}, "http://127.0.0.1:8008"),
        ({"bind_addresses": ["10.0.0.5", "10.0.0.6"]}, "http://10.0.0.5:8008"),
        ({"bind_addresses": ["fd00::5"]}, "http://[fd00::5]:8008"),
        ({"bind_address": "10.0.0.5"}, "http://10.0.0.5:8008"),
        ({"resources": [{"names": "client"}]}, "http://127.0.0.1:8008"),
        ({"resources": [{"names": ["federation"]}]}, None),
        ({"resources": None}, None),
        ({"tls": True, "port": 8448}, "https://127.0.0.1:8448"),
        ({"type": "metrics"}, None),
        ({"port": None, "path": "/run/synapse.sock"}, "unix:/run/synapse.sock"),
        ({"port": None, "path": "synapse.sock"}, None),
        ({"port": None, "path": "/run/synapse.sock", "resources": [{"names": ["federation"]}]}, None),
    ],
)
def test_the_url_is_that_of_a_listener_with_the_client_api(changes: dict[str, Any], url: str | None) -> None:
    assert base_url([{**HTTP, **changes}]) == url


def test_the_first_suitable_listener_gives_the_url() -> None:
    tls = {**HTTP, "tls": True, "port": 8448}
    assert base_url([tls, "nonsense", HTTP, {**HTTP, "port": 9}]) == "http://127.0.0.1:8008"
    socket = {**HTTP, "port": None, "path": "/run/synapse.sock"}
    assert base_url([tls, socket, HTTP]) == "http://127.0.0.1:8008"
    assert base_url([tls, socket]) == "unix:/run/synapse.sock"
    assert base_url([tls]) == "https://127.0.0.1:8448"
    assert base_url(None) is None
    assert base_url({}) is None


def test_the_summary_has_synapses_defaults(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "server_name: example.org\n"})
    assert summary(["homeserver.yaml"], str(tmp_path)) == {
        "server_name": "example.org",
        "media_store_path": f"{tmp_path}/media_store",
        "enable_media_repo": True,
        "enable_local_media_storage": True,
        "enable_authenticated_media": True,
        "database_name": None,
        "base_url": None,
        "storage_providers": [],
        "media_retention": {},
        "config_directory": None,
        "config_files": files.paths,
    }


def test_the_summary_has_what_is_set(tmp_path: Path) -> None:
    ConfigurationFiles(
        tmp_path,
        {
            "homeserver.yaml": "enable_media_repo: false\nenable_local_media_storage: false\n"
            "enable_authenticated_media: false\ndatabase: {name: psycopg2, args: {password: s3cret}}\n",
            "conf.d/a.yaml": "media_store_path: /mnt\n",
        },
    )
    found = summary([f"{tmp_path}/homeserver.yaml", f"{tmp_path}/conf.d"], "/")
    assert found["media_store_path"] == "/mnt"
    assert [found[f"enable_{name}"] for name in ("media_repo", "local_media_storage", "authenticated_media")] == [
        False
    ] * 3
    assert found["database_name"] == "psycopg2"
    assert found["config_directory"] == f"{tmp_path}/conf.d"
    assert "s3cret" not in str(found)


def test_the_providers_are_those_of_the_last_file_with_the_key(tmp_path: Path) -> None:
    theirs = f"{KEY}:\n- module: file_system\n  config: {{directory: /mnt, bucket: no}}\n"
    files = ConfigurationFiles(
        tmp_path,
        {"homeserver.yaml": f"{KEY}: [{{module: old}}]\n", "conf.d/a.yaml": theirs},
        ["homeserver.yaml", "conf.d"],
    )
    file = f"{tmp_path}/conf.d/a.yaml"
    disk = {"module": "file_system", "file": file, "bucket": None, "prefix": None, "ours": False}
    assert summary(files.paths, "/")["storage_providers"] == [disk]
    files.put()
    s3 = {"module": PROVIDER_MODULE, "file": file, "bucket": "media", "prefix": "synapse/", "ours": True}
    assert summary(files.paths, "/")["storage_providers"] == [disk, s3]
    assert str(entry().settings.secret_access_key) not in str(summary(files.paths, "/"))


@pytest.mark.parametrize("prefix", ["", "prefix: '', ", "prefix: null, "])
def test_an_s3_entry_without_a_prefix_has_an_empty_prefix(tmp_path: Path, prefix: str) -> None:
    text = f"{KEY}:\n- module: {PROVIDER_MODULE}\n  config: {{{prefix}bucket: theirs}}\n"
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": text})
    assert [provider["prefix"] for provider in summary(files.paths, "/")["storage_providers"]] == [""]


def test_our_entry_in_flow_style_is_recognised(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": '{"server_name": "a"}'})
    files.put()
    assert [provider["ours"] for provider in summary(files.paths, "/")["storage_providers"]] == [True]


def test_media_lifetimes_are_reported_and_explained(tmp_path: Path) -> None:
    files = ConfigurationFiles(
        tmp_path,
        {"homeserver.yaml": "media_retention:\n  local_media_lifetime: 90d\n  remote_media_lifetime: 1209600000\n"},
    )
    found = summary(files.paths, "/")
    assert found["media_retention"] == {"local_media_lifetime": "90d", "remote_media_lifetime": "1209600000"}
    words = str(retention_warning(found["media_retention"], found["config_files"]))
    for part in (
        "media_retention (local_media_lifetime: 90d, remote_media_lifetime: 1209600000)",
        f"{tmp_path}/homeserver.yaml",
        "not a limit for the local disk",
        "users is then gone for everybody",
        "objects in the bucket stay",
    ):
        assert part in words
    assert "gone for everybody" not in str(retention_warning({"remote_media_lifetime": "14d"}, []))


@pytest.mark.parametrize(
    "text", ["", "media_retention:\n", "media_retention: {}\n", "media_retention: {local_media_lifetime: null}"]
)
def test_a_retention_that_deletes_nothing_gives_no_warning(tmp_path: Path, text: str) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": f"server_name: a\n{text}"})
    assert summary(files.paths, "/")["media_retention"] == {}
    assert retention_warning({}, files.paths) is None


def test_an_s3_entry_of_the_operator_is_distinguished_from_ours(tmp_path: Path) -> None:
    theirs = "{bucket: theirs, prefix: p, secret_access_key: s3cret}"
    text = f"{KEY}:\n- module: {PROVIDER_MODULE}\n  config: {theirs}\n- null\n"
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": text})
    found = summary(files.paths, "/")["storage_providers"]
    assert [(provider["bucket"], provider["prefix"], provider["ours"]) for provider in found] == [
        ("theirs", "p", False),
        (None, None, False),
    ]
    assert "s3cret" not in str(found)
