# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 entry in flow style (brackets and braces, such as JSON), marked by a key, because JSON has no comments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import parse
from .entry import KEY, PROVIDER_MODULES, ProviderEntry, check_printable
from .insertion_point import ENTRY_ADDED, KEY_ADDED, LIST_ADDED, InsertionPoint
from .outline import Node, outline

# Synapse reads module, config and the switches of an entry and ignores every other key.
MARK = "managed_by"
COLLECTION = "matrix_ops.synapse_s3"
_ADDED = (ENTRY_ADDED, LIST_ADDED, KEY_ADDED)
# YAML takes these for line breaks or a byte order mark even in quotes; JSON takes them for ordinary characters.
_ESCAPED = {"\x7f": "\\u007f", "\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029", "\ufeff": "\\ufeff"}
_SEPARATOR = ", "


@dataclass(frozen=True)
class FlowEntry:
    """The entry in a text, from `start` to `end`.

    `added`: what was added with it, one of ENTRY_ADDED, LIST_ADDED and KEY_ADDED.
    `data`: the S3 entry, without the key that marks it.
    `was`: the text of the operator's that it replaced; None if it was only inserted.
    `key` and `value`: the pair media_storage_providers. `position`: the index of the entry in the list.
    `root`: the mapping of the whole file.
    """

    start: int
    end: int
    added: str
    data: dict[str, Any] = field(repr=False)
    was: str | None = field(repr=False)
    key: Node
    value: Node
    position: int
    root: Node


def unmarked(item: Any) -> Any:
    """The entry without the key that marks it as managed."""
    return {name: value for name, value in item.items() if name != MARK} if is_marked(item) else item


def is_marked(item: Any) -> bool:
    """Whether the entry was written in flow style by this collection."""
    mark = item.get(MARK) if isinstance(item, dict) and item.get("module") in PROVIDER_MODULES else None
    return isinstance(mark, dict) and mark.get("collection") == COLLECTION


def find_flow_entry(text: str, path: str) -> FlowEntry | None:
    """The entry in the text. Raises ConfigurationError if there are two, or if its mark was edited."""
    if MARK not in text or COLLECTION not in text:
        return None
    content = parse(text, path)
    entries = content.get(KEY) if isinstance(content, dict) else None
    positions = [index for index, item in enumerate(entries) if is_marked(item)] if isinstance(entries, list) else []
    root = outline(text, path).root
    if not positions or root is None or not isinstance(entries, list):
        return None
    pairs = [pair for pair in root.pairs() if pair[0].kind == "scalar" and pair[0].value == KEY]
    # Another program has rewritten the file in block style: the entry is adopted like one of the operator's.
    if len(pairs) != 1 or pairs[0][1].kind != "sequence" or not pairs[0][1].flow:
        return None
    if len(positions) > 1:
        raise ConfigurationError(f"{path} has the S3 entry of {COLLECTION} {len(positions)} times. Remove all but one.")
    key, value = pairs[0]
    item = value.children[positions[0]]
    mark = entries[positions[0]][MARK]
    was = mark.get("was")
    if (
        item.kind != "mapping"
        or item.decorated
        or mark.get("added") not in _ADDED
        or not isinstance(was, (str, type(None)))
    ):
        raise ConfigurationError(
            f"The S3 entry of {COLLECTION} in {path} was changed by hand. Restore its key {MARK!r}, or remove that "
            "key, so that the entry counts as one that you wrote."
        )
    return FlowEntry(
        start=item.start,
        end=item.end,
        added=mark["added"],
        data=unmarked(entries[positions[0]]),
        was=was,
        key=key,
        value=value,
        position=positions[0],
        root=root,
    )


def write_flow(text: str, point: InsertionPoint, entry: ProviderEntry) -> str:
    """The text with the entry at the insertion point, on one line, so that no other line changes."""
    was = text[point.start : point.end] if point.start < point.end else None
    item = _render(entry.data(), str(point.flow_addition), was)
    if point.flow_addition == LIST_ADDED:
        # After a colon YAML needs a space, and an empty value may have none.
        item = f"{'' if was else ' '}[{item}]"
    elif point.flow_addition == KEY_ADDED:
        item = f"{_quoted(KEY)}: [{item}]"
    return text[: point.start] + (_SEPARATOR if point.follows else "") + item + text[point.end :]


def refresh_flow(text: str, found: FlowEntry, entry: ProviderEntry) -> str:
    """The text with this entry in place of the managed one; unchanged if that has the same values."""
    if found.data == entry.data():
        return text
    return text[: found.start] + _render(entry.data(), found.added, found.was) + text[found.end :]


def remove_flow(text: str, path: str) -> str:
    """The text without the entry and with what it replaced; later edits of the operator stay."""
    found = find_flow_entry(text, path)
    if found is None:
        return text
    alone = len(found.value.children) == 1
    if found.added == LIST_ADDED and alone:
        start, restored = found.value.start, found.was or ""
        if not restored and text[start - 1 : start] == " ":
            start -= 1
        return text[:start] + restored + text[found.value.end :]
    if found.added == KEY_ADDED and alone:
        keys = [key for key, _value in found.root.pairs()]
        pairs = found.root.pairs()
        index = keys.index(found.key)
        return _cut(text, path, index, [(key.start, max(key.end, value.end)) for key, value in pairs])
    if found.added == ENTRY_ADDED and found.was is not None:
        return text[: found.start] + found.was + text[found.end :]
    return _cut(text, path, found.position, [(item.start, item.end) for item in found.value.children])


def _cut(text: str, path: str, index: int, spans: list[tuple[int, int]]) -> str:
    """The text without one item of a pair of brackets or braces, and without one comma next to it."""
    start, end = spans[index]
    if index > 0 and text[spans[index - 1][1] : start].strip() == ",":
        return text[: spans[index - 1][1]] + text[end:]
    if index + 1 < len(spans) and text[end : spans[index + 1][0]].strip() == ",":
        return text[:start] + text[spans[index + 1][0] :]
    if len(spans) == 1:
        rest = text[end:].lstrip(" ")
        # The operator may have written a comma after the only item.
        return text[:start] + (rest[1:] if rest.startswith(",") else text[end:])
    raise ConfigurationError(
        f"There are comments next to the S3 entry of {COLLECTION} in {path}, so the comma that belongs to it is "
        "unknown. Move the comments to lines of other entries, and run again."
    )


def _render(data: Mapping[str, Any], added: str, was: str | None) -> str:
    check_printable(data)
    mark = {"collection": COLLECTION, "added": added, **({} if was is None else {"was": was})}
    return _quoted({**data, MARK: mark})


def _quoted(value: Any) -> str:
    """JSON that YAML reads alike. Non-ASCII characters stay: YAML reads a surrogate pair as two characters."""
    text = json.dumps(value, ensure_ascii=False)
    for character, escaped in _ESCAPED.items():
        text = text.replace(character, escaped)
    return text
