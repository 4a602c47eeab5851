# SPDX-License-Identifier: Apache-2.0
"""A snapshot in one file: written, read like a repository, damaged, split,
sent to a bucket, taken back."""

import glob
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

import fill
import pytest
from harness import witness
from harness.minio import empty_bucket
from harness.stack import (
    COMPLETE, DEGRADED, FAILED, USAGE, finish, recipient_of)

AWKWARD = ("plain.txt", "a b", "50%", "back\\slash", "k\u00e4se", "new\nline",
           b"latin\xe9".decode(errors="surrogateescape"), "x" * 255, "-dash")


def content_of(name):
    return hashlib.sha256(name.encode(errors="surrogateescape")).digest() * 99


@pytest.fixture
def small(stack):
    """Files and a command's output: about a mebibyte."""
    stack.data = stack.path("data")
    os.makedirs(os.path.join(stack.data, "sub", "empty"))
    for name in AWKWARD:
        with open(os.path.join(stack.data, name), "wb") as out:
            out.write(content_of(name))
    with open(os.path.join(stack.data, "sub", "random"), "wb") as out:
        out.write(os.urandom(1200000))
    os.symlink("plain.txt", os.path.join(stack.data, "link"))
    os.link(os.path.join(stack.data, "plain.txt"),
            os.path.join(stack.data, "second"))
    os.chmod(os.path.join(stack.data, "a b"), 0o640)
    stack.add("files", "src", paths=[stack.data])
    stack.add("command", "c", run=["seq", "40000"], output="out")
    stack.create()
    stack.archive = stack.path("a.tar.zst.age")
    return stack


@pytest.fixture
def archived(small):
    write(small, "-o", small.archive, "latest")
    return small


def write(stack, *args, statuses=(COMPLETE,), **options):
    result = stack.admin("backup-archive", "--json", *args, **options)
    assert result.status in statuses, str(result)
    return result.result


def admin(stack, name, archive, *args, statuses=(COMPLETE,), **options):
    """A command over an archive, where there is no repository."""
    result = stack.commands.run(
        name, "--repository", archive, "--identity-file", stack.identity,
        *args, **options)
    assert result.status in statuses, str(result)
    return result


def proven(stack, archive, *args, **options):
    return admin(stack, "backup-verify", archive, "--json", *args,
                 **options).result["is_proven"]


def untar(stack, archive, to, *decrypt):
    os.mkdir(to)
    done = subprocess.run(
        ["sh", "-ec", "age -d %s \"$FILE\" | zstd -q -d | tar -x -C \"$TO\""
         % (" ".join(decrypt) or '-i "$KEY"')],
        env={"PATH": os.environ["PATH"], "FILE": archive, "TO": to,
             "KEY": stack.identity, "LC_ALL": "C"},
        check=False, capture_output=True)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=to, check=False,
        capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def beside(stack):
    """What lies about in the folder of the test."""
    return set(os.listdir(stack.folder))


# ---- with common tools ----

def test_age_zstd_and_tar_bring_files_back_and_sha256sum_proves_them(archived):
    out = archived.path("out")
    untar(archived, archived.archive, out)
    tree = out + "/files/src" + archived.data
    assert sorted(os.listdir(tree)) == sorted(
        ["link", "second", "sub", "plain.txt", "a b", "50%25",
         "back\\slash", "k\u00e4se", "new%0Aline", "latin%E9", "-dash",
         "x" * 250 + "%"])
    with open(tree + "/" + "x" * 250 + "%/xxxxx", "rb") as content:
        assert content.read() == content_of("x" * 255)
    assert os.readlink(tree + "/link") == "plain.txt"
    assert os.path.samefile(tree + "/plain.txt", tree + "/second")
    assert os.stat(tree + "/a b").st_mode & 0o7777 == 0o640
    assert int(os.stat(tree + "/a b").st_mtime) == int(
        os.stat(archived.data + "/a b").st_mtime)
    with open(out + "/command/c/out") as content:
        assert content.read().endswith("\n40000\n")


