# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan the entry for several processes of one Synapse, which share files of its configuration, or parts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.settings.homeserver import parse, read_text
from .entry import KEY, PROVIDERS, ProviderEntry
from .flow_entry import unmarked
from .plan import Configuration, Layout, Plan, plan_entry, plan_removal, removals, target_file


@dataclass(frozen=True)
class ProcessLayout:
    """The configuration of one process.

    `name`: what its errors call it.
    `serves_media`: whether it needs the entry; any other process must only start with the changed files.
    """

    name: str
    layout: Layout
    serves_media: bool = True


def plan_entries(
    processes: Sequence[ProcessLayout], entry: ProviderEntry, confirmation: str | None = None
) -> list[Plan]:
    """Plans one entry for each file that needs it, so that every process that serves media has it once.

    The first process must serve media. Raises ConfigurationError if a process would lose another storage provider, or
    for the reasons of plan_entry.
    """
    serving = [process for process in processes if process.serves_media]
    targets: dict[str, ProcessLayout] = {}
    for process in serving:
        if not any(_covers(target, process.layout) for target in targets):
            targets.setdefault(target_file(process.layout), process)
    plans = [plan_entry(process.layout, entry, confirmation, keep=list(targets)) for process in targets.values()]
    changed = {change.path for plan in plans for change in plan.changes}
    for process in processes:
        left = [change for change in removals(process.layout, list(targets)) if change.path not in changed]
        changed.update(change.path for change in left)
        if left:
            action = "updated" if plans[0].action == "none" else plans[0].action
            plans[0] = replace(plans[0], action=action, changes=[*plans[0].changes, *left])
    for process in serving if len(processes) > 1 else ():
        _verify(process, plans, entry)
    return plans


def plan_removals(processes: Sequence[ProcessLayout]) -> list[Plan]:
    """Plans the removal of every managed entry. Raises ConfigurationError if another setting would change."""
    plans: list[Plan] = []
    changed: set[str] = set()
    for process in processes:
        plan = plan_removal(process.layout)
        changes = [change for change in plan.changes if change.path not in changed]
        changed.update(change.path for change in changes)
        if changes or not plans:
            plans.append(replace(plan, changes=changes))
    return plans


def plan_of(process: ProcessLayout, plans: Sequence[Plan]) -> Plan:
    """What the plans together mean for one process: the changes of its files, and its files afterwards."""
    every = [change for plan in plans for change in plan.changes]
    removed = [change.path for change in every if change.after is None]
    files = process.layout.files([change.path for change in every if change.before is None], removed)
    changes = [change for change in every if change.path in files or change.path in process.layout.files()]
    return replace(plans[0], changes=changes, files=files)


def _covers(target: str, layout: Layout) -> bool:
    """Whether the process reads this file, and no later one that replaces the list in it."""
    files = layout.files(added=[target])
    if target not in files:
        return False
    contents = Configuration(layout).rest_contents()
    later = files[files.index(target) + 1 :]
    return not any(isinstance(contents.get(path), dict) and KEY in contents[path] for path in later)


def _verify(process: ProcessLayout, plans: Sequence[Plan], entry: ProviderEntry) -> None:
    """Raises ConfigurationError unless the process reads the entry once, and its other storage providers stay."""
    after = _providers(plan_of(process, plans))
    configuration = Configuration(process.layout)
    before: list[Any] = []
    for content in configuration.rest_contents().values():
        if isinstance(content, dict) and KEY in content:
            before = _entries(content[KEY])
    kept = [item for item in before if not _is_s3(item)]
    if after.count(entry.data()) != 1 or [item for item in after if not _is_s3(item)] != kept:
        raise ConfigurationError(
            f"{process.name} reads {KEY} from other files than the other processes of this Synapse, so that an entry "
            f"for them would replace its own list. Write {KEY} in one file that every process reads, and run again."
        )


def _is_s3(item: Any) -> bool:
    return isinstance(item, dict) and item.get("module") in PROVIDERS.values()


def _providers(plan: Plan) -> list[Any]:
    texts = {change.path: change.after for change in plan.changes}
    found: list[Any] = []
    for path in plan.files:
        text = texts.get(path)
        content = parse(read_text(path) if text is None else text, path)
        if isinstance(content, Mapping) and KEY in content:
            found = _entries(content[KEY])
    return found


def _entries(value: Any) -> list[Any]:
    return [unmarked(item) if isinstance(item, dict) else item for item in value] if isinstance(value, list) else []
