# SPDX-License-Identifier: Apache-2.0
"""What backup-check finds, and what it says about it."""

import hashlib
import os
import random
import shutil
import struct
import time

import pytest
from harness import witness
from harness.stack import COMPLETE, DEGRADED, FAILED


def write(path, size, seed):
    with open(path, "wb") as out:
        out.write(random.Random(seed).randbytes(size))


@pytest.fixture
def saved(stack):
    """Two sources in three snapshots; the second shares most with the
    first, and the third has one source."""
    for name in ("data", "etc"):
        os.mkdir(stack.path(name))
        stack.add("files", name, paths=[stack.path(name)])
    for number, size in enumerate((0, 1, 1000, 70000, 3 << 20)):
        write(stack.path("data", "file%d" % number), size, number)
    write(stack.path("etc", "app.conf"), 300, 99)
    stack.create()
    write(stack.path("data", "new"), 200000, 7)
    stack.create()
    write(stack.path("etc", "app.conf"), 301, 98)
    stack.create("files/etc")
    return stack


def objects(stack):
    return sorted(os.path.relpath(os.path.join(where, name), stack.repository)
                  for where, _, names in os.walk(stack.repository)
                  for name in names)


def check(stack, *args, status=COMPLETE, admin=False):
    run = stack.admin if admin else stack.run
    result = run("backup-check", "--json", *args)
    assert result.status == status, str(result)
    assert result.result["is_clean"] == (status != FAILED), str(result)
    return result


def damage(result):
    return [event for event in result.of_type("finding")
            if event["level"] == "damage"]


def test_a_good_repository_is_clean(saved):
    before = witness.tree(saved.repository)
    result = check(saved).result
    assert result["snapshots"] == 3
    assert result["packs"] == len(
        [name for name in objects(saved) if name.startswith("packs/")])
    assert result["packs_read"] == 0
    assert check(saved).of_type("finding") == []
    result = check(saved, "--read-data").result
    assert result["packs_read"] == result["packs"]
    assert result["bytes_read"] == result["pack_bytes"]
    people = saved.run("backup-check")
    assert people.out.endswith("CLEAN\n"), str(people)
    # Reading needs no key; what the host's opens is proved, entry lists.
    seen = result["chunks_read"]
    assert seen > 0
    assert check(saved, "--read-data",
                 admin=True).result["chunks_read"] > seen
    assert witness.tree(saved.repository) == before


def test_a_repository_without_a_snapshot_asks_for_a_look(stack):
    stack.add("files", "data", paths=[stack.path("home")])
    result = check(stack, status=DEGRADED)
    assert [event["kind"] for event in result.of_type("finding")] == [
        "no-snapshot"]


def test_a_missing_pack_is_named_with_whom_it_hurts(saved):
    biggest = max((name for name in objects(saved) if "packs/" in name),
                  key=lambda n: os.path.getsize(saved.path("repository", n)))
    os.rename(saved.path("repository", biggest), saved.path("aside"))
    found, = damage(check(saved, status=FAILED))
    assert found["kind"] == "pack-missing"
    assert found["object"] == biggest
    hurt = {event["snapshot"]: event["paths"] for event in found["hurt"]}
    first, second, third = saved.snapshots()
    assert list(hurt) == [first, second]
    base = "files/data" + saved.path("data")
    assert base + "/file4" in hurt[first]
    assert hurt[first] == hurt[second]
    assert base + "/new" not in hurt[second]
    people = saved.run("backup-check")
    assert biggest in people.out and "DAMAGED" in people.out, str(people)
    os.rename(saved.path("aside"), saved.path("repository", biggest))
    check(saved)


def test_what_was_read_is_remembered(saved):
    state = saved.path("home", ".local", "state", "libbackup")
    total = check(saved).result["packs"]
    assert total >= 4
    read = 0
    for _ in range(total):
        read += check(saved, "--max-age=1h",
                      "--budget=1K").result["packs_read"]
    assert read == total
    # All were read within the hour.
    assert check(saved, "--max-age=1h").result["packs_read"] == 0
    part = check(saved, "--read-data=30%").result["packs_read"]
    assert 0 < part < total
    # What cannot be read counts as nothing, and is told.
    memory, = [os.path.join(where, name)
               for where, _, names in os.walk(state) for name in names
               if name == "checked"]
    assert os.stat(memory).st_mode & 0o077 == 0
    with open(memory, "r+b") as file:
        file.seek(60)
        file.write(b"!!")
    result = check(saved, "--max-age=1h")
    assert result.result["packs_read"] == total
    assert "checked" in result.of_type("message")[0]["text"]
    shutil.rmtree(state)
    with open(state, "w"):
        pass
    result = check(saved, "--max-age=1h")
    assert result.result["packs_read"] == total
    assert any("not remembered" in event["text"]
               for event in result.of_type("message"))


