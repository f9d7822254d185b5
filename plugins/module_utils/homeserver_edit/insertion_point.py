# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The place for the S3 provider's entry in a file of Synapse's configuration that holds no block of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.homeserver import parse
from .entry import KEY, PROVIDER_MODULE
from .outline import Node, line_end, line_start, lines, outline

EXAMPLE = f"""\
{KEY}:
  - module: file_system
    store_local: true
    config:
      directory: /path"""


# What is added to a file in brackets or braces: an entry to a list, a list to a key without one, or the key.
ENTRY_ADDED = "entry"
LIST_ADDED = "list"
KEY_ADDED = "key"


@dataclass(frozen=True)
class Place:
    """What our entry replaces: whole lines, or in flow style a piece of the text; nothing where start equals end."""

    start: int
    end: int
    column: int
    whole_key: bool
    # The place of the entry in the list, and whether one of the operator's goes from there.
    position: int
    adopted: Mapping[str, Any] | None = None
    # Flow style: what is added there, and whether something stands before it in the same brackets.
    in_flow: str | None = None
    follows: bool = False


def find_place(text: str, path: str) -> Place:
    """Where the entry goes; refused, with the remedy, where that cannot be told or would lose something."""
    content = parse(text, path)
    document = outline(text, path)
    root = document.root
    if content is not None and not isinstance(content, dict):
        raise ConfigurationError(
            f"{path} is not a mapping of settings, so Synapse ignores it. Correct the file, or take it out of the -c "
            "options of Synapse's service."
        )
    if root is None or (not content and not root.flow):
        return Place(document.end, document.end, 0, whole_key=True, position=0)
    settings: dict[Any, Any] = content or {}
    # An anchor or a tag stands before the first key.
    column = root.children[0].column if root.decorated and root.children else root.column
    values = [(key, value) for key, value in root.pairs() if key.kind == "scalar" and key.value == KEY]
    if not values:
        if KEY in settings:
            raise ConfigurationError(
                f"{KEY} comes into {path} through an alias or a merge key. Write it out as a key of its own."
            )
        if root.flow:
            return _place_in_braces(text, root)
        return Place(document.end, document.end, column, whole_key=True, position=0)
    if len(values) > 1:
        raise ConfigurationError(
            f"{path} has the key {KEY} {len(values)} times, and Synapse reads the last one only. "
            "Bring its entries together under one key."
        )
    return _place_at_key(text, path, *values[0], settings[KEY], root.flow)


def _place_in_braces(text: str, root: Node) -> Place:
    """Behind the last pair of a file that is one mapping in braces, as JSON is."""
    if root.children:
        end = root.children[-1].end
        return Place(end, end, 0, whole_key=True, position=0, in_flow=KEY_ADDED, follows=True)
    # Behind the brace: an anchor or a tag may stand before it.
    start = text.index("{", root.start) + 1
    return Place(start, start, 0, whole_key=True, position=0, in_flow=KEY_ADDED)


def _place_at_key(text: str, path: str, key: Node, value: Node, content: Any, in_braces: bool) -> Place:
    start = line_start(text, key.start)
    if text[start : key.start].strip(" ") and not in_braces:
        raise ConfigurationError(
            f"{KEY} in {path} does not stand at the beginning of its line. Write it as '{KEY}:' on a line of its own."
        )
    if value.kind == "alias" or value.decorated:
        raise ConfigurationError(
            f"{KEY} in {path} carries an alias, an anchor or a tag. Write the list itself out below the key, like this:"
            f"\n{EXAMPLE}"
        )
    if in_braces and content is None:
        return Place(value.start, value.end, 0, whole_key=False, position=0, in_flow=LIST_ADDED)
    if not in_braces and (content is None or (value.kind == "sequence" and not value.children)):
        return Place(start, line_end(text, max(key.end, value.end)), key.column, whole_key=True, position=0)
    if value.kind != "sequence":
        raise ConfigurationError(f"{KEY} in {path} is not a list. Write it like this:\n{EXAMPLE}")
    if value.flow:
        return _place_in_brackets(path, value, content)
    return _place_in_list(text, path, value, content)


def _place_in_brackets(path: str, value: Node, content: list[Any]) -> Place:
    position = _s3_position(path, content)
    if position is None:
        end = value.children[-1].end if value.children else value.start + 1
        return Place(
            end, end, 0, whole_key=False, position=len(content), in_flow=ENTRY_ADDED, follows=bool(value.children)
        )
    item = value.children[position]
    return Place(
        item.start, item.end, 0, whole_key=False, position=position, adopted=content[position], in_flow=ENTRY_ADDED
    )


def _s3_position(path: str, content: list[Any]) -> int | None:
    found = [index for index, item in enumerate(content) if _is_s3(item)]
    if len(found) > 1:
        raise ConfigurationError(
            f"{KEY} in {path} has {len(found)} entries of {PROVIDER_MODULE}. Remove all but one: each takes a copy of "
            "every file, and which one is meant cannot be told."
        )
    return found[0] if found else None


def _place_in_list(text: str, path: str, value: Node, content: list[Any]) -> Place:
    position = _s3_position(path, content)
    if position is None:
        end = line_end(text, value.children[-1].end)
        return Place(end, end, value.column, whole_key=False, position=len(content))
    start = line_start(text, _dash(text, value, position))
    end = line_end(text, value.children[position].end)
    return Place(start, end, value.column, whole_key=False, position=position, adopted=content[position])


def _is_s3(item: Any) -> bool:
    return isinstance(item, dict) and item.get("module") == PROVIDER_MODULE


def _dash(text: str, value: Node, position: int) -> int:
    """Where the dash of an item stands: the first thing after the item before it that is no comment."""
    if position == 0:
        return value.start
    index = line_end(text, value.children[position - 1].end)
    for line in lines(text[index:]):
        if line.lstrip(" ").startswith("-"):
            break
        index += len(line)
    return text.index("-", index)
