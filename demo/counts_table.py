# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints the results of `media.py count` at several moments as one table.

counts_table.py 'before=FILE' 'after the migration=FILE' ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def human(size: int) -> str:
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def main() -> None:
    moments = [argument.split("=", 1) for argument in sys.argv[1:]]
    width = max(len(name) for name, file in moments)
    print(f"{'':{width}}      on the disk           in the bucket")
    print(f"{'':{width}}   files       bytes     files       bytes")
    for name, file in moments:
        count = json.loads(Path(file).read_text())
        cells = [f"{count[place]['files']:>8}{human(count[place]['bytes']):>12}" for place in ("disk", "bucket")]
        print(f"{name:{width}}{'  '.join(cells)}")


if __name__ == "__main__":
    main()
