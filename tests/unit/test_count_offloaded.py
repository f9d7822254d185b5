# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of media that are no longer on the disk, which is shown before the storage provider is removed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "roles" / "common" / "files" / "count_offloaded.py"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A homeserver with one media on disk and one off disk, of each kind, and rows without media."""
    with closing(sqlite3.connect(tmp_path / "homeserver.db")) as database:
        database.execute("CREATE TABLE local_media_repository (media_id TEXT, media_length INTEGER, url_cache TEXT)")
        database.execute(
            "CREATE TABLE remote_media_cache (media_origin TEXT, filesystem_id TEXT, media_length INTEGER)"
        )
        preview = "https://example.org"
        local = [("AaBbKept", 10, None), ("AaBbGone", 200, None), ("AaBbNew", None, None), ("AaBbView", 5, preview)]
        database.executemany("INSERT INTO local_media_repository VALUES (?, ?, ?)", local)
        remote = [("example.org", "CcDdKept", 20), ("example.org", "CcDdGone", 3000)]
        database.executemany("INSERT INTO remote_media_cache VALUES (?, ?, ?)", remote)
        database.commit()
    for name in ("local_content/Aa/Bb/Kept", "remote_content/example.org/Cc/Dd/Kept"):
        (tmp_path / "media" / name).parent.mkdir(parents=True)
        (tmp_path / "media" / name).write_bytes(b"kept")
    path = tmp_path / "migrate.yml"
    content = {
        "media_path": str(tmp_path / "media"),
        "database": {"name": "sqlite3", "args": {"database": str(tmp_path / "homeserver.db")}},
        "s3": {"bucket": "media"},
    }
    path.write_text(yaml.safe_dump(content))
    path.chmod(0o600)
    return path


def count(config: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins" / "module_utils")}
    command = [sys.executable, "-c", PROGRAM.read_text(), str(config)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_counts_media_that_are_not_on_the_disk(config: Path) -> None:
    ended = count(config)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {"files": 2, "bytes": 3200}


def test_a_missing_database_gives_no_number(config: Path) -> None:
    (config.parent / "homeserver.db").unlink()
    ended = count(config)
    assert ended.returncode != 0
    assert ended.stdout == ""
