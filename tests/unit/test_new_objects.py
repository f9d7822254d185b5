# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Uploads must not replace an object that a listing left out."""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    RequestFailed,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.new_objects import NewObjects
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import Digest, ObjectInfo

KINDS = ("honours", "ignores", "501", "400")


class Store:
    """A bucket in memory that handles ``If-None-Match: *`` in one of the ways that servers do."""

    def __init__(self, kind: str, **objects: bytes) -> None:
        self.kind = kind
        self.objects = dict(objects)
        self.puts = 0
        self.heads = 0
        self.lists_out_of_order = False

    async def head(self, key: str) -> ObjectInfo | None:
        self.heads += 1
        return self._info(key) if key in self.objects else None

    async def put(self, key: str, body: bytes, digest: Digest) -> ObjectInfo:
        self.puts += 1
        self.objects[key] = body
        return self._info(key)

    async def put_if_absent(self, key: str, body: bytes, digest: Digest) -> ObjectInfo | None:
        if self.kind == "501":
            raise StoreError("It is not implemented.", "NotImplemented")
        if self.kind == "400":
            raise RequestFailed("The header is not understood.", "InvalidArgument", 400)
        if self.kind == "honours" and key in self.objects:
            self.puts += 1
            return None
        return await self.put(key, body, digest)

    def _info(self, key: str) -> ObjectInfo:
        return ObjectInfo(len(self.objects[key]), hashlib.md5(self.objects[key]).hexdigest(), False, {})


def run(main: Coroutine[Any, Any, Any]) -> Any:
    loop = Loop()
    try:
        return loop.run(main)
    finally:
        loop.close()


async def put(objects: NewObjects, key: str, *, may_replace: bool = False) -> ObjectInfo | None:
    body = f"content of {key}".encode()
    return await objects.put(key, body, Digest(hashlib.md5(body).digest()), may_replace=may_replace)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("may_replace_first", [False, True])
@pytest.mark.parametrize("rehearsals", [0, 7, 8, 9, 20])
def test_no_existing_object_is_replaced(kind: str, may_replace_first: bool, rehearsals: int) -> None:
    store = Store(kind, good=b"good", other=b"good too")
    objects = NewObjects(store)  # type: ignore[arg-type]

    async def main() -> None:
        assert await put(objects, "first", may_replace=may_replace_first) is not None
        for number in range(rehearsals):
            assert await put(objects, f"key {number}") is not None
        assert await put(objects, "good") is None
        assert await put(objects, "second") is not None
        assert await put(objects, "other") is None

    run(main())
    assert store.objects["good"] == b"good" and store.objects["other"] == b"good too"
    assert store.objects["first"] == b"content of first" and store.objects["second"] == b"content of second"


def test_a_server_that_supports_the_header_needs_no_head() -> None:
    store = Store("honours")
    objects = NewObjects(store)  # type: ignore[arg-type]

    async def main() -> None:
        for number in range(50):
            assert await put(objects, f"key {number}") is not None

    run(main())
    # The first keys need a HEAD each; then one upload is repeated to test the header.
    assert (store.puts, store.heads) == (51, 9)


@pytest.mark.parametrize("kind", ["ignores", "501", "400"])
def test_other_servers_need_a_head_for_each_key(kind: str) -> None:
    store = Store(kind)
    objects = NewObjects(store)  # type: ignore[arg-type]

    async def main() -> None:
        for number in range(50):
            assert await put(objects, f"key {number}") is not None

    run(main())
    assert store.heads == 50 and store.puts <= 52


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_bucket_needs_no_head(kind: str) -> None:
    store = Store(kind)
    objects = NewObjects(store)  # type: ignore[arg-type]
    objects.nothing_there = True

    async def main() -> None:
        for number in range(10):
            assert await put(objects, f"key {number}", may_replace=number % 2 == 0) is not None
        assert not await objects.exists("key")

    run(main())
    assert (store.puts, store.heads) == (10, 0)


def test_content_that_is_proven_right_needs_no_head() -> None:
    store = Store("ignores", key=b"wrong")
    objects = NewObjects(store)  # type: ignore[arg-type]
    run(put(objects, "key", may_replace=True))
    assert (store.puts, store.heads, store.objects["key"]) == (1, 0, b"content of key")


def test_parallel_uploads_test_the_header_once() -> None:
    store = Store("honours", **{f"key{number}": b"good" for number in range(0, 64, 2)})
    objects = NewObjects(store)  # type: ignore[arg-type]
    loop = Loop()

    async def main() -> None:
        tasks = [loop.start(put(objects, f"key{number}")) for number in range(64)]
        outcomes = [await task is not None for task in tasks]
        assert outcomes == [bool(number % 2) for number in range(64)]

    try:
        loop.run(main())
    finally:
        loop.close()
    assert all(store.objects[f"key{number}"] == b"good" for number in range(0, 64, 2))


def test_a_listing_that_left_out_several_keys_is_no_longer_trusted() -> None:
    store = Store("honours", a=b"1", b=b"2", c=b"3")
    objects = NewObjects(store)  # type: ignore[arg-type]

    async def main() -> None:
        for key, known in (("a", False), ("b", False), ("c", True)):
            assert await put(objects, key) is None
            assert store.lists_out_of_order == known

    run(main())


def test_another_kind_of_error_says_nothing_about_the_header() -> None:
    class Refusing(Store):
        async def put_if_absent(self, key: str, body: bytes, digest: Digest) -> ObjectInfo | None:
            raise RequestFailed("The key may not write.", "AccessDenied", 403)

    objects = NewObjects(Refusing("honours"))  # type: ignore[arg-type]
    for number in range(8):
        run(put(objects, f"key {number}"))
    for dummy in range(2):
        with pytest.raises(RequestFailed, match="may not write"):
            run(put(objects, "key"))