def test_the_manifest_names_every_list_and_sum(archived):
    out = archived.path("out")
    untar(archived, archived.archive, out)
    with open(out + "/.libbackup/archive.json") as lines:
        manifest = json.loads(lines.readline())
    for name, key in ((".libbackup/entries.ndjson", "entries_sha256"),
                      ("SHA256SUMS", "sums_sha256")):
        with open(os.path.join(out, name), "rb") as content:
            assert hashlib.sha256(content.read()).hexdigest() == manifest[key]
    assert manifest["snapshot"] == archived.snapshots()[0]
    assert [source["prefix"] for source in manifest["sources"]] == [
        "command/c", "files/src"]


def test_one_chunk_is_had_by_its_place_as_the_specification_says(archived):
    out = archived.path("out")
    untar(archived, archived.archive, out)
    with open(out + "/.libbackup/entries.ndjson") as lines:
        entry, = [line for line in map(json.loads, lines)
                  if line["path"] == "command/c/out"]
    got = b""
    for place, length in entry["chunks"]:
        raw = bytes.fromhex(place)
        at, size, skip = (int.from_bytes(raw[a:b], "little")
                          for a, b in ((0, 8), (8, 12), (12, 16)))
        script = ('age -d -i "$KEY" "$FILE" | tail -c +%d | head -c %d |'
                  ' zstd -q -d | tail -c +%d | head -c %d'
                  % (at + 1, size, skip + 1, length))
        part = subprocess.run(
            ["sh", "-c", script], check=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "KEY": archived.identity,
                 "FILE": archived.archive}).stdout
        assert hashlib.sha256(part).digest()[:16] == raw[16:]
        got += part
    assert hashlib.sha256(got).hexdigest() == entry["sha256"]


# ---- like a repository ----

@pytest.fixture
def application(postgres, database, minio, s3, bucket, stack):
    s3.delete_bucket(Bucket=bucket)
    objects = fill.fill_bucket(s3, bucket, 0.01)
    s3.put_object(Bucket=bucket, Key="t/", Body=b"")
    postgres.drop_database(database)
    fill.fill_database(postgres, database, objects, 0.01)
    stack.files = stack.path("stack")
    fill.fill_folder(stack.files)
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("uploads", minio, bucket_name=bucket)
    stack.add("files", "stack", paths=[stack.files])
    stack.archive = stack.path("shop.age")
    yield stack
    postgres.drop_database(database)
    fill.drop_roles(postgres)


def lose_everything(stack, postgres, database, s3, bucket):
    seen = (witness.database(postgres, database), witness.bucket(s3, bucket),
            witness.folder(stack.files))
    postgres.drop_database(database)
    fill.drop_roles(postgres)
    empty_bucket(s3, bucket)
    shutil.rmtree(stack.files)
    return seen


def is_back(stack, postgres, database, s3, bucket, before):
    after = (witness.database(postgres, database), witness.bucket(s3, bucket),
             witness.folder(stack.files))
    for one, other in zip(before, after):
        assert not witness.differences(one, other)


def forget_repository(stack):
    """The machine knows its sources and no repository."""
    if os.path.isdir(stack.repository):
        shutil.rmtree(stack.repository)
    if os.path.exists(stack.key_file):
        os.unlink(stack.key_file)
    stack.options = {}
    stack.write()


def test_everything_is_restored_and_proven_from_an_archive_alone(
        application, postgres, database, s3, bucket):
    application.create()
    result = write(application, "-o", application.archive, "latest")
    assert result["stored_bytes"] == os.path.getsize(application.archive)
    before = lose_everything(application, postgres, database, s3, bucket)
    forget_repository(application)
    where = ("--repository", application.archive)
    application.restore(*where, "latest")
    is_back(application, postgres, database, s3, bucket, before)
    for mode in ((), ("--live",)):
        verdict = application.verify(*where, *mode).result
        assert verdict["is_proven"] and verdict["failed"] == 0
        assert verdict["rows"] >= witness.row_total(before[0])


def test_a_backup_without_a_repository_comes_back(
        application, postgres, database, s3, bucket):
    forget_repository(application)
    recipient = recipient_of(application.identity)
    before = beside(application)
    result = application.create(
        "--archive", application.archive, "--recipient", recipient)
    assert beside(application) - before == {"shop.age"}
    assert result["stored_bytes"] == os.path.getsize(application.archive)
    lost = lose_everything(application, postgres, database, s3, bucket)
    where = ("--repository", application.archive)
    application.restore(*where, "latest")
    is_back(application, postgres, database, s3, bucket, lost)
    assert application.verify(*where).result["is_proven"]


