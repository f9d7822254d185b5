# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The results of look-ups and their number of requests, for any bucket and any keys on disk."""

from __future__ import annotations

import bisect
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import RequestFailed
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.object_index import (
    Found,
    LookupResult,
    ObjectIndex,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.documents import Listed, Page
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import ObjectInfo
from hypothesis import given, settings
from hypothesis import strategies as st

PAGE = 10  # keys a page in this test; S3 has 1,000


class Bucket:
    """A bucket in memory in place of S3, so that a property can be tried on thousands of buckets a second."""

    def __init__(self, keys: set[str]) -> None:
        # In the order of their UTF-8 bytes, as S3 sorts; Python's order of strings must be the same.
        self.keys = sorted(keys, key=lambda key: key.encode())
        self.lists = 0
        self.heads = 0
        self.broken_listing = False
        self.lists_out_of_order = False
        self.storage_class = ""

    async def list_page(self, start_after: str, limit: int = 1000) -> Page:
        self.lists += 1
        if self.broken_listing:
            raise RequestFailed("The listing makes no sense.", "Garbled", 200)
        first = bisect.bisect_right([key.encode() for key in self.keys], start_after.encode())
        page = self.keys[first : first + PAGE]
        objects = [Listed(key, len(key), f"etag of {key}", self.storage_class) for key in page]
        return Page(objects, first + PAGE < len(self.keys))

    async def head(self, key: str) -> ObjectInfo | None:
        self.heads += 1
        return ObjectInfo(len(key), f"etag of {key}", False, {}) if key in self.keys else None


def look_up(bucket: Bucket, *windows: list[str], most_lists: int | None = None) -> dict[str, LookupResult]:
    loop = Loop()
    index = ObjectIndex(loop, bucket, most_lists)  # type: ignore[arg-type]

    async def all_windows() -> dict[str, LookupResult]:
        answers: dict[str, LookupResult] = {}
        for window in windows:
            answers.update(await index.look_up(window))
        return answers

    main: Coroutine[Any, Any, dict[str, LookupResult]] = all_windows()
    try:
        return loop.run(main)
    finally:
        loop.close()


KEYS = st.sets(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)
    | st.from_regex(r"[ab]{1,3}/[0-9]{1,2}", fullmatch=True),
    max_size=80,
)


@settings(max_examples=400, deadline=None)
@given(bucket_keys=KEYS, local_keys=KEYS, parts=st.integers(1, 4))
def test_any_bucket_and_any_keys(bucket_keys: set[str], local_keys: set[str], parts: int) -> None:
    bucket = Bucket(bucket_keys)
    keys = sorted(local_keys)
    size = max(1, -(-len(keys) // parts))
    answers = look_up(bucket, *(keys[start : start + size] for start in range(0, len(keys), size)))
    assert {key for key, answer in answers.items() if answer is not None} == local_keys & bucket_keys
    assert answers.keys() == local_keys
    # No key is asked for twice, and pages do not overlap.
    assert bucket.lists + bucket.heads <= len(local_keys) + len(bucket_keys) // PAGE + 1
    assert bucket.lists <= len(bucket_keys) // PAGE + 1


@pytest.mark.parametrize("count", [1, 9, 10, 11, 95])
def test_a_bucket_with_exactly_the_local_files_is_listed_once(count: int) -> None:
    keys = [f"local_content/{number:05}" for number in range(count)]
    bucket = Bucket(set(keys))
    assert all(look_up(bucket, keys).values())
    assert (bucket.lists, bucket.heads) == (-(-count // PAGE), 0)


def test_an_empty_bucket_costs_one_list_request() -> None:
    bucket = Bucket(set())
    answers = look_up(bucket, [f"{number:05}" for number in range(500)], ["9", "99"])
    assert set(answers.values()) == {None}
    assert (bucket.lists, bucket.heads) == (1, 0)


def test_few_keys_in_a_large_bucket_are_checked_by_head() -> None:
    history = {f"{number:06}" for number in range(20_000)}
    keys = [f"{number:06}" for number in range(0, 20_000, 100)]
    bucket = Bucket(history)
    assert all(look_up(bucket, keys).values())
    assert bucket.lists <= 6, "pages that hold one needed key each were listed repeatedly"
    assert bucket.lists + bucket.heads <= len(keys)


def test_an_invalid_listing_is_replaced_by_head_requests() -> None:
    bucket = Bucket({"a", "c"})
    bucket.broken_listing = True
    answers = look_up(bucket, ["a", "b", "c"])
    assert [answers[key] is not None for key in "abc"] == [True, False, True]
    assert bucket.heads == 3


@pytest.mark.parametrize("most_lists", [0, 1, 3])
def test_no_more_pages_than_allowed_are_listed(most_lists: int) -> None:
    keys = [f"{number:05}" for number in range(60)]
    bucket = Bucket(set(keys[::2]))
    answers = look_up(bucket, keys, most_lists=most_lists)
    assert [key for key, answer in answers.items() if answer is not None] == keys[::2]
    assert bucket.lists == most_lists and bucket.heads <= len(keys)


@pytest.mark.parametrize(("before", "nothing_there"), [(set(), True), ({"0"}, False), ({"z"}, False)])
def test_only_a_listing_from_the_start_proves_that_the_bucket_is_empty(before: set[str], nothing_there: bool) -> None:
    loop = Loop()
    many, few = [ObjectIndex(loop, Bucket(before)) for dummy in range(2)]  # type: ignore[arg-type]
    try:
        loop.run(many.look_up([f"a{number:05}" for number in range(200)]))
        loop.run(few.look_up(["a"]))
    finally:
        loop.close()
    assert (many.nothing_there, few.nothing_there) == (nothing_there, False)


def test_a_server_with_unsorted_listings_is_asked_by_head() -> None:
    bucket = Bucket({"a", "c"})
    bucket.lists_out_of_order = True
    assert [answer is not None for answer in look_up(bucket, ["a", "b", "c"]).values()] == [True, False, True]
    assert (bucket.lists, bucket.heads) == (0, 3)


def test_pages_read_before_the_listing_was_found_unsorted_do_not_count() -> None:
    bucket = Bucket({"a", "b", "c"})
    loop = Loop()
    index = ObjectIndex(loop, bucket)  # type: ignore[arg-type]
    try:
        loop.run(index.look_up(["a"]))
        bucket.lists_out_of_order = True
        loop.run(index.look_up(["b", "bb"]))
    finally:
        loop.close()
    assert (bucket.lists, bucket.heads) == (1, 2)


@pytest.mark.parametrize(
    ("storage_class", "archived", "needs_head"),
    [
        ("STANDARD", "", False),
        ("GLACIER", "GLACIER", False),
        ("DEEP_ARCHIVE", "DEEP_ARCHIVE", False),
        ("GLACIER_IR", "", False),
        ("INTELLIGENT_TIERING", "", True),
    ],
)
def test_archived_objects_in_a_listing(storage_class: str, archived: str, needs_head: bool) -> None:
    bucket = Bucket({"a"})
    bucket.storage_class = storage_class
    found = look_up(bucket, ["a"])["a"]
    assert isinstance(found, Found)
    assert (found.archived, found.needs_head) == (archived, needs_head)
    assert 0 < found.asked_at <= time.monotonic()
