# SPDX-License-Identifier: Apache-2.0
"""The scripts of libbackup-recovery(7), run as they stand there, where none
of the project's commands can be found."""

import glob
import hashlib
import json
import os
import re
import shutil
import subprocess

import fill
import pytest
from harness import witness
from harness.terminal import age_with_passphrase

PAGE = os.path.join(os.environ["top_srcdir"], "man", "libbackup-recovery.7")
TOOLS = ("age", "awk", "basename", "cat", "chmod", "chown", "cp", "cut",
         "head", "id", "jq", "ln", "mkdir", "mv", "od", "paste", "pg_restore",
         "printf", "psql", "rm", "sed", "sha256sum", "sh", "sort", "stat", "tail",
         "tar", "touch", "tr", "xargs", "zstd")


def script(name):
    """A script of the page, as a person would read it off a terminal."""
    with open(PAGE, encoding="utf-8") as page:
        blocks = re.findall(r"(?ms)^\.Bd -literal\n(#!/bin/sh\n.*?)^\.Ed$",
                            page.read())
    found, = [block for block in blocks
              if block.startswith("#!/bin/sh\n# %s " % name)]
    assert not re.search(r"\\[^e]", found), "roff that a reader would not see"
    return found.replace("\\e", "\\")


@pytest.fixture
def bare(stack, postgres):
    """Runs a script where there is nothing but the standard tools."""
    tools = stack.path("bin")
    os.mkdir(tools)
    for name in TOOLS:
        found = (postgres.program(name) if name in ("psql", "pg_restore")
                 else shutil.which(name))
        assert found, name
        os.symlink(found, os.path.join(tools, name))
    os.unlink(os.path.join(tools, "mv"))  # it is needed for differences only
    with open(os.path.join(tools, "mv"), "w", encoding="utf-8") as out:
        out.write('#!/bin/sh\n: > whole.seen; exec %s "$@"\n'
                  % shutil.which("mv"))
    os.chmod(os.path.join(tools, "mv"), 0o755)

    def run(name, *args):
        path = stack.path(name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(script(name))
        done = subprocess.run(
            ["sh", path, *args], cwd=stack.folder, check=False, text=True,
            capture_output=True, env={
                "PATH": tools, "PGHOST": postgres.home, "PGUSER":
                postgres.USER, "PGPORT": str(postgres.port)})
        assert done.returncode == 0, done.stderr + done.stdout
        return done
    return run


@pytest.fixture
def application(postgres, database, minio, s3, bucket, stack):
    s3.delete_bucket(Bucket=bucket)
    objects = fill.fill_bucket(s3, bucket, 0.01)
    postgres.drop_database(database)
    fill.fill_database(postgres, database, objects, 0.01)
    stack.files = stack.path("stack")
    fill.fill_folder(stack.files)
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("uploads", minio, bucket_name=bucket)
    stack.add("files", "stack", paths=[stack.files])
    yield stack
    postgres.drop_database(database)
    fill.drop_roles(postgres)


def plain(folder, unescape=False):
    """What the page promises of files."""
    return {re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), name)
            if unescape else name: {key: info.get(key) for key in (
                "mode", "uid", "gid", "mtime", "sha256", "target")}
            for name, info in witness.folder(folder).items()}


def attributes(out):
    """What the list of entries says of the objects of a bucket, which no file
    system has a place for; as a witness tells it."""
    found = {}
    with open(os.path.join(out, "entries.ndjson"), encoding="utf-8") as lines:
        for entry in map(json.loads, lines):
            if (not entry["path"].startswith("bucket/uploads/")
                    or not entry.get("kind")):
                continue
            key = re.sub(
                rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]),
                entry["path"].removeprefix("bucket/uploads/").encode())
            attrs = entry["attrs"]
            found[key.decode()] = {
                "ContentType": attrs.get("content_type"),
                "ContentEncoding": attrs.get("content_encoding"),
                "ContentDisposition": attrs.get("content_disposition"),
                "ContentLanguage": attrs.get("content_language"),
                "CacheControl": attrs.get("cache_control"),
                "Metadata": attrs.get("metadata", {}),
                "tags": sorted(attrs.get("tags", {}).items()),
                "size": entry["size"]}
    return found


def said_of(objects):
    return {key: {name: value for name, value in info.items()
                  if name not in ("ETag", "sha256")}
            for key, info in objects.items()}


