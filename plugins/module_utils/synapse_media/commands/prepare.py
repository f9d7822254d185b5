# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media.cli prepare``: makes the files that running upstream's script by hand needs."""

from __future__ import annotations

import argparse
import os

from ..settings.config import read_config
from ..upstream.job import become_worker, prepare, settings_of
from .arguments import add_verb


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser], command: str | None = None) -> None:
    parser = add_verb(verbs, "prepare", command, "make the files that the script needs in the state directory")
    parser.set_defaults(function=prepare_by_hand)


def prepare_by_hand(options: argparse.Namespace) -> int:
    settings = settings_of(read_config(options.config, os.environ))
    become_worker(settings, options.user)
    prepare(settings)
    return 0
