# SPDX-License-Identifier: Apache-2.0
"""What tools/systemd/libbackup@.service leaves to a job is enough for it:
files of every owner are read, and a database is proven on a server that runs as
somebody else, with those capabilities and no file system to write to but those
that the unit names."""

import os
import re
import shlex
import subprocess

import pytest
from harness.stack import patience

UNIT = os.path.join(os.environ["top_srcdir"], "tools", "systemd",
                    "libbackup@.service.in")


def setting(name):
    with open(UNIT, encoding="utf-8") as file:
        return " ".join(re.findall(r"(?m)^%s=(.*)$" % name, file.read()))


def capabilities():
    names = setting("CapabilityBoundingSet").lower().split()
    assert names
    return ",".join("+" + name[len("cap_"):] for name in names)


@pytest.fixture
def service(stack):
    """Runs a command as the unit would, as far as that goes without systemd;
    some folders stand for those that the unit names."""
    assert os.geteuid() == 0, "only root can give capabilities away"
    private = stack.path("private-tmp")
    os.mkdir(private, 0o1777)
    os.chmod(private, 0o1777)
    state, repository = stack.path("state"), stack.repository
    os.mkdir(state, 0o700)

    def run(name, *args, bounding=None):
        # /tmp is the unit's own; the test's folder may lie in it.
        writable = ["/tmp", stack.folder, state, private, repository]
        mounts = " && ".join(
            ["mount --bind %s %s" % (shlex.quote(path), shlex.quote(path))
             for path in writable])
        script = (
            "mount --make-rprivate / && %s && mount -o remount,bind,ro / && "
            "mount -o remount,bind,ro %s && "
            "exec setpriv --no-new-privs --bounding-set=-all,%s \"$@\""
            % (mounts, shlex.quote(stack.folder),
               bounding or capabilities()))
        env = {**stack.commands.env, "STATE_DIRECTORY": state,
               "CACHE_DIRECTORY": state, "TMPDIR": private}
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh",
             *stack.commands.argv(name, "--config", stack.config, *args)],
            env=env, cwd=stack.folder, stdin=subprocess.DEVNULL, text=True,
            capture_output=True, check=False, timeout=patience(300))
    return run


@pytest.fixture
def job(stack, postgres, database):
    """A database, and a file that only somebody else may read."""
    postgres.execute(database, "create table t as select generate_series"
                     "(1, 1000) as n")
    stack.files = stack.path("files")
    os.mkdir(stack.files)
    path = os.path.join(stack.files, "secret")
    with open(path, "w", encoding="utf-8") as out:
        out.write("kept\n")
    os.chown(path, 12345, 12345)
    os.chmod(path, 0o600)
    os.chown(stack.files, 12345, 12345)
    os.chmod(stack.files, 0o700)
    stack.add_postgres("app", postgres, database)
    stack.add("files", "stack", paths=[stack.files])
    stack.options["identity_file"] = stack.identity
    stack.options["verification"] = {"every": "7d", "level": "full"}
    stack.write()
    # The server of a proof runs as somebody else, who has to reach its folder.
    for folder in (os.path.dirname(stack.folder), stack.folder):
        os.chmod(folder, 0o711)
    return stack


def test_the_capabilities_of_the_service_are_enough(job, service):
    done = service("backup-run")
    assert done.returncode == 0, done.stdout + done.stderr
    verified = job.admin("backup-list", "--json")
    assert '"proven"' in verified.out or "proof" in verified.out, verified.out


def test_nothing_else_can_be_written(job, service):
    job.options["key_file"] = job.key_file
    marker = job.path("not-here")
    job.add("command", "write", run=["touch", marker], output="x")
    done = service("backup-create", "command/write")
    assert not os.path.exists(marker)
    assert "Read-only file system" in done.stdout + done.stderr


def test_less_is_not_enough(job, service):
    """Files of others need the capability that the unit leaves."""
    done = service("backup-create", "files/stack", bounding="+chown")
    assert done.returncode != 0, done.stdout + done.stderr
