# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parts of a garbage collection share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..database.rows import Rows
from ..disk.layout import media_at
from ..event_loop.loop import Loop
from ..s3.changing_bucket import ChangingBucket
from .report import Report
from .settings import CollectSettings


@dataclass
class Context:
    """One collection. `now` is the time (seconds since 1970) that ages count from. `stamp` names the run."""

    loop: Loop
    bucket: ChangingBucket
    rows: Rows
    settings: CollectSettings
    report: Report
    now: float
    stamp: str

    def fail(self, path: str, error: object) -> None:
        self.report.fail(path, self.bucket.key(path), str(error))

    async def with_rows(self, paths: Sequence[str]) -> set[str]:
        """Which of these paths of Synapse's layout belong to media that has a row now. Raises MediaError."""
        media = {path: media_at(path) for path in paths}
        found = await self.loop.in_thread(self.rows.look_up, list(set(media.values())))
        return {path for path, one in media.items() if one in found}
