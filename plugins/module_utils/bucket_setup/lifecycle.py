# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lifecycle rules of a bucket: ours are known by their IDs, and all others stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .wanted import DEFAULT_ABORT_DAYS, DEFAULT_NONCURRENT_DAYS, Wanted

Rule = dict[str, Any]

OUR_PREFIX = "synapse-s3-"


def our_rules(wanted: Wanted, prefix: str, *, versioned: bool) -> list[Rule]:
    """The rules that are wanted, all of them for keys that begin with `prefix` or the trash's prefix only."""
    rules = []
    abort = DEFAULT_ABORT_DAYS if wanted.abort_uploads_days is None else wanted.abort_uploads_days
    if abort:
        rules.append(_rule("abort-uploads", prefix, AbortIncompleteMultipartUpload={"DaysAfterInitiation": abort}))
    noncurrent = DEFAULT_NONCURRENT_DAYS if wanted.expire_noncurrent_days is None else wanted.expire_noncurrent_days
    if noncurrent and (versioned or wanted.expire_noncurrent_days):
        expiration = {"NoncurrentDays": noncurrent}
        rules.append(_rule("expire-noncurrent", prefix, NoncurrentVersionExpiration=expiration))
    if wanted.transition_class:
        transition = {"Days": wanted.transition_days, "StorageClass": wanted.transition_class}
        rules.append(_rule("transition", prefix, Transitions=[transition]))
    if wanted.expire_trash_days and wanted.trash_prefix:
        rules.append(_rule("expire-trash", wanted.trash_prefix, Expiration={"Days": wanted.expire_trash_days}))
    return rules


def _rule(name: str, prefix: str, **actions: Any) -> Rule:
    return {"ID": OUR_PREFIX + name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **actions}


def merged(existing: Sequence[Rule], ours: Sequence[Rule]) -> list[Rule]:
    """The rules of others, in their order, and ours. A rule of ours that is no longer wanted is left out."""
    others = [rule for rule in existing if not str(rule.get("ID", "")).startswith(OUR_PREFIX)]
    return [_with_filter(rule) for rule in others] + list(ours)


def _with_filter(rule: Rule) -> Rule:
    """AWS refuses rules with a prefix of their own, as older programs write them, beside rules with a filter."""
    if "Prefix" not in rule:
        return rule
    return {name: value for name, value in rule.items() if name != "Prefix"} | {"Filter": {"Prefix": rule["Prefix"]}}


def in_one_form(rules: Sequence[Rule]) -> list[Rule]:
    """In the order of the IDs, each in one form: stores answer with a prefix in or outside of the filter."""
    return sorted((_one_form(rule) for rule in rules), key=lambda rule: str(rule.get("ID", "")))


def _one_form(rule: Rule) -> Rule:
    copy = dict(rule)
    found = copy.pop("Filter", None) or {}
    if set(found) <= {"Prefix"}:
        copy["Prefix"] = found.get("Prefix") or copy.get("Prefix") or ""
    else:
        copy["Filter"] = found
    return {name: value for name, value in copy.items() if value not in (None, [], {})} | {
        "Prefix": copy.get("Prefix", "")
    }
