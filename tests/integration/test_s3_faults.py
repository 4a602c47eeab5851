# SPDX-License-Identifier: Apache-2.0
"""A repository in a bucket that is reached by a bad way, and by many."""

import os
import shutil
import subprocess

import pytest
from harness.faults import KINDS, Faults
from harness.stack import COMPLETE, FAILED, Stack, finish

SEEDS = os.environ.get("BACKUP_TEST_SEEDS", "1").split(",")


@pytest.fixture
def host(stack):
    """Some packs, so that there is something to break."""
    stack.files = stack.path("files")
    os.mkdir(stack.files)
    for number in range(4):
        with open(os.path.join(stack.files, "f%d" % number), "wb") as out:
            out.write(os.urandom(6 << 20))
    stack.add("files", "stack", paths=[stack.files])
    return stack


def ok(result):
    assert result.status == COMPLETE, str(result)
    return result


def assert_restores(host):
    back = host.path("back")
    host.restore("latest", "--to", back)
    assert subprocess.run(["diff", "-r", host.files,
                           back + host.files]).returncode == 0
    shutil.rmtree(back)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_backup_restore_check_and_prune_come_through_every_fault(
        host, minio, repository, seed):
    host.create()
    os.unlink(os.path.join(host.files, "f0"))
    with Faults(minio, seed) as faults:
        host.use_bucket(faults, repository)
        host.create()
        assert_restores(host)
        ok(host.admin("backup-check", "--read-data"))
        ok(host.run("backup-prune", "--keep-last", "1", "--grace", "0"))
    assert not [kind for kind in KINDS if faults.met[kind] == 0], faults.met
    host.use_bucket(minio, repository)
    ok(host.admin("backup-check", "--read-data"))
    assert len(host.snapshots()) == 1


@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_a_server_that_is_gone_for_good_is_told_and_leaves_a_whole_repository(
        host, minio, repository):
    with Faults(minio, rate=0) as faults:
        host.use_bucket(faults, repository)
        host.create()
        faults.is_gone = True
        gone = host.run("backup-create")
        assert gone.status == FAILED
        for word in (repository, faults.endpoint, "try again later"):
            assert word in gone.err, str(gone)
        faults.is_gone = False
        host.create()
        assert_restores(host)


def another_host(first, minio, repository, name):
    """One with a key, a cache and files of its own."""
    os.mkdir(first.path(name))
    host = Stack(first.commands.tools, first.path(name))
    ok(first.admin("backup-key", "host", name, "--key-file", host.key_file))
    host.identity = first.identity
    host.files = host.path("files")
    os.mkdir(host.files)
    host.add("files", name, paths=[host.files])
    host.use_bucket(minio, repository)
    return host


def write_files(host, night):
    """Some that all hosts have, some that stay, some of that night."""
    for name, content in (("all", b"all" * 1000000),
                          ("old", host.key_file.encode() * 10000),
                          ("night", os.urandom(2 << 20)),
                          ("night%d" % night, os.urandom(100000))):
        with open(os.path.join(host.files, name), "wb") as out:
            out.write(content)


@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_hosts_write_one_bucket_while_it_is_pruned(host, minio, repository):
    hosts = [host] + [another_host(host, minio, repository, name)
                      for name in ("db2", "db3")]
    for night in range(3):
        for one in hosts:
            write_files(one, night)
        running = [one.start("backup-create") for one in hosts]
        running.append(host.start("backup-prune", "--keep-last", "1",
                                  "--grace", "0"))
        for process in running:
            ok(finish(process))
    ok(host.run("backup-prune", "--keep-last", "1", "--grace", "0"))
    ok(host.admin("backup-check", "--read-data"))
    assert len(host.snapshots()) == 3
    for one in hosts:
        back = one.path("back")
        name = "files/" + ("stack" if one is host else
                           os.path.basename(one.folder))
        ours = [event["name"] for event in ok(one.run(
            "backup-list", "--json")).events
            if event["type"] == "snapshot"
            and event["sources"][0]["prefix"] == name]
        one.restore(ours[0], "--to", back)
        assert subprocess.run(["diff", "-r", one.files,
                               back + one.files]).returncode == 0