class Memory:
    """When which pack was read, as this machine remembers it: the file that
    libbackup/repository/check_memory.c describes."""

    def __init__(self, stack):
        self.path, = [os.path.join(where, name)
                      for where, _, names in os.walk(stack.path(
                          "home", ".local", "state", "libbackup"))
                      for name in names if name == "checked"]

    def read(self):
        with open(self.path, "rb") as file:
            file.seek(48)
            return dict(struct.iter_unpack("<32sq", file.read()))

    def write(self, times):
        records = b"".join(struct.pack("<32sq", *item)
                           for item in sorted(times.items()))
        with open(self.path, "wb") as file:
            file.write(b"bkpcheck" + struct.pack("<II", 1, len(times)))
            file.write(hashlib.sha256(records).digest() + records)

    def age(self, names):
        """The first was read two hours ago, each other one an hour earlier."""
        now = time.time()
        times = {name: int((now - 3600 * (n + 2)) * 1e6)
                 for n, name in enumerate(names)}
        self.write(times)
        return times


def test_what_was_read_longest_ago_is_read_again_first(saved):
    total = check(saved, "--read-data").result["packs_read"]
    memory = Memory(saved)
    names = sorted(memory.read())
    assert total == len(names) >= 4
    random.Random(3).shuffle(names)

    def read_by(*args):
        before = memory.read()
        count = check(saved, *args).result["packs_read"]
        read = {name for name, when in memory.read().items()
                if when != before[name]}
        assert count == len(read)
        return read

    # Those that were not read for so long, and no others.
    memory.age(names)
    assert read_by("--max-age=210m") == set(names[2:])
    # The oldest first, where not all of them can be read.
    memory.age(names)
    for name in reversed(names):
        assert read_by("--max-age=1h", "--budget=1K") == {name}
    memory.age(names)
    assert names[-1] in read_by("--read-data=1%")
    assert names[0] in read_by("--max-age=1h")


def flip(path, position):
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 4]))


def restored(stack, name):
    """What comes back of a snapshot, entry by entry."""
    out = {}
    for path, entry in stack.entries(name).items():
        if entry["kind"] != "files.file":
            continue
        result = stack.admin("backup-cat", name, path, text=False)
        if result.status == COMPLETE:
            out[path] = result.out
    return out


def test_a_repair_says_what_it_would_do_and_does_it(saved):
    biggest = max((name for name in objects(saved) if "packs/" in name),
                  key=lambda n: os.path.getsize(saved.path("repository", n)))
    flip(saved.path("repository", biggest), 1 << 20)
    before = {name: restored(saved, name) for name in saved.snapshots()}
    tree = witness.tree(saved.repository)
    # Structure alone does not see it.
    check(saved)
    result = check(saved, "--read-data", status=FAILED)
    found, = damage(result)
    assert found["object"] == biggest
    steps = result.of_type("step")
    assert [step["state"] for step in steps] == ["needs"]
    assert "--identity-file" in steps[0]["text"]
    result = check(saved, "--read-data", status=FAILED, admin=True)
    assert [step["state"] for step in result.of_type("step")] == ["planned"]
    # Only what was in the flipped segment is hurt.
    hurt = {path for event in damage(result)[0]["hurt"]
            for path in event["paths"]}
    assert hurt and hurt == {
        path for name in saved.snapshots() for path in saved.entries(name)
        if saved.entries(name)[path]["kind"] == "files.file"
        and path not in before[name]}
    assert witness.tree(saved.repository) == tree
    result = check(saved, "--read-data", "--repair", status=FAILED,
                   admin=True)
    assert [step["state"] for step in result.of_type("step")] == ["done"]
    assert os.path.exists(saved.path("repository", "damaged", biggest))
    after = {name: restored(saved, name) for name in saved.snapshots()}
    assert after == before
    # The content is still where it was: the next backup heals it all.
    saved.create()
    result = check(saved, "--read-data", admin=True)
    assert [event["kind"] for event in result.of_type("finding")] == ["kept"]
    for name in saved.snapshots()[:2]:
        assert len(restored(saved, name)) == len(before[name]) + len(
            [path for path in hurt if path in saved.entries(name)])


def test_a_snapshot_that_is_lost_is_given_up_when_that_is_accepted(saved):
    first, second, third = saved.snapshots()
    os.unlink(saved.path("repository", "snapshots", second))
    result = check(saved, status=FAILED)
    assert any(second in event["object"] for event in damage(result))
    assert check(saved, "--repair", status=FAILED).of_type("step")[0][
        "state"] == "needs"
    check(saved, "--repair", "--accept-loss")
    check(saved)
    assert saved.snapshots() == [first, third]
    saved.create()
    saved.verify()


