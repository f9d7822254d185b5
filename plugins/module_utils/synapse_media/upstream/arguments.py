# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the verbs `migrate` and `prepare`; what does the work is imported only where one of them is chosen."""

from __future__ import annotations

import argparse
import sys

from ..arguments import add_output, add_verb


def add_parsers(verbs: argparse._SubParsersAction[argparse.ArgumentParser], command: str | None = None) -> None:
    migrate = add_verb(verbs, "migrate", command, "move media to the bucket with upstream's script")
    add_output(migrate, progress="show progress bars (default: on a terminal)", progress_default=sys.stderr.isatty())
    migrate.set_defaults(function=_migrate)
    by_hand = add_verb(verbs, "prepare", command, "make the files that the script needs in the state directory")
    by_hand.set_defaults(function=_prepare)


def _migrate(options: argparse.Namespace) -> int:
    from .migrate import migrate

    return migrate(options)


def _prepare(options: argparse.Namespace) -> int:
    from .migrate import prepare_by_hand

    return prepare_by_hand(options)
