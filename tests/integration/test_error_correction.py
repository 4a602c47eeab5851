# SPDX-License-Identifier: Apache-2.0
"""Media that rot: what is stored beside the objects makes them good again."""

import os
import random

import pytest
from harness.stack import COMPLETE, DEGRADED, FAILED

NEEDED = ("packs", "index", "snapshots", "keys", "roster", "config",
          "checkpoints")


def objects(stack):
    return sorted(os.path.relpath(os.path.join(where, name), stack.repository)
                  for where, _, names in os.walk(stack.repository)
                  for name in names)


def needed(stack):
    return [name for name in objects(stack) if name.split("/")[0] in NEEDED]


@pytest.fixture
def saved(stack):
    os.mkdir(stack.path("data"))
    for number, size in enumerate((1, 70000, 3 << 20)):
        with open(stack.path("data", "file%d" % number), "wb") as out:
            out.write(random.Random(number).randbytes(size))
    stack.options["error_correction"] = "5%"
    stack.add("files", "data", paths=[stack.path("data")])
    result = stack.run("backup-create", "--json")
    if "without ISA-L" in result.err:
        pytest.skip("this build has no error correction (ISA-L)")
    assert result.status == COMPLETE, str(result)
    return stack


def rot(stack, name, chance):
    path = os.path.join(stack.repository, name)
    size = os.path.getsize(path)
    os.chmod(path, 0o600)
    with open(path, "r+b") as content:
        content.seek(chance.randrange(size))
        byte = content.read(1)[0]
        content.seek(-1, 1)
        content.write(bytes([byte ^ 0x10]))


def repair(stack, status=COMPLETE):
    result = stack.admin("backup-check", "--repair", "--read-data", "--json")
    assert result.status == status, str(result)


def test_everything_has_error_correction(saved):
    assert set(objects(saved)) >= {
        "parity/" + name for name in needed(saved)}


def test_a_rotten_pack_index_and_snapshot_are_made_good(saved):
    before = {name: open(os.path.join(saved.repository, name), "rb").read()
              for name in needed(saved)}
    chance = random.Random(5)
    for folder in ("packs", "index", "snapshots"):
        for name in before:
            if name.startswith(folder):
                rot(saved, name, chance)
    result = saved.admin("backup-check", "--read-data", "--json")
    assert result.status == FAILED, str(result)
    repair(saved)
    for name, content in before.items():
        with open(os.path.join(saved.repository, name), "rb") as now:
            assert now.read() == content, name
    saved.verify()


def found(result):
    return {(event["kind"], event["object"])
            for event in result.of_type("finding")
            if event["level"] == "warning"}


@pytest.mark.parametrize("how", ("flip", "cut", "gone", "exchanged"))
def test_error_correction_that_rots_is_found_and_made_anew(saved, how):
    chance = random.Random(6)
    all_of_it = [name for name in objects(saved)
                 if name.startswith("parity/")]
    hurt = set()
    for folder in ("packs", "index", "snapshots", "keys", "config"):
        name = [n for n in all_of_it if n.startswith("parity/" + folder)][0]
        path = os.path.join(saved.repository, name)
        hurt.add(name)
        os.chmod(path, 0o600)
        if how == "flip":
            rot(saved, name, chance)
        elif how == "cut":
            os.truncate(path, os.path.getsize(path) // 2)
        elif how == "gone":
            os.remove(path)
        else:  # that of something else, good in itself
            other = [n for n in all_of_it if n.startswith("parity/roster")][0]
            with open(os.path.join(saved.repository, other), "rb") as good:
                content = good.read()
            with open(path, "wb") as out:
                out.write(content)
    before = {name: open(os.path.join(saved.repository, name), "rb").read()
              for name in needed(saved)}
    result = saved.admin("backup-check", "--read-data", "--json")
    assert result.status == DEGRADED, str(result)
    kind = "parity-missing" if how == "gone" else "parity-damaged"
    assert found(result) == {(kind, name) for name in hurt}, str(result)
    repair(saved)
    result = saved.admin("backup-check", "--read-data", "--json")
    assert result.status == COMPLETE, str(result)
    # What was good nobody has touched.
    for name, content in before.items():
        with open(os.path.join(saved.repository, name), "rb") as now:
            assert now.read() == content, name
    saved.verify()


def test_what_was_stored_before_gets_some(stack):
    os.mkdir(stack.path("data"))
    with open(stack.path("data", "file"), "w") as out:
        out.write("content")
    stack.add("files", "data", paths=[stack.path("data")])
    stack.create()
    assert not [name for name in objects(stack) if name.startswith("parity")]
    stack.options["error_correction"] = "10%"
    stack.write()
    result = stack.admin("backup-check", "--repair", "--json")
    if "without ISA-L" in result.out + result.err:
        pytest.skip("this build has no error correction (ISA-L)")
    assert result.status == COMPLETE, str(result)
    assert set(objects(stack)) >= {
        "parity/" + name for name in needed(stack)}


def test_what_a_prune_or_a_change_of_keys_writes_has_it(saved):
    if saved is None:
        return
    for content in (b"two", b"three"):
        with open(saved.path("data", "file0"), "wb") as out:
            out.write(content)
        saved.create()
    pruned = saved.run("backup-prune", "--keep-last", "1", "--grace", "0")
    assert pruned.status == COMPLETE, str(pruned)
    assert any(name.startswith("checkpoints/") for name in needed(saved))
    rotated = saved.admin("backup-key", "rotate")
    assert rotated.status == COMPLETE, str(rotated)
    assert set(objects(saved)) >= {
        "parity/" + name for name in needed(saved)}
    lost = next(n for n in needed(saved) if n.startswith("checkpoints/"))
    chance = random.Random(9)
    for name in (lost, "copies/" + lost):
        rot(saved, name, chance)
    repair(saved)
    again = saved.admin("backup-check", "--json")
    assert again.result["is_clean"], str(again)