def test_damage_that_was_found_stays_known_and_is_not_built_upon(saved):
    pack = max((name for name in objects(saved) if name.startswith("packs/")),
               key=lambda name: os.path.getsize(
                   os.path.join(saved.repository, name)))
    path = os.path.join(saved.repository, pack)
    os.chmod(path, 0o600)
    with open(path, "r+b") as out:
        out.seek(-300000, os.SEEK_END)
        byte = out.read(1)
        out.seek(-1, os.SEEK_CUR)
        out.write(bytes([byte[0] ^ 1]))
    assert check(saved).result["packs_read"] == 0  # it looks at no bytes
    check(saved, "--read-data", status=FAILED)
    found, = damage(check(saved, status=FAILED))
    assert found["object"] == pack

    # The sources still have it: what lay there is stored once more.
    before = witness.folder(saved.path("data"))
    assert saved.create()["new_chunks"] > 0
    # What only earlier snapshots have may have come to lie there, too.
    result = saved.run("backup-check", "--json")
    found, = result.of_type("finding")
    assert found["object"] == pack, found
    if found["hurt"]:
        assert (result.status, found["level"]) == (FAILED, "damage"), found
    else:
        assert (result.status, found["level"]) == (DEGRADED, "warning"), found
        assert "elsewhere, too" in found["text"], found
    shutil.rmtree(saved.path("data"))
    saved.restore("latest", "files/data")
    assert not witness.differences(before, witness.folder(saved.path("data")))
    assert saved.create()["new_chunks"] == 0

    # Whole again, it is forgiven.
    with open(path, "r+b") as out:
        out.seek(-300000, os.SEEK_END)
        out.write(byte)
    assert check(saved).result["packs_read"] == 1
    assert check(saved).result["packs_read"] == 0


@pytest.mark.parametrize("how", ("flipped", "cut", "gone"))
def test_damage_that_hurts_nobody_is_no_damage(how, saved):
    """A pack that no snapshot needs any more: where it is not there nobody
    builds upon it, and where it is damaged somebody might."""
    before = set(objects(saved))
    write(saved.path("data", "gone"), 300000, 17)
    saved.create()
    pack = max((name for name in set(objects(saved)) - before
                if name.startswith("packs/")),
               key=lambda name: os.path.getsize(
                   os.path.join(saved.repository, name)))
    path = os.path.join(saved.repository, pack)
    os.remove(saved.path("data", "gone"))
    saved.create()
    done = saved.run("backup-prune", "--keep-last=1", "--json")
    assert done.status == COMPLETE and os.path.exists(path), str(done)
    if how == "flipped":
        flip(path, 1000)
    elif how == "cut":
        os.chmod(path, 0o600)
        os.truncate(path, 1000)
    else:
        os.remove(path)
    result = check(saved, "--read-data", admin=True,
                   status=COMPLETE if how == "gone" else DEGRADED)
    found, = result.of_type("finding")
    assert found["hurt"] == [], found
    if how == "gone":
        assert (found["kind"], found["level"]) == ("ghosts", "note"), found
        return
    assert (found["kind"], found["level"]) == ("pack-damaged", "warning")
    assert found["object"] == pack
    assert "no snapshot that can be read needs it" in found["text"], found
    check(saved, "--read-data", "--repair", admin=True)
    assert not os.path.exists(path)
    assert not [event for event in
                check(saved, "--read-data", admin=True).of_type("finding")
                if event["level"] != "note"]


def test_what_does_not_belong_there_is_told(saved):
    """Junk is told one by one; a repair moves it away from the folders of the
    repository, and waits no longer than it must for a session of nobody."""
    session = "sessions/" + "0123456789abcdef" * 2
    inside = ["proofs/notes.txt", "sessions/old", "snapshots/x",
              "parity/nothing", "packs/file"]
    beside = ["readme.txt", "other/thing"]
    for name in [session, session + ".gone-not"] + inside + beside:
        path = saved.path("repository", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write("junk")
    inside.append(session + ".gone-not")
    result = check(saved, status=DEGRADED)
    told = {event["object"]: event for event in result.of_type("finding")}
    assert {name for name, event in told.items()
            if event["kind"] == "stranger"} == set(inside + beside)
    assert told[session]["kind"] == "session-damaged"
    assert "half an hour" in told[session]["text"]
    for event in told.values():
        assert event["object"] in event["text"], event
    # It was stored just now.
    result = saved.admin("backup-check", "--repair", "--json")
    assert result.status == FAILED and session in result.err, str(result)
    path = saved.path("repository", session)
    when = os.stat(path).st_mtime
    os.utime(path, (when - 2400, when - 2400))
    result = check(saved, "--repair", status=DEGRADED, admin=True)
    assert {step["object"] for step in result.of_type("step")
            if step["state"] == "done"} == set(inside)
    assert session in {step["object"] for step in result.of_type("step")
                       if step["state"] == "needs"}
    os.utime(path, (when - 90000, when - 90000))
    check(saved, "--repair", admin=True)
    assert not os.path.exists(path)
    for name in inside:
        assert os.path.exists(saved.path("repository", "damaged", name)), name
    for name in beside:
        assert os.path.exists(saved.path("repository", name)), name
    # A time that is yet to come is named, and what to do.
    with open(path, "w") as out:
        out.write("junk")
    os.utime(path, (when + 90000, when + 90000))
    result = saved.admin("backup-check", "--repair", "--json")
    assert result.status == FAILED and "yet to come" in result.err, str(result)
    os.remove(path)
    check(saved, "--repair", admin=True)
    saved.create()
    saved.verify()
