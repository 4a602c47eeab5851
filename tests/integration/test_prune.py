# SPDX-License-Identifier: Apache-2.0
"""Nights of backups, and which of them stay: with the key of the backup host
alone, by real commands. faketime is the calendar."""

import os
import shutil
import subprocess
import time

import pytest
from harness.stack import COMPLETE, DEGRADED, FAILED, finish

LEASE = 25 * 3600


def _faked(moment):
    """An environment in which it is then."""
    assert shutil.which("faketime"), "faketime is missing: ./bootstrap"
    library = _library()
    return {"LD_PRELOAD": library, "FAKETIME": "@" + moment,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
            + ":verify_asan_link_order=0"}


def _library():
    for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib"):
        for root, _, names in os.walk(folder):
            if "libfaketime.so.1" in names:
                return os.path.join(root, "libfaketime.so.1")
    raise AssertionError("libfaketime.so.1 is missing: ./bootstrap")


def _write(path, size=1 << 20):
    with open(path, "wb") as out:
        out.write(os.urandom(size))


@pytest.fixture
def nights(stack):
    """A host with a megabyte that stays and one that is new each night."""
    os.mkdir(stack.path("data"))
    _write(stack.path("data", "old"))
    stack.add("files", "data", paths=[stack.path("data")])

    def night(moment, *args, statuses=(COMPLETE,)):
        _write(stack.path("data", "new"))
        return stack.create(*args, env=_faked(moment),
                            statuses=statuses)["snapshot"]

    stack.night = night
    return stack


def _size(stack, *names):
    return sum(os.path.getsize(os.path.join(root, name))
               for root, _, files in os.walk(
                   os.path.join(stack.repository, *names))
               for name in files)


def _packs(stack):
    return {os.path.join(folder, name) for folder, _, names in
            os.walk(os.path.join(stack.repository, "packs"))
            for name in names}


def _prune(stack, *args, status=COMPLETE, **options):
    result = stack.run("backup-prune", "--json", *args, **options)
    assert result.status == status, str(result)
    return result


def _kill_at_work(stack, name, *args):
    """Killed once it has announced itself, with its session left behind."""
    folder = os.path.join(stack.repository, "sessions")
    for _ in range(20):
        process = stack.start(name, *args)
        while process.poll() is None and not (
                os.path.isdir(folder) and any(
                    not entry.startswith("tmp-")
                    for entry in os.listdir(folder))):
            pass
        process.kill()
        finish(process)
        if os.listdir(folder):
            return
    raise AssertionError("%s is always faster" % name)


def _decisions(result):
    return {event["snapshot"]: (event["is_kept"], event["reasons"])
            for event in result.of_type("decision")}


def _is_clean(stack):
    result = stack.admin("backup-check", "--json", "--read-data=100%")
    assert result.status == COMPLETE, str(result)
    assert result.result["is_clean"], str(result)


def test_a_dry_run_counts_what_waits_already(nights):
    for day in range(1, 5):
        nights.night("2026-11-%02d 02:00:00" % day)
    waits = _prune(nights, "--keep-last", "2").result["waiting_bytes"]
    assert waits > 1 << 20
    dry = nights.run("backup-prune", "--keep-last", "2", "--dry-run")
    assert "packs of these" in dry.out, str(dry)
    dry = _prune(nights, "--keep-last", "1", "--dry-run", "--grace", "0")
    done = _prune(nights, "--keep-last", "1", "--grace", "0")
    assert done.result["freed_bytes"] > waits
    for member in ("freed_packs", "freed_bytes"):
        assert dry.result[member] == done.result[member]


def test_a_clock_that_was_ahead_does_not_say_what_is_latest(nights):
    ahead = nights.night("2041-01-01 02:00:00")
    assert nights.verify("latest").result["snapshot"] == ahead
    newest = nights.night("2026-11-21 02:00:00")
    assert nights.verify("latest").result["snapshot"] == newest
    # A host whose clock is right goes by what it has seen.
    other = nights.path("db2.key")
    nights.admin("backup-key", "host", "db2", "--key-file", other)
    nights.options["key_file"] = other
    nights.write()
    newest = nights.night("2026-11-22 02:00:00")
    assert nights.verify("latest").result["snapshot"] == newest