def test_an_archive_is_taken_into_another_repository(
        application, postgres, database, s3, bucket):
    first = application.create("--tag", "keep")
    write(application, "-o", application.archive, "latest")
    before = lose_everything(application, postgres, database, s3, bucket)
    shutil.rmtree(application.repository)
    os.unlink(application.key_file)
    old = application.identity
    application.identity = application.path("new.txt")
    application.init()
    result = application.run(
        "backup-archive", "--json", "--import", application.archive,
        "--identity-file", old)
    assert result.status == COMPLETE, str(result)
    assert result.result["entries"] == first["entries"]
    snapshot, = [event for event in application.run(
        "backup-list", "--json").events if event["type"] == "snapshot"]
    assert snapshot["tags"] == ["keep"]
    application.restore()
    is_back(application, postgres, database, s3, bucket, before)


def test_list_and_cat_read_an_archive(archived):
    listed = admin(archived, "backup-list", archived.archive, "--json").events
    assert [event["name"] for event in listed
            if event["type"] == "snapshot"] == archived.snapshots()
    # Whose signature it is, is known to the repository.
    host, = archived.run("backup-key", "--json", "show").of_type("host")
    assert listed[-1]["signer"] == host["public_key"]
    told = admin(archived, "backup-list", archived.archive)
    assert "signed with the key %s" % host["public_key"] in told.err
    entries = admin(archived, "backup-list", archived.archive, "--json",
                    "latest").events
    assert {event["path"]: event.get("sha256") for event in entries
            if event["type"] == "entry"} == {
                path: event.get("sha256")
                for path, event in archived.entries().items()}
    got = admin(archived, "backup-cat", archived.archive, "latest",
                "files/src%s/sub/random" % archived.data, text=False)
    with open(archived.data + "/sub/random", "rb") as content:
        assert got.out == content.read()


def test_a_part_is_restored_and_proven_as_that_part(small):
    write(small, "-o", small.archive, "latest",
          "files/src%s/sub/" % small.data)
    assert proven(small, small.archive)
    to = small.path("to")
    admin(small, "backup-restore", small.archive, "latest", "--to", to)
    found = [name for _, _, names in os.walk(to) for name in names]
    assert found == ["random"]


def test_the_second_name_of_a_file_is_in_a_part_without_the_first(small):
    write(small, "-o", small.archive, "latest",
          "files/src%s/second" % small.data)
    assert proven(small, small.archive)
    to = small.path("to")
    admin(small, "backup-restore", small.archive, "latest", "--to", to)
    with open(to + small.data + "/second", "rb") as content:
        assert content.read() == content_of("plain.txt")
    untar(small, small.archive, small.path("out"))


def test_a_part_taken_into_a_repository_is_degraded_and_says_so(small):
    write(small, "-o", small.archive, "latest",
          "files/src%s/sub" % small.data)
    result = small.admin("backup-archive", "--json", "--import",
                         small.archive)
    assert result.status == DEGRADED, str(result)
    assert [event["path"] for event in result.of_type("omission")] == [
        "files/src"]
    part = result.result["snapshot"]
    restored = small.restore(part, "--to", small.path("to"),
                             statuses=(DEGRADED,))
    assert restored["entries"] == 3
    # It is of the moment of the whole one, which stays the latest.
    restored = small.restore("latest", "files/src", "--to",
                             small.path("whole"))
    assert restored["snapshot"] != part and restored["entries"] > 3


def imported(stack):
    result = stack.admin("backup-archive", "--json", "--import",
                         stack.archive)
    assert result.status == COMPLETE, str(result)
    return result.result


def test_a_backup_into_an_archive_is_refused_for_good(archived):
    result = archived.admin("backup-create", "-r", archived.archive)
    assert result.status == FAILED
    assert "is an archive, not a repository" in result.err, str(result)


def test_an_archive_that_is_taken_in_again_is_there_once(archived):
    first, = archived.snapshots()
    before = witness.tree(archived.repository)
    result = imported(archived)
    assert result["is_known"] and result["snapshot"] == first
    plain = archived.admin("backup-archive", "--import", archived.archive)
    assert "already there as snapshot %s" % first in plain.out, str(plain)
    assert plain.status == COMPLETE
    assert archived.snapshots() == [first]
    assert witness.tree(archived.repository) == before


