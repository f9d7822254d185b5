# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook bucket from the settings of an inventory: made on the control node, twice, and removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3 import plugins
from s3_server import S3Server

ROOT = Path(next(iter(plugins.__path__))).parent
NAME = "made-by-the-role"


class Play:
    def __init__(self, directory: Path, server: S3Server) -> None:
        self._directory = directory
        connection = server.connection(NAME)
        self.settings = {f"synapse_s3_{name}": value for name, value in connection.items()}
        self.settings["synapse_s3_prefix"] = "media/"

    def run(self, *flags: str, **settings: object) -> str:
        extra = self._directory / "settings.json"
        extra.write_text(json.dumps({**self.settings, **settings}))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]),
            "ANSIBLE_LOCAL_TEMP": str(self._directory / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self._directory / "remote"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        # No such host exists: all that happens happens on the control node.
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "synapse.invalid,", "--diff", *flags]
        command += ["-e", f"@{extra}", "-e", "synapse_s3_hosts=all", "matrix_ops.synapse_s3.bucket"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        shown = done.stdout + done.stderr
        assert str(self.settings["synapse_s3_secret_access_key"]) not in shown
        assert (done.returncode == 0) == ("failed=0" in shown), shown
        return shown


@pytest.fixture
def play(tmp_path: Path, s3: S3Server) -> Iterator[Play]:
    yield Play(tmp_path, s3)


def test_bucket_is_made_and_removed(play: Play, s3: S3Server) -> None:
    def exists() -> bool:
        return NAME in {bucket["Name"] for bucket in s3.client().list_buckets()["Buckets"]}

    first = play.run("-vvv")
    assert "changed=1" in first
    assert "arn:aws:s3:::made-by-the-role/media/*" in first
    assert exists()
    assert "changed=0" in play.run()
    s3.client().put_object(Bucket=NAME, Key="media/local_content/aa/bb/cc", Body=b"a picture")
    refused = play.run(synapse_s3_bucket_state="absent")
    assert "is not empty" in refused
    assert "failed=1" in refused
    assert s3.keys(NAME) == ["media/local_content/aa/bb/cc"]
    assert "changed=1" in play.run(synapse_s3_bucket_state="absent", synapse_s3_bucket_confirm_name=NAME)
    assert not exists()
