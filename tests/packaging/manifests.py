# SPDX-License-Identifier: Apache-2.0
"""The Containerfile, the compose file and the manifests for Kubernetes: what
they name is there, what they run has no more rights than it needs, secrets are
files, and images have versions. Lines of TAP."""

import glob
import os
import re
import sys

import yaml

TOP = os.environ.get("top_srcdir", ".")
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def is_pinned(image):
    """Has a tag or a digest that is not one that moves with every release."""
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return bool(re.search(r"\d+\.\d+|\d{8}|RELEASE\.\d{4}|sha256:", tag))


# ---- Containerfile ----

def instructions(text):
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


def stages():
    """For each stage its base and its instructions."""
    result, arguments = [], {}
    for name, rest in instructions(read("tools/container/Containerfile")):
        if name == "FROM":
            base = re.sub(r"\$\{(\w+)\}", lambda m: arguments[m[1]],
                          rest.split()[0])
            result.append((base, []))
        elif not result:
            key, _, value = rest.partition("=")
            arguments[key] = value
        else:
            result[-1][1].append((name, rest))
    return result


@check
def bases_have_versions():
    found = stages()
    if len(found) != 3:
        yield "%d stages" % len(found)
    for base, _ in found:
        if not is_pinned(base):
            yield base


@check
def the_image_has_a_user_and_tells_its_health():
    last = dict(stages()[-1][1])
    if last.get("USER") != "10001:10001":
        yield "USER %s" % last.get("USER")
    for name in "HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL":
        if name not in last:
            yield "no %s" % name
    if not last.get("ENTRYPOINT", "").startswith("["):
        yield "the entry point is run by a shell, which takes its signals"


@check
def steps_are_those_that_tests_run():
    for _, steps in stages():
        for name, rest in steps:
            if name == "RUN" and not re.search(
                    r"container/install\.sh (build|run)|go install", rest):
                yield rest
            if name == "ADD":
                yield "ADD fetches what nobody checks: " + rest


@check
def what_the_image_runs_is_installed():
    fragment = read("tools/container/local.mk")
    for name in re.findall(r"share/libbackup/container/([a-z.-]+)",
                           read("tools/container/Containerfile")):
        if "tools/container/" + name not in fragment:
            yield name


@check
def libraries_are_those_of_the_packages():
    """What is built with, by both lists, and what that is at run time."""
    steps = read("tools/container/install.sh")
    listed = re.search(r'build_packages="([^"]*)"', steps)[1].split()
    ours = re.search(r'PACKAGES_BUILD="([^"]*)"',
                     read("tests/support/packages.sh"))[1].split()
    for name in set(ours) - set(listed) - {"zlib1g-dev", "libcmocka-dev"}:
        yield "install.sh lacks " + name


# ---- compose ----

def compose():
    return yaml.safe_load(read("tools/container/compose.yaml"))


@check
def secrets_of_services_are_files():
    stack = compose()
    for name, service in stack["services"].items():
        for secret in service.get("secrets", []):
            if "file" not in stack["secrets"].get(secret, {}):
                yield "%s: secret %s" % (name, secret)
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|ROOT_USER", key) and (
                    not key.endswith("_FILE")):
                yield "%s: %s=%s" % (name, key, value)
    used = {s for v in stack["services"].values() for s in v["secrets"]}
    for name in set(stack["secrets"]) - used:
        yield "%s is nobody's" % name


@check
def names_of_the_stack_are_there():
    stack = compose()
    for name, service in stack["services"].items():
        for volume in service.get("volumes", []):
            if isinstance(volume, dict):
                if not os.path.exists(os.path.join(
                        TOP, "tools/container", volume["source"])):
                    yield "%s: %s" % (name, volume["source"])
            elif volume.split(":")[0] not in stack["volumes"]:
                yield "%s: %s" % (name, volume)
        for other in service.get("depends_on", {}):
            if other not in stack["services"]:
                yield "%s: %s" % (name, other)
        for network in service["networks"]:
            if network not in stack["networks"]:
                yield "%s: %s" % (name, network)


@check
def images_of_the_stack_have_versions():
    for name, service in compose()["services"].items():
        if "build" not in service and not is_pinned(service["image"]):
            yield "%s: %s" % (name, service["image"])
        if "ports" in service:
            yield "%s is open to everybody" % name


