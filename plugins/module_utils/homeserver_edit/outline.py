# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The positions of keys and values in the text of a YAML file, so that one can be replaced and all else stays."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import broken_yaml

# A missing PyYAML has been reported before: the same text is parsed first, by homeserver.parse.
with contextlib.suppress(ImportError):
    import yaml

# The line ends of YAML 1.1, and so of PyYAML.
LINE_BREAKS = "\n\r\x85\u2028\u2029"
_LINE_BREAK = re.compile(f"\r\n|[{LINE_BREAKS}]")
_LINE = re.compile(f"[^{LINE_BREAKS}]*(?:\r\n|[{LINE_BREAKS}])|[^{LINE_BREAKS}]+")
BYTE_ORDER_MARK = "\ufeff"


@dataclass
class Node:
    """A key or a value in the text. Positions are character indexes.

    `kind`: "scalar", "sequence", "mapping" or "alias".
    `end`: where its content ends, before any comment or blank line after it.
    `column`: its column, from 0.
    `flow`: whether it is written in brackets or braces.
    `decorated`: whether it has an anchor or an explicit tag.
    `value`: the text of a scalar.
    `children`: the items of a sequence; keys and values of a mapping in turn.
    """

    kind: str
    start: int
    column: int
    end: int
    flow: bool = False
    decorated: bool = False
    value: str | None = None
    children: list[Node] = field(default_factory=list)

    def pairs(self) -> list[tuple[Node, Node]]:
        """Keys and values of a mapping."""
        return list(zip(self.children[::2], self.children[1::2]))


@dataclass(frozen=True)
class Outline:
    """The document of a file; `root` is None if it is empty, `end` is where text can be appended to it."""

    root: Node | None
    end: int


def outline(text: str, path: str) -> Outline:
    """The outline of text that homeserver.parse has accepted. Raises ConfigurationError for more than one document."""
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        raise ConfigurationError(broken_yaml(path, error)) from None
    ends: list[Any] = [event for event in events if isinstance(event, yaml.DocumentEndEvent)]
    if not ends:
        return Outline(None, len(text))
    if len(ends) > 1:
        raise ConfigurationError(
            f"{path} contains more than one YAML document, and Synapse reads only one. Remove the others."
        )
    stream = (
        event
        for event in events
        if not isinstance(
            event, (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent, yaml.StreamEndEvent)
        )
    )
    return Outline(_node(next(stream), stream, text), ends[0].start_mark.index)


def _node(event: Any, stream: Iterator[Any], text: str) -> Node:
    start = event.start_mark.index
    node = Node(kind="alias", start=start, column=event.start_mark.column, end=event.end_mark.index)
    if isinstance(event, yaml.AliasEvent):
        return node
    if isinstance(event, yaml.ScalarEvent):
        node.kind, node.value = "scalar", event.value
        node.decorated = event.anchor is not None or event.tag is not None
        if event.style in ("|", ">"):
            # PyYAML puts the end of a block scalar after the blank lines that follow it.
            node.end = start + len(text[start : node.end].rstrip(" \t" + LINE_BREAKS))
        return node
    node.kind = "sequence" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
    node.flow = bool(event.flow_style)
    node.decorated = event.anchor is not None or event.tag is not None
    closing: Any = None
    for closing in stream:
        if isinstance(closing, yaml.CollectionEndEvent):
            break
        node.children.append(_node(closing, stream, text))
    # PyYAML puts the end of a block collection at the start of the next token.
    node.end = closing.end_mark.index if node.flow else max([node.end, *(child.end for child in node.children)])
    return node


def lines(text: str) -> list[str]:
    """The lines with their line ends; joined, they are the text."""
    return _LINE.findall(text)


def line_start(text: str, index: int) -> int:
    """Start of the line with this index; a byte order mark is not part of the line."""
    start = max(text.rfind(character, 0, index) for character in LINE_BREAKS) + 1
    return 1 if start == 0 and text.startswith(BYTE_ORDER_MARK) else start


def line_end(text: str, index: int) -> int:
    """Index after the line end of the line with this index."""
    match = _LINE_BREAK.search(text, index)
    return match.end() if match else len(text)


def newline_of(text: str) -> str:
    """The line end of the first line; a line feed if there is none."""
    match = _LINE_BREAK.search(text)
    return match[0] if match and match[0] in ("\n", "\r\n", "\r") else "\n"


def lacks_line_end(text: str) -> bool:
    """Whether the last line has no line end."""
    return bool(text.lstrip(BYTE_ORDER_MARK)) and not text.endswith(tuple(LINE_BREAKS))
