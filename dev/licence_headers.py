# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Add the licence header to each file of the checkout that lacks one, and name the files changed: licence_headers.py.

REUSE.toml states the licence of the files that are skipped here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Split, so that reuse does not take these for the header of this file.
COPYRIGHT = "SPDX-" + "FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors"
TAG = "SPDX-" + "License-Identifier"
LICENCE = f"{TAG}: GPL-3.0-or-later"

_SKIPPED = re.compile(r"LICENSE|LICENSES/.*|CHANGELOG\.md|changelogs/(changelog\.yaml|fragments/.*)|\.ci/run")
_HASH = re.compile(r".*\.(py|sh|ya?ml|txt|toml)|(.*/)?(Makefile|\.gitignore|\.yamllint|\.ansible-lint)")
_SEARCHED_LINES = 25


def header_of(name: str) -> list[str] | None:
    """Return the header's lines in the comment form of the file, or None if the form is not known."""
    if name.endswith(".j2"):
        return [f"{{# {COPYRIGHT} #}}", f"{{# {LICENCE} #}}"]
    if name.endswith((".c", ".h")):
        return [f"// {COPYRIGHT}", f"// {LICENCE}", ""]
    if name.endswith(".md"):
        return ["<!--", COPYRIGHT, LICENCE, "-->", ""]
    if _HASH.fullmatch(name):
        return [f"# {COPYRIGHT}", f"# {LICENCE}"]
    return None


def with_header(name: str, text: str) -> str | None:
    """Return the file's text with a header, or None if it has one already or its comment form is not known."""
    lines = text.split("\n")
    header = header_of(name)
    if header is None or any(TAG in line for line in lines[:_SEARCHED_LINES]):
        return None
    # These mean something on the first line only.
    at = 1 if lines[0] == "---" or lines[0].startswith(("#!", "#jinja2:")) else 0
    if header[-1] and header[0].startswith("#") and (name.endswith(".py") or lines[at].startswith("#")):
        header.append("")
    return "\n".join([*lines[:at], *header, *lines[at:]])


def main() -> int:
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")
    unknown = []
    for name in filter(None, names):
        path = ROOT / name
        if _SKIPPED.fullmatch(name) or path.is_symlink() or not path.is_file() or path.stat().st_size == 0:
            continue
        if header_of(name) is None:
            unknown.append(name)
            continue
        changed = with_header(name, path.read_text())
        if changed is not None:
            path.write_text(changed)
            print(name)
    for name in unknown:
        print(f"no comment form is known for {name}: name it in REUSE.toml", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
