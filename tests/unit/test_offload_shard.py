# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shards are disjoint, complete, stable and of equal size."""

from __future__ import annotations

import random
import string
from collections import Counter

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import (
    LOCAL,
    REMOTE,
    Media,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    Shard,
    parse_shard,
)


def some_media(count: int) -> list[Media]:
    chance = random.Random(4711)
    ids = ["".join(chance.choices(string.ascii_letters, k=24)) for dummy in range(count)]
    return [
        Media(LOCAL, "", one) if number % 2 else Media(REMOTE, f"server{number % 7}.example", one)
        for number, one in enumerate(ids)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 16])
def test_each_media_is_in_exactly_one_shard_and_shards_are_of_equal_size(count: int) -> None:
    media = some_media(8000)
    shards = [Shard(index, count) for index in range(1, count + 1)]
    sizes = Counter(next(shard for shard in shards if shard.owns(one)) for one in media)
    assert all(sum(shard.owns(one) for shard in shards) == 1 for one in media)
    assert all(abs(sizes[shard] - 8000 / count) < 5 * (8000 / count) ** 0.5 for shard in shards)


def test_the_split_never_changes() -> None:
    """Another release, Python version or host must give the same result."""
    # CRC-32 of "local//AbCdEfGhIjKl" and of "remote/bücher.example/AbCdEfGhIjKl", computed by another program.
    for media, digest in (
        (Media(LOCAL, "", "AbCdEfGhIjKl"), 0xEE3768E6),
        (Media(REMOTE, "bücher.example", "AbCdEfGhIjKl"), 0xE2F55E1D),
    ):
        assert [index for index in range(1, 98) if Shard(index, 97).owns(media)] == [digest % 97 + 1]


@pytest.mark.parametrize(("text", "shard"), [("1/1", Shard(1, 1)), ("2/3", Shard(2, 3)), ("16/16", Shard(16, 16))])
def test_a_shard_is_parsed(text: str, shard: Shard) -> None:
    assert parse_shard(text) == shard


@pytest.mark.parametrize(
    "text",
    ["", "0/1", "2/1", "0/0", "1", "1/", "/1", "-1/2", "1/2/3", "1 / 2", "a/b", "\u0661/\u0662", "1/2\n", "1/99999999"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a share such as 2/3"):
        parse_shard(text)
