# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The place for the S3 provider's entry in a file of Synapse's configuration that holds no block of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .provider_entry import KEY, PROVIDER_MODULE, ProviderEntry
from .synapse_media.errors import ConfigurationError
from .synapse_media.homeserver import parse
from .yaml_outline import Node, line_end, line_start, lines, outline

EXAMPLE = f"""\
{KEY}:
  - module: file_system
    store_local: true
    config:
      directory: /path"""


@dataclass(frozen=True)
class Place:
    """Whole lines of a text that a block replaces; none where start equals end."""

    start: int
    end: int
    column: int
    whole_key: bool
    # The place of the entry in the list, and whether one of the operator's goes from there.
    position: int
    adopted: Mapping[str, Any] | None = None


def find_place(text: str, path: str, entry: ProviderEntry, taken_over: bool = False) -> Place:
    """Where the entry goes; refused, with the remedy, where that cannot be told or would lose something.

    An S3 entry that was taken over before may name another place than ours does by now.
    """
    content = parse(text, path)
    document = outline(text, path)
    root = document.root
    if content is not None and not isinstance(content, dict):
        raise ConfigurationError(
            f"{path} is not a mapping of settings, so Synapse ignores it. Correct the file, or take it out of the -c "
            "options of Synapse's service."
        )
    if root is None or not content:
        if root is not None and root.flow:
            _refuse_flow_root(path)
        return Place(document.end, document.end, 0, whole_key=True, position=0)
    if root.flow:
        _refuse_flow_root(path)
    # An anchor or a tag stands before the first key.
    column = root.children[0].column if root.decorated else root.column
    values = [(key, value) for key, value in root.pairs() if key.kind == "scalar" and key.value == KEY]
    if not values:
        if KEY in content:
            raise ConfigurationError(
                f"{KEY} comes into {path} through an alias or a merge key. Write it out as a key of its own."
            )
        return Place(document.end, document.end, column, whole_key=True, position=0)
    if len(values) > 1:
        raise ConfigurationError(
            f"{path} has the key {KEY} {len(values)} times, and Synapse reads the last one only. "
            "Bring its entries together under one key."
        )
    place = _place_at_key(text, path, *values[0], content[KEY])
    if place.adopted is not None and not taken_over:
        _refuse_other_location(path, place.adopted, entry)
    return place


def _refuse_flow_root(path: str) -> None:
    raise ConfigurationError(
        f"{path} is written in braces, as JSON is, and has no lines that a block could be added to. "
        "Write its top level as one 'key: value' a line, or start Synapse with a second -c for a directory."
    )


def _place_at_key(text: str, path: str, key: Node, value: Node, content: Any) -> Place:
    start = line_start(text, key.start)
    if text[start : key.start].strip(" "):
        raise ConfigurationError(
            f"{KEY} in {path} does not stand at the beginning of its line. Write it as '{KEY}:' on a line of its own."
        )
    if value.kind == "alias" or value.decorated:
        raise ConfigurationError(
            f"{KEY} in {path} carries an alias, an anchor or a tag. Write the list itself out below the key, like this:"
            f"\n{EXAMPLE}"
        )
    if content is None or (value.kind == "sequence" and not value.children):
        return Place(start, line_end(text, max(key.end, value.end)), key.column, whole_key=True, position=0)
    if value.kind != "sequence":
        raise ConfigurationError(f"{KEY} in {path} is not a list. Write it like this:\n{EXAMPLE}")
    if value.flow:
        raise ConfigurationError(
            f"{KEY} in {path} is written in brackets. Write each entry on lines of its own below the key, like this:"
            f"\n{EXAMPLE}"
        )
    return _place_in_list(text, path, value, content)


def _place_in_list(text: str, path: str, value: Node, content: list[Any]) -> Place:
    ours = [index for index, item in enumerate(content) if _is_s3(item)]
    if not ours:
        end = line_end(text, value.children[-1].end)
        return Place(end, end, value.column, whole_key=False, position=len(content))
    if len(ours) > 1:
        raise ConfigurationError(
            f"{KEY} in {path} has {len(ours)} entries of {PROVIDER_MODULE}. Remove all but one: each takes a copy of "
            "every file, and which one is meant cannot be told."
        )
    position = ours[0]
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


def _refuse_other_location(path: str, item: Mapping[str, Any], entry: ProviderEntry) -> None:
    theirs = item.get("config")
    theirs = theirs if isinstance(theirs, dict) else {}
    bucket, prefix = theirs.get("bucket"), theirs.get("prefix") or ""
    settings = entry.settings
    if bucket is not None and bucket != settings.bucket:
        raise ConfigurationError(
            f"{path} has an S3 entry for the bucket {bucket!r}, and synapse_s3_bucket is {settings.bucket!r}. "
            "Media that lies in the first bucket only would become unreachable. Set synapse_s3_bucket to it, or copy "
            "its objects to the new bucket and remove the entry."
        )
    # The provider puts the prefix in front of a path as it is: 'media' and 'media/' are two places.
    if prefix != settings.prefix:
        raise ConfigurationError(
            f"{path} has an S3 entry with the prefix {prefix!r}, and synapse_s3_prefix stands for {settings.prefix!r}. "
            "Media that lies under the first prefix would become unreachable. "
            + (
                "Set synapse_s3_prefix to it, or copy its objects to the new prefix and remove the entry."
                if prefix == "" or (prefix.endswith("/") and not prefix.startswith("/"))
                else "Copy its objects to the new prefix, which always ends in one slash, and remove the entry."
            )
        )
