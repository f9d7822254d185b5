# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the files of a plan: each in one step, all of them or none, and never over a change by somebody else."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..synapse_media.disk.durable_file import sync_directory, write_durably
from ..synapse_media.errors import ConfigurationError
from .access import Access, AccessChange, access_of
from .plan import Change, Plan


def apply_plan(plan: Plan, access: AccessChange | None) -> None:
    """Writes every file of the plan. After a failure the files that were written are restored; ConfigurationError."""
    apply_plans([(plan, access)])


def apply_plans(plans: Sequence[tuple[Plan, AccessChange | None]]) -> None:
    """Writes every file of all plans, as apply_plan does for one."""
    changes = [change for plan, _access in plans for change in plan.changes]
    planned = [access for _plan, access in plans if access]
    accesses = {change.path: access_of(change.path) for change in changes if change.before is not None}
    wanted = {**accesses, **{access.path: access.after for access in planned}}
    done: list[Change] = []
    try:
        for change in changes:
            _write(change, wanted)
            done.append(change)
        for access in planned:
            if access.before not in (None, access.after) and access.path not in accesses:
                set_access(access.path, access.after)
    except ConfigurationError:
        for change in reversed(done):
            with contextlib.suppress(ConfigurationError):
                _write(Change(change.path, change.after, change.before), accesses)
        raise


def _write(change: Change, accesses: Mapping[str, Access]) -> None:
    before = None if change.before is None else change.before.encode("utf-8")
    if change.after is not None:
        replace(change.path, change.after.encode("utf-8"), accesses[change.path], before)
    elif before is not None:
        delete(change.path, before)


def set_access(path: str, access: Access) -> None:
    """Changes mode, owner and group of a file. Raises ConfigurationError."""
    # The mode first: otherwise the new group would have the permissions of the old one for a moment.
    with _os_errors_explained(path):
        Path(path).chmod(access.mode)
        os.chown(path, access.uid, access.gid)
        # A change of owner clears bits of the mode.
        Path(path).chmod(access.mode)


def replace(path: str, content: bytes, access: Access, expected: bytes | None) -> None:
    """Writes the file in one step. Raises ConfigurationError, also if the file is no longer what was read.

    `expected`: the content that was read; None if the file did not exist.
    """
    # The target of a symbolic link is replaced, not the link.
    target = Path(path).resolve()

    def prepare(temporary: Path) -> None:
        if expected is not None:
            # Copies extended attributes too: the SELinux label and access control lists.
            shutil.copystat(target, temporary)
        # copystat has set the old mode, which may be wider than the new one.
        temporary.chmod(access.mode & 0o700)
        os.chown(temporary, access.uid, access.gid)
        temporary.chmod(access.mode)
        os.utime(temporary)

    with _os_errors_explained(path):
        write_durably(target, content, prepare, lambda: _refuse_changed(target, expected))


def delete(path: str, expected: bytes) -> None:
    """Deletes the file. Raises ConfigurationError, also if the file is no longer what was read."""
    with _os_errors_explained(path):
        _refuse_changed(Path(path), expected)
        Path(path).unlink()
        sync_directory(Path(path).parent)


def _refuse_changed(path: Path, expected: bytes | None) -> None:
    try:
        found: bytes | None = path.read_bytes()
    except FileNotFoundError:
        found = None
    if found != expected:
        raise ConfigurationError(
            f"{path} was changed by somebody else at the same time, so it was left unchanged. Run again."
        )


@contextlib.contextmanager
def _os_errors_explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}). Run this as root, on a file system that is writable."
        ) from error
