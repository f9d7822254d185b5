# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 entry in block style, between two marker lines: find it, write it, and remove it so that no trace stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import parse
from .entry import KEY, PROVIDER_MODULES, ProviderEntry, entry_lines
from .insertion_point import InsertionPoint
from .outline import BYTE_ORDER_MARK, LINE_BREAKS, lacks_line_end, line_start, lines, newline_of, outline

# Configurations in use contain these texts, so they must not change.
BEGIN = "# BEGIN ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3"
END = "# END ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3"
NOTE = "# Do not edit between these two markers: the next run of matrix_ops.synapse_s3 overwrites it."
# Before each line of the operator's that the block replaces. The line is restored when the block is removed.
WAS = "# was: "
NO_LINE_END = "# The last line before this block had no line end."


@dataclass(frozen=True)
class ManagedBlock:
    """The block in a text: whole lines, from `start` to `end`.

    `column`: the column of its markers.
    `whole_key`: whether it contains the key, or only an entry in a list of the operator's.
    `data`: the S3 entry.
    `replaced`: the lines of the operator's that it replaces.
    `follows_open_line`: whether the last line before it had no line end.
    """

    start: int
    end: int
    column: int
    whole_key: bool
    data: dict[str, Any] = field(repr=False)
    replaced: list[str] = field(repr=False)
    follows_open_line: bool


def find_block(text: str, path: str) -> ManagedBlock | None:
    """The block in the text. Raises ConfigurationError if it or its markers were edited."""
    all_lines = lines(text)
    stripped = [line.strip(" \t" + BYTE_ORDER_MARK + LINE_BREAKS) for line in all_lines]
    begins = [number for number, line in enumerate(stripped) if line == BEGIN]
    ends = [number for number, line in enumerate(stripped) if line == END]
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        raise ConfigurationError(
            f"The markers of matrix_ops.synapse_s3 in {path} are damaged: there must be one BEGIN line and one END "
            "line after it. Remove what is left of the block, including the markers, and run again."
        )
    start = line_start(text, len("".join(all_lines[: begins[0]])))
    inside = all_lines[begins[0] + 1 : ends[0]]
    comments = [line.lstrip(" ") for line in inside if line.lstrip(" ").startswith("#")]
    whole_key, data = _entry_inside("".join(inside), path)
    return ManagedBlock(
        start=start,
        end=len("".join(all_lines[: ends[0] + 1])),
        column=text.index("#", start) - start,
        whole_key=whole_key,
        data=data,
        replaced=[comment[len(WAS) :] for comment in comments if comment.startswith(WAS)],
        follows_open_line=any(comment.strip(" \t" + LINE_BREAKS) == NO_LINE_END for comment in comments),
    )


def _entry_inside(body: str, path: str) -> tuple[bool, dict[str, Any]]:
    content = parse(body, path)
    whole_key = isinstance(content, dict) and list(content) == [KEY]
    entries = content[KEY] if whole_key else content
    if (
        isinstance(entries, list)
        and len(entries) == 1
        and isinstance(entries[0], dict)
        and entries[0].get("module") in PROVIDER_MODULES
    ):
        return whole_key, entries[0]
    raise ConfigurationError(
        f"The block of matrix_ops.synapse_s3 in {path} was changed by hand: it does not contain the S3 entry alone. "
        "Move what you added below the END marker, and run again."
    )


def write_block(text: str, point: InsertionPoint, entry: ProviderEntry) -> str:
    """The text with the block at the insertion point, in the file's own indentation and line ends."""
    head, region, tail = text[: point.start], text[point.start : point.end], text[point.end :]
    follows_open_line = lacks_line_end(region or head)
    newline = newline_of(text)
    if follows_open_line and not region:
        head += newline
    replaced = [line if line.endswith(tuple(LINE_BREAKS)) else line + newline for line in lines(region)]
    return head + _render(entry, point.column, point.whole_key, replaced, follows_open_line, newline) + tail


def refresh_block(text: str, block: ManagedBlock, entry: ProviderEntry) -> str:
    """The text with this entry in the block; unchanged if the block has the same values, however they are written."""
    if block.data == entry.data():
        return text
    rendered = _render(entry, block.column, block.whole_key, block.replaced, block.follows_open_line, newline_of(text))
    if lacks_line_end(text[block.start : block.end]):
        rendered = _without_line_end(rendered)
    return text[: block.start] + rendered + text[block.end :]


def is_at_insertion_point(text: str, path: str, block: ManagedBlock, rest: str, point: InsertionPoint) -> bool:
    """Whether the block is where it would be written now; `rest` is the text without it."""
    replaced = "".join(block.replaced)
    return (
        block.whole_key == point.whole_key
        and block.column == point.column
        and rest[point.start : point.end] in (replaced, _without_line_end(replaced))
        and not _list_continues(text, block, path)
    )


def _render(
    entry: ProviderEntry, column: int, whole_key: bool, replaced: Sequence[str], follows_open_line: bool, newline: str
) -> str:
    indent = " " * column
    body = entry_lines(entry.data(), column + 2 if whole_key else column)
    notes = [indent + NOTE, *([indent + NO_LINE_END] if follows_open_line else [])]
    before = [indent + BEGIN, *notes]
    after = [*([f"{indent}{KEY}:"] if whole_key else []), *body, indent + END]
    return "".join(
        [
            *(line + newline for line in before),
            *(indent + WAS + line for line in replaced),
            *(line + newline for line in after),
        ]
    )


def remove_block(text: str, path: str) -> str:
    """The text without the block and with the lines that it replaced; later edits of the operator stay."""
    block = find_block(text, path)
    if block is None:
        return text
    head, tail = text[: block.start], text[block.end :]
    if block.whole_key and _list_continues(text, block, path):
        return f"{head}{' ' * block.column}{KEY}:{newline_of(text)}{tail}"
    restored = "".join(block.replaced)
    if block.follows_open_line and not tail:
        restored, head = (_without_line_end(restored), head) if restored else ("", _without_line_end(head))
    return head + restored + tail


def _list_continues(text: str, block: ManagedBlock, path: str) -> bool:
    """Whether the operator has added entries after the block to the list that begins in it."""
    root = outline(text, path).root
    managed = [value for key, value in root.pairs() if block.start <= key.start < block.end] if root else []
    return any(item.start >= block.end for value in managed for item in value.children)


def _without_line_end(text: str) -> str:
    for line_break in ("\r\n", *LINE_BREAKS):
        if text.endswith(line_break):
            return text[: -len(line_break)]
    return text
