# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the verb `offload`; the engine is imported only where it is chosen."""

from __future__ import annotations

import argparse

from .arguments import add_output, add_verb


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser], command: str | None = None) -> None:
    purpose = "move media to the bucket, each file proven there before it is deleted"
    offload = add_verb(verbs, "offload", command, purpose)
    add_output(
        offload,
        progress="show how far it is: a bar on a terminal, a line every 30 seconds otherwise (default: show it)",
        progress_default=True,
    )
    offload.set_defaults(function=_offload)


def _offload(options: argparse.Namespace) -> int:
    from ..offload.job import offload

    return offload(options)
