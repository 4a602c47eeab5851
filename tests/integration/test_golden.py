# SPDX-License-Identifier: Apache-2.0
"""What earlier versions wrote is read by this one: tests/golden."""

import hashlib
import json
import os
import shutil

import pytest
from harness import witness
from harness.stack import COMPLETE, DEGRADED, FAILED, Stack

GOLDEN = os.path.join(os.environ.get("top_srcdir", "."), "tests", "golden")
TOOLS = os.path.join(os.environ.get("top_builddir", "."), "tools")
ARCHIVE = "archive.tar.zst.age"


@pytest.fixture(params=[".", "grown", "erased", "mixed"])
def golden(request, tmp_path_of_test):
    """A copy: git does not keep who may read a key, and a check writes."""
    return copy_of(os.path.join(GOLDEN, request.param), tmp_path_of_test)


@pytest.fixture
def grown(tmp_path_of_test):
    return copy_of(os.path.join(GOLDEN, "grown"), tmp_path_of_test)


def copy_of(kept, folder):
    host = Stack(TOOLS, folder)
    shutil.copytree(os.path.join(kept, "repository"), host.repository)
    for name, path in (("host.key", host.key_file),
                       ("identity.txt", host.identity),
                       ("other.key", host.path("other.key")),
                       ("passphrase.txt", host.path("passphrase.txt")),
                       *((ARCHIVE + part, host.path("archive" + part))
                         for part in ("", ".001", ".002"))):
        if os.path.exists(os.path.join(kept, name)):
            shutil.copyfile(os.path.join(kept, name), path)
            os.chmod(path, 0o600)
    with open(os.path.join(kept, "expected.json")) as text:
        host.expected = json.load(text)
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
    assert sorted(golden.snapshots()) == sorted(golden.expected)
    for snapshot, expected in golden.expected.items():
        holds(golden, snapshot, expected)


def test_the_repository_checks_clean(golden):
    result = golden.admin("backup-check", "--read-data", "--json")
    assert result.status == COMPLETE, str(result)
    assert result.result["is_clean"], str(result)


def files_of(expected):
    return {path.removeprefix("files/data"): entry.get("sha256")
            for path, entry in expected.items()
            if path.startswith("files/data/") and entry.get("sha256")}


def test_the_files_of_every_snapshot_are_restored(golden):
    for snapshot, expected in golden.expected.items():
        out = golden.path("out-" + snapshot[:8])
        golden.restore(snapshot, "files/data", "--to", out)
        found = {}
        for where, _, names in os.walk(out):
            for name in names:
                path = os.path.join(where, name)
                if not os.path.islink(path):
                    with open(path, "rb") as content:
                        found[path.removeprefix(out)] = hashlib.sha256(
                            content.read()).hexdigest()
        twin = [path for path in found if path.endswith("/twin")]
        assert len(twin) == 1
        top = out + os.path.dirname(twin[0])
        assert os.readlink(top + "/link") == "text"
        assert os.path.samefile(top + "/text", top + "/twin")
        wanted = files_of(expected)
        assert wanted and all(
            found[path] == sha256 for path, sha256 in wanted.items())
        assert len(found) == len(wanted) + (twin[0] not in wanted)


def test_this_version_goes_on_with_it(golden):
    os.mkdir(golden.path("data"))
    with open(golden.path("data", "new"), "w") as out:
        out.write("written by a later version")
    snapshot = golden.create()["snapshot"]
    assert snapshot in golden.snapshots()
    for name, expected in golden.expected.items():
        holds(golden, name, expected)


def test_what_rotted_in_it_is_made_good(golden):
    packs = [os.path.join(where, name) for where, _, names in os.walk(
        os.path.join(golden.repository, "packs")) for name in names]
    with open(max(packs, key=os.path.getsize), "r+b") as pack:
        pack.seek(300)
        pack.write(bytes(8))
    result = golden.admin("backup-check", "--repair", "--read-data", "--json")
    if "without ISA-L" in result.out + result.err:
        pytest.skip("this build has no error correction (ISA-L)")
    assert result.status == COMPLETE, str(result)
    for snapshot, expected in golden.expected.items():
        holds(golden, snapshot, expected)


