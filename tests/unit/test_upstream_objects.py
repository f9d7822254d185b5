# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking keys up by sorted listings finds the same as one request a key, with fewer requests than keys or objects."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.objects import (
    RemoteObject,
    find_by_listing,
)


class SortedBucket:
    """A model of ListObjectsV2: keys in the order of their UTF-8, StartAfter exclusive, pages of a fixed size."""

    def __init__(self, keys: list[str], page: int) -> None:
        self.keys = sorted(keys, key=str.encode)
        self.page = page
        self.requests = 0

    def list_objects_v2(self, *, Bucket: str, Prefix: str, StartAfter: str) -> dict[str, Any]:
        self.requests += 1
        after = [key for key in self.keys if key.startswith(Prefix) and key.encode() > StartAfter.encode()]
        contents = [{"Key": key, "Size": len(key), "ETag": f'"{key}"'} for key in after[: self.page]]
        return {"Contents": contents, "IsTruncated": len(after) > self.page}


def found(bucket: SortedBucket, keys: list[str], prefix: str = "") -> set[str]:
    answers = list(find_by_listing(bucket, "b", prefix, sorted(keys, key=str.encode)))
    assert [answer.key for answer in answers] == sorted(keys, key=str.encode)
    for answer in answers:
        assert answer.remote in (None, RemoteObject(len(answer.key), answer.key))
    return {answer.key for answer in answers if answer.remote}


@pytest.mark.parametrize("seed", range(60))
def test_finds_exactly_the_existing_keys(seed: int) -> None:
    chance = random.Random(seed)
    letters = "ab/é\U0001f600"
    names = ["p/" + "".join(chance.choices(letters, k=chance.randint(1, 4))) for dummy in range(120)]
    names = sorted({*names, "p/x", "o", "q/z"})
    stored = [name for name in names if chance.random() < chance.choice((0.1, 0.5, 0.9))]
    local = [name for name in names if name.startswith("p/") and chance.random() < chance.choice((0.05, 0.5, 1))]
    bucket = SortedBucket(stored, page=chance.choice((1, 2, 7, 1000)))
    assert found(bucket, local, "p/") == set(stored) & set(local)


def test_few_files_in_a_large_bucket_cost_few_requests() -> None:
    bucket = SortedBucket([f"k{number:06d}" for number in range(20_000)], page=1000)
    local = ["k000500", "k010000", "k019999"]
    assert found(bucket, local) == set(local)
    assert bucket.requests == 3


def test_many_files_cost_one_request_a_page() -> None:
    keys = [f"k{number:06d}" for number in range(5000)]
    bucket = SortedBucket(keys, page=1000)
    assert found(bucket, keys) == set(keys)
    assert bucket.requests <= 6


def test_no_files_cost_no_request() -> None:
    bucket = SortedBucket(["a"], page=1000)
    assert found(bucket, []) == set()
    assert bucket.requests == 0


def test_empty_bucket_costs_one_request() -> None:
    bucket = SortedBucket([], page=1000)
    assert found(bucket, [f"k{number}" for number in range(50)]) == set()
    assert bucket.requests == 1


def test_a_truncated_page_without_keys_ends_the_listing() -> None:
    class EmptyTruncatedPages(SortedBucket):
        def list_objects_v2(self, *, Bucket: str, Prefix: str, StartAfter: str) -> dict[str, Any]:
            self.requests += 1
            return {"IsTruncated": True}

    bucket = EmptyTruncatedPages([], page=1)
    assert found(bucket, ["a", "b"]) == set()
    assert bucket.requests == 2
