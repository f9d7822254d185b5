# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 entry that this collection writes into a file and manages from then on, in block style or in flow style."""

from __future__ import annotations

from typing import Union

from .entry import ProviderEntry
from .flow_entry import FlowEntry, find_flow_entry, refresh_flow, remove_flow, write_flow
from .insertion_point import InsertionPoint
from .managed_block import ManagedBlock, find_block, is_at_insertion_point, refresh_block, remove_block, write_block

ManagedEntry = Union[ManagedBlock, FlowEntry]


def find_managed_entry(text: str, path: str) -> ManagedEntry | None:
    """The managed entry in the text. Raises ConfigurationError if it was edited."""
    return find_block(text, path) or find_flow_entry(text, path)


def without_managed_entry(text: str, path: str) -> str:
    """The text without the managed entry and with what it replaced. Raises ConfigurationError if it was edited."""
    return remove_flow(remove_block(text, path), path)


def with_managed_entry(text: str, path: str, rest: str, point: InsertionPoint, entry: ProviderEntry) -> str:
    """The text with this entry as the managed one. `rest` is the text without it, `point` an insertion point there."""
    managed = find_managed_entry(text, path)
    if isinstance(managed, FlowEntry):
        return refresh_flow(text, managed, entry)
    if point.flow_addition:
        return write_flow(rest, point, entry)
    if managed and is_at_insertion_point(text, path, managed, rest, point):
        return refresh_block(text, managed, entry)
    return write_block(rest, point, entry)
