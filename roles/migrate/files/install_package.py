# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a directory hold exactly the files it is given, in one task instead of one for each file.

Usage: install_package.py BUNDLE DIRECTORY [--rehearse]

The bundle is a JSON file, {relative path: text}. Prints the path of each file that was, or in a rehearsal would be,
written or removed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

FILE_MODE = 0o644
FOLDER_MODE = 0o755


def parents_within(files: Iterable[str]) -> set[str]:
    return {str(parent) for name in files for parent in Path(name).parents} | {"."}


def is_sound(path: Path, mode: int, text: str | None) -> bool:
    """Whether a file with this text, or a folder where there is none, is there and is only its owner's to write."""
    if path.is_symlink() or not (path.is_dir() if text is None else path.is_file()):
        return False
    status = path.stat()
    if status.st_mode & 0o7777 != mode or (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        return False
    return text is None or path.read_bytes() == text.encode()


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.is_symlink() or path.exists():
        path.unlink()


def put_folder(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        remove(path)
        path.mkdir(parents=True)
    path.chmod(FOLDER_MODE)
    os.chown(path, os.geteuid(), os.getegid())


def put_file(path: Path, text: str) -> None:
    """A run that starts at the same moment reads the old text or the new, never half of one."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(text.encode())
    draft.chmod(FILE_MODE)
    if path.is_dir() and not path.is_symlink():
        remove(path)
    draft.replace(path)


def foreign(directory: Path, known: set[str]) -> Iterator[Path]:
    """What is in the directory and should not be; of a folder that should not be, the folder alone."""
    for folder, folders, files in os.walk(directory):
        here = Path(folder)
        for name in sorted(folders + files):
            if str((here / name).relative_to(directory)) not in known:
                yield here / name
        folders[:] = [name for name in folders if str((here / name).relative_to(directory)) in known]


def install(directory: Path, files: dict[str, str], rehearse: bool) -> Iterator[str]:
    folders = parents_within(files)
    for name in sorted(folders):
        if not is_sound(directory / name, FOLDER_MODE, None):
            yield str(directory / name)
            if not rehearse:
                put_folder(directory / name)
    for name, text in sorted(files.items()):
        if not is_sound(directory / name, FILE_MODE, text):
            yield str(directory / name)
            if not rehearse:
                put_file(directory / name, text)
    for path in list(foreign(directory, folders | set(files))):
        yield str(path)
        if not rehearse:
            remove(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    files: dict[str, str] = json.loads(options.bundle.read_text(encoding="utf-8"))
    for path in install(options.directory, files, options.rehearse):
        print(path)


if __name__ == "__main__":
    main()
