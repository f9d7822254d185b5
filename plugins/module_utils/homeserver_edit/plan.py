# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of Synapse's configuration change, and to what: our block in the right one, and only there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.homeserver import config_files, parse, read_text
from .comparison import Comparison, new_place_warnings
from .entry import KEY, ProviderEntry
from .flow_entry import FlowEntry, find_flow_entry, refresh_flow, remove_flow, unmarked, write_flow
from .insertion_point import Place, find_place
from .managed_block import Block, find_block, fits, refresh_block, remove_block, write_block

DROP_IN = "synapse-s3.yaml"


@dataclass(frozen=True)
class Layout:
    """The configuration as Synapse is started with it."""

    paths: Sequence[str]
    drop_in_directory: str | None = None
    keys_directory: str | None = None

    def files(self, added: str | None = None, removed: Sequence[str] = ()) -> list[str]:
        """The files in Synapse's order, with one more in its sorted place and others gone."""
        files: list[str] = []
        for path in self.paths:
            found = set(config_files([path])) - set(removed)
            if added and str(Path(added).parent) == path:
                found.add(added)
            files += sorted(found)
        return files


@dataclass(frozen=True)
class Change:
    """One file before and after; None where it is not there."""

    path: str
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """What is to be done. `file` holds our block afterwards, or has held it."""

    action: str
    file: str | None
    changes: list[Change]
    files: list[str]
    # The entry, ours or the operator's, whose place ours takes.
    previous: Mapping[str, Any] | None = field(default=None, repr=False)
    # What an operator has to know before it is done; no secret in it.
    warnings: Sequence[str] = ()


def find_ours(text: str, path: str) -> Block | FlowEntry | None:
    """What we have written in a file: lines between markers, or an entry in flow style."""
    return find_block(text, path) or find_flow_entry(text, path)


def _without_ours(text: str, path: str) -> str:
    return remove_flow(remove_block(text, path), path)


class Configuration:
    """The files as they are, and as they would be without our block."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.texts = {path: read_text(path) for path in layout.files()}
        _refuse_two_names(self.texts)
        self.blocks: dict[str, Block | FlowEntry] = {}
        self.rest: dict[str, str] = {}
        for path, text in self.texts.items():
            ours = find_ours(text, path)
            if ours:
                self.blocks[path] = ours
            self.rest[path] = _without_ours(text, path)

    def is_ours_alone(self, path: str) -> bool:
        """A drop-in of ours with nothing of the operator's in it."""
        return path in self.blocks and Path(path).name == DROP_IN and not self.rest[path].strip("\ufeff \t\r\n")

    def others(self) -> list[str]:
        """The files that are there without us, in Synapse's order."""
        return self.layout.files(removed=[path for path in self.texts if self.is_ours_alone(path)])


def plan_removal(layout: Layout) -> Plan:
    configuration = Configuration(layout)
    changes = _removals(configuration, keep=None)
    gone = [change.path for change in changes if change.after is None]
    for change in changes:
        _prove_removal(change)
    block = next(iter(configuration.blocks.values()), None)
    return Plan(
        action="removed" if changes else "none",
        file=next(iter(configuration.blocks), None),
        changes=changes,
        files=layout.files(removed=gone),
        previous=block.data if block else None,
    )


def plan_entry(layout: Layout, entry: ProviderEntry, confirmation: str | None = None) -> Plan:
    """How our entry gets in; refused where it names another place than the entry there, and none was confirmed."""
    configuration = Configuration(layout)
    contents = {path: parse(configuration.rest[path], path) for path in configuration.others()}
    _refuse_backup_path(contents)
    target = _target(configuration, contents)
    rest = configuration.rest.get(target, "")
    before = configuration.texts.get(target)
    ours = configuration.blocks.get(target)
    place = find_place(rest, target)
    file = target if ours or not configuration.blocks else next(iter(configuration.blocks))
    previous = configuration.blocks[file].data if file in configuration.blocks else place.adopted
    warnings = new_place_warnings(entry) if previous is None else []
    if previous is not None:
        comparison = Comparison(previous, entry, file, ours=file in configuration.blocks)
        comparison.refuse_another_place(confirmation)
        warnings = comparison.warnings()
    after = _with_entry(before, rest, target, ours, place, entry)
    _prove(target, rest, after, place, entry)
    # The new block comes first: a crash between two files must not leave Synapse without its provider.
    changes = [Change(target, before, after)] if after != before else []
    changes += _removals(configuration, keep=target)
    gone = [change.path for change in changes if change.after is None]
    return Plan(
        action=_action(configuration, target, place) if changes else "none",
        file=target,
        changes=changes,
        files=layout.files(added=target, removed=gone),
        previous=previous,
        warnings=warnings if changes else (),
    )


