# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stable share of the media, so that several hosts work on one media store side by side."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from ..disk.layout import Media
from ..errors import ConfigurationError


@dataclass(frozen=True)
class Shard:
    """Share `index` of `count`, counted from 1."""

    index: int
    count: int

    def owns(self, media: Media) -> bool:
        """An original and its thumbnails are always in the same share, whichever host asks."""
        if self.count == 1:
            return True
        name = f"{media.kind}/{media.origin}/{media.filesystem_id}".encode("utf-8", "surrogateescape")
        return zlib.crc32(name) % self.count == self.index - 1


def parse_shard(text: str) -> Shard:
    """Such as "2/3". Raises ConfigurationError for anything else."""
    match = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", text)
    if match:
        shard = Shard(int(match.group(1)), int(match.group(2)))
        if 1 <= shard.index <= shard.count:
            return shard
    raise ConfigurationError(
        f"The shard {text!r} is not a share such as 2/3. "
        "Give the number of this host and how many hosts there are, counted from 1."
    )
