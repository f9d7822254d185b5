# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads files in batches, and drops those that disagree with their row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..disk.content import Content, ContentProblem
from ..errors import MediaError
from ..proof.conflict import refuse_disagreement
from .context import READ_AHEAD, Context
from .selection import Candidate

# A batch should not take a thread long, so larger files are read alone.
_BATCH_BYTES = 4 * 1024 * 1024


def read_batches(context: Context, candidates: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    """What one thread reads at a time: enough to make the hand-over cheap, few enough to keep the connections busy."""
    start = size = 0
    for end, candidate in enumerate(candidates):
        size += candidate.file.size
        if end > start and (end - start >= context.files.pace.batch or size > _BATCH_BYTES):
            yield candidates[start:end]
            start, size = end, candidate.file.size
    if start < len(candidates):
        yield candidates[start:]


async def read_contents(
    context: Context, candidates: Sequence[Candidate], *, keep: int, to_upload: bool = False
) -> list[Content | None]:
    """Keeps the bytes of contents of up to `keep` bytes. None, and reported, for a file that is not to be taken.

    What is large gets a checksum in place of an MD5 if the store takes that `to_upload` it.
    """
    wanted = [(file, row.sha256 is not None and file.is_original, file.size <= keep) for file, row in candidates]
    contents: list[Content | None] = []
    checks = context.uploads.checks
    found = await context.files.read(wanted, lambda: checks.checksum if to_upload else "")
    pace = context.files.pace
    context.small_files.allow(context.settings.concurrency + max(READ_AHEAD, pace.threads * pace.batch))
    for (file, row), content in zip(candidates, found):
        try:
            if isinstance(content, ContentProblem):
                raise content
            refuse_disagreement(file, content.sha256, row)
        except MediaError as problem:
            context.failed(file, problem)
            contents.append(None)
        else:
            contents.append(content)
    return contents
