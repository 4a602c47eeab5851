# SPDX-License-Identifier: Apache-2.0
"""What backup-check finds, and what it says about it."""

import os
import random
import shutil

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