def of_a_later_version(stack):
    """As if a later version had made it; what is stored beside it agrees."""
    for name in ("config", "copies/config"):
        path = os.path.join(stack.repository, name)
        with open(path, "rb") as content:
            before = content.read()
        assert before.count(b'"version":1') == 1, before
        with open(path, "wb") as out:
            out.write(before.replace(b'"version":1', b'"version":2'))
    os.unlink(os.path.join(stack.repository, "parity", "config"))


def test_every_command_leaves_a_later_version_alone(grown):
    of_a_later_version(grown)
    os.mkdir(grown.path("data"))
    before = witness.tree(grown.repository)
    name = sorted(grown.expected)[0]
    identity = ("--identity-file", grown.identity)
    for command in (
            ("backup-list",), ("backup-list", name),
            ("backup-create",), ("backup-cat", *identity, name, "x"),
            ("backup-check",), ("backup-check", *identity, "--read-data"),
            ("backup-check", *identity, "--repair", "--accept-loss"),
            ("backup-prune", "--keep-last", "1", "--grace", "0"),
            ("backup-prune", "--keep-last", "1", "--acknowledge"),
            ("backup-restore", *identity, "--to", grown.path("to"), name),
            ("backup-verify", *identity, name),
            ("backup-key", "show"), ("backup-key", *identity, "rotate"),
            ("backup-key", *identity, "sheet", grown.path("sheet")),
            ("backup-archive", *identity, "-o", grown.path("a"), name),
            ("backup-archive", *identity, "--import", grown.path("archive"))):
        result = grown.run(*command)
        assert result.status == FAILED, str(result)
        assert "version 2" in result.message, str(result)
        assert "use a newer libbackup" in result.message, str(result)
        assert "damage" not in (result.out + result.err).lower(), str(result)
    assert witness.tree(grown.repository) == before
    assert not os.path.exists(grown.path("a"))
    assert not os.path.exists(grown.path("sheet"))


def test_a_prune_goes_on_with_it(golden):
    last = golden.snapshots()[-1]
    for _ in range(2):  # what the first one condemns, the second one removes
        result = golden.run("backup-prune", "--json", "--keep-last", "1",
                            "--grace", "0")
        assert result.status == COMPLETE, str(result)
    assert golden.snapshots() == [last]
    condemned = os.path.join(golden.repository, "condemned")
    assert not os.path.isdir(condemned) or not os.listdir(condemned)
    holds(golden, last, golden.expected[last])
    result = golden.admin("backup-check", "--read-data", "--json")
    assert result.status == COMPLETE, str(result)


def test_keys_are_changed_on_with_it(golden):
    result = golden.admin("backup-key", "rotate")
    assert result.status == COMPLETE, str(result)
    for name, expected in golden.expected.items():
        holds(golden, name, expected)


def in_archive(golden, expected, *keys):
    where = ("--repository", golden.path("archive"), *keys)
    result = golden.run("backup-list", *where, "--json")
    assert result.status == COMPLETE, str(result)
    (name,) = [event["name"] for event in result.of_type("snapshot")]
    assert name == golden.snapshots()[-1]
    result = golden.run("backup-list", *where, "--json", name)
    assert result.status == COMPLETE, str(result)
    assert {event["path"] for event in result.of_type("entry")} == set(expected)
    for path, entry in expected.items():
        if "sha256" in entry:
            result = golden.run("backup-cat", *where, name, path, text=False)
            assert result.status == COMPLETE, str(result)
            assert hashlib.sha256(
                result.out).hexdigest() == entry["sha256"], path


def test_the_archive_holds_what_the_last_snapshot_held(golden):
    expected = golden.expected[golden.snapshots()[-1]]
    if os.path.exists(golden.path("passphrase.txt")):
        in_archive(golden, {
            path: entry for path, entry in expected.items()
            if path.startswith("files/data")},
            "--passphrase-file", golden.path("passphrase.txt"))
    else:
        in_archive(golden, expected, "--identity-file", golden.identity)


