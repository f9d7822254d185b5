# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation of a module's options, with those of its fragments."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.doc_fragments import connection, homeserver, media_job


def documented(module: ModuleType) -> dict[str, Any]:
    """The documented options by name; for modules that take all of the connection's and the homeserver's."""
    own = yaml.safe_load(module.DOCUMENTATION)["options"]
    shared = [fragment.ModuleDocFragment.DOCUMENTATION for fragment in (connection, homeserver, media_job)]
    return {name: option for text in shared for name, option in yaml.safe_load(text)["options"].items()} | own


def check_option(option: dict[str, Any], described: dict[str, Any]) -> None:
    """Asserts that the documentation of an option equals its argument spec."""
    for fact in ("type", "default", "choices", "elements"):
        assert described.get(fact) == option.get(fact), fact
    assert bool(described.get("required")) == bool(option.get("required"))