def test_an_archive_taken_in_twice_elsewhere_is_there_once(archived):
    first, = archived.snapshots()
    # A later one, and the one of the archive is gone.
    with open(archived.data + "/plain.txt", "w") as out:
        out.write("later")
    later = archived.create()["snapshot"]
    result = archived.admin("backup-prune", "--keep-last", "1", "--grace", "0")
    assert result.status == COMPLETE and archived.snapshots() == [later]
    result = imported(archived)
    assert not result["is_known"] and result["snapshot"] != first
    # By the moment that it is of, and not by when it came.
    assert archived.snapshots() == [result["snapshot"], later]
    again = imported(archived)
    assert again["is_known"] and again["snapshot"] == result["snapshot"]
    assert archived.snapshots() == [result["snapshot"], later]


def test_what_was_lost_is_stored_again_from_an_archive(archived):
    packs = [os.path.join(where, name) for where, _, names in os.walk(
        os.path.join(archived.repository, "packs")) for name in names]
    os.unlink(max(packs, key=os.path.getsize))
    assert archived.admin("backup-check", "--repair").status == FAILED
    result = imported(archived)
    assert not result["is_known"] and result["new_chunks"] > 0
    assert archived.verify(result["snapshot"]).result["is_proven"]


def test_an_archive_of_an_archive_is_the_same(archived):
    second = archived.path("second.age")
    admin(archived, "backup-archive", archived.archive, "-o", second,
          "latest")
    assert proven(archived, second)
    outs = archived.path("out-1"), archived.path("out-2")
    untar(archived, archived.archive, outs[0])
    untar(archived, second, outs[1])
    assert not subprocess.run(
        ["diff", "-r", "-x", "archive.json", "-x", "entries.ndjson", "-x",
         "SHA256SUMS", *outs], check=False).returncode


def test_a_part_alone_is_refused_with_the_name_of_the_whole(small):
    parts = split(small)
    assert len(parts) > 2
    for part in (parts[0], parts[1], parts[-1]):
        result = small.commands.run("backup-list", "-r", part, "-i",
                                    small.identity)
        assert result.status == FAILED
        assert "is part %d of an archive" % int(part[-3:]) in result.message
        assert small.archive + "\n" in result.message
    # A name that only looks like a part's.
    nightly = [small.path("nightly.%03d" % n) for n in (1, 2)]
    for name in nightly:
        write(small, "-o", name, "latest")
    for name in nightly:
        admin(small, "backup-list", name)


def test_parts_that_are_too_small_are_refused_at_once(small):
    before = beside(small)
    result = small.admin("backup-archive", "--split", "1", "-o",
                         small.archive, "latest")
    assert result.status == USAGE and "at least 64K" in result.message
    assert beside(small) == before


def test_what_writes_is_refused(archived):
    before = os.stat(archived.archive)
    for command in (("backup-create",),
                    ("backup-init", "--recipient",
                     recipient_of(archived.identity), "--key-file",
                     archived.path("new.key"))):
        result = archived.run(*command, "--repository", archived.archive)
        assert result.status == FAILED, str(result)
    after = os.stat(archived.archive)
    assert before == after


def test_what_only_a_repository_has_is_refused_and_said_so(archived):
    before = os.stat(archived.archive)
    for command in (("backup-check",), ("backup-check", "--repair"),
                    ("backup-prune", "--keep-last", "1"),
                    ("backup-prune", "--dry-run", "--keep-last", "1"),
                    ("backup-key", "show"), ("backup-key", "rotate")):
        result = archived.commands.run(
            *command, "--repository", archived.archive,
            "--identity-file", archived.identity)
        assert result.status == FAILED, str(result)
        assert "is an archive, not a repository" in result.message
        assert "DAMAGE" not in result.out
    after = os.stat(archived.archive)
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        before.st_ino, before.st_size, before.st_mtime_ns)


def test_the_key_of_a_host_opens_no_archive(archived):
    result = archived.run("backup-list", "--repository", archived.archive)
    assert result.status == FAILED
    assert "identity file" in result.message
    assert "host key opens none" in result.message


# ---- who can open it ----

