# SPDX-License-Identifier: Apache-2.0
"""A repository that has lost chunks or packs: everything else comes back, and
what does not is named, by restore and verify alike."""

import os
import random
import shutil
import time

import pytest
from harness import witness
from harness.minio import empty_bucket
from harness.stack import COMPLETE, DEGRADED, FAILED

SOURCES = ("files/data", "bucket/things", "postgres/app")

# A file that has been changed since is not known by its times yet.
FRESH_S = 3


def packs(stack):
    found = {}
    for where, _, names in os.walk(stack.path("repository", "packs")):
        for name in names:
            path = os.path.join(where, name)
            found[path] = os.path.getsize(path)
    return found


def new_packs(stack, source):
    known = set(packs(stack))
    stack.create(source)
    return set(packs(stack)) - known


def flip_middle(path):
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 16]))


@pytest.fixture
def saved(stack, postgres, database, minio, s3, bucket):
    """Three sources in one snapshot; the largest pack of each holds nothing of
    the others (stack.packs)."""
    stack.data = stack.path("data")
    os.mkdir(stack.data)
    for number in range(3):
        content = random.Random(number).randbytes(3 << 20)
        with open(os.path.join(stack.data, "file%d" % number), "wb") as out:
            out.write(content)
        s3.put_object(Bucket=bucket, Key="object%d" % number,
                      Body=content[::-1])
    postgres.execute(database, """
        CREATE TABLE author (id int PRIMARY KEY, name text);
        CREATE TABLE book (id int PRIMARY KEY, title text,
            author int REFERENCES author);
        CREATE TABLE small (id int PRIMARY KEY);
        INSERT INTO author SELECT n, md5('a' || n) || md5('b' || n)
                || md5('c' || n) FROM generate_series(1, 40000) n;
        INSERT INTO book SELECT n, 'title', n
            FROM generate_series(1, 40000) n;
        INSERT INTO small SELECT generate_series(1, 10)""")
    stack.add("files", "data", paths=[stack.data])
    stack.add_bucket("things", minio, bucket_name=bucket)
    stack.add_postgres("app", postgres, database)
    stack.packs, stack.contents, seen = {}, {}, {}
    for source in SOURCES:
        stack.create(source)
        new = {path: size for path, size in packs(stack).items()
               if path not in seen}
        stack.packs[source] = max(new, key=new.get)
        stack.contents[source] = set(new) - {min(new, key=new.get)}
        seen.update(new)
    stack.create()
    return stack


def hurt(stack):
    """What backup-check, which reads all of it, says is hurt in the latest
    snapshot."""
    result = stack.admin("backup-check", "--json", "--read-data")
    assert result.status == FAILED, str(result)
    latest = stack.snapshots()[-1]
    return {path for event in result.of_type("finding")
            for item in event["hurt"] if item["snapshot"] == latest
            for path in item["paths"]}


def restore(stack, *args, status=DEGRADED):
    result = stack.admin("backup-restore", "--json", *(args or ("latest",)))
    assert result.status == status, str(result)
    return result


def named(result):
    return {event["path"] for event in result.of_type("omission")}


@pytest.mark.parametrize("how", ["flipped", "deleted"])
def test_everything_else_comes_back(
        saved, postgres, database, s3, bucket, how):
    before = (witness.folder(saved.data), witness.bucket(s3, bucket))
    for path in saved.packs.values():
        if how == "flipped":
            flip_middle(path)
        else:
            os.unlink(path)
    lost = hurt(saved)
    assert {path.split("/")[0] for path in lost} == {
        "files", "bucket", "postgres"}

    # Every entry that is hurt is named, and the verdict says the same.
    verdict = saved.verify(statuses=(FAILED,))
    assert not verdict.result["is_proven"]
    failed = {event["name"] for event in verdict.of_type("check")
              if event["status"] == "fail"}
    for path in lost:
        assert any(path == name or path.startswith(name + "/")
                   for name in failed), path
    assert sum(event["count"] for event in verdict.of_type("check")
               if event["status"] == "pass") == verdict.result["passed"]

    shutil.rmtree(saved.data)
    empty_bucket(s3, bucket)
    postgres.drop_database(database)
    result = restore(saved)
    for path in lost:
        assert any(path == name or path.startswith(name + "/")
                   for name in named(result)), path
    assert 3 <= result.result["lost"] <= len(named(result))
    assert result.result["state"] == "degraded"
    texts = [event["text"] for event in result.of_type("message")]
    assert any("backup-check --repair" in text for text in texts)
    for event in result.of_type("omission"):
        if event["path"] in lost and "/data/" in event["path"]:
            assert any(os.path.basename(path) in event["text"]
                       for path in saved.packs.values()), str(event)

    # No file and no object looks whole that is not.
    for source, was, now in (
            ("files/data" + saved.data, before[0], witness.folder(saved.data)),
            ("bucket/things", before[1], witness.bucket(s3, bucket))):
        gone = {path[len(source) + 1:] for path in lost
                if path.startswith(source + "/")}
        assert gone == {os.fsdecode(name) for name in set(was) - set(now)}
        assert not witness.differences(
            {name: value for name, value in was.items() if name in now}, now)


