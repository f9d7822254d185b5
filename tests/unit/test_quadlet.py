# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that Quadlet generates: the line with the image, and what is refused with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import podman_output as real
import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container import quadlet, unit
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError

OWN = "synapse-s3.conf"


class Host:
    """A host with files for Quadlet, and the release of Podman on it."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "etc"
        self.service_directory = folder / "service.d"
        self.source = self.write("matrix-synapse.container", real.QUADLET_FILE)
        self.release = "5.4.2"
        self.service_files: list[Path] = []

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, command: Sequence[str]) -> tuple[int, str, str]:
        if command[0] == "podman":
            return 0, f"podman version {self.release}\n", ""
        if "SourcePath" in command:
            return 0, f"SourcePath={self.source}\n", ""
        paths = " ".join(map(str, self.service_files))
        return 0, f"FragmentPath=/run/systemd/generator/matrix-synapse.service\nDropInPaths={paths}\n", ""

    def found(self) -> quadlet.Quadlet | None:
        return quadlet.quadlet_of(self.run, "matrix-synapse.service", OWN)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path)
    monkeypatch.setattr(quadlet, "OWN_DIRECTORY", str(found.directory))
    monkeypatch.setattr(quadlet, "DIRECTORIES", (str(found.directory), str(tmp_path / "usr")))
    return found


def with_image(image: str) -> str:
    return real.QUADLET_FILE.replace("docker.test/synapse:v1", image)


def test_the_image_and_the_directory_of_our_file(host: Host) -> None:
    found = host.found()
    assert found is not None
    assert found.file == str(host.source)
    assert found.drop_in_directory == f"{host.source}.d"
    assert (found.line.directive, found.line.image, found.line.file) == (
        "Image",
        "docker.test/synapse:v1",
        str(host.source),
    )


def test_the_command_that_quadlet_writes_is_understood() -> None:
    """The same image stands in it, and the service is found by its label or by this command."""
    command = dict(unit.assignments(real.QUADLET_UNIT))["ExecStart"]
    assert unit._unit_line("ExecStart", command, "").image == "docker.test/synapse:v1"


def test_another_service_is_not_generated(host: Host) -> None:
    host.source = Path()
    assert host.found() is None


def test_our_own_file_does_not_count(host: Host) -> None:
    host.write(f"matrix-synapse.container.d/{OWN}", "[Container]\nImage=localhost/synapse-s3/synapse:1\n")
    found = host.found()
    assert found is not None
    assert found.line.image == "docker.test/synapse:v1"


@pytest.mark.parametrize("directory", ["matrix-synapse.container.d", "matrix-.container.d", "container.d"])
def test_a_drop_in_of_the_operator_counts(host: Host, directory: str) -> None:
    path = host.write(f"{directory}/10-image.conf", '[Container]\nImage="docker.test/synapse:v2"\n')
    found = host.found()
    assert found is not None
    assert (found.line.image, found.line.file) == ("docker.test/synapse:v2", str(path))


def test_of_one_name_the_most_specific_counts(host: Host) -> None:
    host.write("container.d/10-image.conf", "[Container]\nImage=general\n")
    host.write("matrix-synapse.container.d/10-image.conf", "[Container]\nImage=specific\n")
    found = host.found()
    assert found is not None
    assert found.line.image == "specific"


def test_a_drop_in_that_podman_reads_after_ours_is_refused(host: Host) -> None:
    host.write("matrix-synapse.container.d/zz.conf", "[Container]\nImage=other\n")
    with pytest.raises(ConfigurationError, match=r"zz\.conf sets Image=.*Rename it to .*10-zz\.conf"):
        host.found()


@pytest.mark.parametrize("release", ["4.4.0", "4.9.3"])
def test_podman_without_drop_ins_names_the_line(host: Host, release: str) -> None:
    host.release = release
    with pytest.raises(
        ConfigurationError, match=rf"Podman {release} reads no drop-ins.*'Image=docker.test/synapse:v1'.*Update Podman"
    ):
        host.found()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("synapse.image", r"another unit: Image=synapse\.image in .*Write the name of the image itself"),
        ("synapse.build", r"another unit: Image=synapse\.build in .*ImageTag="),
        ("synapse:%i", "depends on a variable .*Write the name of the image in full after Image= in"),
        ("${IMAGE}", "depends on a variable .*Write the name of the image in full after Image= in"),
    ],
)
def test_an_image_that_cannot_be_replaced_is_refused(host: Host, image: str, words: str) -> None:
    host.source.write_text(with_image(image))
    with pytest.raises(ConfigurationError, match=words):
        host.found()


def test_a_root_file_system_is_refused(host: Host) -> None:
    host.source.write_text(real.QUADLET_FILE.replace("Image=", "Rootfs="))
    with pytest.raises(ConfigurationError, match="names no image in a line 'Image='"):
        host.found()


def test_a_template_is_refused(host: Host) -> None:
    host.source = host.write("synapse@.container", real.QUADLET_FILE)
    with pytest.raises(ConfigurationError, match=r"generated from a template .*Make a file without '@'"):
        host.found()


def test_a_file_elsewhere_is_refused(host: Host, tmp_path: Path) -> None:
    host.source = tmp_path / "usr.container"
    host.source.write_text(real.QUADLET_FILE)
    with pytest.raises(ConfigurationError, match=r"Move that file into .*daemon-reload"):
        host.found()


def test_a_file_of_kubernetes_is_refused(host: Host) -> None:
    host.source = Path("/etc/containers/systemd/matrix.kube")
    with pytest.raises(ConfigurationError, match="runs a file of Kubernetes"):
        host.found()


def test_a_command_of_the_operator_is_refused(host: Host, tmp_path: Path) -> None:
    own = tmp_path / "override.conf"
    own.write_text("[Service]\nExecStart=\nExecStart=/usr/bin/podman run other\n")
    host.service_files = [own]
    with pytest.raises(ConfigurationError, match=r"override\.conf replaces the command that Quadlet writes"):
        host.found()
