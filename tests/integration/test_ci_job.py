# SPDX-License-Identifier: Apache-2.0
"""The files for CI servers: what they run is run here, on a backup that
restores and on one that does not."""

import json
import os
import stat
import subprocess

import pytest
import yaml
from harness.stack import COMPLETE, FAILED, USAGE, Stack, patience

SOURCE = os.path.abspath(os.environ.get("top_srcdir", "../.."))
TOOLS = os.path.join(os.environ.get("top_builddir", "."), "tools")
FILES = ("restore-test.xml", "restore-test.json", "restore-test.html",
         "restore-test.prom")


def _read(name):
    with open(os.path.join(SOURCE, "tools", "ci", name)) as file:
        return yaml.safe_load(file)


def _gitlab():
    """Lines as a runner has them: one shell, which ends at the first error."""
    job = _read("gitlab.yml")["restore-test"]
    return "set -e\n" + "\n".join(job["script"]), job["variables"]


def _github():
    steps = _read("github.yml")["jobs"]["restore-test"]["steps"]
    step = next(step for step in steps
                if "restore-test" in step.get("run", ""))
    return "set -e\n" + step["run"], {
        name: value for name, value in step["env"].items()
        if not str(value).startswith("${{")}


def _plain():
    return 'exec "$SOURCE/tools/ci/restore-test"', {}


@pytest.fixture(scope="module")
def host(session_folder):
    folder = os.path.join(session_folder, "ci-job")
    os.mkdir(folder)
    stack = Stack(TOOLS, folder)
    stack.write()
    stack.init()
    os.mkdir(stack.path("data"))
    with open(stack.path("data", "file"), "wb") as out:
        out.write(os.urandom(100000))
    stack.add("files", "data", paths=[stack.path("data")])
    stack.create()
    with open(stack.identity) as file:
        stack.secret_text = next(line.strip() for line in file
                                 if line.startswith("AGE-SECRET-KEY-"))
    return stack


@pytest.fixture
def run(host):
    """Runs the lines of a job in a folder of its own; answers how it ended,
    what it said, and the folder."""
    def job(name, of, environment=None, **more):
        lines, variables = of()
        folder = host.path(name)
        os.mkdir(folder)
        os.symlink(SOURCE, os.path.join(folder, "libbackup"))
        env = {**host.commands.env, **variables, **more, "SOURCE": SOURCE,
               "BACKUP_REPOSITORY": host.repository,
               "PATH": os.pathsep.join([host.commands.tools,
                                        os.environ["PATH"]])}
        done = subprocess.run(
            ["sh", "-c", lines], cwd=folder, env=env, capture_output=True,
            text=True, timeout=patience(120))
        assert host.secret_text not in done.stdout + done.stderr
        return done, os.path.join(folder, "reports")
    return job


def _keys(host, of):
    if of is _gitlab:
        return {"BACKUP_IDENTITY_FILE": host.identity}
    return {"BACKUP_IDENTITY": host.secret_text,
            "BACKUP_CONFIGURATION": ""}


@pytest.mark.parametrize("of", [_gitlab, _github, _plain])
def test_a_job_proves_a_backup_and_keeps_the_reports(host, run, of):
    done, reports = run("good" + of.__name__, of, **_keys(host, of))
    assert done.returncode == COMPLETE, done.stderr
    assert "PROVEN" in done.stdout
    assert set(FILES) <= set(os.listdir(reports))
    with open(os.path.join(reports, "restore-test.json")) as file:
        assert json.load(file)["is_proven"]
    # What held the secret is gone.
    for root, _, names in os.walk(host.path("home", "tmp")):
        assert not names, (root, names)


@pytest.mark.parametrize("of", [_gitlab, _github, _plain])
def test_a_job_fails_on_a_bad_restore_and_keeps_the_reports(host, run, of):
    packs = [os.path.join(root, name) for root, _, names in os.walk(
        os.path.join(host.repository, "packs")) for name in names]
    lost = max(packs, key=os.path.getsize)
    os.rename(lost, host.path("lost"))
    try:
        done, reports = run("bad" + of.__name__, of, **_keys(host, of))
    finally:
        os.rename(host.path("lost"), lost)
    assert done.returncode == FAILED, done.stderr
    assert set(FILES) <= set(os.listdir(reports))
    with open(os.path.join(reports, "restore-test.xml")) as file:
        assert "<failure" in file.read()


def test_a_job_without_a_key_says_what_is_missing(host, run):
    done, _ = run("keyless", _plain)
    assert done.returncode == USAGE
    assert "BACKUP_IDENTITY" in done.stderr


def test_the_reports_are_kept_whatever_the_verdict():
    gitlab = _read("gitlab.yml")["restore-test"]["artifacts"]
    assert gitlab["when"] == "always"
    assert gitlab["reports"]["junit"] == "reports/restore-test.xml"
    steps = _read("github.yml")["jobs"]["restore-test"]["steps"]
    upload = steps[-1]
    assert upload["uses"].startswith("actions/upload-artifact@")
    assert upload["if"] == "always()" and upload["with"]["path"] == "reports/"
    # Secrets come by the server's own means only.
    for step in steps:
        for name, value in step.get("env", {}).items():
            if "SECRET" in name or "IDENTITY" in name:
                assert value.startswith("${{ secrets."), name
    mode = os.stat(os.path.join(SOURCE, "tools", "ci", "restore-test")).st_mode
    assert mode & stat.S_IXUSR
