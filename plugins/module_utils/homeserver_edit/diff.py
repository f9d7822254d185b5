# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The diff of a plan: the managed entry and the access to its file, without secrets and nothing else of the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .access import AccessChange
from .entry import KEY, MASK, masked_lines
from .flow_entry import FlowEntry
from .managed_block import BEGIN, END, WAS
from .managed_entry import find_managed_entry
from .plan import Change, Plan

ON_ONE_LINE = "# The entry of matrix_ops.synapse_s3, which is on one line in the file:"


def diffs_of(plan: Plan, access: AccessChange | None) -> list[dict[str, str]]:
    """The diffs as a module returns them, one for each file that changes."""
    shown = []
    for change in plan.changes:
        before = _shown(change.before, change.path) or _shown_adopted(plan, change)
        after = _shown(change.after, change.path, plan.previous)
        if before == after:
            before += "# laid out differently\n"
        shown.append({"before": before, "after": after, "before_header": change.path, "after_header": change.path})
    if access and access.before != access.after:
        part = next((part for part in shown if part["before_header"] == access.path), None)
        if part is None:
            part = {"before": "", "after": "", "before_header": access.path, "after_header": access.path}
            shown.append(part)
        part["before"] += f"# {access.before}\n" if access.before else ""
        part["after"] += f"# {access.after}\n"
    return shown


def _shown(text: str | None, path: str, previous: Mapping[str, Any] | None = None) -> str:
    managed = find_managed_entry(text, path) if text else None
    if managed is None:
        return ""
    if isinstance(managed, FlowEntry):
        # Shown on several lines: on one long line a change is hard to see.
        body = masked_lines(managed.data, 0, previous)
        return "\n".join([ON_ONE_LINE, *([WAS + MASK] if managed.was else []), *body]) + "\n"
    key = [f"{KEY}:"] if managed.whole_key else []
    body = masked_lines(managed.data, 2 if managed.whole_key else 0, previous)
    return "\n".join([BEGIN, *(WAS + MASK for _line in managed.replaced), *key, *body, END]) + "\n"


def _shown_adopted(plan: Plan, change: Change) -> str:
    if plan.action != "adopted" or change.path != plan.file or plan.previous is None:
        return ""
    return "\n".join(masked_lines(plan.previous, 0)) + "\n"
