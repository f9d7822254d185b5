# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upstream's own script, used as its manual says: update-db, check-deleted, upload --delete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from library import Library
from s3_server import S3Server


def find_script() -> Path:
    script = Path(sys.executable).parent / "s3_media_upload"
    if not script.exists():
        pytest.skip("upstream's script is not installed beside this Python (synapse-s3-storage-provider, --no-deps)")
    return script


def run_upstream(library: Library, s3: S3Server, bucket: str, prefix: str, older_than: str) -> None:
    """Run all three steps; the script's exit status means little, so the caller checks the result."""
    work = library.directory / "upstream"
    work.mkdir(exist_ok=True)
    section = library.database.section()
    name = {"sqlite3": "sqlite", "psycopg2": "postgres"}[section["name"]]
    arguments = {key: value for key, value in section["args"].items() if not key.startswith("cp_")}
    (work / "database.yaml").write_text(yaml.safe_dump({name: arguments}))
    root = str(library.media_path)
    steps = [
        ["update-db", older_than],
        ["check-deleted", root],
        ["upload", root, bucket, "--delete", "--prefix", prefix, "--endpoint-url", s3.endpoint_url],
    ]
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    for step in steps:
        done = subprocess.run(
            [sys.executable, str(find_script()), "--no-progress", *step],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
