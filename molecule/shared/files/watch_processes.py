#!/usr/bin/env python
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a command and prints every different command line of any process on the host meanwhile.

Usage: watch_processes.py COMMAND [ARGUMENT ...]; exits with the command's status.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def command_lines() -> set[bytes]:
    seen = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            seen.add(path.read_bytes().replace(b"\0", b" ").strip())
        except OSError:
            continue  # the process ended between the listing and the reading
    return seen


def main() -> int:
    seen: set[bytes] = set()
    with subprocess.Popen(sys.argv[1:]) as running:
        while running.poll() is None:
            seen |= command_lines()
    sys.stdout.buffer.write(b"\n".join(sorted(seen)) + b"\n")
    return running.returncode


if __name__ == "__main__":
    sys.exit(main())