def test_every_recipient_and_nobody_else_opens_it(small):
    keys = [small.path("key-%d.txt" % n) for n in range(2)]
    for key in keys:
        subprocess.run(["age-keygen", "-o", key], check=True,
                       capture_output=True)
    write(small, "-R", recipient_of(keys[0]), "-R", recipient_of(keys[1]),
          "-o", small.archive, "latest")
    result = small.commands.run("backup-list", "-r", small.archive, "-i",
                                small.identity)
    assert result.status == FAILED and "opens the archive" in result.message
    for small.identity in keys:
        assert proven(small, small.archive)


def test_a_passphrase_opens_it(small):
    words = small.secret("words", "correct horse battery")
    write(small, "--archive-passphrase-file", words, "-o", small.archive,
          "latest")
    good = small.commands.run("backup-verify", "-r", small.archive,
                              "--passphrase-file", words, "--json")
    assert good.result["is_proven"], str(good)
    wrong = small.secret("wrong", "incorrect horse battery")
    result = small.commands.run("backup-verify", "-r", small.archive,
                                "--passphrase-file", wrong)
    assert result.status == FAILED and "PROVEN" not in result.out
    back = small.run("backup-archive", "--import", small.archive,
                     "--archive-passphrase-file", words)
    assert back.status == COMPLETE, str(back)


# ---- places ----

def test_an_archive_goes_through_a_pipe_both_ways(small):
    process = small.start("backup-archive", "--identity-file", small.identity,
                          "-o", "-", "latest")
    with open(small.archive, "wb") as out:
        result = finish(process, text=False)
        out.write(result.out)
    assert result.status == COMPLETE, str(result)
    assert b"complete" not in result.out
    with open(small.archive, "rb") as stdin:
        assert proven(small, "-", stdin=stdin)
    with open(small.archive, "rb") as stdin:
        result = small.admin("backup-archive", "--import", "-", stdin=stdin)
    assert result.status == COMPLETE, str(result)
    assert os.listdir(small.commands.env["TMPDIR"]) == []


def split(stack, size="300K"):
    result = write(stack, "--split", size, "-o", stack.archive, "latest")
    parts = sorted(glob.glob(stack.archive + ".*"))
    assert result["parts"] == len(parts) > 3
    assert not os.path.exists(stack.archive)
    return parts


def test_parts_are_read_by_the_name_without_their_numbers(small):
    parts = split(small)
    assert {os.path.getsize(part) for part in parts[:-1]} == {300 * 1024}
    assert proven(small, small.archive)
    with open(small.path("joined"), "wb") as out:
        for part in parts:
            with open(part, "rb") as content:
                out.write(content.read())
    assert proven(small, small.path("joined"))


def test_a_part_that_is_missing_or_cut_is_named(small):
    parts = split(small)
    for part in parts[:-1]:
        os.rename(part, small.path("away"))
        result = admin(small, "backup-list", small.archive, statuses=(FAILED,))
        assert os.path.basename(part) in result.message
        shutil.copyfile(small.path("away"), part)
        os.truncate(part, 1000)
        result = admin(small, "backup-list", small.archive, statuses=(FAILED,))
        assert os.path.basename(part) in result.message
        os.rename(small.path("away"), part)
    os.rename(parts[-1], small.path("away"))
    result = admin(small, "backup-list", small.archive, statuses=(FAILED,))
    assert "last part is missing" in result.message
    os.rename(small.path("away"), parts[-1])
    assert proven(small, small.archive)


def test_parts_of_an_earlier_archive_are_not_mixed_with_new_ones(small):
    split(small)
    result = small.admin("backup-archive", "--split", "1M", "--overwrite",
                         "-o", small.archive, "latest")
    assert result.status == FAILED and "parts" in result.message


def test_a_file_is_replaced_only_when_asked(archived):
    with open(archived.archive, "rb") as content:
        before = content.read()
    result = archived.admin(
        "backup-archive", "-o", archived.archive, "latest")
    assert result.status == FAILED and "exists already" in result.message
    with open(archived.archive, "rb") as content:
        assert content.read() == before
    write(archived, "--overwrite", "-o", archived.archive, "latest")
    with open(archived.archive, "rb") as content:
        assert content.read() != before
    assert proven(archived, archived.archive)


