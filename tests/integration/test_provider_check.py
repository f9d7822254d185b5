# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No module or command deletes what Synapse could not read from S3, by its configuration at the start of the run."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from media_host import MediaHost, provider_entry
from run_module import run_module
from s3_server import S3Server
from test_migrate_command import Command


def write(host: MediaHost, *entries: dict[str, Any]) -> None:
    config = yaml.safe_load(host.config.read_text())
    config["media_storage_providers"] = list(entries)
    host.config.write_text(yaml.safe_dump(config))


@pytest.mark.parametrize("check", [True, False])
def test_module_s3_media_upload(sqlite_host: MediaHost, s3: S3Server, check: bool) -> None:
    host = sqlite_host
    host.add_local()
    assert host.run("update-db")["rows_synced"] == 1
    before = host.everything()
    connection = s3.connection(host.bucket)
    write(host, provider_entry(connection, bucket="other"))
    before["homeserver.yaml"] = host.everything()["homeserver.yaml"]
    result = host.upload(s3, delete=True, check=check, synapse_configs=[])
    assert result["failed"] and result["error"] == "ConfigurationError"
    assert "bucket is 'other' there" in result["msg"]
    assert host.everything() == before and s3.keys(host.bucket) == []
    write(host, provider_entry(connection))
    result = host.upload(s3, delete=True, check=check, synapse_configs=[])
    assert result["files_deleted"] == 2 and "warnings" not in result


def test_module_s3_media_upload_without_deletion(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    assert sqlite_host.upload(s3)["files_uploaded"] == 2


def test_module_s3_media_upload_says_what_it_cannot_check(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    path = str(sqlite_host.media_path)
    result = sqlite_host.upload(s3, delete=True, synapse_configs=[], homeserver_config=None, media_path=path)
    assert result["files_deleted"] == 2 and "configuration is not known" in result["warnings"][0]
    sqlite_host.add_local()
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    result = sqlite_host.upload(s3, delete=True, synapse_configs=[], provider_check=False)
    assert result["files_deleted"] == 2 and "provider_check is false" in result["warnings"][0]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_command(sqlite_host: MediaHost, s3: S3Server, options: tuple[str, ...]) -> None:
    """The command is refused before its first step."""
    command = Command(sqlite_host, s3)
    sqlite_host.add_local()
    command.content["synapse_configs"] = None
    status, output, errors = command.run(*options)
    assert status == 2 and len(errors.splitlines()) == 1
    assert "no entry in media_storage_providers" in errors and "0 files (0 B) " in output
    assert not sqlite_host.state_dir.exists()
    write(sqlite_host, provider_entry(command.content["s3"]))
    status, output, errors = command.run(*options)
    assert (status, errors) == (0, "") and "2 files" in output


def test_module_media_offload(sqlite_host: MediaHost, s3: S3Server) -> None:
    sqlite_host.add_local()
    connection = s3.connection(sqlite_host.bucket, region_name="us-east-1")
    arguments = {
        **connection,
        "state_dir": str(sqlite_host.state_dir),
        "homeserver_config": [str(sqlite_host.config)],
    }
    before = sqlite_host.on_disk()
    for check in (True, False):
        result = run_module("media_offload", arguments, check)
        assert result["failed"] and result["exit_status"] == 2
        assert "no entry in media_storage_providers" in result["msg"]
        assert sqlite_host.on_disk() == before and s3.keys(sqlite_host.bucket) == []
    result = run_module("media_offload", {**arguments, "provider_check": False}, True)
    assert result["exit_status"] == 0 and "warnings" not in result
    write(sqlite_host, provider_entry(connection))
    result = run_module("media_offload", arguments)
    assert result["deleted"]["files"] == 2 and "warnings" not in result