def test_a_month_of_nights_and_what_is_left_of_it(nights):
    names = [nights.night("2026-11-%02d 02:00:00" % day)
             for day in range(1, 19)]
    rules = ("--keep-daily", "3", "--keep-weekly", "2")
    dry = _prune(nights, "--dry-run", *rules)
    assert nights.snapshots() == names
    decisions = _decisions(dry)
    assert list(decisions) == names
    # 18 November 2026 is a Wednesday; Sunday the 15th ends the week before.
    kept = {names[day - 1] for day in (18, 17, 16, 15)}
    assert {name for name, (stays, _) in decisions.items() if stays} == kept
    assert "daily 3 of 3 (2026-11-16)" in decisions[names[15]][1]
    assert "weekly 2 of 2 (2026-W46)" in decisions[names[14]][1]
    assert ("weekly: %s is kept for 2026-W46" % names[14][:12]
            in decisions[names[13]][1])

    before = _size(nights, "packs")
    done = _prune(nights, "--grace", "0", *rules)
    assert _decisions(done) == decisions
    assert done.result["removed"] == 14
    assert set(nights.snapshots()) == kept
    freed = before - _size(nights, "packs")
    assert freed > 14 << 20, "only %d bytes were given back" % freed
    assert done.result["freed_bytes"] == dry.result["freed_bytes"]
    assert done.result["waiting_for"] is None
    _is_clean(nights)
    for name in kept:
        assert nights.admin("backup-verify", name).status == COMPLETE
    # Once more, and there is nothing to do.
    again = _prune(nights, "--grace", "0", *rules).result
    assert (again["removed"], again["freed_packs"]) == (0, 0)
    # The night after deduplicates against what is there, and is whole.
    nights.verify(nights.night("2026-11-19 02:00:00"))


def test_what_nobody_needs_waits_for_the_grace(nights):
    for day in range(14, 19):
        nights.night("2026-11-%d 02:00:00" % day)
    before = _size(nights, "packs")
    first = _prune(nights, "--keep-last", "1").result
    assert first["removed"] == 4 and first["freed_packs"] == 0
    assert first["waiting_bytes"] > 3 << 20
    assert "24:00 hours" in first["waiting_for"]
    assert _size(nights, "packs") >= before - (1 << 20)
    _is_clean(nights)
    # A day goes by: the age of the list is told by the store's own clock.
    folder = os.path.join(nights.repository, "condemned")
    then = time.time() - LEASE
    for name in os.listdir(folder):
        os.utime(os.path.join(folder, name), (then, then))
    second = _prune(nights, "--keep-last", "1").result
    assert second["removed"] == 0 and second["freed_packs"] > 0
    assert second["waiting_for"] is None
    assert _size(nights, "packs") < before - (3 << 20)
    _is_clean(nights)


@pytest.mark.parametrize("moment", ["2041-01-01 02:00:00",
                                    "2026-11-19 02:00:00"])
def test_a_clock_of_the_host_that_is_wrong_ends_no_grace(nights, moment):
    """How old something is, is told by the store's own clock."""
    for day in range(14, 19):
        nights.night("2026-11-%d 02:00:00" % day)
    rules = ("--keep-last", "1")
    assert _prune(nights, *rules).result["removed"] == 4
    packs = _packs(nights)
    # What files say of their age is as it is.
    wrong = {**_faked(moment), "NO_FAKE_STAT": "1"}
    result = _prune(nights, *rules, env=wrong).result
    assert (result["freed_packs"], result["freed_bytes"]) == (0, 0)
    assert "24:00 hours" in result["waiting_for"], result
    assert _packs(nights) == packs
    # And one that died elsewhere is not given up earlier.
    _kill_at_work(nights, "backup-prune", *rules)
    refused = nights.run(
        "backup-prune", *rules, env={
            **wrong, "BACKUP_STATE_DIR": nights.path("elsewhere")})
    assert refused.status == FAILED, str(refused)
    assert "more minutes" in refused.message
    _is_clean(nights)