def aws(minio):
    return {"AWS_ACCESS_KEY_ID": minio.access_key,
            "AWS_SECRET_ACCESS_KEY": minio.secret_key,
            "AWS_ENDPOINT_URL_S3": minio.endpoint,
            "AWS_REGION": minio.REGION}


def test_an_archive_in_a_bucket_is_read_where_it_is(small, minio, s3, bucket):
    place = "s3://%s/nightly/a.age" % bucket
    write(small, "-o", place, "latest", env=aws(minio))
    assert proven(small, place, env=aws(minio))
    to = small.path("to")
    admin(small, "backup-restore", place, "latest", "files/src", "--to", to,
          env=aws(minio))
    assert not witness.differences(witness.folder(small.data),
                                   witness.folder(to + small.data))
    s3.download_file(bucket, "nightly/a.age", small.archive)
    untar(small, small.archive, small.path("out"))
    result = small.admin("backup-archive", "-o", place, "latest",
                         env=aws(minio))
    assert result.status == FAILED and "exists already" in result.message


def test_a_configured_bucket_tells_endpoint_and_keys(small, minio, bucket):
    small.add_bucket("offsite", minio, bucket=bucket)
    write(small, "-o", "s3://%s/a.age" % bucket, "latest")
    assert proven(small, "s3://%s/a.age" % bucket, env=aws(minio))


def test_a_large_archive_goes_to_a_bucket_in_parts(stack, minio, s3, bucket):
    stack.add("command", "big", output="out",
              run=["head", "-c", "50000000", "/dev/urandom"])
    stack.create()
    place = "s3://%s/big.age" % bucket
    write(stack, "-o", place, "latest", env=aws(minio))
    etag = s3.head_object(Bucket=bucket, Key="big.age")["ETag"]
    assert int(etag.strip('"').split("-")[1]) > 2
    assert proven(stack, place, env=aws(minio))


