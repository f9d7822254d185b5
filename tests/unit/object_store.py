# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scripted S3 servers that list objects, and one that describes those of a dictionary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from scripted_store import Reply, Request, ScriptedStore, answer, scripted_store

NO_SUCH_KEY = b"HTTP/1.1 404 Words\r\nContent-Length: 0\r\n\r\n"


class Object(NamedTuple):
    size: int
    modified: str = "2026-01-31T12:00:00.000Z"
    storage_class: str = "STANDARD"


class ListedStore(ABC):
    """`page` is the most keys that one page has. `before` may give a reply of its own to a request."""

    def __init__(self, store: ScriptedStore, page: int) -> None:
        self.server = store
        self.page = page
        self.before: Callable[[Request], Reply | None] = lambda request: None
        store.choose(self._reply)

    @abstractmethod
    def keys(self) -> list[str]:
        """All keys, as the bytes of their names sort."""

    @abstractmethod
    def described(self, key: str) -> tuple[Object, str]:
        """An object of the listing, and its ETag."""

    @abstractmethod
    def reply_about(self, key: str, request: Request) -> Reply:
        """The reply to a request that is about one object."""

    def _reply(self, request: Request) -> Reply:
        reply = self.before(request)
        if reply is not None:
            return reply
        parts = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if "list-type" in query:
            return answer(200, self._listing(query).encode())
        return self.reply_about(unquote(parts.path).partition("/media/")[2], request)

    def _listing(self, query: dict[str, str]) -> str:
        after, prefix = query.get("start-after", "").encode(), query.get("prefix", "")
        following = [key for key in self.keys() if key.encode() > after and key.startswith(prefix)]
        shown = following[: min(self.page, int(query.get("max-keys", self.page)))]
        contents = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>{found.modified}</LastModified><ETag>{etag}</ETag>"
            f"<Size>{found.size}</Size><StorageClass>{found.storage_class}</StorageClass></Contents>"
            for key, (found, etag) in ((key, self.described(key)) for key in shown)
        )
        truncated = str(len(following) > len(shown)).lower()
        return (
            f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated><EncodingType>url</EncodingType>"
            f"{contents}</ListBucketResult>"
        )


class ObjectStore(ListedStore):
    """Lists and describes the objects of a dictionary."""

    def __init__(self, store: ScriptedStore, objects: dict[str, Object], page: int) -> None:
        super().__init__(store, page)
        self.objects = objects
        self._keys: list[str] = []

    @property
    def pages(self) -> int:
        """How many pages of the listing were asked for."""
        return sum("list-type=2" in request.target for request in self.server.requests)

    @property
    def heads(self) -> int:
        return sum(request.method == "HEAD" for request in self.server.requests)

    def keys(self) -> list[str]:
        if len(self._keys) != len(self.objects):
            self._keys = sorted(self.objects, key=str.encode)
        return self._keys

    def described(self, key: str) -> tuple[Object, str]:
        return self.objects[key], "e"

    def reply_about(self, key: str, request: Request) -> Reply:
        found = self.objects.get(key)
        if found is None:
            return NO_SUCH_KEY
        return f'HTTP/1.1 200 Words\r\nContent-Length: {found.size}\r\nETag: "e"\r\n\r\n'.encode()


@contextmanager
def object_store(objects: dict[str, Object], page: int = 1000) -> Iterator[ObjectStore]:
    with scripted_store(b"") as server:
        yield ObjectStore(server, objects, page)
