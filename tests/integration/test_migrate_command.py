# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python -m synapse_media.cli migrate` as the host's script runs it: three steps, one line, a correct exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fault_proxy import BlockedPut, Fault, FaultProxy
from media_host import MediaHost
from s3_server import S3Server

PACKAGE = Path(__file__).parents[2] / "plugins" / "module_utils"


class Command:
    def __init__(self, host: MediaHost, s3: S3Server) -> None:
        self.host = host
        self.config = host.directory / "migrate.yml"
        self.content: dict[str, Any] = {
            "homeserver_config": [str(host.config)],
            "s3": s3.connection(host.bucket, region_name="us-east-1"),
            "migrate": {"older_than": "1d", "delete_local": True, "state_dir": str(host.state_dir)},
        }
        self.environment: dict[str, str] = {}

    def write(self) -> Path:
        self.content.setdefault("synapse_configs", self.host.fetches_from(self.content["s3"]))
        self.config.write_text(yaml.safe_dump(self.content))
        self.config.chmod(0o600)
        self.host.own(self.config)
        return self.config

    def start(self, *options: str, verb: str = "migrate") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "synapse_media.cli", verb, "--config", str(self.write()), *options],
            env={
                **os.environ,
                "PYTHONPATH": str(PACKAGE),
                # The host's script passes its own name in the same way.
                "SYNAPSE_MEDIA_COMMAND": "synapse-s3-migrate",
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str, verb: str = "migrate") -> tuple[int, str, str]:
        process = self.start(*options, verb=verb)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors


@pytest.fixture
def command(sqlite_host: MediaHost, s3: S3Server) -> Command:
    return Command(sqlite_host, s3)


def test_all_three_steps(host: MediaHost, s3: S3Server) -> None:
    command = Command(host, s3)
    host.add_local()
    host.add_remote()
    before = host.everything()
    command.write()
    before = host.everything()
    status, output, errors = command.run("--dry-run")
    assert (status, errors) == (0, "")
    assert "2 rows would be added" in output and "4 files (3.9 KiB) would be uploaded" in output
    assert "4 files (3.9 KiB) would be deleted" in output and len(output.splitlines()) == 1
    assert host.everything() == {**before, "migrate.yml": host.everything()["migrate.yml"]}

    status, output, errors = command.run("--json")
    assert (status, errors) == (0, "")
    report = json.loads(output)
    assert report["changed"] is True and report["dry_run"] is False
    assert (report["rows_synced"], report["files_uploaded"], report["files_deleted"]) == (2, 4, 4)
    assert (report["bytes_uploaded"], report["bytes_deleted"], report["failed_files"]) == (4000, 4000, [])
    assert host.on_disk() == {}

    status, output, errors = command.run()
    assert (status, errors) == (0, "")
    assert output.startswith("synapse-s3-migrate: 0 rows added") and len(output.splitlines()) == 1


def test_stops_at_the_first_failure(command: Command, s3: S3Server) -> None:
    command.host.add_local()
    command.content["s3"]["bucket"] = "no-such-bucket"
    status, output, errors = command.run()
    assert status == 2
    assert "synapse-s3-migrate: upload: Listing the bucket failed" in errors and "synapse_s3_bucket" in errors
    assert output.startswith("synapse-s3-migrate: failed after: 1 rows added")
    status, output, dummy = command.run("--json")
    report = json.loads(output)
    assert (status, report["failed"], report["step"], report["error"]) == (2, True, "upload", "StoreError")
    assert len(command.host.on_disk()) == 2


def test_a_failed_script_gives_exit_status_one(command: Command, proxy: FaultProxy) -> None:
    command.host.add_local()
    command.content["s3"]["endpoint_url"] = proxy.endpoint_url
    proxy.faults.append(Fault("PUT", status=403, code="AccessDenied"))
    status, output, errors = command.run()
    assert status == 1
    assert "  Uploaded 0 files" in errors.splitlines()
    assert output.startswith("synapse-s3-migrate: failed after:")


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("migrate", "older_than", "soon", "no duration"),
        ("migrate", "delete_local", "yes please", "true or false"),
        ("migrate", "state_dir", "relative", "in full"),
        ("migrate", "colour", "red", "Unknown setting colour"),
        ("s3", "bukket", "x", "Unknown S3 setting bukket"),
        ("s3", "storage_class", "GLACIER", "synapse_s3_storage_class"),
    ],
)
def test_refused_settings(command: Command, section: str, key: str, value: str, words: str) -> None:
    command.content[section][key] = value
    status, dummy, errors = command.run()
    assert (status, words in errors) == (2, True), errors
    assert not command.host.state_dir.exists()


def test_secrets_from_the_environment(command: Command) -> None:
    command.host.add_local()
    s3 = command.content["s3"]
    command.environment = {
        "AWS_ACCESS_KEY_ID": s3.pop("access_key_id"),
        "AWS_SECRET_ACCESS_KEY": s3.pop("secret_access_key"),
    }
    status, output, errors = command.run()
    assert (status, errors) == (0, "")
    assert "2 files (2.0 KiB) deleted" in output


def test_a_held_lock_gives_exit_status_three_and_signals_stop_cleanly(command: Command, proxy: FaultProxy) -> None:
    command.host.add_local()
    command.content["s3"]["endpoint_url"] = proxy.endpoint_url
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        standstill = BlockedPut(proxy)
        first = command.start()
        assert standstill.reached.wait(60)
        second = command.run()
        assert second[0] == 3 and "Another run" in second[2]
        first.send_signal(number)
        errors = first.communicate(timeout=60)[1]
        standstill.go_on.set()
        assert (first.returncode, "run it again to go on" in errors) == (status, True), errors
        assert len(command.host.on_disk()) == 2
    assert command.run()[0] == 0
    assert command.host.on_disk() == {}


def test_prepare_for_a_shell(command: Command) -> None:
    status, output, errors = command.run(verb="prepare")
    assert (status, output, errors) == (0, "", "")
    state = command.host.state_dir
    assert sorted(path.name for path in state.iterdir()) == ["aws-config", "database.yaml"]
    assert {path.stat().st_mode & 0o777 for path in state.iterdir()} == {0o600}
    command.host.config.unlink()
    status, output, errors = command.run(verb="prepare")
    assert status == 2 and "does not exist" in errors


def test_progress_on_request(command: Command) -> None:
    command.host.add_local()
    status, output, errors = command.run("--progress")
    assert status == 0 and "files" in errors and len(output.splitlines()) == 1


def test_config_that_others_can_read(command: Command) -> None:
    config = command.write()
    config.chmod(0o640)
    process = subprocess.run(
        [sys.executable, "-m", "synapse_media.cli", "migrate", "--config", str(config)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2 and "chmod 0600" in process.stderr
