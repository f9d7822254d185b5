"""Says whether the demo has shown what it is there to show, and ends with 1 if not.

verdict.py CHECK BEFORE AFTER      (what media.py check and count said)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> int:
    check, before, after = (json.loads(Path(argument).read_text()) for argument in sys.argv[1:])
    compared = f"{check['pictures']} pictures and {check['thumbnails']} of their thumbnails"
    if check["differing"]:
        print(f"FAILED: of {compared}, these are not what they were:")
        print("\n".join(f"  {line}" for line in check["differing"]))
        return 1
    print(f"{compared} were downloaded again through Synapse: every sha256 is what it was.")
    if after["disk"]["bytes"] >= before["disk"]["bytes"]:
        print("FAILED: the disk is no smaller than before.")
        return 1
    freed = 100 * (1 - after["disk"]["bytes"] / before["disk"]["bytes"])
    print(f"The disk holds {freed:.0f} % less than before; what left it is in the bucket.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
