# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m synapse_media VERB``: each verb lives with the engine it belongs to."""

from __future__ import annotations

import argparse
import signal
import sys

from .errors import MediaError
from .offload import arguments as offload_arguments
from .signals import Stopped, stop_on_signals
from .upstream import arguments as upstream_arguments


def main() -> int:
    parser = argparse.ArgumentParser(prog="synapse_media", description="Keeps the media of a Synapse server in S3.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    offload_arguments.add_parser(verbs)
    upstream_arguments.add_parsers(verbs)
    options = parser.parse_args()
    stop_on_signals()
    try:
        status: int = options.function(options)
    except MediaError as error:
        sys.stderr.write(f"synapse_media: {error}\n")
        return error.exit_status
    except Stopped as stopped:
        sys.stderr.write(f"synapse_media: stopped by {stopped}; run it again to go on\n")
        return stopped.exit_status
    except KeyboardInterrupt:
        sys.stderr.write("synapse_media: stopped; run it again to go on\n")
        return 128 + signal.SIGINT
    return status


if __name__ == "__main__":
    raise SystemExit(main())
