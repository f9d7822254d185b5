# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the demo: all media is unchanged and the disk has less of it; ends with status 1 if not.

check_result.py CHECK BEFORE AFTER      (the output of media.py check, and of media.py count before and after)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> int:
    check, before, after = (json.loads(Path(argument).read_text()) for argument in sys.argv[1:])
    compared = f"{check['pictures']} pictures and {check['thumbnails']} of their thumbnails"
    if check["differing"]:
        print(f"FAILED: of {compared}, these differ:")
        print("\n".join(f"  {line}" for line in check["differing"]))
        return 1
    print(f"{compared} were downloaded again through Synapse: every sha256 is the same.")
    if after["disk"]["bytes"] >= before["disk"]["bytes"]:
        print("FAILED: the disk has no less media than before.")
        return 1
    freed = 100 * (1 - after["disk"]["bytes"] / before["disk"]["bytes"])
    print(f"The disk has {freed:.0f} % less media than before; the moved files are in the bucket.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