def test_the_archive_is_proven(golden):
    words = golden.path("passphrase.txt")
    result = golden.commands.run(
        "backup-verify", "--json", "--repository", golden.path("archive"),
        *(("--passphrase-file", words) if os.path.exists(words)
          else ("--identity-file", golden.identity)))
    assert result.status == COMPLETE, str(result)
    assert result.result["is_proven"] and result.result["failed"] == 0


# ---- what only the mixed one has ----

@pytest.mark.parametrize("is_archive", [False, True])
def test_the_objects_and_what_is_said_of_them_come_back(
        tmp_path_of_test, minio, s3, bucket, is_archive):
    mixed = copy_of(os.path.join(GOLDEN, "mixed"), tmp_path_of_test)
    mixed.add_bucket("uploads", minio, bucket_name=bucket)
    last = mixed.snapshots()[-1]
    where = ("--repository", mixed.path("archive")) if is_archive else ()
    mixed.restore(*where, last, "bucket/uploads")
    found = witness.bucket(s3, bucket)
    wanted = {entry["sha256"]
              for path, entry in mixed.expected[last].items()
              if path.startswith("bucket/uploads/") and "sha256" in entry}
    assert {info["sha256"] for info in found.values()} == wanted
    assert set(found) == {"b", "a/b c", "k\u00e4se.json", "x=1&y/+z"}
    assert found["b"]["CacheControl"] == "max-age=5"
    assert found["b"]["ContentLanguage"] == "de"
    assert found["a/b c"]["Metadata"] == {
        "owner": "somebody made up", "n": "1"}
    assert found["k\u00e4se.json"]["ContentType"] == "application/json"
    assert found["k\u00e4se.json"]["tags"] == [("kind", "made up"),
                                              ("x", "1")]


def test_a_snapshot_that_tells_no_prefix_deletes_nothing(
        tmp_path_of_test, minio, s3, bucket):
    mixed = copy_of(os.path.join(GOLDEN, "mixed"), tmp_path_of_test)
    mixed.add_bucket("uploads", minio, bucket_name=bucket)
    last = mixed.snapshots()[-1]
    s3.put_object(Bucket=bucket, Key="other", Body=b"of others")
    done = mixed.admin("backup-restore", "--delete", last, "bucket/uploads")
    assert done.status == DEGRADED, str(done)
    assert "the whole bucket was backed up or a prefix of it" in done.err
    assert "other" in witness.bucket(s3, bucket)


# ---- what only the grown one has ----

def test_who_may_do_what_is_known(grown):
    result = grown.admin("backup-key", "show", "--json")
    assert result.status == COMPLETE, str(result)
    assert result.result["generation"] == 2
    hosts = {event["name"]: event["revoked"] is not None
             for event in result.of_type("host")}
    assert hosts.pop("other") and list(hosts.values()) == [False]
    assert [event["is_passphrase"] for event in result.of_type(
        "administrator")] == [False, True]


def test_the_passphrase_opens_it(grown):
    path, = [path for path in grown.entries() if path.endswith("/text")]
    result = grown.run("backup-cat", "--passphrase-file",
                       grown.path("passphrase.txt"), "latest", path)
    assert (result.status, result.out) == (COMPLETE, "another line\n")


def test_the_host_that_was_revoked_stays_out(grown):
    os.mkdir(grown.path("data"))
    result = grown.run("backup-create", "--key-file", grown.path("other.key"))
    assert result.status == FAILED and "revoked" in result.err


def test_the_proof_is_told(grown):
    result = grown.run("backup-list", "--json")
    assert result.status == COMPLETE, str(result)
    first, *_, last = result.of_type("snapshot")
    assert first["tags"] == ["other"]
    assert last["proven"] and not last["proof_failed"]


# ---- the ledger of erasures ----

def test_who_was_erased_does_not_come_back_with_it(tmp_path_of_test):
    erased = copy_of(os.path.join(GOLDEN, "erased"), tmp_path_of_test)
    first, last = erased.snapshots()
    for snapshot, recorded, subjects in ((first, 1, 1), (last, 0, 0)):
        result = erased.admin("backup-verify", "--json", snapshot,
                              "postgres/app")
        assert result.status == COMPLETE, str(result)
        assert result.result["is_proven"], str(result)
        assert result.result["erasures"] == {
            "recorded": recorded, "subjects": subjects}, str(result)
