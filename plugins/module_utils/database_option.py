# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option `database`, which is secret as a whole although little of it is."""

from __future__ import annotations

from typing import Any


def harmless_values(database: dict[str, Any] | None) -> set[str]:
    """What of a database section may be shown: else its port, or the user "synapse", is blotted out of every text."""
    args = (database or {}).get("args")
    if not isinstance(args, dict):
        return set()
    secret = {str(value) for name, value in args.items() if "password" in name}
    return _leaves(database) - secret


def _leaves(value: Any) -> set[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return {leaf for each in value for leaf in _leaves(each)}
    return {str(value)}
