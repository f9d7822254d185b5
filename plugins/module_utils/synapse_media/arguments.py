# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that more than one verb takes."""

from __future__ import annotations

import argparse


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, mode 0600")
    parser.add_argument("--user", help="when started as root: the user to become (default: the owner of media_path)")


def add_output(parser: argparse.ArgumentParser, *, progress: str, progress_default: bool) -> None:
    parser.add_argument("--dry-run", action="store_true", help="change nothing, say what would be done")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a line")
    parser.add_argument("--progress", action=argparse.BooleanOptionalAction, default=progress_default, help=progress)
