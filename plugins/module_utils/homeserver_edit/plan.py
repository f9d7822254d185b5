# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan which files of Synapse's configuration change, and to what; nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import config_files, parse, read_text
from .comparison import Comparison, new_location_warnings
from .entry import KEY, ProviderEntry
from .flow_entry import unmarked
from .insertion_point import InsertionPoint, find_insertion_point
from .managed_entry import ManagedEntry, find_managed_entry, with_managed_entry, without_managed_entry

DROP_IN = "synapse-s3.yaml"


@dataclass(frozen=True)
class Layout:
    """The configuration as Synapse is started with it.

    `paths`: the files and directories of its -c options, in their order.
    `drop_in_directory`: the one of them for a file of our own; by default the last directory.
    `keys_directory`: the directory of Synapse's keys; by default that of the last file.
    """

    paths: Sequence[str]
    drop_in_directory: str | None = None
    keys_directory: str | None = None

    def files(self, added: Sequence[str] = (), removed: Sequence[str] = ()) -> list[str]:
        """The files in the order in which Synapse reads them, after some were added and others were removed."""
        files: list[str] = []
        for path in self.paths:
            found = set(config_files([path])) - set(removed)
            found.update(new for new in added if str(Path(new).parent) == path)
            files += sorted(found)
        return files


@dataclass(frozen=True)
class Change:
    """The text of one file before and after; None if the file does not exist."""

    path: str
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """The changes to make.

    `action`: "created", "inserted", "adopted", "updated", "removed" or "none".
    `file`: the file that contains the managed entry afterwards, or from which it is removed; None if there is none.
    `files`: all files of the configuration afterwards, in the order in which Synapse reads them.
    `previous`: the entry that is replaced or removed, managed or the operator's.
    `warnings`: what the operator must know beforehand, without secrets.
    """

    action: str
    file: str | None
    changes: list[Change]
    files: list[str]
    previous: Mapping[str, Any] | None = field(default=None, repr=False)
    warnings: Sequence[str] = ()


