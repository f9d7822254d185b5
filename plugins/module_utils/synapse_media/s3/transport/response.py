# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The head of an HTTP/1.1 answer, and how its body is framed."""

from __future__ import annotations

from typing import NamedTuple


class BrokenAnswer(Exception):
    """What came is no HTTP answer, or contradicts itself."""


class Answer:
    """A whole answer. Names of headers are in lower case; ``length`` counts the body's bytes, also those of a sink."""

    __slots__ = ("body", "headers", "length", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes, length: int) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.length = length


class Framing(NamedTuple):
    """``length`` is None where only the end of the connection ends the body."""

    chunked: bool
    length: int | None


_EMPTY = Framing(False, 0)


def parse_head(head: bytes) -> tuple[int, dict[str, str], bool]:
    """Status, headers, and whether the connection may be used again. ``head`` comes without its empty last line."""
    lines = head.decode("latin-1").split("\r\n")
    version, dummy, rest = lines[0].partition(" ")
    code = rest.partition(" ")[0]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise BrokenAnswer
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = name.lower()
        value = value.strip()
        if not colon or (name == "content-length" and headers.get(name, value) != value):
            raise BrokenAnswer
        headers[name] = value
    connection = headers.get("connection", "").lower()
    kept = "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection
    return int(code), headers, kept


def framing(status: int, headers: dict[str, str], is_head: bool) -> Framing:
    """How the body of this answer ends."""
    if is_head or status in (204, 304):
        return _EMPTY
    encoding = headers.get("transfer-encoding")
    if encoding is not None and encoding.lower() != "identity":
        if encoding.lower() != "chunked":
            raise BrokenAnswer
        return Framing(True, None)
    length = headers.get("content-length")
    if length is None:
        return Framing(False, None)
    if not (length.isascii() and length.isdigit()):
        raise BrokenAnswer
    return Framing(False, int(length))


def chunk_size(line: bytes) -> int:
    """The size that the first line of a chunk gives."""
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BrokenAnswer
    return int(digits, 16)
