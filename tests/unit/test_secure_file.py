# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may read a file that holds a secret, and that it is replaced in one step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.secure_file import (
    Access,
    Reader,
    access_of,
    delete,
    replace,
    set_access,
    tightened,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError

SYNAPSE = Reader(uid=990, gid=980, groups=[980, 981])
ROOT_GID, ADM, SYNAPSE_GID, EXTRA = 0, 4, 980, 981


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Closed already.
        (Access(0o640, 0, SYNAPSE_GID), Access(0o640, 0, SYNAPSE_GID)),
        (Access(0o600, 990, 980), Access(0o600, 990, 980)),
        (Access(0o641, 0, SYNAPSE_GID), Access(0o641, 0, SYNAPSE_GID)),
        # Synapse keeps its own way in.
        (Access(0o644, 990, ROOT_GID), Access(0o640, 990, ROOT_GID)),
        (Access(0o644, 0, SYNAPSE_GID), Access(0o640, 0, SYNAPSE_GID)),
        (Access(0o664, 0, EXTRA), Access(0o660, 0, EXTRA)),
        (Access(0o647, 0, SYNAPSE_GID), Access(0o640, 0, SYNAPSE_GID)),
        # Synapse came in as one of the others: now through its group, and the group gets to read, no more.
        (Access(0o644, 0, ROOT_GID), Access(0o640, 0, SYNAPSE_GID)),
        (Access(0o666, 0, ADM), Access(0o640, 0, SYNAPSE_GID)),
        (Access(0o604, 0, ADM), Access(0o640, 0, SYNAPSE_GID)),
    ],
)
def test_others_lose_access_and_synapse_does_not(before: Access, after: Access) -> None:
    assert tightened(before, SYNAPSE) == after
    assert tightened(after, SYNAPSE) == after


def test_synapse_as_root_needs_no_group() -> None:
    assert tightened(Access(0o644, 0, 0), Reader(uid=0, gid=0, groups=[0])) == Access(0o640, 0, 0)


def own(mode: int) -> Access:
    return Access(mode, os.geteuid(), os.getegid())


def test_a_file_is_replaced_with_the_access_it_shall_have(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_bytes(b"old")
    path.chmod(0o644)
    inode = path.stat().st_ino
    replace(str(path), b"new", own(0o640), b"old")
    assert path.read_bytes() == b"new"
    assert access_of(str(path)) == own(0o640)
    assert path.stat().st_ino != inode
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_is_never_wider_than_it_shall_be(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        replace(str(tmp_path / "new.yaml"), b"new", own(0o640), None)
    finally:
        os.umask(before)
    assert access_of(str(tmp_path / "new.yaml")) == own(0o640)


def test_extended_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    replace(str(path), b"new", own(0o640), b"old")
    assert os.getxattr(path, "user.note") == b"kept"


@pytest.mark.parametrize("found", [b"changed", None])
def test_a_file_that_is_not_what_was_read_is_left_alone(tmp_path: Path, found: bytes | None) -> None:
    path = tmp_path / "homeserver.yaml"
    if found is not None:
        path.write_bytes(found)
    with pytest.raises(ConfigurationError):
        replace(str(path), b"new", own(0o640), b"old")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([found] if found is not None else [])


def test_deletion_wants_the_file_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "synapse-s3.yaml"
    path.write_bytes(b"changed")
    with pytest.raises(ConfigurationError, match="changed by somebody else"):
        delete(str(path), b"old")
    delete(str(path), b"changed")
    assert not path.exists()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone/a.yaml cannot be written \(No such file or directory\)"):
        replace(str(tmp_path / "gone/a.yaml"), b"new", own(0o640), None)


def test_access_alone_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_bytes(b"same")
    path.chmod(0o644)
    set_access(str(path), own(0o640))
    assert access_of(str(path)) == own(0o640)
    assert path.read_bytes() == b"same"
