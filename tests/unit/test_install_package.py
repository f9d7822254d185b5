# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the migrate program has exactly the given files; check mode reports the same and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "roles" / "migrate" / "files" / "install_package.py"
PACKAGE = ROOT / "plugins" / "module_utils" / "synapse_media"
FILES = {
    "__init__.py": "",
    "store.py": 'NAME = "Übung"\n',
    "upstream/__init__.py": "",
    "upstream/plan.py": "x = 1\n",
    "offload/transport/loop.py": "y = 2\n",
}
FOLDERS = {".", "upstream", "offload", "offload/transport"}


def install(directory: Path, files: dict[str, str] | None = None, rehearse: bool = False) -> list[str]:
    bundle = directory.with_name("bundle.json")
    bundle.write_text(json.dumps(FILES if files is None else files))
    command = [sys.executable, str(PROGRAM), str(bundle), str(directory), *(["--rehearse"] if rehearse else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [str(Path(line).relative_to(directory)) for line in done.stdout.splitlines()]


def contents(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


def test_a_new_directory_gets_every_file_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "package"
    assert set(install(directory)) == {*FOLDERS, *FILES}
    assert contents(directory) == FILES
    assert install(directory) == []


def test_others_may_read_but_not_write(tmp_path: Path) -> None:
    directory = tmp_path / "package"
    install(directory)
    (directory / "store.py").chmod(0o666)
    (directory / "upstream").chmod(0o700)
    assert set(install(directory)) == {"store.py", "upstream"}
    assert (directory / "store.py").stat().st_mode & 0o7777 == 0o644
    assert (directory / "upstream").stat().st_mode & 0o7777 == 0o755


def test_only_a_changed_file_is_restored(tmp_path: Path) -> None:
    directory = tmp_path / "package"
    install(directory)
    (directory / "store.py").write_text("tampered")
    assert install(directory) == ["store.py"]
    assert contents(directory) == FILES


def test_files_that_are_no_longer_given_are_removed(tmp_path: Path) -> None:
    directory = tmp_path / "package"
    install(directory)
    (directory / "__pycache__").mkdir()
    (directory / "__pycache__" / "store.pyc").write_text("stale")
    kept = {name: text for name, text in FILES.items() if not name.startswith("upstream/")}
    assert set(install(directory, kept)) == {"__pycache__", "upstream"}
    assert contents(directory) == kept


def test_links_are_replaced_and_never_followed(tmp_path: Path) -> None:
    directory, elsewhere = tmp_path / "package", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("precious")
    install(directory)
    (directory / "store.py").unlink()
    (directory / "store.py").symlink_to(elsewhere / "precious")
    (directory / "stray").symlink_to(elsewhere)
    assert set(install(directory)) == {"store.py", "stray"}
    assert contents(directory) == FILES
    assert (elsewhere / "precious").read_text() == "precious"


def test_check_mode_reports_the_same_and_changes_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "package"
    assert set(install(directory, rehearse=True)) == {*FOLDERS, *FILES}
    assert not directory.exists()
    install(directory)
    (directory / "stray.py").write_text("")
    before = contents(directory)
    assert set(install(directory, {**FILES, "store.py": "new"}, rehearse=True)) == {"store.py", "stray.py"}
    assert contents(directory) == before


def test_the_role_installs_every_folder_of_the_package() -> None:
    variables = yaml.safe_load((ROOT / "roles" / "migrate" / "vars" / "main.yml").read_text(encoding="utf-8"))
    folders = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    assert folders
    assert set(variables["__synapse_s3_migrate_package_folders"]) == folders