def test_the_configuration_and_options_over_it(nights):
    for day in range(14, 19):
        nights.night("2026-11-%d 02:00:00" % day)
    with open(nights.config, "a") as out:
        out.write("retention:\n  keep_daily: 2\n  keep_within: 25h\n")
    assert _prune(nights, "-n").result["removed"] == 3
    assert _prune(nights, "-n", "--keep-daily", "4").result["removed"] == 1
    assert _prune(nights, "-n", "--keep-daily", "0").result["removed"] == 3
    assert _prune(nights, "-n", "--keep-within", "49h").result["removed"] == 2


def test_no_rule_removes_nothing(nights):
    nights.night("2026-11-17 02:00:00")
    nights.night("2026-11-18 02:00:00")
    result = nights.run("backup-prune")
    assert result.status == FAILED
    assert "nothing says what to keep" in result.message
    result = nights.run("backup-prune", "--keep-tag", "audit")
    assert result.status == FAILED
    assert "tags alone" in result.message
    assert len(nights.snapshots()) == 2


def test_tags_hosts_and_sources(nights):
    tagged = nights.night("2026-11-15 02:00:00", "--tag", "audit")
    nights.night("2026-11-16 02:00:00")
    newest = nights.night("2026-11-17 02:00:00")
    host = nights.run("backup-list", "--json").events[0]["host"]
    rules = ("--keep-last", "1", "--keep-tag", "audit")
    decisions = _decisions(_prune(nights, "-n", *rules))
    assert {n for n, (stays, _) in decisions.items() if stays} == {
        tagged, newest}
    for args in (("--host", host), ("--source", "files/data")):
        assert _prune(nights, "-n", *rules, *args).result["removed"] == 1
    for args in (("--host", "nobody"), ("--source", "files/dat")):
        result = nights.run("backup-prune", "-n", *rules, *args)
        assert result.status == FAILED, str(result)
        assert args[1] in result.message


def test_the_last_good_and_the_last_proven_one_stay(nights):
    proven = nights.night("2026-11-14 02:00:00")
    nights.verify(proven)
    good = nights.night("2026-11-15 02:00:00")
    nights.add("files", "data", paths=[nights.path("data"),
                                       nights.path("missing")])
    degraded = [nights.night("2026-11-%d 02:00:00" % day, statuses=(3,))
                for day in (16, 17, 18)]
    result = _prune(nights, "--keep-last", "1", "--grace", "0")
    decisions = _decisions(result)
    assert nights.snapshots() == [proven, good, degraded[2]]
    assert any(reason.startswith("the last one that was proven")
               for reason in decisions[proven][1]), decisions
    assert "the last good one" in decisions[good][1]
    _is_clean(nights)
    listed = nights.run("backup-list", "--json").of_type("snapshot")
    assert [event["proven"] is not None for event in listed] == [
        True, False, False]


def test_a_failed_verification_keeps_the_proof_before_it(nights):
    """A pack of the newest one is lost, so it does not restore."""
    proven = nights.night("2026-11-14 02:00:00")
    nights.verify(proven)
    old = {os.path.join(root, name) for root, _, names in os.walk(
        os.path.join(nights.repository, "packs")) for name in names}
    broken = nights.night("2026-11-15 02:00:00")
    packs = [os.path.join(root, name) for root, _, names in os.walk(
        os.path.join(nights.repository, "packs")) for name in names]
    lost = max(set(packs) - old, key=os.path.getsize)
    with open(lost, "rb") as file:
        kept = file.read()
    os.unlink(lost)
    nights.verify(broken, statuses=(FAILED,))
    listed = nights.run("backup-list", "--json").of_type("snapshot")
    assert listed[-1]["proof_failed"] is not None
    with open(lost, "wb") as file:
        file.write(kept)
    newest = nights.night("2026-11-16 02:00:00")
    decisions = _decisions(_prune(nights, "-n", "--keep-last", "1"))
    assert {n for n, (stays, _) in decisions.items() if stays} == {
        proven, newest}
    assert any("the verification of %s failed" % broken[:12] in reason
               for reason in decisions[proven][1]), decisions


