# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our entry in a list or a file in flow style, as JSON is: found by a key of its own, for comments are no JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.homeserver import parse
from .entry import KEY, PROVIDER_MODULE, ProviderEntry, check_printable
from .insertion_point import ENTRY_ADDED, KEY_ADDED, LIST_ADDED, Place
from .outline import Node, outline

# Synapse reads module, config and the switches of an entry, and passes over every other key.
MARK = "managed_by"
COLLECTION = "matrix_ops.synapse_s3"
_ADDED = (ENTRY_ADDED, LIST_ADDED, KEY_ADDED)
# Line breaks and the byte order mark to YAML inside of quotes, and characters like others to JSON.
_ESCAPED = {"\x7f": "\\u007f", "\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029", "\ufeff": "\\ufeff"}
_SEPARATOR = ", "


@dataclass(frozen=True)
class FlowEntry:
    """Our entry as it stands in a text, from `start` to `end`."""

    start: int
    end: int
    added: str
    # Our entry, by its values, without the key that marks it.
    data: dict[str, Any] = field(repr=False)
    # What of the operator's stood there before.
    was: str | None = field(repr=False)
    # The pair of the key and the list, the list alone, and the things beside each.
    key: Node
    value: Node
    position: int
    root: Node


def unmarked(item: Any) -> Any:
    """An entry without the key that marks it as ours."""
    return {name: value for name, value in item.items() if name != MARK} if is_marked(item) else item


def is_marked(item: Any) -> bool:
    mark = item.get(MARK) if isinstance(item, dict) and item.get("module") == PROVIDER_MODULE else None
    return isinstance(mark, dict) and mark.get("collection") == COLLECTION


def find_flow_entry(text: str, path: str) -> FlowEntry | None:
    """Our entry in the text; refused where it is there twice."""
    if MARK not in text or COLLECTION not in text:
        return None
    content = parse(text, path)
    entries = content.get(KEY) if isinstance(content, dict) else None
    positions = [index for index, item in enumerate(entries) if is_marked(item)] if isinstance(entries, list) else []
    root = outline(text, path).root
    if not positions or root is None or not isinstance(entries, list):
        return None
    pairs = [pair for pair in root.pairs() if pair[0].kind == "scalar" and pair[0].value == KEY]
    # A program that has written the file anew in lines has made an entry like any other of ours.
    if len(pairs) != 1 or pairs[0][1].kind != "sequence" or not pairs[0][1].flow:
        return None
    if len(positions) > 1:
        raise ConfigurationError(f"{path} has our S3 entry {len(positions)} times. Remove all but one.")
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
            f"The S3 entry of {COLLECTION} in {path} was changed by hand. Put its {MARK!r} back as it was, or remove "
            f"{MARK!r}, which makes the entry your own."
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


def write_flow(text: str, place: Place, entry: ProviderEntry) -> str:
    """The text with our entry at a place in flow style, on one line, so that no other line moves."""
    was = text[place.start : place.end] if place.start < place.end else None
    item = _render(entry.data(), str(place.in_flow), was)
    if place.in_flow == LIST_ADDED:
        # An empty value may stand right behind its colon.
        item = f"{'' if was else ' '}[{item}]"
    elif place.in_flow == KEY_ADDED:
        item = f"{_quoted(KEY)}: [{item}]"
    return text[: place.start] + (_SEPARATOR if place.follows else "") + item + text[place.end :]


def refresh_flow(text: str, found: FlowEntry, entry: ProviderEntry) -> str:
    """The text with our entry where it is, as it shall be now."""
    if found.data == entry.data():
        return text
    return text[: found.start] + _render(entry.data(), found.added, found.was) + text[found.end :]


def remove_flow(text: str, path: str) -> str:
    """The text as it was before our entry came, and as the operator has changed it since."""
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
    """The text without one of the things in a pair of brackets, and without one comma beside it."""
    start, end = spans[index]
    if index > 0 and text[spans[index - 1][1] : start].strip() == ",":
        return text[: spans[index - 1][1]] + text[end:]
    if index + 1 < len(spans) and text[end : spans[index + 1][0]].strip() == ",":
        return text[:start] + text[spans[index + 1][0] :]
    if len(spans) == 1:
        rest = text[end:].lstrip(" ")
        # The comma that somebody may have put behind the only thing there.
        return text[:start] + (rest[1:] if rest.startswith(",") else text[end:])
    raise ConfigurationError(
        f"There are comments beside the S3 entry of {COLLECTION} in {path}, and it cannot be told which commas belong "
        "to it. Move the comments to lines of other entries, and run again."
    )


def _render(data: Mapping[str, Any], added: str, was: str | None) -> str:
    check_printable(data)
    mark = {"collection": COLLECTION, "added": added, **({} if was is None else {"was": was})}
    return _quoted({**data, MARK: mark})


def _quoted(value: Any) -> str:
    """As JSON that YAML reads alike: YAML takes JSON's pairs of surrogates for two characters."""
    text = json.dumps(value, ensure_ascii=False)
    for character, escaped in _ESCAPED.items():
        text = text.replace(character, escaped)
    return text
