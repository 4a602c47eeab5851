# SPDX-License-Identifier: Apache-2.0
"""A repository that is damaged, full, read-only, shared or not there."""

import os
import random
import shutil
import subprocess

import pytest
from harness import witness
from harness.stack import COMPLETE, DEGRADED, FAILED, finish


@pytest.fixture
def saved(stack):
    """Files of all sizes, in one snapshot."""
    source = random.Random(7)
    os.mkdir(stack.path("data"))
    for number, size in enumerate((0, 1, 1000, 70000, 3 << 20)):
        with open(stack.path("data", "file%d" % number), "wb") as out:
            out.write(source.randbytes(size))
    stack.add("files", "data", paths=[stack.path("data")])
    stack.create()
    return stack


def _objects(stack):
    return sorted(os.path.join(where, name)
                  for where, _, names in os.walk(stack.repository)
                  for name in names)


def _is_seen(stack):
    """Whether reading everything finds that something is wrong. A good
    verdict over damage, or bytes that differ, fail the test."""
    result = stack.admin("backup-verify", "--json", "latest")
    if result.status in (COMPLETE, DEGRADED):
        assert result.result["is_proven"], str(result)
        return False
    assert result.status == FAILED, str(result)
    assert result.err.strip() or result.of_type("check"), "it says nothing"
    return True


def _flip(path, position, bit):
    mode = os.stat(path).st_mode
    os.chmod(path, 0o600)
    with open(path, "r+b") as content:
        content.seek(position)
        byte = content.read(1)[0]
        content.seek(position)
        content.write(bytes([byte ^ 1 << bit]))
    os.chmod(path, mode)


def _kind(stack, path):
    return os.path.relpath(path, stack.repository).split(os.sep)[0]


# Each of these objects has a copy, and reading goes on with one of them;
# backup-check tells which is damaged.
# What is there twice, or means nothing.
TWICE = {"config", "copies", "keys", "reserve", "roster"}


def test_a_flipped_bit_anywhere_in_any_object(saved):
    """Start, end and places in between of every object. What is not noticed
    must not matter: the proof still holds."""
    chance = random.Random(11)
    unseen = {}
    for path in _objects(saved):
        size = os.path.getsize(path)
        places = {0, size - 1, size // 2, *(
            chance.randrange(size) for _ in range(2))} if size else ()
        for position in places:
            bit = chance.randrange(8)
            _flip(path, position, bit)
            if not _is_seen(saved):
                unseen.setdefault(_kind(saved, path), []).append(position)
            _flip(path, position, bit)
    assert set(unseen) <= TWICE, unseen
    assert not _is_seen(saved)


