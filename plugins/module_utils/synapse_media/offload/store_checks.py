# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of the store itself, once a run, with uploads in parts that are never completed, so are no objects."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import MediaError, StoreError
from .checksums import Checksum, for_parts
from .s3 import Digest, MultipartUpload
from .transport.client import RequestFailed
from .transport.loop import Task

if TYPE_CHECKING:
    from .context import Context

# No names of Synapse's.
_ENCRYPTION = ".synapse-s3-encryption-check"
_CHECKSUM = ".synapse-s3-checksum-check"
_BODY = b"?"


class StoreChecks:
    """Each check is made when it is first needed, and by nobody else meanwhile."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._encryption: Task[None] | None = None
        self._checksum: Task[None] | None = None
        #: The name of the checksum that this store verifies; empty where it verifies none, and until it is known.
        self.checksum = ""

    async def encryption(self) -> None:
        """Before the first upload: raises StoreError where the store does not use the customer key, if one is set.

        Media is not stored in the clear to find out.
        """
        context = self._context
        if not context.store.sse_customer_key:
            return
        if self._encryption is None:
            self._encryption = context.loop.start(self._ask_encryption())
        await self._encryption

    def begin_checksum(self) -> Task[None]:
        """Finds out whether the store verifies a checksum that is faster than an MD5."""
        if self._checksum is None:
            self._checksum = self._context.loop.start(self._ask_checksum())
            # Whoever needs the answer waits for it; the run waits for the rest.
            self._context.background.append(self._checksum)
        return self._checksum

    async def _ask_encryption(self) -> None:
        try:
            async with self._upload(_ENCRYPTION) as (key, upload):
                if not upload.uses_key:
                    # Some stores say it of the parts alone.
                    md5 = hashlib.md5(_BODY, usedforsecurity=False).digest()
                    await self._context.s3.upload_part(key, upload, 1, _BODY, Digest(md5))
        except RequestFailed as error:
            # Every other upload would be refused in the same way.
            raise StoreError(
                f"{error} It was sent with synapse_s3_sse_customer_key: leave that empty if the store does not take "
                "customer keys (SSE-C).",
                error.code,
            ) from error

    async def _ask_checksum(self) -> None:
        """Some stores take any checksum and hand it back: a wrong one tells."""
        name = await self._context.in_thread(for_parts)
        with suppress(MediaError):
            async with self._upload(_CHECKSUM, name) as (key, upload):
                if upload.checksum:
                    wrong = Checksum(name)
                    wrong.update(b"another byte")
                    digest = Digest(name=name, checksum=wrong.base64())
                    if await self._context.s3.refuses_wrong_checksum(key, upload, digest):
                        self.checksum = name

    @asynccontextmanager
    async def _upload(self, name: str, checksum: str = "") -> AsyncIterator[tuple[str, MultipartUpload]]:
        """An upload that is aborted afterwards, while nobody waits for that."""
        context = self._context
        key = context.store.prefix + name
        upload = await context.begin_upload(key, checksum)
        try:
            yield key, upload
        finally:
            context.background.append(context.loop.start(context.abort(key, upload)))
