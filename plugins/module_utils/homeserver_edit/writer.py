# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan for Synapse's configuration put into practice: judged by Synapse, shown without secrets, written."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..synapse_media.homeserver import parse, read_merged, read_text
from .access import Access, Reader, access_of, delete, new_access, replace, set_access, tightened
from .entry import KEY, MASK, PROVIDER_MODULE, masked_lines
from .flow_entry import FlowEntry
from .managed_block import BEGIN, END, WAS
from .plan import Change, Plan, find_ours
from .validation import Validator

NOTHING_TO_VALIDATE = "Nothing changes."
ON_ONE_LINE = "# The entry of matrix_ops.synapse_s3, which stands on one line:"
ASKED_NOT_TO = "Asked not to, by validate: false."


@dataclass(frozen=True)
class AccessChange:
    """Who can read the file with our secrets, before and after; before is None for a new file."""

    path: str
    before: Access | None
    after: Access

    def __str__(self) -> str:
        return f"{self.path}: {self.before} -> {self.after}"


def planned_access(plan: Plan, reader: Reader, holds_secret: bool) -> AccessChange | None:
    """What becomes of the access to the file with our block; None where there is no such file."""
    if plan.file is None:
        return None
    is_new = any(change.path == plan.file and change.before is None for change in plan.changes)
    if is_new:
        return AccessChange(plan.file, None, new_access(reader))
    before = access_of(plan.file)
    return AccessChange(plan.file, before, tightened(before, reader) if holds_secret else before)


def merged_after(plan: Plan) -> dict[str, Any]:
    """The configuration as Synapse would read it once the plan is done."""
    texts = {change.path: change.after for change in plan.changes}
    merged: dict[str, Any] = {}
    for path in plan.files:
        text = texts.get(path)
        content = parse(read_text(path) if text is None else text, path)
        merged.update(content if isinstance(content, dict) else {})
    return merged


def uses_provider(config: Mapping[str, Any]) -> bool:
    providers = config.get(KEY)
    return isinstance(providers, list) and any(
        isinstance(item, dict) and item.get("module") == PROVIDER_MODULE for item in providers
    )


def judge(plan: Plan, validator: Validator, check_mode: bool) -> str | None:
    """Raises ConfigurationError where Synapse refuses the plan; otherwise the reason why it was not asked, or None."""
    config = merged_after(plan)
    staged = {change.path: change.after for change in plan.changes if change.after is not None}
    refusal = validator.refusal(plan.files, staged, config)
    if refusal is None:
        return None
    error = validator.provider_error() if uses_provider(config) else None
    if error and check_mode:
        return f"The storage provider is not installed in {validator.python} yet ({error})."
    if error:
        raise ConfigurationError(
            f"The storage provider cannot be imported by {validator.python} ({error}), and Synapse would not start "
            "with it, so nothing was changed. Install synapse-s3-storage-provider there, as the role storage_provider "
            "does."
        )
    raise ConfigurationError(
        f"Synapse refuses the configuration with this change, so nothing was changed. {_also_before(plan, validator)}"
        f"Correct what Synapse says, and run again. Its last words:\n{refusal}"
    )


def _also_before(plan: Plan, validator: Validator) -> str:
    """Whether the fault was there before us, so that nobody looks for it in our settings."""
    created = {change.path for change in plan.changes if change.before is None}
    removed = [change.path for change in plan.changes if change.after is None]
    files = [path for path in plan.files if path not in created]
    if removed:
        return ""
    refused = validator.refusal(files, {}, read_merged(files))
    return "It refuses the configuration as it is now, too. " if refused else ""


def carry_out(plan: Plan, access: AccessChange | None) -> None:
    """Writes every file, or none: what was written before a failure is put back."""
    accesses = {change.path: access_of(change.path) for change in plan.changes if change.before is not None}
    wanted = {**accesses, **({access.path: access.after} if access else {})}
    done: list[Change] = []
    try:
        for change in plan.changes:
            _write(change, wanted)
            done.append(change)
        if access and access.before not in (None, access.after) and access.path not in accesses:
            set_access(access.path, access.after)
    except ConfigurationError:
        for change in reversed(done):
            with contextlib.suppress(ConfigurationError):
                _write(Change(change.path, change.after, change.before), accesses)
        raise


def _write(change: Change, accesses: Mapping[str, Access]) -> None:
    before = None if change.before is None else change.before.encode("utf-8")
    if change.after is not None:
        replace(change.path, change.after.encode("utf-8"), accesses[change.path], before)
    elif before is not None:
        delete(change.path, before)


def differences(plan: Plan, access: AccessChange | None) -> list[dict[str, str]]:
    """Our block before and after in each file, and the access to it; never anything else of the files."""
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
    block = find_ours(text, path) if text else None
    if block is None:
        return ""
    if isinstance(block, FlowEntry):
        # Shown as if it stood on lines: on the one line that it is, nobody would see what changes.
        body = masked_lines(block.data, 0, previous)
        return "\n".join([ON_ONE_LINE, *([WAS + MASK] if block.was else []), *body]) + "\n"
    key = [f"{KEY}:"] if block.whole_key else []
    body = masked_lines(block.data, 2 if block.whole_key else 0, previous)
    return "\n".join([BEGIN, *(WAS + MASK for _line in block.replaced), *key, *body, END]) + "\n"


def _shown_adopted(plan: Plan, change: Change) -> str:
    if plan.action != "adopted" or change.path != plan.file or plan.previous is None:
        return ""
    return "\n".join(masked_lines(plan.previous, 0)) + "\n"
