# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletes an object only if it is what was looked at: the store compares, or it is asked directly before."""

from __future__ import annotations

import hashlib
import secrets

from ..errors import RequestFailed, StoreError
from ..s3.changing_bucket import ChangingBucket
from ..s3.objects import Digest
from .trash import TRIAL_PATH

# The MD5 of no content at all.
_NO_ETAG_OF_OURS = "d41d8cd98f00b204e9800998ecf8427e"


class Deletion:
    """What the store can do is learnt once a run, with an object that is put for that."""

    def __init__(self, bucket: ChangingBucket) -> None:
        self._bucket = bucket
        #: Whether the store heeds If-Match with a DELETE; None before learn().
        self.conditional: bool | None = None

    async def learn(self) -> bool:
        """Whether the store deletes only what has a certain ETag.

        Raises StoreError if the keys may not put or delete; nothing but the trial object is there then.
        """
        bucket, key = self._bucket, self._bucket.key(TRIAL_PATH)
        content = secrets.token_bytes(16)
        try:
            await bucket.put(key, content, Digest(hashlib.md5(content, usedforsecurity=False).digest()))
            self.conditional = await bucket.heeds_condition(key, _NO_ETAG_OF_OURS)
            if self.conditional:
                found = await bucket.look_at(key)
                # A store that refuses every such DELETE could never delete anything in this way.
                self.conditional = (
                    found is not None and bool(found.info.etag) and await bucket.delete(key, found.info.etag)
                )
            if not self.conditional:
                await bucket.delete(key)
        except RequestFailed as error:
            raise StoreError(
                f"{error} Nothing was collected; the trial object {key!r} may be left. Garbage collection needs keys "
                "with s3:PutObject, s3:GetObject and s3:DeleteObject: give it a key pair of its own.",
                error.code,
            ) from error
        return self.conditional

    async def delete(self, path: str, size: int, etag: str) -> bool:
        """Deletes the object of this path; False if it is not what was looked at, and stays. Raises as the bucket."""
        key = self._bucket.key(path)
        if self.conditional and etag:
            if await self._bucket.delete(key, etag):
                return True
            # An earlier attempt whose response was lost may have deleted it.
            return await self._bucket.look_at(key) is None
        found = await self._bucket.look_at(key)
        if found is None:
            return True
        if (found.info.size, found.info.etag) != (size, etag):
            return False
        return await self._bucket.delete(key)
