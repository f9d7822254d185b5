# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's Python in a container, as a program on the host that Ansible and the roles run like any other Python."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..synapse_media.errors import ConfigurationError
from .engine import MADE_FOR_LABEL, Container, made_for
from .podman import security_options

# Not below /run, where many hosts run no programs.
DIRECTORY = Path("/usr/local/lib")
MODE = 0o755

# HOME and PYTHONPATH are what the tasks set. A module of Ansible comes as a file in a directory of its own, or through
# the standard input. With pip, the settings and the certificates of the host count, and its network.
_PROGRAM = """#!/bin/sh
# Written by matrix_ops.synapse_s3. Runs the Python of Synapse in the container {name}: in the image with the storage
# provider, or in the operator's own as long as that is not built; as root, with Synapse's mounts and networks.
image=$({engine} image ls --filter label={label} \\
  --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | head -n 1)
network=${{SYNAPSE_S3_NETWORK:-{network}}} others='{others}'
set -- "${{image:-{base}}}" "$@"
case ${{2-}} in
  /*) module=${{2%/*}} ;;
  *) module= ;;
esac
for path in "$module" "${{PYTHONPATH-}}" {paths}; do
  if [ -n "$path" ] && [ -e "$path" ]; then
    set -- --volume "$path:$path" "$@"
  fi
done
if [ "${{SYNAPSE_S3_PIP-}}" ]; then
  network=host
  for path in /etc/pip.conf /etc/ssl/certs; do
    if [ -e "$path" ]; then
      set -- --volume "$path:$path:ro" "$@"
    fi
  done
fi
if [ "$network" != '{network}' ]; then
  others=
fi
{start}"""
_OPTIONS = """--rm --interactive --pull=never --read-only --tmpfs=/tmp --tmpfs=/run --user=0:0 \\
  --workdir={directory} --entrypoint={python} --env=HOME --env=PYTHONPATH --env=PIP_ROOT_USER_ACTION \\
  --network="$network" {mounts} "$@\""""
_START = {
    "docker": f"""container=$(docker create {_OPTIONS}) || exit
for network in $others; do
  docker network connect "$network" "$container" || exit
done
exec docker start --attach --interactive "$container"
""",
    # It takes several networks at once. What the program writes would otherwise be in the journal a second time.
    "podman": f"""for other in $others; do
  set -- --network "$other" "$@"
done
exec podman run --log-driver=none {_OPTIONS}
""",
}


def mount_options(container: Container, *, writable: bool) -> list[str]:
    """The options for the same mounts. `writable`: whether also those that Synapse only reads."""
    options = []
    for mount in container.mounts:
        kind = "volume" if mount.volume else "bind"
        read_only = "" if writable or mount.writable else ",readonly"
        source = mount.volume or mount.source
        options.append(f"--mount=type={kind},source={source},target={mount.destination}{read_only}")
    return options


def own_directory(container: str) -> Path:
    """Where the program for a container lies, and the record of the container."""
    return DIRECTORY / f"synapse-s3-{re.sub('[^A-Za-z0-9_.-]', '-', container)}"


def write_python(container: Container, python: str, base: str, paths: Sequence[str]) -> str:
    """Writes the program, and returns its path. Raises ConfigurationError if it cannot be written.

    `python`: the Python in the container. `base`: the id of the operator's image. `paths`: what else of the host is
    needed in the container, at the same place; what does not exist is left out.
    """
    program = _PROGRAM.format(
        engine=container.engine,
        name=container.name,
        label=shlex.quote(f"{MADE_FOR_LABEL}={made_for(container.name, base)}"),
        network=container.networks[0],
        others=" ".join(container.networks[1:]),
        base=base,
        paths=shlex.join(paths),
        start=_START[container.engine].format(
            directory=shlex.quote(container.working_directory),
            python=shlex.quote(python),
            mounts=shlex.join([*security_options(), *mount_options(container, writable=True)]),
        ),
    )
    path = own_directory(container.name) / "python"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        draft.write_text(program, encoding="utf-8")
        draft.chmod(MODE)
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}). Run this as root.") from error
    return str(path)
