# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints a pip.conf for the test containers, with those of the host's pip settings that a container needs, or nothing.

A machine may reach PyPI only through a mirror, a proxy, or with a private CA. Settings that name local paths other than
the CA bundle are left out, because the paths do not exist in a container. The first argument is the path of the bundle
in the container.
"""

from __future__ import annotations

import ast
import subprocess
import sys

PASSED_ON = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")


def host_settings() -> dict[str, str]:
    """pip's settings without section; pip lists them by rising precedence, except the environment's, which win."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    settings: dict[str, str] = {}
    for from_environment in (False, True):
        for line in listing.splitlines():
            key, value = line.split("=", 1)
            section, name = key.rsplit(".", 1)
            if section in ((":env:",) if from_environment else ("global", "install")):
                settings[name] = str(ast.literal_eval(value))
    return settings


def container_settings(settings: dict[str, str], bundle_in_container: str) -> dict[str, str]:
    passed_on = {}
    for name in PASSED_ON:
        words = [word for word in settings.get(name, "").split() if not word.startswith(("file:", "/"))]
        if words:
            passed_on["timeout" if name == "default-timeout" else name] = " ".join(words)
    if bundle_in_container:
        passed_on["cert"] = bundle_in_container
    return passed_on


def main() -> None:
    found = container_settings(host_settings(), sys.argv[1] if len(sys.argv) > 1 else "")
    if found:
        print("[global]")
        for name, value in sorted(found.items()):
            print(f"{name} = {value}")


if __name__ == "__main__":
    main()