def test_everything_comes_back_from_a_repository_without_the_project(
        application, bare, postgres, database, s3, bucket):
    postgres.execute(database, "SELECT lo_from_bytea(0, '\\x00ff27' ||"
                     " decode(repeat('61625c', 9000), 'hex'))")
    application.create()
    postgres.execute(
        database, "UPDATE app.task SET title = 'new' WHERE id % 50 = 7")
    before = witness.database(postgres, database)
    objects = witness.bucket(s3, bucket)
    application.create()
    postgres.execute(database, "CREATE TABLE public.later ()")
    application.create()
    out = application.path("out")

    listed = bare("recover.sh", application.repository,
                  application.identity, out).stdout.splitlines()
    assert [line.split()[-1] for line in listed] == application.snapshots()
    done = bare("recover.sh", application.repository, application.identity,
                out, application.snapshots()[1])
    assert done.stderr == ""
    assert os.path.exists(os.path.join(out, "whole.seen")), (
        "no chunk was stored as a difference")
    tree = os.path.join(out, "tree")
    assert not witness.differences(plain(application.files), plain(
        tree + "/files/stack" + application.files, True))
    found = {name.decode(): info["sha256"] for name, info in plain(
        tree + "/bucket/uploads", True).items() if info["sha256"]}
    with open(os.path.join(out, "odd.txt"), encoding="utf-8") as odd:
        for line in odd:
            place, path = line.rstrip("\n").split("\t")
            with open(os.path.join(out, place), "rb") as content:
                found[path.removeprefix("bucket/uploads/")] = (
                    hashlib.sha256(content.read()).hexdigest())
    assert found == {key: info["sha256"] for key, info in objects.items()}
    assert attributes(out) == said_of(objects)

    postgres.drop_database(database)
    fill.drop_roles(postgres)
    bare("recover-database.sh", out, "postgres/app/" + database)
    after = witness.database(postgres, database)
    for facts in (before, after):  # the page says so of these
        for name in ("database", "database settings",
                     "app.never_filled (materialised view)"):
            del facts[name]
    assert not witness.differences(before, after)


def test_rows_in_the_binary_form_come_back_too(
        bare, stack, postgres, database):
    stack.add_postgres("app", postgres, database, copy="binary")
    postgres.execute(database, "CREATE TABLE t AS SELECT i, i::text || E'\\n'"
                     " AS t, int4send(i) AS b, '{}'::jsonb AS j"
                     " FROM generate_series(1, 9000) i")
    stack.create()
    postgres.execute(database, "UPDATE t SET t = 'new' WHERE i % 90 = 7")
    stack.create()
    before = witness.database(postgres, database)
    out = stack.path("out")
    done = bare("recover.sh", stack.repository, stack.identity, out,
                stack.snapshots()[1])
    assert done.stderr == ""
    assert os.path.exists(os.path.join(out, "whole.seen")), (
        "no chunk was stored as a difference")
    with open(os.path.join(out, "tree/postgres/app", database,
                           "data/public.t"), "rb") as rows:
        assert rows.read(6) == b"PGCOPY"
    postgres.drop_database(database)
    bare("recover-database.sh", out, "postgres/app/" + database)
    after = witness.database(postgres, database)
    for facts in (before, after):
        del facts["database"]
    assert not witness.differences(before, after)


def put(stack, name, content):
    with open(os.path.join(stack.files, name), "wb") as out:
        out.write(content)


def done_well(result):
    assert result.status == 0, str(result)


def test_it_all_comes_back_after_a_rotation_a_prune_and_a_repair(stack, bare):
    """Two generations of keys, a host that was revoked, packs and index
    objects that were written anew."""
    stack.options["error_correction"] = "10%"
    stack.files = stack.path("stack")
    os.mkdir(stack.files)
    other = stack.path("other.key")
    put(stack, "stays", os.urandom(300000))
    put(stack, "goes", os.urandom(300000))
    stack.add("files", "stack", paths=[stack.files])
    done_well(stack.admin("backup-key", "host", "other", "--key-file", other))
    stack.create("--key-file", other)
    os.unlink(os.path.join(stack.files, "goes"))
    done_well(stack.admin("backup-key", "rotate"))
    done_well(stack.admin("backup-key", "revoke", "other"))
    kept = {}
    for night in range(2):
        put(stack, "night", b"night %d\n" % night * 1000)
        name = stack.create()["snapshot"]
        kept[name] = plain(stack.files)
    for _ in range(2):
        done_well(stack.run("backup-prune", "--keep-last", "2", "--grace", "0"))
    packs = glob.glob(os.path.join(stack.repository, "packs", "*", "*"))
    with open(max(packs, key=os.path.getsize), "r+b") as pack:
        pack.seek(400)
        pack.write(bytes(8))
    stray = os.path.join(stack.repository, "index", "0" * 64)
    with open(stray, "w", encoding="utf-8") as out:
        out.write("rubbish")
    result = stack.admin("backup-check", "--repair", "--read-data")
    if "without ISA-L" in result.err:
        pytest.skip("no error correction was built in")
    done_well(stack.admin("backup-check", "--read-data"))
    assert stack.snapshots() == list(kept)
    for name, before in kept.items():
        out = stack.path("out-" + name[:8])
        done = bare("recover.sh", stack.repository, stack.identity, out, name)
        assert done.stderr == ""
        assert not witness.differences(before, plain(
            out + "/tree/files/stack" + stack.files, True))


