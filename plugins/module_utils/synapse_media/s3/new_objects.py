# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Uploads that must not replace an object: a listing may have left it out."""

from __future__ import annotations

from ..errors import RequestFailed, StoreError
from .bucket import Bucket
from .objects import Digest, ObjectInfo
from .transport.connection import Body, FilePart

# What stores return that do not know If-None-Match.
_UNKNOWN_HEADER = (400, 501)
_NOT_IMPLEMENTED = ("NotImplemented", "501")
# After so many objects that the listing left out, it is not trusted. Fewer may be uploads by Synapse meanwhile.
_LEFT_OUT = 3
# After so many HEAD requests an upload is repeated to learn whether they can be saved; and the largest such upload in
# bytes.
_LEARN_AFTER = 8
_LEARN_WITH = 1024 * 1024


class NewObjects:
    """Puts objects where there is none. Whether the store honours ``If-None-Match: *`` is learnt once a run."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._honoured: bool | None = None
        self._learning = False
        self._asked = 0
        self._left_out = 0
        #: Whether the store listed nothing at all under the prefix, so that there is nothing to replace.
        self.nothing_there = False

    async def put(self, key: str, body: Body, digest: Digest, *, may_replace: bool) -> ObjectInfo | None:
        """None if there is an object, which stays as it is.

        ``may_replace``: the content is proven right, so that nothing is lost where the store cannot tell. Raises
        RequestFailed, and StoreError if the store refuses the whole run.
        """
        if self.nothing_there or (may_replace and not self._honoured):
            return await self._bucket.put(key, body, digest)
        if self._honoured:
            info = await self._bucket.put_if_absent(key, body, digest)
        elif await self.exists(key):
            return None
        elif self._is_worth_learning(body):
            self._learning = True
            info = await self._put_and_learn(key, body, digest)
        else:
            return await self._bucket.put(key, body, digest)
        if info is None:
            self._note_left_out()
        return info

    def _is_worth_learning(self, body: Body) -> bool:
        if self._honoured is not None or self._learning or self._asked <= _LEARN_AFTER:
            return False
        return (body.length if isinstance(body, FilePart) else len(body)) <= _LEARN_WITH

    async def exists(self, key: str) -> bool:
        """Asks for the key itself. Raises as put()."""
        if self.nothing_there:
            return False
        self._asked += 1
        found = await self._bucket.head(key) is not None
        if found:
            self._note_left_out()
        return found

    async def _put_and_learn(self, key: str, body: Body, digest: Digest) -> ObjectInfo | None:
        """A second upload of the same bytes changes nothing, and is refused by a store that honours the header."""
        try:
            info = await self._bucket.put_if_absent(key, body, digest)
            if info is not None:
                self._honoured = await self._bucket.put_if_absent(key, body, digest) is None
        except StoreError as error:
            if error.code not in _NOT_IMPLEMENTED:
                raise
        except RequestFailed as error:
            if error.status not in _UNKNOWN_HEADER:
                self._learning = False
                raise
        else:
            return info
        self._honoured = False
        return await self._bucket.put(key, body, digest)

    def _note_left_out(self) -> None:
        self._left_out += 1
        if self._left_out >= _LEFT_OUT:
            self._bucket.lists_out_of_order = True
