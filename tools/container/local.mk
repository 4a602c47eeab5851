# SPDX-License-Identifier: Apache-2.0
# A container that schedules itself, and a stack around it.
containerdir = $(pkgdatadir)/container
dist_container_DATA = \
	tools/container/Containerfile \
	tools/container/backup.yaml \
	tools/container/compose.yaml
dist_container_SCRIPTS = \
	tools/container/entrypoint \
	tools/container/first-time \
	tools/container/healthy \
	tools/container/install.sh \
	tools/container/run-job
