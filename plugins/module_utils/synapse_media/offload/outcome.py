# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of each file, told to the report exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..disk.content import CHANGED, VANISHED, ContentProblem
from ..disk.local_file import LocalFile, Proven
from ..disk.removal import DELETED as UNLINKED
from ..disk.removal import Removed
from ..errors import MediaError, StoreError
from .report import DELETED, REPAIRED, UPLOADED, VERIFIED

if TYPE_CHECKING:
    from .context import Context


def taken(context: Context, file: LocalFile, *, repaired: bool) -> None:
    """The file is in the bucket now, or would be."""
    _done(context, REPAIRED if repaired else UPLOADED, file)


def proven_only(context: Context, file: LocalFile) -> None:
    """The file was in the bucket, and stays on the disk or would be unlinked."""
    _done(context, VERIFIED, file)


def _done(context: Context, outcome: str, file: LocalFile) -> None:
    context.report.done(outcome, file.path, file.size)
    if context.rehearse and context.settings.delete_local:
        context.report.done(DELETED, file.path, file.size)


def unlinked(context: Context, proven: Proven, outcome: Removed) -> None:
    """What came of the unlink of a file. One that was uploaded counts as that already."""
    file = proven.file
    if isinstance(outcome, OSError):
        context.fail(
            file,
            f"It is in the bucket and could not be taken off the disk ({outcome.strerror}). "
            "Give the file and its directory to Synapse's user.",
        )
        return
    if outcome == UNLINKED:
        if not proven.uploaded:
            context.report.done(VERIFIED, file.path, file.size)
        context.report.done(DELETED, file.path, file.size)
    elif not proven.uploaded:
        context.report.skip(outcome, file.size)


def tell(context: Context, file: LocalFile, error: MediaError) -> None:
    """The end of one file. Raises the error where it is the end of the run."""
    if isinstance(error, StoreError):
        raise error
    if isinstance(error, ContentProblem) and error.reason in (CHANGED, VANISHED):
        # Synapse is at work on it; the next run sees what came of it.
        context.report.skip(error.reason, file.size)
    else:
        context.fail(file, error)
