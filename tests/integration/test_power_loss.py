# SPDX-License-Identifier: Apache-2.0
"""The order in which commands write: every object is on disk before it has its
name, and a snapshot has its name after everything that it needs. strace is the
witness."""

import os

import pytest
from harness import trace
from harness.stack import COMPLETE, FAILED


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


@pytest.fixture
def small(stack):
    stack.add("files", "data", paths=[stack.identity])
    stack.create()
    return stack


def _trace(stack, name, *args, statuses=(COMPLETE,)):
    log = stack.path("trace")
    calls, done = trace.run(
        stack.commands, log, name, "--config", stack.config, *args)
    assert done.returncode in statuses, done.stderr
    with open(log) as file:
        lines = file.read().split("\n")
    return lines, trace.Repository(calls, stack.repository)


def _check_told(lines, repository, pairs):
    """It is told to people when it is on disk, not before."""
    durable = max(repository.durable(call) for _, call in pairs)
    # What was written before is of the script that starts an uninstalled one.
    told = [call for call in trace.parse(lines)
            if call.name == "write" and call.args.startswith("1<")
            and call.began > repository.calls[0].began]
    assert told and all(call.began > durable for call in told), (told, durable)


def _check_missed(lines, stack, check, pairs):
    """Without any one of the syncs that make these durable, it is seen. The
    witness is no good unless it sees what is wrong."""
    paths = set()
    for _, call in pairs:
        if call.name.startswith(("rename", "link")):
            paths.add(call.paths[0])
        paths.add(os.path.dirname(call.paths[-1]))
    assert paths
    for path in paths:
        kept = [line for line in lines
                if not ("sync(" in line and "<%s>" % path in line)]
        assert len(kept) < len(lines), path
        with pytest.raises(trace.OrderError):
            check(trace.Repository(trace.parse(kept), stack.repository))


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
    _check_told(lines, repository, snapshot)


def test_every_sync_that_matters_is_missed_when_it_is_not_there(busy):
    lines, repository = _trace(busy, "backup-create")
    _check_backup(repository)
    _check_missed(lines, busy, _check_backup,
                  repository.placed("packs", "index", "snapshots"))


def _check_parity(repository):
    """Error correction is of what is on disk, and a snapshot has its name after
    that of all that it needs."""
    snapshot = _check_backup(repository)
    beside = {pair[0].removeprefix("parity/"): pair
              for pair in repository.placed("parity")}
    stored = list(repository.placed("packs", "index", "snapshots"))
    for pair in stored:
        repository.check_order([pair], [beside[pair[0]]])
    repository.check_order([beside[name] for name, _ in stored
                            if not name.startswith("snapshots/")], snapshot)
    return snapshot + [beside[snapshot[0][0]]]


def test_error_correction_is_on_disk_when_the_snapshot_is_told(busy):
    busy.options["error_correction"] = "5%"
    busy.write()
    if "without ISA-L" in busy.run("backup-create").err:
        pytest.skip("this build has no error correction (ISA-L)")
    for i in range(1, 4):
        _write(busy.path("data", "file%d" % i), 12 << 20)
    lines, repository = _trace(busy, "backup-create")
    _check_told(lines, repository, _check_parity(repository))
    _check_missed(lines, busy, _check_parity, repository.placed("parity"))


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
    lines, repository = _trace(
        busy, "backup-prune", "--keep-last", "1", "--grace", "0")
    _check_prune(repository)
    _check_missed(lines, busy, _check_prune, [
        *repository.placed("checkpoints", "condemned", "index"),
        *repository.removed("index", "packs")])


def _check_keys(repository):
    """What opens is on disk, twice, before the roster says so; that is on
    disk, twice, before what it replaces goes."""
    _check_objects(repository)
    keys = list(repository.placed("keys"))
    rosters = list(repository.placed("roster"))
    copies = list(repository.placed("copies"))
    keys_gone = list(repository.removed("keys"))
    rosters_gone = list(repository.removed("roster"))
    names = [name for name, _ in keys + rosters]
    assert keys and len(rosters) == 1 and keys_gone, names
    assert sorted(name for name, _ in copies) == sorted(
        "copies/" + name for name in names)
    repository.check_order(
        keys + [pair for pair in copies if "/keys/" in pair[0]], rosters)
    repository.check_order(rosters + copies, keys_gone + rosters_gone)
    return rosters


@pytest.mark.parametrize("change", ["rotate", "add", "remove", "revoke"])
def test_a_key_change_is_on_disk_before_the_old_keys_go(small, change):
    other = ("--new-identity", small.path("other.txt"), "--label", "other")
    first = {"remove": ("add", *other), "revoke": (
        "host", "db2", "--key-file", small.path("db2.key"))}.get(change)
    if first:
        assert small.admin("backup-key", *first).status == COMPLETE
    args = {"add": other, "remove": ("other",), "revoke": ("db2",)}
    lines, repository = _trace(
        small, "backup-key", "--identity-file", small.identity, change,
        *args.get(change, ()))
    check = _check_roster if change == "revoke" else _check_keys
    _check_told(lines, repository, check(repository))
    _check_missed(lines, small, check,
                  repository.placed("keys", "roster", "copies"))


def _check_roster(repository):
    """A change that lets nobody in makes no new keys."""
    _check_objects(repository)
    rosters = list(repository.placed("roster"))
    copies = list(repository.placed("copies"))
    assert len(rosters) == 1 and len(copies) == 1
    repository.check_order(rosters + copies, [
        *repository.removed("keys"), *repository.removed("roster")])
    return rosters


def test_the_key_file_of_a_host_is_on_disk_before_it_is_let_in(small):
    path = small.path("db2.key")
    log = small.path("trace")
    calls, done = trace.run(
        small.commands, log, "backup-key", "--config", small.config,
        "--identity-file", small.identity, "host", "db2", "--key-file", path)
    assert done.returncode == COMPLETE, done.stderr
    repository = trace.Repository(calls, small.repository)
    roster, = [call for _, call in repository.placed("roster")]
    real = os.path.realpath(path)
    for what in (real, os.path.dirname(real)):
        assert any(call.name == "fsync" and call.paths[0] == what
                   and call.ended < roster.began for call in calls), what


def _check_repair(repository):
    """What was saved, and what says where it is, is on disk before anything
    goes that it replaces."""
    _check_objects(repository)
    packs = list(repository.placed("packs"))
    index = list(repository.placed("index"))
    kept = list(repository.placed("damaged"))
    index_gone = list(repository.removed("index"))
    packs_gone = list(repository.removed("packs"))
    assert packs and index and kept and index_gone and packs_gone
    repository.check_order(packs, index)
    repository.check_order(index, index_gone)
    repository.check_order(kept + packs + index, packs_gone)


def test_a_repair_has_stored_what_it_saves_before_anything_goes(busy):
    folder = os.path.join(busy.repository, "packs")
    biggest = max((os.path.join(where, name)
                   for where, _, names in os.walk(folder) for name in names),
                  key=os.path.getsize)
    os.chmod(biggest, 0o600)
    with open(biggest, "r+b") as content:
        content.seek(os.path.getsize(biggest) // 2)
        byte = content.read(1)[0]
        content.seek(-1, 1)
        content.write(bytes([byte ^ 1]))
    lines, repository = _trace(
        busy, "backup-check", "--identity-file", busy.identity, "--read-data",
        "--repair", statuses=(COMPLETE, FAILED))
    _check_repair(repository)
    _check_missed(lines, busy, _check_repair, [
        *repository.placed("packs", "index", "damaged"),
        *repository.removed("index")])
