# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the engine's S3 client against a scripted server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.bucket import Bucket
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.client import Client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import Digest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

T = TypeVar("T")


def with_s3(
    settings: StoreSettings, main: Callable[[Bucket, Client, Loop], Coroutine[Any, Any, T]], **options: Any
) -> T:
    """Run ``main`` to its end and close everything."""
    loop = Loop(threads=2)
    client = Client(loop, settings, **{"concurrency": 4, "read_timeout": 5, **options})
    try:
        return loop.run(main(Bucket(client, settings), client, loop))
    finally:
        client.close()
        loop.close()


def md5(data: bytes) -> bytes:
    return hashlib.md5(data).digest()


def put(settings: StoreSettings, data: bytes = b"abc", key: str = "a", **options: Any) -> str:
    """Upload one object and return its ETag."""

    async def main(s3: Bucket, client: Client, loop: Loop) -> str:
        return (await s3.put(key, data, Digest(md5(data)))).etag

    return with_s3(settings, main, **options)


def get(settings: StoreSettings, **options: Any) -> tuple[int | None, bytes]:
    """Return the length from the response, and what the last sink received."""
    sinks: list[bytearray] = []

    def make_sink() -> Callable[[memoryview], None]:
        sinks.append(bytearray())
        return sinks[-1].extend

    async def main(s3: Bucket, client: Client, loop: Loop) -> int | None:
        return await s3.get("a", make_sink)

    length = with_s3(settings, main, **options)
    return length, bytes(sinks[-1]) if sinks else b""
