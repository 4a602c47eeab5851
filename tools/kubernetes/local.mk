# SPDX-License-Identifier: Apache-2.0
# Manifests for Kubernetes.
kubernetesdir = $(pkgdatadir)/kubernetes
dist_kubernetes_DATA = tools/kubernetes/cronjob.yaml \
	tools/kubernetes/indexed-job.yaml