def test_a_truncated_object(saved):
    for path in _objects(saved):
        with open(path, "rb") as content:
            whole = content.read()
        # One document is plain text: without its last newline it says the
        # same.
        last = len(whole.rstrip(b"\n")) - 1
        for size in {0, len(whole) // 2, last}:
            os.chmod(path, 0o600)
            os.truncate(path, size)
            assert _is_seen(saved) != (_kind(saved, path) in TWICE), (
                "%s cut to %d" % (path, size))
            with open(path, "wb") as content:
                content.write(whole)
    assert not _is_seen(saved)


def test_an_object_that_is_missing(saved):
    for path in _objects(saved):
        os.rename(path, saved.path("aside"))
        assert _is_seen(saved) != (_kind(saved, path) in TWICE), path
        os.rename(saved.path("aside"), path)
    assert not _is_seen(saved)


def test_damage_is_named(saved):
    biggest = max(_objects(saved), key=os.path.getsize)
    _flip(biggest, os.path.getsize(biggest) // 2, 3)
    result = saved.admin("backup-restore", "latest", "files/data", "--to",
                         saved.path("out"))
    assert result.status == DEGRADED, str(result)
    assert os.path.basename(biggest) in result.err, str(result)
    assert "file4: not restored" in result.err, str(result)


def test_a_snapshot_name_that_does_not_exist(saved):
    before = witness.tree(saved.repository)
    for name, *args in (("backup-restore", "0123abcd"),
                        ("backup-verify", "0123abcd"),
                        ("backup-list", "0123abcd"),
                        ("backup-cat", "0123abcd", "files/data")):
        result = saved.admin(name, *args)
        assert result.status == FAILED, str(result)
        assert "0123abcd" in result.err, str(result)
        assert "backup-list" in result.err, str(result)
    assert witness.tree(saved.repository) == before


def test_a_path_that_is_in_no_snapshot(saved):
    for name, *args in (("backup-restore", "latest", "files/nothing"),
                        ("backup-verify", "latest", "files/nothing"),
                        ("backup-cat", "latest", "files/nothing")):
        result = saved.admin(name, *args)
        assert result.status == FAILED, str(result)
        assert "files/nothing" in result.err, str(result)


def test_a_repository_that_is_not_there(saved):
    missing = saved.path("nowhere")
    for name in ("backup-create", "backup-list", "backup-verify"):
        result = saved.run(name, "--repository", missing)
        assert result.status == FAILED, str(result)
        assert missing in result.err, str(result)
    assert not os.path.exists(missing)


def test_two_backups_at_once(saved):
    processes = []
    for number in range(2):
        with open(saved.path("data", "new%d" % number), "wb") as out:
            out.write(os.urandom(1 << 20))
        processes.append(saved.start("backup-create", "--json"))
    names = [finish(process).result["snapshot"] for process in processes]
    assert all(process.returncode == COMPLETE for process in processes)
    assert set(names) < set(saved.snapshots())
    assert len(saved.snapshots()) == 3
    for name in names:
        assert saved.verify(name).result["is_proven"]


# ---- file systems of one test: a mount that only one process sees ----

def _private_mount(stack, mount, name, *args):
    """Runs a command where `mount`, a shell command, has been run in a mount
    namespace of its own."""
    argv = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        argv += ["--map-root-user"]
    argv += ["sh", "-c", mount + ' || exit 77; shift; exec "$@"', "sh",
             stack.repository]
    process = subprocess.Popen(
        argv + stack.commands.argv(name, "--config", stack.config, *args),
        env=stack.commands.env, cwd="/", stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        start_new_session=True)
    result = finish(process)
    if result.status == 77 or "unshare" in result.err:
        pytest.skip("no mounts of our own are allowed here")
    return result


def test_a_read_only_repository(saved):
    with open(saved.path("data", "new"), "w") as out:
        out.write("new")
    before = witness.tree(saved.repository)
    result = _private_mount(
        saved, 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"',
        "backup-create")
    assert result.status == FAILED, str(result)
    assert "read-only" in result.err.lower(), str(result)
    assert saved.repository in result.err, str(result)
    assert witness.tree(saved.repository) == before
    # What only reads goes on.
    result = _private_mount(
        saved, 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"',
        "backup-list")
    assert result.status == COMPLETE, str(result)


def test_a_full_disk_in_the_repository(saved):
    """A disk with room for what is there and one MB more."""
    with open(saved.path("data", "new"), "wb") as out:
        out.write(os.urandom(8 << 20))
    kept = saved.path("kept")
    shutil.copytree(saved.repository, kept)
    size = sum(map(os.path.getsize, _objects(saved))) // 1024 + 1024
    mount = ('cp -a "$1" "$1.copy" && mount -t tmpfs -o size=%dk none "$1" &&'
             ' cp -a "$1.copy/." "$1" &&'
             ' trap \'cp -a "$1/." "$1.after"\' EXIT' % size)
    # exec would lose the trap, so the command runs in a child.
    mount += '; repository=$1; (shift; "$@"); exit $?; set --'
    result = _private_mount(saved, mount, "backup-create")
    assert result.status == FAILED, str(result)
    assert "no space left" in result.err.lower(), str(result)
    # What was there is still there, and whole.
    shutil.rmtree(saved.repository)
    os.rename(saved.repository + ".after", saved.repository)
    assert len(saved.snapshots()) == 1
    for path in _objects_of(kept):
        with open(os.path.join(kept, path), "rb") as old, open(
                os.path.join(saved.repository, path), "rb") as now:
            assert old.read() == now.read()
    saved.create()
    assert saved.verify().result["is_proven"]


def _objects_of(folder):
    return sorted(os.path.relpath(os.path.join(where, name), folder)
                  for where, _, names in os.walk(folder) for name in names)
