# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The YAML of an operator, read with a limit on what its aliases stand for."""

from __future__ import annotations

import sys
from typing import Any

# What a program of the migrate job says without PyYAML.
NO_YAML = (
    f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]} and has no PyYAML, as after an upgrade of "
    "the distribution that replaced the Python of the virtualenv. Run the playbook matrix_ops.synapse_s3.site, which "
    "makes the virtualenv of the migrate job anew."
)
# Values that all aliases of a document may stand for together. A homeserver.yaml has some thousand values in all.
MOST_ALIASED = 100_000


class AliasError(ValueError):
    """The aliases of a document stand for more than any configuration needs, or one of them for itself."""


try:
    import yaml
except ImportError:
    # Whoever calls load() says NO_YAML.
    HAS_YAML = False
    YAML_ERRORS: tuple[type[Exception], ...] = (ValueError, RecursionError)
else:
    HAS_YAML = True
    # What load() raises; a value that only looks like a date or a number ends in a plain ValueError.
    YAML_ERRORS = (yaml.YAMLError, ValueError, RecursionError)

    class _BoundedLoader(yaml.SafeLoader):
        """Counts while nodes are composed, before any value is made. An alias shares its anchor's node until then."""

        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self._values = 0
            self._aliased = 0
            self._sizes: dict[int, int] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                # PyYAML's stubs give it no types.
                peek_event: Any = self.peek_event
                self._count_alias(self.anchors.get(peek_event().anchor))
                return super().compose_node(parent, index)
            before = self._values
            self._values += 1
            node = super().compose_node(parent, index)
            self._sizes[id(node)] = self._values - before
            return node

        def _count_alias(self, anchored: Any) -> None:
            if anchored is None:
                # There is no such anchor, which is the parser's to say.
                return
            # A node without a size is still being composed: it holds itself.
            size = self._sizes.get(id(anchored), MOST_ALIASED + 1)
            self._values += size
            self._aliased += size
            if self._aliased > MOST_ALIASED:
                raise AliasError


def load(text: str) -> Any:
    """The document's value. Raises AliasError, and YAML_ERRORS if the text is not valid."""
    return yaml.load(text, Loader=_BoundedLoader)  # noqa: S506 - it is a SafeLoader


def aliases_refused(path: str) -> str:
    """For an operator: the cause and the remedy in one line."""
    return (
        f"{path} is refused: its YAML aliases (*name) stand for more than {MOST_ALIASED} values, or for themselves. "
        "Write the values out where they are needed."
    )