def _take_proofs(stack):
    folder = os.path.join(stack.repository, "proofs")
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))


def _forget(stack):
    """What this machine has seen."""
    shutil.rmtree(os.path.join(stack.commands.home, ".local", "state"))


def _missed(stack, command, status):
    """Whose proof is missing. Nothing is lost by that, says a check; in a list
    there is what is well and what is not."""
    result = stack.run(command, "--json")
    assert result.status == status, str(result)
    found = [event for event in result.of_type("finding")
             if event["kind"] == "proof-missing"]
    level = "warning" if command == "backup-check" else "damage"
    assert all(event["level"] == level for event in found), found
    return [event["text"].split()[1] for event in found]


@pytest.mark.parametrize("witness", ["machine", "snapshot", "checkpoint"])
def test_a_proof_that_the_store_takes_away_is_missed(nights, witness):
    """And a prune keeps the snapshot that it proved."""
    proven = nights.night("2026-11-14 02:00:00")
    nights.verify(proven)
    if witness == "checkpoint":
        _prune(nights, "--keep-last", "9", "--grace", "0")
    if witness != "snapshot":
        _take_proofs(nights)
    if witness == "checkpoint":
        _forget(nights)
    # A backup tells it, too.
    nights.night("2026-11-15 02:00:00", statuses=(
        COMPLETE if witness == "snapshot" else DEGRADED,))
    if witness == "snapshot":
        _take_proofs(nights)
        _forget(nights)
    newest = nights.night("2026-11-16 02:00:00", statuses=(DEGRADED,))
    assert _missed(nights, "backup-list", DEGRADED) == [proven]
    assert _missed(nights, "backup-check", DEGRADED) == [proven]
    result = _prune(nights, "--keep-last", "1", "--grace", "0")
    listed = nights.run("backup-list", "--json").of_type("snapshot")
    assert [event["name"] for event in listed] == [proven, newest]
    assert any(proven[:12] in event["text"]
               for event in result.of_type("message")), str(result)
    # Once more, and nothing but what this prune has left knows of it.
    _forget(nights)
    assert _missed(nights, "backup-check", DEGRADED) == [proven]
    # The next verification is the end of it.
    nights.verify(proven)
    assert _missed(nights, "backup-list", COMPLETE) == []
    _is_clean(nights)


def test_nothing_is_pruned_where_snapshots_are_missing(nights):
    names = [nights.night("2026-11-%d 02:00:00" % day)
             for day in range(14, 19)]
    os.unlink(os.path.join(nights.repository, "snapshots", names[1]))
    before = _size(nights)
    for args in ((), ("--dry-run",)):
        result = nights.run("backup-prune", "--keep-last", "2", "--grace",
                            "0", *args)
        assert result.status == FAILED, str(result)
        assert names[1][:8] in result.message
        assert "--acknowledge" in result.message
    assert _size(nights) >= before
    assert not os.path.exists(os.path.join(nights.repository, "checkpoints"))
    result = _prune(nights, "--keep-last", "2", "--grace", "0",
                    "--acknowledge").result
    assert (result["given_up"], result["removed"]) == (1, 3)
    assert nights.snapshots() == names[3:]
    _is_clean(nights)
    # From now on nobody misses it.
    assert _prune(nights, "--keep-last", "2").result["removed"] == 0


def test_the_last_that_is_whole_does_not_go(nights):
    """What stays by the rules lacks a pack: then nothing goes."""
    nights.create()
    before = _packs(nights)
    _write(nights.path("data", "newest"))
    nights.create()
    names = set(nights.snapshots())
    os.remove(max(_packs(nights) - before, key=os.path.getsize))
    for more in ((), ("--dry-run",)):
        done = _prune(nights, "--keep-last", "1", "--grace", "0", *more,
                      status=FAILED)
        assert "nothing is deleted while something is missing" in str(done)
        assert set(nights.snapshots()) == names
    # Whoever says so goes without.
    _prune(nights, "--keep-last", "1", "--grace", "0", "--acknowledge")
    assert len(nights.snapshots()) == 1