@check
def the_backup_has_no_rights():
    service = compose()["services"]["backup"]
    wanted = {"user": "10001:10001", "read_only": True, "cap_drop": ["ALL"],
              "security_opt": ["no-new-privileges:true"]}
    for key, value in wanted.items():
        if service.get(key) != value:
            yield "%s: %s" % (key, service.get(key))
    if not service["tmpfs"][0].startswith("/tmp"):
        yield "nothing is writable"


@check
def configuration_and_stack_agree():
    stack = compose()
    config = read("tools/container/backup.yaml")
    mine = set(stack["services"]["backup"]["secrets"])
    named = set(re.findall(r"/run/secrets/(\w+)", config))
    for name in mine ^ named:
        yield "secret %s is only in one of them" % name
    jobs = yaml.safe_load(config)["jobs"]
    lines = stack["services"]["backup"]["environment"]["BACKUP_JOBS"]
    for line in lines.splitlines():
        if line.split()[-1] not in jobs:
            yield "BACKUP_JOBS: %s" % line
    for host in re.findall(r"host=(\w+)|//(\w+):|-h (\w+)", config):
        if "".join(host) not in stack["services"]:
            yield "".join(host)


# ---- Kubernetes ----

def manifests():
    for path in sorted(glob.glob(os.path.join(TOP, "tools/kubernetes/*.yaml"))):
        with open(path, encoding="utf-8") as file:
            for number, document in enumerate(yaml.safe_load_all(file)):
                where = "%s, document %d" % (os.path.basename(path), number)
                yield where, document


def pods():
    """Every pod's specification, with what is there for it to name."""
    for where, document in manifests():
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", document).get("spec", {})
        if "template" in spec:
            yield where, spec["template"]["spec"]


@check
def pods_have_no_rights():
    found = list(pods())
    if not found:
        yield "there is no pod"
    for where, pod in found:
        context = pod.get("securityContext", {})
        if not (context.get("runAsNonRoot") and context.get("runAsUser")):
            yield "%s: may run as root" % where
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield "%s: no seccomp profile" % where
        if pod.get("automountServiceAccountToken") is not False:
            yield "%s: has a token of the cluster" % where
        for container in pod["containers"] + pod.get("initContainers", []):
            context = container.get("securityContext", {})
            if (not context.get("readOnlyRootFilesystem")
                    or context.get("allowPrivilegeEscalation") is not False
                    or context.get("capabilities") != {"drop": ["ALL"]}):
                yield "%s: %s" % (where, container["name"])
            if "memory" not in container.get("resources", {}).get("limits", {}):
                yield "%s: %s has no limit" % (where, container["name"])
            if not is_pinned(container["image"]):
                yield "%s: %s" % (where, container["image"])


@check
def what_pods_mount_is_there():
    for where, pod in pods():
        volumes = {v["name"]: v for v in pod.get("volumes", [])}
        for container in pod["containers"] + pod.get("initContainers", []):
            mounted = {m["name"] for m in container.get("volumeMounts", [])}
            for name in mounted - set(volumes):
                yield "%s: %s" % (where, name)
            for variable in container.get("env", []):
                if "secretKeyRef" in variable.get("valueFrom", {}):
                    yield "%s: %s is no file" % (where, variable["name"])
        for volume in volumes.values():
            for kind, key, document in (
                    ("configMap", "name", "ConfigMap"),
                    ("persistentVolumeClaim", "claimName",
                     "PersistentVolumeClaim")):
                if kind in volume and not any(
                        d["kind"] == document
                        and d["metadata"]["name"] == volume[kind][key]
                        for _, d in manifests()):
                    yield "%s: %s" % (where, volume[kind])


@check
def the_cron_job_runs_once_and_to_an_end():
    found = [d for _, d in manifests() if d["kind"] == "CronJob"]
    if not found:
        yield "there is none"
    for document in found:
        spec = document["spec"]
        job = spec["jobTemplate"]["spec"]
        if spec["concurrencyPolicy"] != "Forbid":
            yield "two may run at once"
        for where, key in ((spec, "startingDeadlineSeconds"),
                           (job, "activeDeadlineSeconds"),
                           (job, "backoffLimit")):
            if not isinstance(where.get(key), int):
                yield "no %s" % key
        if job["template"]["spec"]["restartPolicy"] != "Never":
            yield "a failed run is hidden"


def main():
    print("1..%d" % len(CHECKS))
    for number, function in enumerate(CHECKS, 1):
        wrong = list(function())
        print("%s %d - %s" % ("not ok" if wrong else "ok", number,
                              function.__name__.replace("_", " ")))
        for line in wrong:
            print("# %s" % line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
