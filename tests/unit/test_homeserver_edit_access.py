# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The permissions of a file with a secret, and that it is replaced atomically."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.access import (
    Access,
    Reader,
    access_of,
    is_private_group,
    new_access,
    tightened,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.writer import (
    delete,
    replace,
    set_access,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError

SYNAPSE = Reader(uid=990, gid=980, groups=[980, 981], has_private_group=True)
NOGROUP = 65534
IN_NOGROUP = Reader(uid=990, gid=NOGROUP, groups=[NOGROUP, 981], has_private_group=False)
ROOT_GID, ADM, SYNAPSE_GID, EXTRA = 0, 4, 980, 981


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Closed already.
        (Access(0o640, 0, SYNAPSE_GID), Access(0o640, 0, SYNAPSE_GID)),
        (Access(0o600, 990, 980), Access(0o600, 990, 980)),
        (Access(0o641, 0, SYNAPSE_GID), Access(0o641, 0, SYNAPSE_GID)),
        # Synapse keeps its own access.
        (Access(0o644, 990, ROOT_GID), Access(0o640, 990, ROOT_GID)),
        (Access(0o644, 0, SYNAPSE_GID), Access(0o640, 0, SYNAPSE_GID)),
        (Access(0o664, 0, EXTRA), Access(0o660, 0, EXTRA)),
        (Access(0o647, 0, SYNAPSE_GID), Access(0o640, 0, SYNAPSE_GID)),
        # Synapse had access as one of the others: it now gets it through its group, which may read and no more.
        (Access(0o644, 0, ROOT_GID), Access(0o640, 0, SYNAPSE_GID)),
        (Access(0o666, 0, ADM), Access(0o640, 0, SYNAPSE_GID)),
        (Access(0o604, 0, ADM), Access(0o640, 0, SYNAPSE_GID)),
    ],
)
def test_others_lose_access_and_synapse_does_not(before: Access, after: Access) -> None:
    assert tightened(before, SYNAPSE) == after
    assert tightened(after, SYNAPSE) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Closed already, and for the shared group too.
        (Access(0o600, 990, NOGROUP), Access(0o600, 990, NOGROUP)),
        (Access(0o640, 0, EXTRA), Access(0o640, 0, EXTRA)),
        # An earlier run or the operator gave it a group that every user without a group of its own could read.
        (Access(0o640, 0, NOGROUP), Access(0o600, 990, NOGROUP)),
        (Access(0o640, 990, NOGROUP), Access(0o600, 990, NOGROUP)),
        (Access(0o644, 0, NOGROUP), Access(0o600, 990, NOGROUP)),
        (Access(0o460, 990, NOGROUP), Access(0o400, 990, NOGROUP)),
        # Synapse had access as one of the others, and has no private group.
        (Access(0o644, 0, ROOT_GID), Access(0o600, 990, ROOT_GID)),
        (Access(0o644, 0, EXTRA), Access(0o640, 0, EXTRA)),
    ],
)
def test_a_shared_group_loses_access_and_synapse_becomes_the_owner(before: Access, after: Access) -> None:
    assert tightened(before, IN_NOGROUP) == after
    assert tightened(after, IN_NOGROUP) == after


def test_a_group_that_had_no_more_access_than_others_does_not_get_the_secret() -> None:
    assert tightened(Access(0o644, 990, ADM), SYNAPSE) == Access(0o600, 990, ADM)


def test_a_new_file_gets_a_group_only_if_it_is_private_to_the_reader() -> None:
    assert new_access(SYNAPSE) == Access(0o640, os.geteuid(), SYNAPSE_GID)
    assert new_access(IN_NOGROUP) == Access(0o600, 990, NOGROUP)


def test_a_group_is_private_where_it_has_no_other_member(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = [
        pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))
        for name, uid, gid in [("synapse", 990, 980), ("nobody", 65534, NOGROUP), ("old", 991, 970), ("web", 992, 970)]
    ]
    groups = {
        gid: grp.struct_group((name, "x", gid, members))
        for name, gid, members in [
            ("synapse", 980, []),
            ("named", 981, ["synapse"]),
            ("joined", 982, ["synapse", "web"]),
            ("nogroup", NOGROUP, []),
            ("shared", 970, []),
        ]
    }
    monkeypatch.setattr(pwd, "getpwall", lambda: accounts)
    monkeypatch.setattr(pwd, "getpwnam", {entry.pw_name: entry for entry in accounts}.__getitem__)
    monkeypatch.setattr(grp, "getgrgid", groups.__getitem__)
    assert [gid for gid in groups if is_private_group(gid, "synapse")] == [980, 981]
    assert not is_private_group(970, "old")
    assert not is_private_group(999, "synapse")


def test_synapse_as_root_needs_no_group() -> None:
    assert tightened(Access(0o644, 0, 0), Reader(0, 0, [0], has_private_group=True)) == Access(0o640, 0, 0)


def own(mode: int) -> Access:
    return Access(mode, os.geteuid(), os.getegid())


def test_a_file_is_replaced_with_the_given_access(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_bytes(b"old")
    path.chmod(0o644)
    inode = path.stat().st_ino
    replace(str(path), b"new", own(0o640), b"old")
    assert path.read_bytes() == b"new"
    assert access_of(str(path)) == own(0o640)
    assert path.stat().st_ino != inode
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_never_has_wider_access_than_given(tmp_path: Path) -> None:
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
def test_a_file_that_differs_from_what_was_read_is_left_alone(tmp_path: Path, found: bytes | None) -> None:
    path = tmp_path / "homeserver.yaml"
    if found is not None:
        path.write_bytes(found)
    with pytest.raises(ConfigurationError):
        replace(str(path), b"new", own(0o640), b"old")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([found] if found is not None else [])


def test_deletion_requires_the_file_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "synapse-s3.yaml"
    path.write_bytes(b"changed")
    with pytest.raises(ConfigurationError, match="changed by somebody else"):
        delete(str(path), b"old")
    delete(str(path), b"changed")
    assert not path.exists()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone/a.yaml cannot be written \(No such file or directory\)"):
        replace(str(tmp_path / "gone/a.yaml"), b"new", own(0o640), None)


def test_access_can_be_set_without_a_change_of_content(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_bytes(b"same")
    path.chmod(0o644)
    set_access(str(path), own(0o640))
    assert access_of(str(path)) == own(0o640)
    assert path.read_bytes() == b"same"
