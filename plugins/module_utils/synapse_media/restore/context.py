# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parts of a restore share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..database.ordered import OrderedRows
from ..database.rows import Rows
from ..disk.layout import LOCAL_CONTENT, REMOTE_CONTENT
from ..disk.placement import Placement
from ..event_loop.loop import Loop
from ..s3.bucket import Bucket
from .report import Report
from .settings import RestoreSettings

_ORIGINALS = (LOCAL_CONTENT + "/", REMOTE_CONTENT + "/")


class Wanted(NamedTuple):
    """A file that the disk lacks, or whose content is to be compared; `etag` as the listing or a HEAD gives it."""

    path: str
    size: int
    etag: str
    is_there: bool = False


@dataclass
class Context:
    """One restore. `ordered` is read at most once. `now` is the time (seconds since 1970) that ages count from."""

    loop: Loop
    root: str
    bucket: Bucket
    rows: Rows
    ordered: OrderedRows
    placement: Placement
    settings: RestoreSettings
    report: Report
    now: float
    # No signal ends work in threads, so it looks at this.
    stopping: bool = False

    def is_stopping(self) -> bool:
        return self.stopping

    def fail(self, path: str, error: object) -> None:
        self.report.fail(path, self.bucket.key(path), str(error))


def is_original(path: str) -> bool:
    """Whether the row of a media speaks of this file: thumbnails have no length or digest in it."""
    return path.startswith(_ORIGINALS)