def test_a_database_that_lacks_rows_does_not_take_the_name(
        saved, postgres, database):
    whole = {table: postgres.execute(database, "SELECT * FROM %s" % table)
             for table in ("author", "book", "small")}
    flip_middle(saved.packs["postgres/app"])
    lost = hurt(saved)
    path = "postgres/app/%s/data/public." % database
    assert path + "author" in lost

    # A table by itself stays as it was: its name says that it is whole.
    postgres.execute(database, "DROP TABLE book; DELETE FROM author;"
                     "INSERT INTO author VALUES (0, 'x')")
    result = restore(saved, "--overwrite", "latest", path + "author",
                     status=FAILED)
    assert path + "author" in named(result)
    assert postgres.execute(
        database, "SELECT name FROM author") == [("x",)]

    postgres.drop_database(database)
    result = restore(saved, "latest", "postgres/app")
    assert database not in postgres.databases()
    other, = [name for name in postgres.databases()
              if name.startswith(database + ".incomplete-")]
    texts = [event["text"] for event in result.of_type("omission")]
    told = {event["path"]: event["text"]
            for event in result.of_type("omission")}
    for table, rows in whole.items():
        found = postgres.execute(other, "SELECT * FROM %s" % table)
        assert set(found) <= set(rows)
        if path + table in lost:
            assert 0 < len(found) < len(rows)
            assert "%d of %d rows" % (
                len(found), len(rows)) in told[path + table]
        else:
            assert sorted(found) == sorted(rows)
    assert any("RENAME TO" in text and other in text for text in texts)
    # The key to what is lost cannot be made; all that can be is.
    assert any("FK CONSTRAINT public book book_author_fkey" in text
               for text in texts), str(result)
    assert len(postgres.execute(
        other, "SELECT 1 FROM pg_constraint WHERE contype = 'p'"
        " AND connamespace = 'public'::regnamespace")) == 3


def test_a_restore_that_brings_nothing_back_has_failed(saved):
    for path in saved.contents["files/data"]:
        os.unlink(path)
    shutil.rmtree(saved.data)
    result = restore(saved, "latest", "files/data", status=FAILED)
    assert len(named(result)) == 3
    assert "nothing was restored" in result.err


def test_a_lost_entry_list_takes_one_source_with_it(
        saved, postgres, database, s3, bucket):
    was = witness.bucket(s3, bucket)
    # What is said of a file that was written a moment ago changes once more.
    path = os.path.join(saved.data, "empty")
    with open(path, "wb"):
        made = new_packs(saved, "files/data")
    was_fresh = True
    while made or was_fresh:
        entry_list, = made or {entry_list}
        was_fresh = time.time() - os.stat(path).st_ctime < FRESH_S
        made = new_packs(saved, "files/data")
    saved.create()
    os.unlink(entry_list)
    shutil.rmtree(saved.data)
    empty_bucket(s3, bucket)
    postgres.drop_database(database)
    result = restore(saved)
    assert named(result) == {"files/data"}
    assert "entry list is lost" in result.of_type("omission")[0]["text"]
    assert witness.bucket(s3, bucket) == was
    assert len(postgres.execute(database, "SELECT 1 FROM book")) == 40000
    verdict = saved.verify(statuses=(FAILED,)).result
    assert verdict["objects"] == 3 and verdict["rows"] == 80010


