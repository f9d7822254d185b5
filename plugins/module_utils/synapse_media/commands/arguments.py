# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that several commands take."""

from __future__ import annotations

import argparse

# The name of the command that was typed. It gives the verb and the file itself, so its help does not speak of them.
COMMAND_VARIABLE = "SYNAPSE_MEDIA_COMMAND"


def add_verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], verb: str, command: str | None, purpose: str
) -> argparse.ArgumentParser:
    """Its help, usage errors and messages bear the name that was typed: `command`, or Python's and the verb."""
    parser = verbs.add_parser(verb, prog=command, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
    parser.set_defaults(command=parser.prog, refuse=parser.error)
    parser.add_argument(
        "--config", required=True, metavar="FILE", help=argparse.SUPPRESS if command else "YAML file, mode 0600"
    )
    parser.add_argument(
        "--user",
        help=argparse.SUPPRESS
        if command
        else "when started as root: the user to become (default: the owner of media_path)",
    )
    return parser


def add_output(parser: argparse.ArgumentParser, *, progress: str, progress_default: bool) -> None:
    parser.add_argument("--dry-run", action="store_true", help="change nothing, say what would be done")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a line")
    parser.add_argument("--progress", action=argparse.BooleanOptionalAction, default=progress_default, help=progress)