def test_a_damaged_snapshot_is_given_up_when_that_is_said(nights):
    names = [nights.night("2026-11-%d 02:00:00" % day)
             for day in range(16, 19)]
    path = os.path.join(nights.repository, "snapshots", names[1])
    with open(path, "r+b") as file:
        file.truncate(100)
    result = nights.run("backup-prune", "--keep-last", "3", "--grace", "0")
    assert result.status == FAILED, str(result)
    assert os.path.exists(path)
    result = _prune(nights, "--keep-last", "3", "--grace", "0",
                    "--acknowledge").result
    assert (result["given_up"], result["kept"]) == (1, 2)
    assert not os.path.exists(path)
    assert nights.snapshots() == [names[0], names[2]]
    _is_clean(nights)


def test_a_backup_at_work_is_waited_for_and_not_hurt(nights):
    """What only the removed ones had is used by a backup that began before."""
    for day in range(14, 17):
        nights.night("2026-11-%d 02:00:00" % day)
    nights.add("command", "z-slow", output="out", run=[
        "sh", "-c", "echo begun >%s; until test -e %s; do sleep 0.1; done"
        % (nights.path("begun"), nights.path("go-on"))])
    process = nights.start("backup-create")
    while not os.path.exists(nights.path("begun")):
        assert process.poll() is None
        time.sleep(0.05)
    result = _prune(nights, "--keep-last", "1", "--grace", "0").result
    assert result["removed"] == 2
    assert "session" in result["waiting_for"], result
    with open(nights.path("go-on"), "w"):
        pass
    assert finish(process).status == COMPLETE
    _is_clean(nights)
    result = _prune(nights, "--keep-last", "1", "--grace", "0").result
    assert result["freed_packs"] > 0 and result["waiting_for"] is None
    _is_clean(nights)
    for name in nights.snapshots():
        nights.verify(name)


def test_a_prune_that_was_killed_is_in_nobody_s_way(nights):
    for day in range(14, 19):
        nights.night("2026-11-%d 02:00:00" % day)
    rules = ("--keep-last", "1", "--grace", "0")
    _kill_at_work(nights, "backup-prune", *rules)
    dry = _prune(nights, "--dry-run", *rules)
    assert "would stop" not in dry.out + dry.err
    result = _prune(nights, *rules).result
    assert result["waiting_for"] is None, result
    assert os.listdir(os.path.join(nights.repository, "sessions")) == []
    assert len(nights.snapshots()) == 1
    _is_clean(nights)


def test_one_that_was_killed_elsewhere_is_in_the_way_for_half_an_hour(nights):
    for day in range(14, 19):
        nights.night("2026-11-%d 02:00:00" % day)
    rules = ("--keep-last", "1", "--grace", "0")
    _kill_at_work(nights, "backup-prune", *rules)
    # Another state directory is another machine.
    other = {"BACKUP_STATE_DIR": nights.path("elsewhere")}
    refused = nights.run("backup-prune", *rules, env=other)
    assert refused.status == FAILED, str(refused)
    assert "30 more minutes" in refused.message
    dry = nights.run("backup-prune", "--dry-run", *rules, env=other)
    assert dry.status == COMPLETE, str(dry)
    assert "would stop" in dry.err and "more minutes" in dry.err
    folder = os.path.join(nights.repository, "sessions")
    then = time.time() - 1900
    for name in os.listdir(folder):
        os.utime(os.path.join(folder, name), (then, then))
    done = nights.run("backup-prune", "--json", *rules, env=other)
    assert done.status == COMPLETE, str(done)


def _damage_checkpoints(stack, *folders):
    for folder in folders:
        for root, _, names in os.walk(os.path.join(stack.repository, folder)):
            for name in names:
                path = os.path.join(root, name)
                os.chmod(path, 0o600)
                with open(path, "r+b") as file:
                    file.truncate(100)


@pytest.fixture
def pruned(nights):
    for day in range(14, 19):
        nights.night("2026-11-%d 02:00:00" % day)
    _prune(nights, "--keep-last", "2", "--grace", "0")
    return nights


