# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the bucket holds at given keys: pages of its listing, or a HEAD for each key if pages name too few of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple, Union

from ..errors import RequestFailed
from ..event_loop.loop import Loop
from ..s3.bucket import Bucket
from ..s3.documents import Listed
from ..s3.objects import TIERING_CLASS, ObjectInfo, is_archive_class

# A page of 1,000 keys costs the store and the network as much as some dozens of HEAD requests.
PAGE_PAYS = 8
_FIRST_QUESTIONS = 16
_MOST_QUESTIONS = 1024
# From so many keys on, the first page begins before them.
_MANY = 100
PAGE = 1000


class Found(NamedTuple):
    """An object: its size in bytes and its ETag; `info` is what a HEAD said besides, where one was asked.

    `asked_at` is the time (time.monotonic()) of the question. `archived` names the class that keeps the object from
    being read; `needs_head`: the listing does not tell whether it can be read. `modified` and `date` are the times of
    the object and of the response by the store's clock, in its own words.
    """

    size: int
    etag: str
    info: ObjectInfo | None = None
    asked_at: float = 0.0
    archived: str = ""
    needs_head: bool = False
    modified: str = ""
    date: str = ""


# None: there is no object. RequestFailed: the store did not tell.
LookupResult = Union[Found, None, RequestFailed]


class ObjectIndex:
    """Looks up keys in ascending order; what a page names beyond the keys asked for serves the next look-up.

    Keys compare as strings, which is the order of their UTF-8 bytes and so S3's own. A page starts at the end of the
    last one or just before the next key, whichever is later. So there are at most as many lists as keys, and at most
    one for every 1,000 objects and one more. For many keys the first page begins where the prefix does, so that it
    tells whether there are objects at all.

    A listing may skip keys: None is no proof that an upload would not replace an object.
    """

    def __init__(self, loop: Loop, bucket: Bucket, most_lists: int | None = None, *, dated: bool = False) -> None:
        """With `most_lists`, at most so many pages are listed, the first from a key on; the rest is asked by HEAD.

        With `dated`, objects that a page names come with its times too.
        """
        self._loop = loop
        self._bucket = bucket
        self._lists_left = most_lists
        self._begin_early = most_lists is None
        self._dated = dated
        self._objects: dict[str, Listed] = {}
        self._listed_at = 0.0
        self._date = ""
        # The listing covers every key up to this one, and all that follow if it has ended.
        self._until = ""
        self._ended = False
        self._questions = 0
        self._next_questions = _FIRST_QUESTIONS
        #: Whether the store listed its objects under the prefix from the first on, and there was none.
        self.nothing_there = False

    async def look_up(self, keys: Sequence[str]) -> dict[str, LookupResult]:
        """What is at each key. The keys ascend, and none is below one of an earlier call.

        Raises StoreError if the store refuses the whole run.
        """
        found: dict[str, LookupResult] = {}
        position = 0
        self._begin_early = self._begin_early and len(keys) >= _MANY
        while position < len(keys):
            key = keys[position]
            in_order = not self._bucket.lists_out_of_order
            if in_order and (self._ended or key <= self._until):
                listed = self._objects.get(key)
                found[key] = None if listed is None else _found(listed, self._listed_at, self._date)
                position += 1
            elif self._questions or self._lists_left == 0 or not in_order:
                self._questions = self._questions or _MOST_QUESTIONS
                asked = keys[position : position + self._questions]
                found.update(await self._ask(asked))
                position += len(asked)
                self._questions = 0
            else:
                await self._list(keys, position)
        return found

    async def _list(self, keys: Sequence[str], position: int) -> None:
        # Between a key and the same key without its last character there are hardly any others.
        start_after = "" if self._begin_early else max(self._until, keys[position][:-1])
        if self._lists_left is not None:
            self._lists_left -= 1
        asked_at = time.monotonic()
        try:
            if self._dated:
                page, self._date = await self._bucket.dated_page(start_after)
            else:
                page = await self._bucket.list_page(start_after)
        except RequestFailed:
            # A broken listing is no reason to distrust HEAD.
            self._questions = _MOST_QUESTIONS
            return
        self._objects = {listed.key: listed for listed in page.objects}
        self._listed_at = asked_at
        self._ended = not page.truncated
        self.nothing_there = self._begin_early and self._ended and not page.objects
        was_early, self._begin_early = self._begin_early, False
        if page.objects:
            self._until = max(self._until, page.objects[-1].key)
        answered = sum(key <= self._until for key in keys[position : position + PAGE_PAYS])
        if self._ended or was_early or answered >= min(PAGE_PAYS, len(keys) - position):
            self._next_questions = _FIRST_QUESTIONS
            return
        self._questions = self._next_questions
        self._next_questions = min(2 * self._next_questions, _MOST_QUESTIONS)

    async def _ask(self, keys: Sequence[str]) -> dict[str, LookupResult]:
        tasks = [self._loop.start(ask(self._bucket, key)) for key in keys]
        return {key: await task for key, task in zip(keys, tasks)}


async def ask(bucket: Bucket, key: str) -> LookupResult:
    """What a HEAD says of one key. Raises StoreError if the store refuses the whole run."""
    asked_at = time.monotonic()
    try:
        info = await bucket.head(key)
    except RequestFailed as error:
        return error
    if info is None:
        return None
    return Found(info.size, info.etag, info, asked_at, info.archived, modified=info.modified, date=info.date)


def _found(listed: Listed, asked_at: float, date: str) -> Found:
    storage_class, modified = listed.storage_class, listed.modified
    if storage_class in ("", "STANDARD"):
        return Found(listed.size, listed.etag, None, asked_at, modified=modified, date=date)
    archived = storage_class if is_archive_class(storage_class) else ""
    needs_head = storage_class == TIERING_CLASS
    return Found(listed.size, listed.etag, None, asked_at, archived, needs_head, modified, date)