class Configuration:
    """The files of a layout. `texts`: as they are. `rest`: without the managed entry. `managed`: that entry."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.texts = {path: read_text(path) for path in layout.files()}
        _refuse_two_names(self.texts)
        self.managed: dict[str, ManagedEntry] = {}
        self.rest: dict[str, str] = {}
        for path, text in self.texts.items():
            found = find_managed_entry(text, path)
            if found:
                self.managed[path] = found
            self.rest[path] = without_managed_entry(text, path)

    def holds_only_managed_entry(self, path: str) -> bool:
        """Whether the file is a drop-in of this collection to which the operator has added nothing."""
        return path in self.managed and Path(path).name == DROP_IN and not self.rest[path].strip("\ufeff \t\r\n")

    def operator_files(self) -> list[str]:
        """The files that exist without this collection, in the order in which Synapse reads them."""
        return self.layout.files(removed=[path for path in self.texts if self.holds_only_managed_entry(path)])

    def rest_contents(self) -> dict[str, Any]:
        """What each of these files says without the managed entry."""
        return {path: parse(self.rest[path], path) for path in self.operator_files()}


def plan_removal(layout: Layout) -> Plan:
    """Plans the removal of the managed entry. Raises ConfigurationError if another setting would change."""
    configuration = Configuration(layout)
    changes = _removals(configuration, keep=())
    gone = [change.path for change in changes if change.after is None]
    for change in changes:
        _verify_removal(change)
    managed = next(iter(configuration.managed.values()), None)
    return Plan(
        action="removed" if changes else "none",
        file=next(iter(configuration.managed), None),
        changes=changes,
        files=layout.files(removed=gone),
        previous=managed.data if managed else None,
    )


def target_file(layout: Layout) -> str:
    """The file into which the entry belongs. Raises ConfigurationError."""
    configuration = Configuration(layout)
    return _target_file(configuration, configuration.rest_contents())


def plan_entry(layout: Layout, entry: ProviderEntry, confirmation: str | None = None, keep: Sequence[str] = ()) -> Plan:
    """Plans how the entry gets into the configuration.

    `keep`: the files in which other processes of this Synapse have the entry.
    Raises ConfigurationError if another setting would change, or if the present entry names another location and
    `confirmation` is not the name of the new one.
    """
    configuration = Configuration(layout)
    contents = configuration.rest_contents()
    _refuse_backup_path(contents)
    target = _target_file(configuration, contents)
    rest = configuration.rest.get(target, "")
    before = configuration.texts.get(target)
    managed = configuration.managed.get(target)
    point = find_insertion_point(rest, target)
    file = target if managed or not configuration.managed else next(iter(configuration.managed))
    previous = configuration.managed[file].data if file in configuration.managed else point.adopted
    warnings = new_location_warnings(entry) if previous is None else []
    if previous is not None:
        comparison = Comparison(previous, entry, file, managed=file in configuration.managed)
        comparison.refuse_changed_location(confirmation)
        warnings = comparison.warnings()
    after = with_managed_entry(before or "", target, rest, point, entry)
    _verify_edit(target, rest, after, point, entry)
    # The new entry first: after a crash between two files Synapse must still have its provider.
    changes = [Change(target, before, after)] if after != before else []
    changes += _removals(configuration, keep=[target, *keep])
    gone = [change.path for change in changes if change.after is None]
    return Plan(
        action=_action(configuration, target, point) if changes else "none",
        file=target,
        changes=changes,
        files=layout.files(added=[target], removed=gone),
        previous=previous,
        warnings=warnings if changes else (),
    )


def _action(configuration: Configuration, target: str, point: InsertionPoint) -> str:
    if configuration.managed:
        return "updated"
    if point.adopted is not None:
        return "adopted"
    return "inserted" if target in configuration.texts else "created"


def removals(layout: Layout, keep: Sequence[str]) -> list[Change]:
    """The changes that take the managed entry out of every file but those to keep."""
    return _removals(Configuration(layout), keep)


def _removals(configuration: Configuration, keep: Sequence[str]) -> list[Change]:
    return [
        Change(
            path,
            configuration.texts[path],
            None if configuration.holds_only_managed_entry(path) else configuration.rest[path],
        )
        for path in configuration.managed
        if path not in keep
    ]


def _target_file(configuration: Configuration, contents: Mapping[str, Any]) -> str:
    """The file whose list Synapse uses; without a list, a file of our own in a directory, else the first file."""
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
            f"({', '.join(directories) or 'none'}). Do not set it, or start Synapse with a -c option for it."
        )
    if not directories:
        return None
    drop_in = str(Path(layout.drop_in_directory or directories[-1]) / DROP_IN)
    # By default Synapse looks for its signing key next to its last file, and a drop-in must not change that directory.
    others = configuration.operator_files()
    current = str(Path(others[-1]).parent) if others else None
    moved = str(Path(layout.files(added=[drop_in])[-1]).parent) != current
    if moved and layout.keys_directory in (None, current):
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
                f"{path} sets backup_media_store_path, which Synapse refuses together with {KEY}. Replace it by an "
                f"entry with module: file_system in {KEY}."
            )


def _verify_edit(path: str, rest: str, after: str, point: InsertionPoint, entry: ProviderEntry) -> None:
    """Raises ConfigurationError unless the entry is there once, all else stays, and a removal would restore `rest`."""
    old, new = parse(rest, path) or {}, _parse_result(after, path)
    other_entries = list(old.pop(KEY, None) or [])
    if point.adopted is not None:
        del other_entries[point.position]
    entries = [unmarked(item) for item in new.pop(KEY, None) or []]
    if entries.count(entry.data()) != 1:
        _fail_edit(path)
    entries.remove(entry.data())
    # Compared by repr: 1, 1.0 and True are equal, and NaN is not equal to itself.
    if repr((old, other_entries)) != repr((new, entries)) or without_managed_entry(after, path) != rest:
        _fail_edit(path)


def _parse_result(text: str, path: str) -> dict[str, Any]:
    try:
        content = parse(text, path)
    except ConfigurationError:
        content = None
    if not isinstance(content, dict):
        _fail_edit(path)
    return dict(content)


def _verify_removal(change: Change) -> None:
    """Raises ConfigurationError if anything but the entry changes; the entry that it replaced may be there instead."""
    if change.before is None or change.after is None:
        return
    old, new = parse(change.before, change.path) or {}, parse(change.after, change.path) or {}
    managed = find_managed_entry(change.before, change.path)
    before = [unmarked(item) for item in old.pop(KEY, None) or []]
    after = list(new.pop(KEY, None) or [])
    if repr(old) != repr(new) or managed is None or managed.data not in before:
        _fail_edit(change.path)
    position = before.index(managed.data)
    del before[position]
    if len(after) > len(before):
        del after[position]
    if repr(before) != repr(after):
        _fail_edit(change.path)


def _fail_edit(path: str) -> NoReturn:
    raise ConfigurationError(
        f"{path} cannot be edited without a change to other settings, so it was left unchanged. Write {KEY} as the "
        "last key of the file, in plain lines that end in a line end, or start Synapse with a second -c option for a "
        "directory."
    )
