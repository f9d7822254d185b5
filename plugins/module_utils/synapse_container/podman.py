# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Podman differs from Docker: networks, the name of its unit, its release, containers of a user without root."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..systemd_unit import Run

PROC = Path("/proc")
# Podman labels a container with the unit that has run it, if the unit sets the variable of this name.
UNIT_LABEL = "PODMAN_SYSTEMD_UNIT"
# What `podman auto-update` looks at.
AUTO_UPDATE_LABEL = "io.containers.autoupdate"
SELINUX = Path("/sys/fs/selinux/enforce")


def is_podman(shown: Mapping[str, Any]) -> bool:
    """Whether Podman has shown this container. The package podman-docker answers as `docker`, too."""
    return "ImageName" in shown


def networks(name: str, mode: str, attached: Mapping[str, Any]) -> list[str]:
    """The networks by which a container reaches what this one reaches. Of every bridge the mode is `bridge`."""
    if mode.startswith("container:"):
        # Also a pod, by the id of its first container, which is another one after each start.
        return [f"container:{name}"]
    return sorted(attached) if mode == "bridge" and attached else [mode]


def security_options() -> list[str]:
    """The options for containers beside Synapse's on a host with SELinux.

    A mount with `:Z` is labelled for one container alone. Another one that labelled it for itself would take it from
    Synapse, so these containers run without a label and label nothing.
    """
    return ["--security-opt=label=disable"] if SELINUX.exists() else []


def release(run: Run) -> tuple[int, str]:
    """The major release of Podman, and the release as it names itself."""
    status, output, error = run(["podman", "--version"])
    found = re.search(r"(\d+)\.\S+", output)
    if status != 0 or not found:
        raise ConfigurationError(f"podman does not tell its release ({error.strip() or output.strip()}). Repair it.")
    return int(found[1]), found[0]


def rootless_owner(name: str) -> str:
    """The user without root whose Podman runs a container of this name; empty if there is none."""
    for directory in PROC.glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
            uid = directory.stat().st_uid
        except OSError:
            # It has ended meanwhile.
            continue
        named = any(words[i : i + 2] == [b"-n", os.fsencode(name)] for i in range(len(words)))
        if named and uid != 0 and Path(os.fsdecode(words[0])).name == "conmon":
            try:
                return pwd.getpwuid(uid).pw_name
            except KeyError:
                return str(uid)
    return ""
