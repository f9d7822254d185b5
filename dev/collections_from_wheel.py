# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpacks the collections named in requirements-dev.yml out of a wheel of the `ansible` package.

    collections_from_wheel.py WHEEL REQUIREMENTS DESTINATION

For machines that reach PyPI and not Galaxy: a wheel is a zip, and the package carries the same collections.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import yaml


def unpack(wheel: zipfile.ZipFile, name: str, version: str, destination: Path) -> None:
    root = f"ansible_collections/{name.replace('.', '/')}/"
    manifest = json.loads(wheel.read(root + "MANIFEST.json"))
    carried = manifest["collection_info"]["version"]
    if carried != version:
        sys.exit(f"{wheel.filename} carries {name} {carried}, and requirements-dev.yml wants {version}")
    wheel.extractall(destination, [member for member in wheel.namelist() if member.startswith(root)])


def main() -> None:
    wheel_file, requirements_file, destination = map(Path, sys.argv[1:])
    wanted = yaml.safe_load(requirements_file.read_text())["collections"]
    with zipfile.ZipFile(wheel_file) as wheel:
        for collection in wanted:
            unpack(wheel, collection["name"], collection["version"], destination)


if __name__ == "__main__":
    main()
