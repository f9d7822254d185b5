# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scripted S3 server that lists and describes the objects of a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from scripted_store import Reply, Request, ScriptedStore, answer, scripted_store


class Object(NamedTuple):
    size: int
    modified: str = "2026-01-31T12:00:00.000Z"
    storage_class: str = "STANDARD"


class ObjectStore:
    """`page` is the most keys that one page has. `before` may give a reply of its own to a request."""

    def __init__(self, store: ScriptedStore, objects: dict[str, Object], page: int) -> None:
        self.server = store
        self.objects = objects
        self.page = page
        self.before: Callable[[Request], Reply | None] = lambda request: None
        self._keys: list[str] = []
        store.choose(self._reply)

    @property
    def pages(self) -> int:
        """How many pages of the listing were asked for."""
        return sum("list-type=2" in request.target for request in self.server.requests)

    @property
    def heads(self) -> int:
        return sum(request.method == "HEAD" for request in self.server.requests)

    def _reply(self, request: Request) -> Reply:
        reply = self.before(request)
        if reply is not None:
            return reply
        parts = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if "list-type" in query:
            return answer(200, self._listing(query).encode())
        found = self.objects.get(unquote(parts.path).partition("/media/")[2])
        if found is None:
            return b"HTTP/1.1 404 Words\r\nContent-Length: 0\r\n\r\n"
        return f'HTTP/1.1 200 Words\r\nContent-Length: {found.size}\r\nETag: "e"\r\n\r\n'.encode()

    def _listing(self, query: dict[str, str]) -> str:
        after, prefix = query.get("start-after", "").encode(), query.get("prefix", "")
        if len(self._keys) != len(self.objects):
            self._keys = sorted(self.objects, key=str.encode)
        following = [key for key in self._keys if key.encode() > after and key.startswith(prefix)]
        shown = following[: self.page]
        contents = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>{found.modified}</LastModified><ETag>e</ETag>"
            f"<Size>{found.size}</Size><StorageClass>{found.storage_class}</StorageClass></Contents>"
            for key, found in ((key, self.objects[key]) for key in shown)
        )
        truncated = str(len(following) > len(shown)).lower()
        return (
            f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated><EncodingType>url</EncodingType>"
            f"{contents}</ListBucketResult>"
        )


@contextmanager
def object_store(objects: dict[str, Object], page: int = 1000) -> Iterator[ObjectStore]:
    with scripted_store(b"") as server:
        yield ObjectStore(server, objects, page)
