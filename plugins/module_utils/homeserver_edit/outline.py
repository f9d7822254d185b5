# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where things stand in the text of a YAML file, so that a piece can be replaced and every other byte stays."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.homeserver import broken_yaml

# A Python without it is reported before, by whatever parses the same text.
with contextlib.suppress(ImportError):
    import yaml

# What YAML 1.1, and so PyYAML, takes for the end of a line.
LINE_BREAKS = "\n\r\x85\u2028\u2029"
_LINE_BREAK = re.compile(f"\r\n|[{LINE_BREAKS}]")
_LINE = re.compile(f"[^{LINE_BREAKS}]*(?:\r\n|[{LINE_BREAKS}])|[^{LINE_BREAKS}]+")
BYTE_ORDER_MARK = "\ufeff"


@dataclass
class Node:
    """A value in the text. `end` is where its content ends, before any comment or blank line after it."""

    kind: str
    start: int
    column: int
    end: int
    flow: bool = False
    # An anchor or an explicit tag stands on it.
    decorated: bool = False
    value: str | None = None
    children: list[Node] = field(default_factory=list)

    def pairs(self) -> list[tuple[Node, Node]]:
        return list(zip(self.children[::2], self.children[1::2]))


@dataclass(frozen=True)
class Outline:
    """The one document of a file; `end` is where more of it can be written."""

    root: Node | None
    end: int


def outline(text: str, path: str) -> Outline:
    """The document in the text. Only for text that has been parsed before: this does not look at what values mean."""
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        raise ConfigurationError(broken_yaml(path, error)) from None
    ends: list[Any] = [event for event in events if isinstance(event, yaml.DocumentEndEvent)]
    if not ends:
        return Outline(None, len(text))
    if len(ends) > 1:
        raise ConfigurationError(f"{path} holds more than one YAML document. Synapse reads one only: correct the file.")
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
            # Its mark lies behind the blank lines that follow it.
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
    # The end of a block collection is marked only where the next thing begins.
    node.end = closing.end_mark.index if node.flow else max([node.end, *(child.end for child in node.children)])
    return node


def lines(text: str) -> list[str]:
    """The lines with their line ends; nothing is lost when they are joined again."""
    return _LINE.findall(text)


def line_start(text: str, index: int) -> int:
    """Start of the line that holds this place; a byte order mark is no part of a line."""
    start = max(text.rfind(character, 0, index) for character in LINE_BREAKS) + 1
    return 1 if start == 0 and text.startswith(BYTE_ORDER_MARK) else start


def line_end(text: str, index: int) -> int:
    """Place behind the line end of the line that holds this place."""
    match = _LINE_BREAK.search(text, index)
    return match.end() if match else len(text)


def newline_of(text: str) -> str:
    """The line end that the file uses, by its first one."""
    match = _LINE_BREAK.search(text)
    return match[0] if match and match[0] in ("\n", "\r\n", "\r") else "\n"


def ends_open(text: str) -> bool:
    """Whether the last line has no line end."""
    return bool(text.lstrip(BYTE_ORDER_MARK)) and not text.endswith(tuple(LINE_BREAKS))
