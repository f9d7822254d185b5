# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the image that Synapse's container runs: the operator's own image with Python packages added to it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..synapse_media.errors import ConfigurationError
from ..systemd_unit import Run
from .engine import BASE_ID_LABEL, BASE_LABEL, CONTAINER_LABEL, MADE_FOR_LABEL, image_facts, made_for, own_images
from .podman import security_options

# What is in the image is held at its version ($1), so that nothing of Synapse's own can change. The provider comes
# without what it declares: psycopg2 would be compiled. pip's settings are those of the host, where it has some.
_INSTALL = """
set -eu
umask 022
python=$1 constraints=$2 packages=$3 alone=$4
if [ -e /run/pip.conf ]; then export PIP_CONFIG_FILE=/run/pip.conf; fi
export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1 PYTHONNOUSERSITE=1
printf '%s\\n' "$constraints" >/run/constraints
printf '%s\\n' "$packages" >/run/packages
printf '%s\\n' "$alone" >/run/alone
"$python" -m pip install --quiet --upgrade-strategy only-if-needed -c /run/constraints -r /run/packages
"$python" -m pip install --quiet --no-deps -r /run/alone
if [ -e /run/files ]; then
  cp -R /run/files/. "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
fi
"""
# On the host, each mounted at another place where the container has it in memory or has it already.
_PIP_SETTINGS = "/etc/pip.conf"
_CERTIFICATES = "/etc/ssl/certs"


@dataclass(frozen=True)
class ImagePlan:
    """The image to build.

    `image`: its NAME:TAG. `base`: the operator's image by its id, `base_name` as the operator writes it. `packages` are
    installed with what they need, `alone` without. `files`: texts by their paths in the directory of Python's packages.
    `imports`: what Synapse's user must be able to import.
    """

    engine: str
    container: str
    image: str
    base: str
    base_name: str
    python: str
    packages: Sequence[str]
    alone: Sequence[str]
    constraints: Sequence[str]
    uid: int
    gid: int
    imports: Sequence[str]
    files: Mapping[str, str] = field(default_factory=dict)


def exists(run: Run, plan: ImagePlan) -> bool:
    """Whether the image is there. Its tag stands for all it is made from, so it need not be compared."""
    return image_facts(run, plan.engine, plan.image) is not None


def build(run: Run, plan: ImagePlan) -> None:
    """Builds the image, or leaves nothing. Raises ConfigurationError with what pip or the engine said."""
    base = image_facts(run, plan.engine, plan.base)
    if base is None:
        raise ConfigurationError(
            f"The image {plan.base_name} ({plan.base}) is not on this host any more. Pull it again."
        )
    builder = f"synapse-s3-build-{re.sub('[^A-Za-z0-9.-]', '-', plan.container)}"
    run([plan.engine, "rm", "--force", "--volumes", builder])
    try:
        with tempfile.TemporaryDirectory(prefix="synapse-s3-") as files:
            _write_files(plan, Path(files))
            _checked(run, plan, _install_command(plan, builder, files), "Its packages could not be installed")
        _checked(run, plan, _commit_command(plan, builder, base["config"]), "It could not be saved")
    finally:
        run([plan.engine, "rm", "--force", "--volumes", builder])
    try:
        _checked(run, plan, _import_command(plan), f"Synapse's user {plan.uid} cannot import {', '.join(plan.imports)}")
    except ConfigurationError:
        run([plan.engine, "image", "rm", plan.image])
        raise


def remove(run: Run, engine: str, container: str, keep: str = "") -> list[str]:
    """Removes the images built for the container except `keep`, as far as no container needs them; returns them."""
    removed = []
    for image in own_images(run, engine, container):
        if image != keep and run([engine, "image", "rm", image])[0] == 0:
            removed.append(image)
    return removed


def _write_files(plan: ImagePlan, directory: Path) -> None:
    for name, content in plan.files.items():
        path = directory / name
        if ".." in path.parts or not path.is_relative_to(directory):
            raise ConfigurationError(f"{name} is no path below the directory of Python's packages")
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        # Whatever umask the play has: Synapse's user reads it.
        path.chmod(0o644)


def _install_command(plan: ImagePlan, builder: str, files: str) -> list[str]:
    options = [
        "--pull=never",
        f"--name={builder}",
        "--user=0:0",
        "--network=host",
        "--tmpfs=/run",
        "--entrypoint=/bin/sh",
    ]
    if plan.engine == "podman":
        # Else it saves the host's proxies in the image, and leaves a volume behind for each that the image has.
        options += ["--http-proxy=false", "--image-volume=tmpfs"]
    options += security_options()
    if Path(_PIP_SETTINGS).exists():
        options.append(f"--volume={_PIP_SETTINGS}:/run/pip.conf:ro")
    if Path(_CERTIFICATES).is_dir():
        options.append(f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro")
    if plan.files:
        options.append(f"--volume={files}:/run/files:ro")
    lists = ["\n".join(lines) for lines in (plan.constraints, plan.packages, plan.alone)]
    return [plan.engine, "run", *options, plan.base, "-c", _INSTALL, "sh", plan.python, *lists]


def _commit_command(plan: ImagePlan, builder: str, config: dict[str, Any]) -> list[str]:
    """Keeps how the operator's image starts: the container that installed the packages started in another way."""
    labels = {
        CONTAINER_LABEL: plan.container,
        BASE_LABEL: plan.base_name,
        BASE_ID_LABEL: plan.base,
        MADE_FOR_LABEL: made_for(plan.container, plan.base),
    }
    changes = [
        f"ENTRYPOINT {json.dumps(config.get('Entrypoint') or [])}",
        f"CMD {json.dumps(config.get('Cmd') or [])}",
        f"USER {config.get('User') or '0'}",
        *(f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()),
    ]
    # Of Podman's formats, only that of Docker has health checks.
    options = ["--format=docker"] if plan.engine == "podman" else []
    return [plan.engine, "commit", *options, *(f"--change={change}" for change in changes), builder, plan.image]


def _import_command(plan: ImagePlan) -> list[str]:
    options = ["--rm", "--pull=never", "--network=none", "--read-only", f"--user={plan.uid}:{plan.gid}"]
    program = f"import {', '.join(plan.imports)}"
    return [plan.engine, "run", *options, f"--entrypoint={plan.python}", plan.image, "-B", "-c", program]


def _checked(run: Run, plan: ImagePlan, command: list[str], failure: str) -> None:
    status, output, error = run(command)
    if status != 0:
        said = "\n".join((error.strip() or output.strip() or f"exit status {status}").splitlines()[-15:])
        raise ConfigurationError(
            f"The image {plan.image} could not be built from {plan.base_name}, and Synapse was left as it was. "
            f"{failure}. Where the index cannot be reached, give pip on this host one (in /etc/pip.conf); where "
            f"versions conflict, change what pip names in your own image. Then run again. The last lines:\n{said}"
        )
