# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the S3 entry is inserted into a file of Synapse's configuration that has no managed entry yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import parse
from .entry import KEY, PROVIDER_MODULE, PROVIDER_MODULES
from .outline import Node, line_end, line_start, lines, outline

EXAMPLE = f"""\
{KEY}:
  - module: file_system
    store_local: true
    config:
      directory: /path"""


# What is added in flow style: an entry to a list, a list to a key that has none, or the key with its list. The values
# are written into the configuration, so they must not change.
ENTRY_ADDED = "entry"
LIST_ADDED = "list"
KEY_ADDED = "key"


@dataclass(frozen=True)
class InsertionPoint:
    """The part of the text that the entry replaces; `start` equals `end` if it is only inserted.

    In block style, `start` and `end` are at line starts.
    `column`: the column of the key or the dash, in block style.
    `whole_key`: whether the key is written too, in block style.
    `position`: the index of the entry in the list.
    `adopted`: the operator's S3 entry that is replaced.
    `flow_addition`: what is added in flow style; None in block style.
    `follows`: whether a comma must separate the entry from something before it, in flow style.
    """

    start: int
    end: int
    column: int
    whole_key: bool
    position: int
    adopted: Mapping[str, Any] | None = None
    flow_addition: str | None = None
    follows: bool = False


def find_insertion_point(text: str, path: str) -> InsertionPoint:
    """Where the entry is inserted. Raises ConfigurationError if that is ambiguous or would lose something."""
    content = parse(text, path)
    document = outline(text, path)
    root = document.root
    if content is not None and not isinstance(content, dict):
        raise ConfigurationError(
            f"{path} is not a mapping of settings, so Synapse ignores it. Correct the file, or remove it from the -c "
            "options of Synapse's service."
        )
    if root is None or (not content and not root.flow):
        return InsertionPoint(document.end, document.end, 0, whole_key=True, position=0)
    settings: dict[Any, Any] = content or {}
    # An anchor or a tag of the mapping comes before the first key.
    column = root.children[0].column if root.decorated and root.children else root.column
    values = [(key, value) for key, value in root.pairs() if key.kind == "scalar" and key.value == KEY]
    if not values:
        if KEY in settings:
            raise ConfigurationError(
                f"{KEY} comes into {path} through an alias or a merge key. Write it as a key of its own."
            )
        if root.flow:
            return _point_in_braces(text, root)
        return InsertionPoint(document.end, document.end, column, whole_key=True, position=0)
    if len(values) > 1:
        raise ConfigurationError(
            f"{path} has the key {KEY} {len(values)} times, and Synapse reads only the last one. "
            "Move its entries below one key."
        )
    return _point_at_key(text, path, *values[0], settings[KEY], root.flow)


def _point_in_braces(text: str, root: Node) -> InsertionPoint:
    """After the last pair of a file that is one mapping in braces, such as JSON."""
    if root.children:
        end = root.children[-1].end
        return InsertionPoint(end, end, 0, whole_key=True, position=0, flow_addition=KEY_ADDED, follows=True)
    # The start of the node is that of its anchor or tag, if it has one.
    start = text.index("{", root.start) + 1
    return InsertionPoint(start, start, 0, whole_key=True, position=0, flow_addition=KEY_ADDED)


def _point_at_key(text: str, path: str, key: Node, value: Node, content: Any, in_braces: bool) -> InsertionPoint:
    start = line_start(text, key.start)
    if text[start : key.start].strip(" ") and not in_braces:
        raise ConfigurationError(
            f"{KEY} in {path} does not stand at the beginning of its line. Write it as '{KEY}:' on a line of its own."
        )
    if value.kind == "alias" or value.decorated:
        raise ConfigurationError(
            f"The value of {KEY} in {path} has an alias, an anchor or a tag. Write the list itself below the key, like "
            f"this:\n{EXAMPLE}"
        )
    if in_braces and content is None:
        return InsertionPoint(value.start, value.end, 0, whole_key=False, position=0, flow_addition=LIST_ADDED)
    if not in_braces and (content is None or (value.kind == "sequence" and not value.children)):
        end = line_end(text, max(key.end, value.end))
        return InsertionPoint(start, end, key.column, whole_key=True, position=0)
    if value.kind != "sequence":
        raise ConfigurationError(f"{KEY} in {path} is not a list. Write it like this:\n{EXAMPLE}")
    if value.flow:
        return _point_in_brackets(path, value, content)
    return _point_in_list(text, path, value, content)


def _point_in_brackets(path: str, value: Node, content: list[Any]) -> InsertionPoint:
    position = _s3_position(path, content)
    if position is not None:
        item = value.children[position]
        return InsertionPoint(
            item.start,
            item.end,
            0,
            whole_key=False,
            position=position,
            adopted=content[position],
            flow_addition=ENTRY_ADDED,
        )
    end = value.children[-1].end if value.children else value.start + 1
    return InsertionPoint(
        end,
        end,
        0,
        whole_key=False,
        position=len(content),
        flow_addition=ENTRY_ADDED,
        follows=bool(value.children),
    )


def _s3_position(path: str, content: list[Any]) -> int | None:
    found = [index for index, item in enumerate(content) if _is_s3(item)]
    if len(found) > 1:
        raise ConfigurationError(
            f"{KEY} in {path} has {len(found)} entries of {PROVIDER_MODULE}, so the one to change is unknown, and each "
            "stores a copy of every file. Remove all but one."
        )
    return found[0] if found else None


def _point_in_list(text: str, path: str, value: Node, content: list[Any]) -> InsertionPoint:
    position = _s3_position(path, content)
    if position is None:
        end = line_end(text, value.children[-1].end)
        return InsertionPoint(end, end, value.column, whole_key=False, position=len(content))
    start = line_start(text, _dash(text, value, position))
    end = line_end(text, value.children[position].end)
    return InsertionPoint(start, end, value.column, whole_key=False, position=position, adopted=content[position])


def _is_s3(item: Any) -> bool:
    return isinstance(item, dict) and item.get("module") in PROVIDER_MODULES


def _dash(text: str, value: Node, position: int) -> int:
    """The index of an item's dash: the first dash after the item before it that is not in a comment."""
    if position == 0:
        return value.start
    index = line_end(text, value.children[position - 1].end)
    for line in lines(text[index:]):
        if line.lstrip(" ").startswith("-"):
            break
        index += len(line)
    return text.index("-", index)