def test_a_damaged_checkpoint_is_made_from_its_copy(pruned):
    for folder in ("checkpoints", "copies/checkpoints"):
        _damage_checkpoints(pruned, folder)
        found = pruned.admin("backup-check", "--json")
        assert "checkpoint-damaged" in found.out, str(found)
        assert found.result["damage"] == 0, str(found)
        # Nobody who reads or writes is stopped by it.
        pruned.create()
        mended = pruned.admin("backup-check", "--json", "--repair")
        assert mended.status == COMPLETE, str(mended)
        _is_clean(pruned)


@pytest.mark.parametrize("command", [
    ("backup-check", "--repair", "--accept-loss"),
    ("backup-prune", "--keep-last", "2", "--grace", "0", "--acknowledge")])
def test_a_checkpoint_that_is_lost_twice_is_done_without(pruned, command):
    before = pruned.snapshots()
    _damage_checkpoints(pruned, "checkpoints", "copies/checkpoints")
    found = pruned.admin("backup-check", "--json")
    assert found.status != COMPLETE
    assert "backup-check --repair --accept-loss" in found.out
    refused = pruned.run("backup-prune", "--keep-last", "2")
    assert refused.status == FAILED and "--acknowledge" in refused.message
    done = pruned.admin(*command)
    assert done.status == COMPLETE, str(done)
    assert pruned.snapshots() == before
    _is_clean(pruned)
    _prune(pruned, "--keep-last", "1", "--grace", "0")
    _is_clean(pruned)


@pytest.fixture
def small_disk(stack):
    """The repository of the host lies on a disk of 24 MiB."""
    os.mkdir(stack.path("disk"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs",
                    stack.path("disk")], check=True)
    shutil.move(stack.repository, stack.path("disk", "repository"))
    stack.repository = stack.path("disk", "repository")
    stack.options["repository"] = stack.repository
    os.mkdir(stack.path("data"))
    stack.add("files", "data", paths=[stack.path("data")])
    yield stack
    subprocess.run(["umount", stack.path("disk")], check=True)


def _fill(small_disk):
    fill = os.open(small_disk.path("disk", "fill"),
                   os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (1 << 16, 1 << 12, 1):
        with pytest.raises(OSError):
            while True:
                os.write(fill, bytes(size))
    os.close(fill)


def test_a_prune_frees_a_disk_that_is_full_to_the_brim(small_disk):
    for night in range(3):
        _write(small_disk.path("data", "new"), 5 << 20)
        small_disk.create()
    _fill(small_disk)
    _write(small_disk.path("data", "new"), 5 << 20)
    full = small_disk.run("backup-create")
    assert full.status == FAILED, str(full)
    assert "backup-prune --grace 0 gives back" in full.message, str(full)
    before = _size(small_disk, "packs")
    rules = ("--keep-last", "1", "--grace", "0")
    done = _prune(small_disk, *rules)
    assert done.result["waiting_for"] is None, str(done)
    assert _size(small_disk, "packs") < before - (9 << 20)
    assert os.path.getsize(os.path.join(small_disk.repository,
                                        "reserve")) == 1 << 20
    _is_clean(small_disk)
    small_disk.create()
    small_disk.verify()
    _is_clean(small_disk)


def test_a_full_disk_without_a_reserve_says_how_much_room_it_takes(
        small_disk):
    for night in range(3):
        _write(small_disk.path("data", "new"), 5 << 20)
        small_disk.create()
    reserve = os.path.join(small_disk.repository, "reserve")
    os.remove(reserve)
    _fill(small_disk)
    rules = ("--keep-last", "1", "--grace", "0")
    done = small_disk.run("backup-prune", *rules)
    assert done.status == FAILED, str(done)
    for word in ("No space left", "none was kept back", "4 MiB",
                 "--grace 0"):
        assert word in done.message, str(done)
    assert not os.path.exists(reserve)
    # As much as it says is enough.
    fill = small_disk.path("disk", "fill")
    os.truncate(fill, os.path.getsize(fill) - (4 << 20))
    _prune(small_disk, *rules)
    assert os.path.getsize(reserve) == 1 << 20
    _is_clean(small_disk)
