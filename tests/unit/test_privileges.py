# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root runs the work only where it owns the media, and only with the engine that keeps no list of files."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process import privileges

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root can become any user")


@as_root
def test_the_owner_of_the_media_store_is_used(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY.pw_uid, NOBODY.pw_gid)
    assert privileges.worker(None, str(tmp_path)) == NOBODY


@as_root
def test_an_explicit_user_is_used(tmp_path: Path) -> None:
    assert privileges.worker("nobody", str(tmp_path)) == NOBODY


@as_root
@pytest.mark.parametrize("user", [None, "root"])
def test_root_is_refused(tmp_path: Path, user: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"as root is refused: .*synapse_s3_synapse_user"):
        privileges.worker(user, str(tmp_path))


@as_root
@pytest.mark.parametrize("user", [None, "root"])
def test_root_may_move_its_own_media(tmp_path: Path, user: str | None) -> None:
    assert privileges.worker(user, str(tmp_path), root_may_own=True) is None
    os.chown(tmp_path, NOBODY.pw_uid, NOBODY.pw_gid)
    assert privileges.worker(None, str(tmp_path), root_may_own=True) == NOBODY
    with pytest.raises(ConfigurationError, match="as root is refused"):
        privileges.worker("root", str(tmp_path), root_may_own=True)


@as_root
def test_an_unknown_user_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no user no-such-user on this host"):
        privileges.worker("no-such-user", str(tmp_path))


@as_root
def test_a_missing_media_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere cannot be looked at .*synapse_s3_media_path"):
        privileges.worker(None, str(tmp_path / "nowhere"))


@as_root
def test_a_process_that_dropped_root_cannot_regain_it() -> None:
    child = os.fork()
    if child == 0:
        privileges.become(NOBODY)
        changed = (os.getuid(), os.geteuid(), os.getgid()) == (NOBODY.pw_uid, NOBODY.pw_uid, NOBODY.pw_gid)
        groups = set(os.getgroups()) <= {NOBODY.pw_gid}
        home = os.environ["HOME"] == NOBODY.pw_dir
        try:
            os.setuid(0)
        except PermissionError:
            os._exit(0 if changed and groups and home else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@not_as_root
def test_a_user_other_than_root_cannot_change_to_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot become somebody else"):
        privileges.worker("root", str(tmp_path))
    assert privileges.worker(None, str(tmp_path)) is None