def test_a_damaged_index_object_is_put_back_by_the_next_backup(stack):
    data = stack.path("data")
    os.mkdir(data)
    with open(os.path.join(data, "file"), "wb") as out:
        out.write(random.Random(5).randbytes(100000))
    stack.add("files", "data", paths=[data])
    stack.create()
    index, = os.listdir(stack.path("repository", "index"))
    flip_middle(stack.path("repository", "index", index))

    # This machine remembers what it held, and says that nobody else does.
    result = stack.admin("backup-restore", "--json", "--to",
                         stack.path("back"), "latest", "files/data")
    assert result.status == COMPLETE, str(result)
    assert any(index in event["text"] and "--repair" in event["text"]
               for event in result.of_type("message")), str(result)

    result = stack.run("backup-create", "--json")
    assert result.status == DEGRADED, str(result)
    assert any(index in event["text"] and "--repair" in event["text"]
               for event in result.of_type("message")), str(result)
    # The first snapshot is whole again without this machine, too.
    shutil.rmtree(stack.path("home", ".cache"))
    assert stack.verify(stack.snapshots()[0]).result["is_proven"]
    stack.restore("--to", stack.path("again"), stack.snapshots()[0])
    # And says so until the damaged one is gone.
    stack.create(statuses=(DEGRADED,))
    repaired = stack.admin("backup-check", "--json", "--repair")
    assert repaired.status in (COMPLETE, DEGRADED), str(repaired)
    stack.create()


def test_a_backup_says_that_an_index_object_is_gone(stack):
    data = stack.path("data")
    os.mkdir(data)
    with open(os.path.join(data, "file"), "wb") as out:
        out.write(random.Random(6).randbytes(100000))
    stack.add("files", "data", paths=[data])
    stack.create()
    index, = os.listdir(stack.path("repository", "index"))
    os.unlink(stack.path("repository", "index", index))
    stack.create(statuses=(DEGRADED,))


def test_an_index_object_that_nobody_needs_tonight_is_missed(stack):
    """It is an older one: what is backed up now was stored before and after
    it, so that only what this machine has seen tells."""
    data = stack.path("data")
    os.mkdir(data)
    stack.add("files", "data", paths=[data])

    def night(seed, **options):
        before = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        with open(os.path.join(data, "file"), "wb") as out:
            out.write(random.Random(seed).randbytes(100000))
        made = stack.create(**options)
        return made["snapshot"], set(os.listdir(folder)) - before

    folder = stack.path("repository", "index")
    night(7)
    older, (index,) = night(8)
    night(9)
    os.unlink(os.path.join(folder, index))
    # Of what is younger, another process may not have put the object yet.
    for root, _, names in os.walk(stack.path("home", ".cache")):
        for name in names:
            os.utime(os.path.join(root, name), (1, 1))
    result = stack.run("backup-create", "--json")
    assert result.status == DEGRADED, str(result)
    assert any(index in event["text"] and "stored again" in event["text"]
               for event in result.of_type("message")), str(result)
    # It is whole again without this machine, and nothing is told any more.
    shutil.rmtree(stack.path("home", ".cache"))
    assert stack.verify(older).result["is_proven"]
    stack.create()


def test_what_rows_begin_and_end_with_may_be_lost(stack, postgres, database):
    """It is the same of every table in the binary form, and known."""
    for name, number in (("first", 3), ("second", 5)):
        postgres.create_database(database + name)
        # Not the same chunk as the other's description.
        postgres.execute(database + name, """
            COMMENT ON DATABASE %s%s IS '%s';
            CREATE TABLE t AS SELECT n * %d AS n
                FROM generate_series(1, 40000) n""" % (
                    database, name, name, number))
        stack.add_postgres(name, postgres, database + name, copy="binary")
    old = new_packs(stack, "postgres/first")
    stack.create("postgres/second")
    entry = stack.entries()["postgres/second/%ssecond/data/public.t"
                            % database]
    assert entry["attributes"]["format"] == "binary"
    for path in old - {min(old, key=os.path.getsize)}:
        os.remove(path)
    back = stack.admin("backup-restore", "--to", database + "back", "latest",
                       "postgres/second/%ssecond" % database)
    assert back.status in (COMPLETE, DEGRADED), str(back)
    assert "data/public.t" not in back.err, str(back)
    assert postgres.execute(
        database + "back", "SELECT count(*), sum(n) FROM t") == [
            (40000, 5 * 40000 * 40001 // 2)]
    assert any(path.endswith("data/public.t") for path in hurt(stack))
