# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# `make demo` and `make test`, or `make quick` for part of it. Everything they need they set up themselves, and skip what is there
# already.

SHELL := /bin/bash
.DEFAULT_GOAL := help
TARGETS := setup lint sanity unit integration stores provider molecule demo demo-stop test quick test-matrix pythons faults benchmark clean
.PHONY: help $(TARGETS)

help:
	@echo 'make demo         a homeserver in a container; its media moves to S3; every picture is compared (about 5 minutes at first)'
	@echo 'make demo-stop    removes the demo'
	@echo 'make quick        lint, unit tests and one short molecule scenario: under 5 minutes once set up'
	@echo 'make test         lint, sanity, unit, integration, stores, molecule, provider, a check of the benchmarks, and the demo'
	@echo 'make test-matrix  unit, sanity and one molecule scenario with ansible-core 2.16 to 2.21, or ANSIBLE_CORE=2.17 alone'
	@echo 'make test-systems  one molecule scenario on Debian 13, Ubuntu 22.04 and 24.04'
	@echo 'make pythons      what runs on hosts, with each Python from 3.9 to 3.13 that is there'
	@echo 'make lint         yamllint, ansible-lint, ruff, shellcheck, zizmor, mypy'
	@echo 'make sanity       ansible-test sanity, antsibull-docs'
	@echo 'make unit         unit tests'
	@echo 'make integration  modules and engine against real servers, faults and kills included, in a container'
	@echo 'make docs         the documentation as a site in .cache/docs/html, with its links checked'
	@echo "make galaxy-importer  Galaxy's own checks of the built collection"
	@echo 'make provider     the resilient storage provider in the oldest and the newest Synapse, in a container'
	@echo "make stores       the engine against Ceph's RGW, SeaweedFS and JuiceFS's gateway, in a container"
	@echo 'make molecule     roles and playbooks against a real homeserver, in containers'
	@echo 'make faults       the fault tests at length: 200 kills, or FAULT_KILLS=1000 (make integration has 20)'
	@echo 'make benchmark    the engine and its peers side by side (FIGURES="first-offload already-there"; see benchmarks/README.md)'
	@echo 'make setup        only what all of these need: system packages, Docker engine, images, Python tools'
	@echo 'make clean        removes what any of these made, except for system packages'

TARGETS += docs galaxy-importer test-systems
.PHONY: docs galaxy-importer test-systems

ifneq ($(shell id -u),0)

# Taken from the environment too, which sudo empties.
PASSED_ON := ANSIBLE_CORE MATRIX_STEPS SYSTEMS

# Installing packages, starting a Docker engine and talking to it take root. All targets run so, and not only some, because what
# they make in .venv and .cache then has one owner.
$(TARGETS):
	@echo '==> root is needed for system packages and the Docker engine: calling sudo'
	@sudo $(MAKE) --no-print-directory $@ $(MAKEOVERRIDES) $(foreach name,$(PASSED_ON),$(if $($(name)),$(name)='$($(name))'))

else

.NOTPARALLEL:

tools:
	@dev/system-packages.sh
	@dev/python-tools.sh

containers: tools
	@dev/docker-engine.sh
	@dev/base-image.sh
	@dev/homeserver-image.sh
	@dev/collections.sh
	@dev/collection.sh

stores-image: containers
	@dev/stores-image.sh

docker-image: containers
	@dev/docker-image.sh

# ansible-lint looks up the modules of the collections that the tests use.
lint: tools
	@dev/collections.sh
	@dev/lint.sh

sanity: tools
	@dev/sanity.sh

docs: tools
	@dev/docs.sh

galaxy-importer: tools
	@dev/galaxy-importer.sh

unit: tools
	@dev/unit.sh

integration: containers
	@dev/integration.sh

stores: stores-image
	@dev/stores.sh

provider: containers
	@dev/provider.sh

faults: containers
	@FAULT_KILLS=$(or $(FAULT_KILLS),200) dev/faults.sh

molecule: docker-image
	@dev/molecule.sh

demo: containers
	@demo/demo.sh

setup: stores-image docker-image

test: stores-image docker-image
	@dev/test.sh

quick: containers
	@dev/quick.sh

test-systems: containers
	@dev/test-systems.sh $(SYSTEMS)

test-matrix: containers
	@ANSIBLE_CORE='$(ANSIBLE_CORE)' MATRIX_STEPS='$(MATRIX_STEPS)' dev/test-matrix.sh

pythons: tools
	@dev/pythons.sh

benchmark: tools
	@dev/system-packages.sh benchmarks
	@$(MAKE) --no-print-directory -C benchmarks figures FIGURES="$(FIGURES)"

demo-stop:
	@demo/stop.sh

clean:
	@dev/clean.sh

.PHONY: tools containers stores-image docker-image
endif