def _with_entry(
    before: str | None, rest: str, path: str, ours: Block | FlowEntry | None, place: Place, entry: ProviderEntry
) -> str:
    if isinstance(ours, FlowEntry) and before is not None:
        return refresh_flow(before, ours, entry)
    if place.in_flow:
        return write_flow(rest, place, entry)
    if isinstance(ours, Block) and before is not None and fits(before, path, ours, rest, place):
        return refresh_block(before, ours, entry)
    return write_block(rest, place, entry)


def _action(configuration: Configuration, target: str, place: Place) -> str:
    if configuration.blocks:
        return "updated"
    if place.adopted is not None:
        return "adopted"
    return "inserted" if target in configuration.texts else "created"


def _removals(configuration: Configuration, keep: str | None) -> list[Change]:
    return [
        Change(
            path,
            configuration.texts[path],
            None if configuration.is_ours_alone(path) else configuration.rest[path],
        )
        for path in configuration.blocks
        if path != keep
    ]


def _target(configuration: Configuration, contents: Mapping[str, Any]) -> str:
    """The file whose list Synapse uses; else a drop-in; else the first file."""
    with_key = [path for path, content in contents.items() if isinstance(content, dict) and KEY in content]
    if with_key:
        return with_key[-1]
    drop_in = _drop_in(configuration)
    if drop_in:
        return drop_in
    if not contents:
        raise ConfigurationError(
            "Synapse's configuration has no file left but the one of matrix_ops.synapse_s3. "
            "Restore homeserver.yaml, or correct synapse_s3_synapse_config_paths."
        )
    return next(iter(contents))


def _drop_in(configuration: Configuration) -> str | None:
    layout = configuration.layout
    directories = [path for path in layout.paths if Path(path).is_dir()]
    if layout.drop_in_directory and layout.drop_in_directory not in directories:
        raise ConfigurationError(
            f"The drop-in directory {layout.drop_in_directory} is none of the directories that Synapse reads "
            f"({', '.join(directories) or 'none'}). Leave it out, or start Synapse with a -c for it."
        )
    if not directories:
        return None
    drop_in = str(Path(layout.drop_in_directory or directories[-1]) / DROP_IN)
    # Synapse looks for its signing key beside its last file. A drop-in must not move that place.
    others = configuration.others()
    beside = str(Path(others[-1]).parent) if others else None
    moved = str(Path(layout.files(added=drop_in)[-1]).parent) != beside
    if moved and layout.keys_directory in (None, beside):
        return None
    return drop_in


def _refuse_two_names(texts: Mapping[str, str]) -> None:
    names: dict[str, str] = {}
    for path in texts:
        real = str(Path(path).resolve())
        if real in names:
            raise ConfigurationError(
                f"{names[real]} and {path} are the same file, which Synapse reads twice. Remove one of the two."
            )
        names[real] = path


def _refuse_backup_path(contents: Mapping[str, Any]) -> None:
    for path, content in contents.items():
        if isinstance(content, dict) and content.get("backup_media_store_path"):
            raise ConfigurationError(
                f"{path} sets backup_media_store_path, which Synapse refuses beside {KEY}. Write it as an entry with "
                f"module: file_system in {KEY} instead."
            )


def _prove(path: str, rest: str, after: str, place: Place, entry: ProviderEntry) -> None:
    """Our entry is in once, everything else is what it was, and the way back leads to the same bytes."""
    old, new = parse(rest, path) or {}, _parse_own(after, path)
    theirs = list(old.pop(KEY, None) or [])
    if place.adopted is not None:
        del theirs[place.position]
    entries = [unmarked(item) for item in new.pop(KEY, None) or []]
    if entries.count(entry.data()) != 1:
        _refuse_edit(path)
    entries.remove(entry.data())
    # By their representation: equal to the type, and where a value is not equal to itself.
    if repr((old, theirs)) != repr((new, entries)) or _without_ours(after, path) != rest:
        _refuse_edit(path)


def _parse_own(text: str, path: str) -> dict[str, Any]:
    try:
        content = parse(text, path)
    except ConfigurationError:
        content = None
    if not isinstance(content, dict):
        _refuse_edit(path)
    return dict(content)


def _prove_removal(change: Change) -> None:
    """Everything but our entry is what it was; in its place may be the entry that it had replaced."""
    if change.before is None or change.after is None:
        return
    old, new = parse(change.before, change.path) or {}, parse(change.after, change.path) or {}
    ours = find_ours(change.before, change.path)
    before = [unmarked(item) for item in old.pop(KEY, None) or []]
    after = list(new.pop(KEY, None) or [])
    if repr(old) != repr(new) or ours is None or ours.data not in before:
        _refuse_edit(change.path)
    position = before.index(ours.data)  # type: ignore[union-attr]
    del before[position]
    if len(after) > len(before):
        del after[position]
    if repr(before) != repr(after):
        _refuse_edit(change.path)


def _refuse_edit(path: str) -> None:
    raise ConfigurationError(
        f"{path} is written in a way that it cannot be edited in without a change to other settings, so it was left "
        f"alone. Write {KEY} as the last key of the file, in plain lines that end in a line end, or start Synapse "
        "with a second -c for a directory."
    )