def test_everything_comes_back_from_an_archive_without_the_project(
        application, bare, postgres, database, s3, bucket):
    before = witness.database(postgres, database)
    objects = witness.bucket(s3, bucket)
    application.create()
    archive = application.path("shop.age")
    done = application.admin("backup-archive", "--split", "1M", "-o", archive,
                             "latest")
    assert done.status == 0, str(done)
    parts = sorted(glob.glob(archive + ".*"))
    assert len(parts) > 1
    shutil.rmtree(application.repository)
    out = application.path("out")

    done = bare("recover-archive.sh", application.identity, out, *parts)
    assert done.stderr == ""
    tree = os.path.join(out, "tree")
    assert not witness.differences(plain(application.files), plain(
        tree + "/files/stack" + application.files, True))
    found = {}
    for folder, _, names in os.walk(tree + "/bucket/uploads"):
        for name in names:
            path = os.path.join(folder, name)
            key = path.removeprefix(tree + "/bucket/uploads/")
            key = re.sub("%([0-9A-F]{2})", lambda m: chr(int(m[1], 16)),
                         key.replace("%/", "").encode().decode("latin-1"))
            with open(path, "rb") as content:
                found[key.encode("latin-1").decode()] = hashlib.sha256(
                    content.read()).hexdigest()
    assert found == {key: info["sha256"] for key, info in objects.items()}
    assert attributes(out) == said_of(objects)

    postgres.drop_database(database)
    fill.drop_roles(postgres)
    bare("recover-database.sh", out, "postgres/app/" + database)
    after = witness.database(postgres, database)
    for facts in (before, after):  # the page says so of these
        for name in ("database", "database settings",
                     "app.never_filled (materialised view)"):
            del facts[name]
    assert not witness.differences(before, after)


PASSPHRASE = "correct horse battery"


def test_a_passphrase_opens_a_repository_without_the_project(stack, bare):
    stack.files = stack.path("stack")
    os.mkdir(stack.files)
    put(stack, "file", os.urandom(30000))
    stack.add("files", "stack", paths=[stack.files])
    name = stack.create()["snapshot"]
    done_well(stack.admin(
        "backup-key", "add", "--new-passphrase-file",
        stack.secret("words", PASSPHRASE)))
    opened = []
    for path in glob.glob(os.path.join(stack.repository, "keys", "*")):
        with open(path, "rb") as key:
            if b"-> scrypt " in key.read(200):
                opened.append(path)
    assert len(opened) == 1
    admin = stack.path("admin.txt")
    age_with_passphrase(["-d", "-o", admin, opened[0]], PASSPHRASE, 1)
    out = stack.path("out")
    done = bare("recover.sh", stack.repository, admin, out, name)
    assert done.stderr == ""
    assert not witness.differences(plain(stack.files), plain(
        out + "/tree/files/stack" + stack.files, True))


def test_a_passphrase_opens_an_archive_without_the_project(stack):
    stack.files = stack.path("stack")
    os.mkdir(stack.files)
    put(stack, "file", os.urandom(30000))
    stack.add("files", "stack", paths=[stack.files])
    stack.create()
    archive, payload = stack.path("night.age"), stack.path("payload")
    done_well(stack.admin(
        "backup-archive", "--archive-passphrase-file",
        stack.secret("words", PASSPHRASE), "-o", archive, "latest"))
    shutil.rmtree(stack.repository)
    age_with_passphrase(["-d", "-o", payload, archive], PASSPHRASE, 1)
    tree = stack.path("tree")
    os.mkdir(tree)
    subprocess.run(["sh", "-ec", 'zstd -q -d < "$1" | tar -x -p -C "$2";'
                    ' cd "$2"; sha256sum -c --quiet SHA256SUMS', "sh",
                    payload, tree], check=True)
    assert not witness.differences(plain(stack.files), plain(
        tree + "/files/stack" + stack.files, True))
