# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The marked block in one file of Synapse's configuration: found, written, and taken out without a trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.homeserver import parse
from .entry import KEY, PROVIDER_MODULE, ProviderEntry, entry_lines
from .insertion_point import Place
from .outline import BYTE_ORDER_MARK, LINE_BREAKS, ends_open, line_start, lines, newline_of, outline

BEGIN = "# BEGIN ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3"
END = "# END ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3"
NOTE = "# Do not edit between these two markers: the next run of matrix_ops.synapse_s3 overwrites it."
# A line of the operator's that the block replaces; it comes back when the block goes.
WAS = "# was: "
NO_LINE_END = "# The last line before this block had no line end."


@dataclass(frozen=True)
class Block:
    """Our block as it stands in a text, whole lines from `start` to `end`."""

    start: int
    end: int
    column: int
    # Whether the key is ours too, or our entry alone in a list of the operator's.
    whole_key: bool
    # Our entry, by its values.
    data: dict[str, Any] = field(repr=False)
    replaced: list[str] = field(repr=False)
    bridged: bool


def find_block(text: str, path: str) -> Block | None:
    """Our block in the text; refused where somebody has written between or around its markers."""
    all_lines = lines(text)
    stripped = [line.strip(" \t" + BYTE_ORDER_MARK + LINE_BREAKS) for line in all_lines]
    begins = [number for number, line in enumerate(stripped) if line == BEGIN]
    ends = [number for number, line in enumerate(stripped) if line == END]
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        raise ConfigurationError(
            f"The markers of matrix_ops.synapse_s3 in {path} are damaged: there must be one BEGIN line and an END "
            "line after it. Remove what is left of the block, markers included, and run again."
        )
    start = line_start(text, len("".join(all_lines[: begins[0]])))
    inside = all_lines[begins[0] + 1 : ends[0]]
    comments = [line.lstrip(" ") for line in inside if line.lstrip(" ").startswith("#")]
    whole_key, data = _entry_inside("".join(inside), path)
    return Block(
        start=start,
        end=len("".join(all_lines[: ends[0] + 1])),
        column=text.index("#", start) - start,
        whole_key=whole_key,
        data=data,
        replaced=[comment[len(WAS) :] for comment in comments if comment.startswith(WAS)],
        bridged=any(comment.strip(" \t" + LINE_BREAKS) == NO_LINE_END for comment in comments),
    )


def _entry_inside(body: str, path: str) -> tuple[bool, dict[str, Any]]:
    content = parse(body, path)
    whole_key = isinstance(content, dict) and list(content) == [KEY]
    entries = content[KEY] if whole_key else content
    if (
        isinstance(entries, list)
        and len(entries) == 1
        and isinstance(entries[0], dict)
        and entries[0].get("module") == PROVIDER_MODULE
    ):
        return whole_key, entries[0]
    raise ConfigurationError(
        f"The block of matrix_ops.synapse_s3 in {path} was changed by hand: it does not hold the S3 entry alone. "
        "Move what you added to behind the END marker, then run again."
    )


def write_block(text: str, place: Place, entry: ProviderEntry) -> str:
    """The text with our block at a place in it, in the file's own indentation and line ends."""
    head, region, tail = text[: place.start], text[place.start : place.end], text[place.end :]
    bridged = ends_open(region or head)
    newline = newline_of(text)
    if bridged and not region:
        head += newline
    replaced = [line if line.endswith(tuple(LINE_BREAKS)) else line + newline for line in lines(region)]
    return head + _render(entry, place.column, place.whole_key, replaced, bridged, newline) + tail


def refresh_block(text: str, block: Block, entry: ProviderEntry) -> str:
    """The text with our block where it is, and our entry in it as it shall be now."""
    # However it is written: what counts is what Synapse reads.
    if block.data == entry.data():
        return text
    rendered = _render(entry, block.column, block.whole_key, block.replaced, block.bridged, newline_of(text))
    if ends_open(text[block.start : block.end]):
        rendered = _without_line_end(rendered)
    return text[: block.start] + rendered + text[block.end :]


def fits(text: str, path: str, block: Block, rest: str, place: Place) -> bool:
    """Whether the block stands where it would be put today, `rest` being the text without it."""
    replaced = "".join(block.replaced)
    return (
        block.whole_key == place.whole_key
        and block.column == place.column
        and rest[place.start : place.end] in (replaced, _without_line_end(replaced))
        and not _list_goes_on(text, block, path)
    )


def _render(
    entry: ProviderEntry, column: int, whole_key: bool, replaced: Sequence[str], bridged: bool, newline: str
) -> str:
    indent = " " * column
    body = entry_lines(entry.data(), column + 2 if whole_key else column)
    notes = [indent + NOTE, *([indent + NO_LINE_END] if bridged else [])]
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
    """The text as it was before our block came, and as the operator has changed it since."""
    block = find_block(text, path)
    if block is None:
        return text
    head, tail = text[: block.start], text[block.end :]
    if block.whole_key and _list_goes_on(text, block, path):
        return f"{head}{' ' * block.column}{KEY}:{newline_of(text)}{tail}"
    restored = "".join(block.replaced)
    if block.bridged and not tail:
        restored, head = (_without_line_end(restored), head) if restored else ("", _without_line_end(head))
    return head + restored + tail


def _list_goes_on(text: str, block: Block, path: str) -> bool:
    """Whether the operator has added entries of their own behind ours, to the list we began."""
    root = outline(text, path).root
    ours = [value for key, value in root.pairs() if block.start <= key.start < block.end] if root else []
    return any(item.start >= block.end for value in ours for item in value.children)


def _without_line_end(text: str) -> str:
    for line_break in ("\r\n", *LINE_BREAKS):
        if text.endswith(line_break):
            return text[: -len(line_break)]
    return text
