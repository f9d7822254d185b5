# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The message for a file that differs from its object depends on what Synapse's row proves."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.comparison import (
    Sizes,
    explain_difference,
)

CONFLICT = "The file and its object differ and nothing proves which of them is right: "
REMEDY = "Compare both with a backup; the one that is damaged is to be removed."
CONTENT = b"content"
LOCAL = "local_content/Ab/Cd/efgh"
REMOTE = "remote_content/example.org/Ab/Cd/efgh"


def database(directory: Path, length: int | None, sha256: str | None, *, old: bool = False) -> DatabaseSettings:
    """Synapse before 1.127 has no column for the digest."""
    path = directory / "homeserver.db"
    more = "" if old else ", sha256 TEXT"
    digest = () if old else (sha256,)
    marks = "" if old else ", ?"
    with closing(sqlite3.connect(path)) as connection, connection:  # pylint: disable=confusing-with-statement
        connection.execute(f"CREATE TABLE local_media_repository (media_id TEXT, media_length INTEGER{more})")
        connection.execute(f"INSERT INTO local_media_repository VALUES ('AbCdefgh', ?{marks})", (length, *digest))
        connection.execute(
            f"CREATE TABLE remote_media_cache (media_origin TEXT, filesystem_id TEXT, media_length INTEGER{more})"
        )
        connection.execute(
            f"INSERT INTO remote_media_cache VALUES ('example.org', 'AbCdefgh', ?{marks})", (length, *digest)
        )
    return DatabaseSettings("sqlite3", {"database": str(path)})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in (LOCAL, REMOTE):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(CONTENT)
    return tmp_path


@pytest.mark.parametrize("path", [LOCAL, REMOTE])
@pytest.mark.parametrize(
    ("length", "sizes", "words"),
    [
        (7, Sizes(7, 7), f"{CONFLICT}both have 7 bytes, as Synapse's database says, which has no SHA-256. {REMEDY}"),
        (
            None,
            Sizes(7, 7),
            f"{CONFLICT}both have 7 bytes, and Synapse's database has no length and no digest. {REMEDY}",
        ),
        (
            None,
            Sizes(7, 9),
            f"{CONFLICT}the file has 7 bytes and its object 9, and Synapse's database has no length and no digest. "
            f"{REMEDY}",
        ),
        (8, Sizes(7, 9), f"{CONFLICT}the file has 7 bytes and its object 9, and Synapse's database says 8. {REMEDY}"),
        (
            7,
            Sizes(7, 9),
            "The object has 9 bytes, the file 7 as Synapse's database says. Remove the object and run this again.",
        ),
        (
            9,
            Sizes(7, 9),
            "The file has 7 bytes, its object 9 as Synapse's database says. Restore the file from its object.",
        ),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_without_a_digest(root: Path, path: str, length: int | None, sizes: Sizes, words: str, old: bool) -> None:
    assert explain_difference(str(root), path, sizes, database(root, length, None, old=old)) == words


@pytest.mark.parametrize("path", [LOCAL, REMOTE])
def test_with_a_digest(root: Path, path: str) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    rows = database(root, 7, sha256)
    assert "so its object is damaged" in explain_difference(str(root), path, Sizes(7, 7), rows)
    (root / path).write_bytes(b"CONTENT")
    assert "so the file is damaged" in explain_difference(str(root), path, Sizes(7, 7), rows)
    (root / path).unlink()
    assert "the file cannot be read" in explain_difference(str(root), path, Sizes(7, 7), rows)


def test_what_the_database_cannot_prove(root: Path) -> None:
    thumbnail = "local_thumbnails/Ab/Cd/efgh/32-32-image-png-scale"
    assert "no SHA-256 of thumbnails" in explain_difference(str(root), thumbnail, Sizes(7, 7), None)
    assert "is not known to this run" in explain_difference(str(root), LOCAL, Sizes(7, 7), None)
    absent = DatabaseSettings("sqlite3", {"database": str(root / "absent.db")})
    assert "cannot be asked" in explain_difference(str(root), LOCAL, Sizes(7, 7), absent)
    rows = database(root, 7, None)
    other = "local_content/Xx/Yy/zz"
    assert "has no length and no digest" in explain_difference(str(root), other, Sizes(7, 7), rows)
