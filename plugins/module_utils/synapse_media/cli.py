# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media.cli VERB``: each verb is a module of the folder `commands`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from .commands.arguments import COMMAND_VARIABLE
from .errors import MediaError
from .process.output import leave, use_lenient_output
from .process.signals import Stopped, hold_signals, stop_on_signals

_VERBS = ("offload", "migrate", "prepare", "status", "restore", "gc")


def main() -> int:
    use_lenient_output()
    stop_on_signals()
    # Taken out: what this process starts has names of its own.
    command = os.environ.pop(COMMAND_VARIABLE, None)
    own_name = f"{os.path.basename(sys.executable)} -m synapse_media.cli"  # noqa: PTH119 - no path of interest
    name = command or own_name
    try:
        parser = argparse.ArgumentParser(prog=own_name, description="Keeps the media of a Synapse server in S3.")
        verbs = parser.add_subparsers(required=True, metavar="VERB")
        chosen = [verb for verb in sys.argv[1:2] if verb in _VERBS]
        # Only what is chosen is imported, so that no command depends on what another one needs.
        for verb in chosen or _VERBS:
            importlib.import_module(f".commands.{verb}", __package__).add_parser(verbs, command)
        # What is left over, argparse's own check would report under the name of the outer parser.
        options, unknown = parser.parse_known_args()
        name = options.command
        if unknown:
            options.refuse(f"unrecognized arguments: {' '.join(unknown)}")
        status: int = options.function(options)
    except SystemExit as ended:
        return int(ended.code or 0)
    except MediaError as error:
        hold_signals()
        sys.stderr.write(f"{name}: {error}\n")
        return error.exit_status
    except Stopped as stopped:
        sys.stderr.write(f"{name}: stopped by {stopped}; run it again to go on\n")
        return stopped.exit_status
    return status


if __name__ == "__main__":
    leave(main())
