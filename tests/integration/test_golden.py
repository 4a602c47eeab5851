# SPDX-License-Identifier: Apache-2.0
"""What earlier versions wrote is read by this one: tests/golden."""

import hashlib
import json
import os
import shutil

import pytest
from harness.stack import COMPLETE, Stack

GOLDEN = os.path.join(os.environ.get("top_srcdir", "."), "tests", "golden")
TOOLS = os.path.join(os.environ.get("top_builddir", "."), "tools")

with open(os.path.join(GOLDEN, "expected.json")) as _text:
    EXPECTED = json.load(_text)


@pytest.fixture
def golden(tmp_path_of_test):
    """A copy: git does not keep who may read a key, and a check writes."""
    host = Stack(TOOLS, tmp_path_of_test)
    shutil.copytree(os.path.join(GOLDEN, "repository"), host.repository)
    for name, path in (("host.key", host.key_file),
                       ("identity.txt", host.identity)):
        shutil.copyfile(os.path.join(GOLDEN, name), path)
        os.chmod(path, 0o600)
    for where, folders, names in os.walk(host.repository):
        for name in folders + names:
            path = os.path.join(where, name)
            os.chmod(path, os.stat(path).st_mode | 0o200)
    host.add("files", "data", paths=[host.path("data")])
    return host


def holds(stack, snapshot, expected, *options):
    entries = stack._expect(stack.run(
        "backup-list", *options, "--json", snapshot), COMPLETE)
    found = {event["path"]: event["kind"]
             for event in entries.of_type("entry")}
    assert found == {path: entry["kind"]
                     for path, entry in expected.items()}
    for path, entry in expected.items():
        if "sha256" not in entry:
            continue
        result = stack.admin("backup-cat", *options, snapshot, path,
                             text=False)
        assert result.status == COMPLETE, str(result)
        assert len(result.out) == entry["size"], path
        assert hashlib.sha256(result.out).hexdigest() == entry["sha256"], path


def test_every_snapshot_holds_what_it_held(golden):
    assert sorted(golden.snapshots()) == sorted(EXPECTED)
    for snapshot, expected in EXPECTED.items():
        holds(golden, snapshot, expected)


def test_the_repository_checks_clean(golden):
    result = golden.admin("backup-check", "--read-data", "--json")
    assert result.status == COMPLETE, str(result)
    assert result.result["is_clean"], str(result)


def test_files_are_restored(golden):
    out = golden.path("out")
    golden.restore("latest", "files/data", "--to", out)
    (top,) = [where for where, _, names in os.walk(out) if "twin" in names]
    with open(os.path.join(top, "text")) as text:
        assert text.read() == "a line\n"
    assert os.readlink(os.path.join(top, "link")) == "text"
    assert os.path.samefile(
        os.path.join(top, "text"), os.path.join(top, "twin"))
    assert os.path.getsize(os.path.join(top, "noise")) == 20000


def test_this_version_goes_on_with_it(golden):
    os.mkdir(golden.path("data"))
    with open(golden.path("data", "new"), "w") as out:
        out.write("written by a later version")
    snapshot = golden.create()["snapshot"]
    assert snapshot in golden.snapshots()
    for name, expected in EXPECTED.items():
        holds(golden, name, expected)


def test_what_rotted_in_it_is_made_good(golden):
    packs = [os.path.join(where, name) for where, _, names in os.walk(
        os.path.join(golden.repository, "packs")) for name in names]
    with open(max(packs, key=os.path.getsize), "r+b") as pack:
        pack.seek(300)
        pack.write(bytes(8))
    result = golden.admin("backup-check", "--repair", "--read-data", "--json")
    if "without ISA-L" not in result.err:
        assert result.status == COMPLETE, str(result)
        for snapshot, expected in EXPECTED.items():
            holds(golden, snapshot, expected)


def test_the_archive_holds_what_the_last_snapshot_held(golden):
    archive = golden.path("archive.tar.zst.age")
    shutil.copyfile(os.path.join(GOLDEN, "archive.tar.zst.age"), archive)
    result = golden.admin("backup-list", "--repository", archive, "--json")
    assert result.status == COMPLETE, str(result)
    (name,) = [event["name"] for event in result.of_type("snapshot")]
    last = golden.snapshots()[-1]
    result = golden.admin(
        "backup-list", "--repository", archive, "--json", name)
    assert result.status == COMPLETE, str(result)
    assert {event["path"] for event in result.of_type("entry")} == set(
        EXPECTED[last])
    for path, entry in EXPECTED[last].items():
        if "sha256" in entry:
            result = golden.admin("backup-cat", "--repository", archive, name,
                                  path, text=False)
            assert result.status == COMPLETE, str(result)
            assert hashlib.sha256(
                result.out).hexdigest() == entry["sha256"], path
