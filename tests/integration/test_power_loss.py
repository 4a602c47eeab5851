# SPDX-License-Identifier: Apache-2.0
"""The order in which commands write: every object is on disk before it has its
name, and a snapshot has its name after everything that it needs. strace is the
witness."""

import os

import pytest
from harness import trace
from harness.stack import COMPLETE


def _write(path, size):
    with open(path, "wb") as out:
        out.write(os.urandom(size))


@pytest.fixture
def busy(stack):
    """Several packs of content, by several workers, and a night before."""
    os.mkdir(stack.path("data"))
    for i in range(4):
        _write(stack.path("data", "file%d" % i), 12 << 20)
    stack.add("files", "data", paths=[stack.path("data")])
    stack.create()
    for i in range(1, 4):
        _write(stack.path("data", "file%d" % i), 12 << 20)
    return stack


def _trace(stack, name, *args):
    log = stack.path("trace")
    calls, done = trace.run(
        stack.commands, log, name, "--config", stack.config, *args)
    assert done.returncode == COMPLETE, done.stderr
    with open(log) as file:
        lines = file.read().split("\n")
    return lines, trace.Repository(calls, stack.repository)


def _check_objects(repository):
    placed = list(repository.placed())
    for name, call in placed:
        repository.check_object(name, call)
    return placed


def _check_backup(repository):
    placed = _check_objects(repository)
    folders = [name.split("/")[0] for name, _ in placed]
    assert folders.count("packs") >= 3, folders
    assert "index" in folders and folders.count("snapshots") == 1, folders
    packs = list(repository.placed("packs"))
    index = list(repository.placed("index"))
    snapshot = list(repository.placed("snapshots"))
    repository.check_order(packs, index)
    repository.check_order(packs + index, snapshot)
    return snapshot


def test_a_snapshot_has_its_name_after_all_that_it_needs(busy):
    lines, repository = _trace(busy, "backup-create")
    snapshot = _check_backup(repository)
    # And it is told to people when it is on disk, not before.
    durable = repository.durable(snapshot[0][1])
    told = [call for call in trace.parse(lines)
            if call.name == "write" and call.began > durable
            and call.args.startswith("1<")]
    early = [call for call in trace.parse(lines)
             if call.name == "write" and call.ended <= durable
             and call.args.startswith("1<") and '"snap"' in call.args]
    assert told and not early, (told, early)


def test_every_sync_that_matters_is_missed_when_it_is_not_there(busy):
    """The witness is no good unless it sees what is wrong."""
    lines, repository = _trace(busy, "backup-create")
    _check_backup(repository)
    temps = [call.paths[0] for _, call in
             repository.placed("packs", "index", "snapshots")]
    parents = [os.path.dirname(call.paths[1]) for _, call in
               repository.placed("packs", "index", "snapshots")]
    for path in temps + parents:
        kept = [line for line in lines
                if not ("sync(" in line and "<%s>" % path in line)]
        assert len(kept) < len(lines)
        with pytest.raises(trace.OrderError):
            _check_backup(trace.Repository(
                trace.parse(kept), busy.repository))


def test_a_new_repository_is_on_disk_when_it_is_told(stack):
    folder = stack.path("another")
    log = stack.path("trace")
    calls, done = trace.run(
        stack.commands, log, "backup-init", "--repository", folder,
        "--key-file", stack.path("another.key"), "--new-identity",
        stack.path("another.identity"))
    assert done.returncode == COMPLETE, done.stderr
    repository = trace.Repository(calls, folder)
    placed = _check_objects(repository)
    assert [name for name, _ in placed][-1] == "config", placed
    repository.check_order(
        [pair for pair in placed if pair[0] != "config"],
        list(repository.placed("config")))
    # The only copy of the host's key, too.
    for path in (stack.path("another.key"), stack.path("another.identity")):
        real = os.path.realpath(path)
        assert any(call.name == "fsync" and call.paths[0] in (
            real, os.path.dirname(real)) for call in calls), path


def _check_prune(repository):
    """What is stated is on disk before anything is removed by it; the new
    index before the old one goes, and that before packs do."""
    _check_objects(repository)
    checkpoints = list(repository.placed("checkpoints"))
    condemned = list(repository.placed("condemned"))
    index = list(repository.placed("index"))
    snapshots_gone = list(repository.removed("snapshots"))
    index_gone = list(repository.removed("index"))
    packs_gone = list(repository.removed("packs"))
    lists_gone = list(repository.removed("condemned"))
    assert checkpoints and condemned and snapshots_gone and packs_gone
    repository.check_order(checkpoints[:1], snapshots_gone)
    repository.check_order(condemned, index_gone + packs_gone)
    repository.check_order(index, index_gone)
    repository.check_order(index_gone, packs_gone)
    repository.check_order(packs_gone, lists_gone)


def test_a_prune_states_on_disk_what_it_then_removes(busy):
    busy.create()
    for i in range(1, 4):
        _write(busy.path("data", "file%d" % i), 12 << 20)
    busy.create()
    _, repository = _trace(
        busy, "backup-prune", "--keep-last", "1", "--grace", "0")
    _check_prune(repository)