def keys_of(s3, bucket):
    """Keys and sizes of what is there."""
    return {item["Key"]: item["Size"] for item in
            s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


@pytest.fixture
def spread(small, minio, s3, bucket):
    """An archive in parts in a bucket."""
    small.place = "s3://%s/nightly/a.age" % bucket
    small.aws = aws(minio)
    result = write(small, "--split", "300K", "-o", small.place, "latest",
                   env=small.aws)
    small.keys = ["nightly/a.age.%03d" % (n + 1)
                  for n in range(result["parts"])]
    assert len(small.keys) > 3 and list(keys_of(s3, bucket)) == small.keys
    return small


def fails(stack, name, place, *args):
    return admin(stack, name, place, *args, statuses=(FAILED,),
                 env=stack.aws).message


def test_parts_in_a_bucket_are_read_by_the_name_without_their_numbers(
        spread, s3, bucket):
    sizes = list(keys_of(s3, bucket).values())
    assert set(sizes[:-1]) == {300 * 1024} and 0 < sizes[-1] <= 300 * 1024
    assert proven(spread, spread.place, env=spread.aws)
    with open(spread.archive, "wb") as out:
        for key in spread.keys:
            out.write(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    untar(spread, spread.archive, spread.path("out"))
    for key in (spread.keys[0], spread.keys[1], spread.keys[-1]):
        message = fails(spread, "backup-list", "s3://%s/%s" % (bucket, key))
        assert "is part %d of an archive" % int(key[-3:]) in message
        assert spread.place + "\n" in message
    # A name that only looks like a part's.
    nightly = ["s3://%s/nightly.%03d" % (bucket, n) for n in (1, 2)]
    for place in nightly:
        write(spread, "-o", place, "latest", env=spread.aws)
    for place in nightly:
        admin(spread, "backup-list", place, env=spread.aws)


def test_a_part_in_a_bucket_that_is_missing_or_cut_is_named(
        spread, s3, bucket):
    for n, key in enumerate(spread.keys):
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        s3.delete_object(Bucket=bucket, Key=key)
        message = fails(spread, "backup-list", spread.place)
        if n + 1 == len(spread.keys):
            assert "last part is missing" in message
        else:
            assert key in message and "is missing" in message
            s3.put_object(Bucket=bucket, Key=key, Body=body[:1000])
            message = fails(spread, "backup-list", spread.place)
            assert key in message and "is cut" in message
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert proven(spread, spread.place, env=spread.aws)


def test_parts_in_a_bucket_are_not_mixed_with_what_is_there(
        spread, s3, bucket):
    before = keys_of(s3, bucket)
    again = ("--split", "1M", "--overwrite", "-o")
    result = spread.admin("backup-archive", *again, spread.place, "latest",
                          env=spread.aws)
    assert result.status == FAILED and "parts" in result.message
    # Nor would they be found beside one that has the name.
    for place in ("s3://%s/whole" % bucket, spread.path("whole")):
        write(spread, "-o", place, "latest", env=spread.aws)
        result = spread.admin("backup-archive", *again, place, "latest",
                              env=spread.aws)
        assert result.status == FAILED, str(result)
        assert "instead of the parts" in result.message
    assert set(keys_of(s3, bucket)) == {*before, "whole"}


def test_parts_in_a_bucket_are_all_there_or_none(small, minio, s3, bucket):
    """The run fails in the middle: what is to be archived is not there."""
    packs = [os.path.join(where, name) for where, _, names in os.walk(
        os.path.join(small.repository, "packs")) for name in names]
    os.unlink(max(packs, key=os.path.getsize))
    result = small.admin(
        "backup-archive", "--split", "64K", "-o", "s3://%s/a.age" % bucket,
        "latest", env=aws(minio))
    assert result.status == FAILED, str(result)
    assert keys_of(s3, bucket) == {}
    for n in range(1, 4):
        assert not s3.list_multipart_uploads(
            Bucket=bucket, Prefix="a.age.%03d" % n).get("Uploads")


def test_what_goes_through_a_pipe_is_not_split(small):
    for command in (("backup-archive", "latest", "-i", small.identity),
                    ("backup-create",)):
        option = "--archive" if len(command) == 1 else "-o"
        result = small.run(command[0], option, "-", "--split", "1M", "-R",
                           recipient_of(small.identity), *command[1:])
        assert result.status == FAILED, str(result)
        assert "standard output cannot be split" in result.message
        assert result.out == ""


@pytest.mark.parametrize("way", [
    "pipe", "parts", "passphrase", "bucket", "parts in a bucket"])
def test_a_backup_goes_straight_to_any_place(small, minio, bucket, way):
    forget_repository(small)
    is_parts, env = way.startswith("parts"), aws(minio)
    place = {"pipe": "-", "bucket": "s3://%s/a.age" % bucket,
             "parts in a bucket": "s3://%s/a.age" % bucket}.get(
                 way, small.archive)
    key = ("--recipient", recipient_of(small.identity))
    opens = ()
    if way == "passphrase":
        words = small.secret("words", "correct horse battery")
        key = ("--archive-passphrase-file", words)
        opens = ("--passphrase-file", words)
    process = small.start(
        "backup-create", "--archive", place, *key,
        *(("--split", "300K") if is_parts else ()), env=env)
    result = finish(process, text=False)
    assert result.status == COMPLETE, str(result)
    assert os.path.exists(small.archive) == (way == "passphrase")
    if way == "pipe":
        with open(small.archive, "wb") as out:
            out.write(result.out)
        place = small.archive
    verdict = small.commands.run(
        "backup-verify", "--json", "--repository", place,
        *(opens or ("--identity-file", small.identity)), env=env)
    assert verdict.status == COMPLETE, str(verdict)
    assert verdict.result["is_proven"] and verdict.result["failed"] == 0
    got = small.commands.run(
        "backup-cat", "--repository", place, "latest", "command/c/out",
        *(opens or ("--identity-file", small.identity)), env=env)
    assert got.out.endswith("\n40000\n"), str(got)


# ---- damage ----

def test_a_flipped_byte_anywhere_is_found(archived):
    with open(archived.archive, "rb") as content:
        whole = content.read()
    assert len(whole) > 1 << 20
    places = {*range(300, len(whole), 64 * 1024), 20, 150,
              len(whole) - 1, len(whole) - 60, len(whole) - 3000}
    for place in sorted(places):
        with open(archived.archive, "r+b") as out:
            out.seek(place)
            out.write(bytes([whole[place] ^ 0x40]))
        result = admin(archived, "backup-verify", archived.archive,
                       statuses=(FAILED,))
        assert "PROVEN" not in result.out.replace("NOT PROVEN", ""), place
        with open(archived.archive, "r+b") as out:
            out.seek(place)
            out.write(whole[place:place + 1])
    assert proven(archived, archived.archive)


def test_damage_in_one_place_hurts_what_lies_there_and_is_named(archived):
    size = os.path.getsize(archived.archive)
    with open(archived.archive, "r+b") as out:
        out.seek(size // 2)
        out.write(b"\0" * 10)
    result = admin(archived, "backup-verify", archived.archive, "--json",
                   statuses=(FAILED,))
    assert "sub/random" in result.out + result.err
    got = admin(archived, "backup-cat", archived.archive, "latest",
                "command/c/out")
    assert got.out.endswith("\n40000\n")


def test_an_archive_cut_anywhere_is_refused_and_what_to_do_is_said(archived):
    size = os.path.getsize(archived.archive)
    for length in (size - 1, size - 17, size - 70, size // 2, 65536 * 3 + 200,
                   300, 10, 0):
        os.truncate(archived.archive, length)
        result = admin(archived, "backup-list", archived.archive,
                       statuses=(FAILED,))
        assert archived.archive in result.message
    os.unlink(archived.archive)
    write(archived, "-o", archived.archive, "latest")
    os.truncate(archived.archive, size // 2)
    result = admin(archived, "backup-list", archived.archive,
                   statuses=(FAILED,))
    assert "zstd -d | tar x" in result.message


def test_what_is_no_archive_is_told_as_such(stack):
    text = stack.secret("text", "no archive at all")
    result = stack.commands.run("backup-list", "--repository", text,
                                "--identity-file", stack.identity)
    assert result.status == FAILED
    assert "neither a repository nor an archive" in result.message
    result = stack.commands.run("backup-list", "--repository",
                                stack.path("none"), "--identity-file",
                                stack.identity)
    assert result.status == FAILED


# ---- stopped ----

@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_nothing_under_the_name(stack, how):
    stack.add("command", "big", output="out",
              run=["head", "-c", "150000000", "/dev/urandom"])
    stack.create()
    archive = stack.path("a.age")
    process = stack.start("backup-archive", "--identity-file", stack.identity,
                          "--workers", "1", "-o", archive, "latest")
    end = time.monotonic() + 60
    while not glob.glob(stack.path(".a.age.*")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.002)
    os.kill(process.pid, how)
    result = finish(process)
    assert result.status in (FAILED, -signal.SIGKILL), str(result)
    assert not os.path.exists(archive)
    left = glob.glob(stack.path(".a.age.*"))
    assert len(left) == (1 if how == signal.SIGKILL else 0)
    write(stack, "-o", archive, "latest")
    assert proven(stack, archive)


def test_a_backup_into_an_archive_that_fails_leaves_nothing(stack):
    before = beside(stack)
    stack.add("command", "bad", output="out", run=["sh", "-c", "seq 9; exit 3"])
    result = stack.run("backup-create", "--archive", stack.path("a.age"),
                       "--recipient", recipient_of(stack.identity))
    assert result.status == FAILED, str(result)
    assert beside(stack) == before


def test_a_backup_into_an_archive_does_not_hold_itself(stack):
    os.mkdir(stack.path("data"))
    with open(stack.path("data", "file"), "w") as out:
        out.write("content")
    stack.add("files", "src", paths=[stack.path("data")])
    archive = stack.path("data", "a.age")
    stack.create("--archive", archive, "--recipient",
                 recipient_of(stack.identity))
    names = [event["path"] for event in admin(
        stack, "backup-list", archive, "--json", "latest").events
        if event["type"] == "entry"]
    assert [os.path.basename(name) for name in names] == ["data", "file"]


def test_what_was_left_out_is_told_once_and_again_from_the_archive(stack):
    os.mkdir(stack.path("data"))
    stack.add("files", "src",
              paths=[stack.path("data"), stack.path("missing")])
    result = stack.run("backup-create", "--json", "--archive",
                       stack.path("a.age"), "--recipient",
                       recipient_of(stack.identity))
    assert result.status == DEGRADED, str(result)
    assert len(result.of_type("omission")) == 1
    result = admin(stack, "backup-restore", stack.path("a.age"), "--json",
                   "latest", "--to", stack.path("to"), statuses=(DEGRADED,))
    assert len(result.of_type("omission")) == 1
