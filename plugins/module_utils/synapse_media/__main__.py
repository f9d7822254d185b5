# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media VERB``: each verb lives with the engine it belongs to."""

from __future__ import annotations

import argparse
import os
import sys

from .arguments import COMMAND_VARIABLE
from .errors import MediaError
from .offload import arguments as offload_arguments
from .output import leave, use_lenient_output
from .signals import Stopped, hold_signals, stop_on_signals
from .upstream import arguments as upstream_arguments


def main() -> int:
    use_lenient_output()
    stop_on_signals()
    # Taken out: what this process starts has names of its own.
    command = os.environ.pop(COMMAND_VARIABLE, None)
    own_name = f"{os.path.basename(sys.executable)} -m synapse_media"  # noqa: PTH119 - no path of interest
    parser = argparse.ArgumentParser(prog=own_name, description="Keeps the media of a Synapse server in S3.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    offload_arguments.add_parser(verbs, command)
    upstream_arguments.add_parsers(verbs, command)
    name = command or own_name
    try:
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
