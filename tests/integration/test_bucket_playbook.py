# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both modules in a playbook: packed by Ansible, connection options given once, output with -vvv --diff."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3 import plugins
from encrypting_proxy import EncryptingProxy
from s3_server import S3Server

COLLECTIONS = Path(next(iter(plugins.__path__))).parents[3]
SSE_KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def encrypting(s3: S3Server) -> Iterator[EncryptingProxy]:
    with EncryptingProxy(s3.port) as proxy:
        yield proxy


@pytest.fixture
def playbook(tmp_path: Path, s3: S3Server, bucket: str, encrypting: EncryptingProxy) -> Path:
    connection = s3.connection(bucket, prefix="media/", sse_customer_key=SSE_KEY, session_token="")
    connection["endpoint_url"] = encrypting.endpoint_url
    tasks = [
        {"name": "Check the bucket", "matrix_ops.synapse_s3.bucket_info": {"require": ["list"]}},
        {"name": "Make the round trip", "matrix_ops.synapse_s3.bucket_round_trip": {"access_token": ""}},
    ]
    play = {
        "name": "Modules",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "module_defaults": {"group/matrix_ops.synapse_s3.connection": connection},
        "tasks": tasks,
    }
    path = tmp_path / "playbook.yml"
    path.write_text(yaml.safe_dump([play]))
    return path


@pytest.mark.parametrize("flags", [[], ["--check"]])
def test_playbook_changes_nothing_and_shows_no_secret(
    playbook: Path, s3: S3Server, bucket: str, flags: list[str]
) -> None:
    program = str(Path(sys.executable).parent / "ansible-playbook")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_LOCAL_TEMP": str(playbook.parent / "local"),
        "ANSIBLE_REMOTE_TEMP": str(playbook.parent / "remote"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    command = [program, "-i", "localhost,", "-vvv", "--diff", *flags, str(playbook)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    assert "ok=2" in done.stdout
    assert "changed=0" in done.stdout
    assert "bucket_info" in done.stdout
    for secret in (s3.secret_access_key, SSE_KEY):
        assert secret not in shown
    assert s3.keys(bucket) == []
