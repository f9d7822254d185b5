# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An unlink rests on a recent answer of the store: in a slow run a listing may be hours old when its turn comes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from ..disk.local_file import Proven
from ..errors import MediaError
from ..proof.evidence import Unproven, refuse_archived
from ..proof.object_index import Answer, Found, ask
from ..s3.client import RequestFailed
from .context import Context
from .outcome import proven_only, tell


async def remove_proven(context: Context, proven: Sequence[Proven]) -> None:
    """Unlinks, where the run unlinks; what became of each file is told. Raises StoreError, which ends the run."""
    if context.rehearse or not context.settings.delete_local:
        for one in proven:
            if not one.uploaded:
                proven_only(context, one.file)
        return
    oldest = time.monotonic() - context.settings.evidence_age.total_seconds()
    fresh = [one for one in proven if _asked_at(one) >= oldest]
    if len(fresh) < len(proven):
        tasks = [context.loop.start(_asked_again(context, one)) for one in proven if _asked_at(one) < oldest]
        fresh += [one for one in [await task for task in tasks] if one is not None]
    if fresh:
        await context.removals.remove(fresh)


def _asked_at(proven: Proven) -> float:
    return proven.found.asked_at if proven.found is not None else -math.inf


async def _asked_again(context: Context, proven: Proven) -> Proven | None:
    """With the store's answer of now. None, and told, where the object is not what was proven any more."""
    found = await ask(context.s3, context.key(proven.file))
    try:
        _check_same(proven.found, found)
    except MediaError as error:
        tell(context, proven.file, error)
        return None
    return proven._replace(found=found if isinstance(found, Found) else None)


def _check_same(before: Found | None, now: Answer) -> None:
    """Raises MediaError unless the object is still the one that was proven, and readable."""
    if isinstance(now, RequestFailed):
        raise now
    if now is None or before is None or (now.size, now.etag) != (before.size, before.etag):
        raise Unproven("Its object has changed since it was proven, or is gone. Run this again.")
    refuse_archived(now)
