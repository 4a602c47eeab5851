# SPDX-License-Identifier: Apache-2.0
"""Exports of what once was: out of a snapshot, with nothing but the repository
at hand."""

import glob
import json
import os
import signal

import pytest
from harness.postgres import Postgres
from harness.stack import COMPLETE, DEGRADED, FAILED, finish
from test_export import MAP, Exporter, everything, exporter, manifest, rows
from test_lost import flip_middle, packs

assert exporter  # a fixture

# Nothing that is random in each export.
PLAIN = MAP.replace("shared", "own").replace("name: \"'Portrait'\"", "") \
    .replace("key: avatar,", "key: avatar")


@pytest.fixture
def past(exporter):
    """An application with one snapshot."""
    with open(exporter.map, "w") as out:
        out.write(PLAIN)
    exporter.name = exporter.stack.create()["snapshot"]
    return exporter


def away(exporter):
    """From here on there is the repository and nothing else."""
    exporter.stack.sources = []
    exporter.stack.add("command", "other", run=["true"], output="out")


def run(exporter, action, *args, **options):
    return exporter.stack.admin(
        "backup-export", action, "--map", exporter.map, "--snapshot",
        "latest", *args, **options)


def export(exporter, subject, name, *args, status=COMPLETE):
    output = exporter.stack.path(name)
    done = run(exporter, "run", "--json", "--subject", subject, *args, output)
    assert done.status == status, str(done)
    assert leftovers(exporter) == []
    return output, done


def leftovers(exporter):
    return glob.glob(exporter.stack.path("home", "tmp", "*"))


def content(folder):
    """All but what tells the moment."""
    files = everything(folder)
    told = json.loads(files.pop("manifest.json"))
    files["index.html"] = files["index.html"].split(b"<ul>", 1)[1]
    for name in ("time", "lsn", "snapshot", "index"):
        del told[name]
    return files, told


def test_it_is_equal_to_an_export_of_that_moment(past):
    live, _ = past.export("1", "live", "--csv")
    away(past)
    folder, done = export(past, "1", "out", "--csv")
    assert content(folder) == content(live)
    assert "files/up/users/1.png" in everything(folder)
    assert done.result["snapshot"] == past.name
    assert done.result["state"] == "complete"


def test_what_is_gone_since_is_still_answered(
        past, postgres, database, s3, bucket):
    live, _ = past.export("1", "live")
    postgres.execute(database, "DELETE FROM messages; DELETE FROM blocks;"
                     "DELETE FROM orders; DELETE FROM users;"
                     "ALTER TABLE users DROP COLUMN phone")
    s3.delete_object(Bucket=bucket, Key="users/1.png")
    folder, _ = export(past, "1", "out")
    assert content(folder) == content(live)


def test_it_says_of_which_moment_it_is(past):
    audit = past.stack.path("audit.log")
    listed, = (event for event in past.stack.run(
        "backup-list", "--json").events if event["type"] == "snapshot")
    folder, _ = export(past, "1", "out", "--no-files", "--audit", audit)
    told = manifest(folder)
    assert told["snapshot"] == past.name
    assert told["time"][:16] == listed["time"][:16]
    assert "/" in told["lsn"]
    with open(os.path.join(folder, "index.html"), encoding="utf-8") as text:
        assert "As it was on %s at %s UTC, out of a backup" % (
            told["time"][:10], told["time"][11:16]) in text.read()
    with open(audit) as text:
        assert [json.loads(line)["snapshot"] for line in text] == \
            [past.name] * 2
    live, _ = past.export("1", "live", "--audit", audit)
    assert manifest(live)["snapshot"] is None


def test_an_archive_will_do(past):
    archive = past.stack.path("one.tar.zst.age")
    done = past.stack.admin("backup-archive", "-o", archive, "latest")
    assert done.status == COMPLETE, str(done)
    live, _ = past.export("1", "live")
    away(past)
    done = past.stack.commands.run(
        "backup-export", "run", "--repository", archive, "--identity-file",
        past.stack.identity, "--snapshot", past.name[:12], "--map", past.map,
        "--subject", "1", past.stack.path("out"))
    assert done.status == COMPLETE, str(done)
    assert "an archive has no ledger of erasures" in done.err, str(done)
    assert content(past.stack.path("out")) == content(live)


def test_a_time_names_the_snapshot_of_then(past, postgres, database):
    postgres.execute(database, "UPDATE users SET name = 'later'")
    second = past.stack.create()["snapshot"]
    listed = {event["name"]: event["time"] for event in past.stack.run(
        "backup-list", "--json").events if event["type"] == "snapshot"}
    folder = past.stack.path("out")
    done = past.stack.admin(
        "backup-export", "run", "--map", past.map, "--snapshot",
        listed[past.name], "--subject", "1", folder)
    assert done.status == COMPLETE, str(done)
    assert manifest(folder)["snapshot"] == past.name
    assert rows(folder, "own/public.users.ndjson")[0]["name"] != "later"
    entries = past.stack.entries
    assert entries(listed[second]) == entries("2100-01-01") != entries(
        listed[past.name])
    done = past.stack.run("backup-list", "2001-02-03T04:05Z")
    assert done.status == FAILED and "as old as" in done.err, str(done)
    os.unlink(past.stack.path("repository", "snapshots", second))
    done = past.stack.run("backup-list", listed[past.name])
    assert done.status == FAILED and past.name in done.err, str(done)


def test_rows_are_explained_and_maps_checked_in_it(past, postgres, database):
    postgres.execute(database, "DELETE FROM orders;"
                     "CREATE TABLE later (u bigint REFERENCES users)")
    assert past.run("check").status == FAILED
    assert run(past, "check").status == COMPLETE
    done = run(past, "explain", "--json", "--subject", "1", "public.orders",
               "7")
    assert done.status == COMPLETE, str(done)
    assert [step["table"] for step in done.of_type("step")] == [
        "public.users", "public.orders"]
    assert leftovers(past) == []


def test_the_server_may_be_stopped_or_a_standby(stack):
    home = stack.path("server")
    os.mkdir(home, 0o711)
    server = Postgres(home)
    try:
        server.create_database("app")
        server.execute("app", "CREATE TABLE users (id int PRIMARY KEY);"
                       "INSERT INTO users VALUES (1)")
        stack.add_postgres("app", server, "app")
        stack.create()
    finally:
        server.stop()
    it = Exporter(stack)
    with open(it.map, "w") as out:
        out.write("version: 1\nsubject: {table: public.users, key: [id]}\n"
                  "tables: {public.users: {origin: provided}}\n")
    output = stack.path("live")
    assert it.run("run", "--subject", "1", output).status == FAILED
    folder, _ = export(it, "1", "out")
    assert rows(folder, "own/public.users.ndjson") == [{"id": 1}]
    # One that never leaves recovery, for want of a primary.
    with open(os.path.join(server.data, "standby.signal"), "w"):
        pass
    server.start()
    stack.add_postgres("app", server, "app")
    try:
        done = it.run("run", "--subject", "1", output)
    finally:
        server.stop()
    assert done.status == FAILED and "--snapshot latest" in done.err, str(done)


# ---- what the snapshot lacks ----

def partial(exporter, name, *args):
    """What an export names that is not there."""
    folder, done = export(exporter, "1", name, *args, status=DEGRADED)
    told = manifest(folder)
    assert told["status"] == done.result["state"] == "partial"
    return folder, {item["what"]: item["reason"]
                    for item in told["omitted"]}, done


def test_objects_that_it_does_not_hold_are_named(past, postgres, database,
                                                 s3, bucket):
    postgres.execute(database, "UPDATE users SET avatar = 'new/1.png'")
    past.stack.create("postgres/app")
    s3.put_object(Bucket=bucket, Key="new/1.png", Body=b"later")
    _, lacks, _ = partial(past, "no-bucket")
    assert list(lacks) == ["files/up/new/1.png"]
    assert "does not hold bucket/up" in lacks["files/up/new/1.png"]
    s3.delete_object(Bucket=bucket, Key="new/1.png")
    past.stack.create()
    folder, lacks, _ = partial(past, "no-object")
    assert "does not have it" in lacks["files/up/new/1.png"]
    assert not os.path.exists(os.path.join(folder, "files"))


def test_prefixes_are_looked_up_in_it(past, postgres, database, s3, bucket):
    with open(past.map, "w") as out:
        out.write(PLAIN.replace("key: avatar", "prefix: \"id || '/'\""))
    for key in ("1/a", "1/b/c", "10/x", "0"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    past.stack.create()
    live, _ = past.export("1", "live")
    for key in ("1/a", "1/b/c"):
        s3.delete_object(Bucket=bucket, Key=key)
    s3.put_object(Bucket=bucket, Key="1/later", Body=b"later")
    folder, _ = export(past, "1", "out")
    assert content(folder) == content(live)
    assert [line["key"] for line in rows(folder, "files.ndjson")] == [
        "1/a", "1/b/c"]


def stored_in(past, change):
    """Makes a change and a backup of it: the largest pack of that."""
    before = set(packs(past.stack))
    change()
    past.stack.create()
    new = {path: size for path, size in packs(past.stack).items()
           if path not in before}
    return max(new, key=new.get)


def test_what_the_repository_has_lost_is_named_where_it_concerns(
        past, postgres, database, s3, bucket):
    data = "postgres/app/%s/data/public." % database

    def sql(text):
        return lambda: postgres.execute(database, text.replace(
            "LARGE", "(SELECT string_agg(md5((s * n)::text), '')"
            " FROM generate_series(1, 9000) n)"))

    settings = stored_in(past, sql(
        "INSERT INTO settings SELECT 'k' || s, LARGE"
        " FROM generate_series(1, 4) s"))
    picture = stored_in(past, lambda: s3.put_object(
        Bucket=bucket, Key="users/1.png", Body=os.urandom(1 << 20)))
    orders = stored_in(past, sql(
        "INSERT INTO orders SELECT s, 1, 1, LARGE"
        " FROM generate_series(2000, 2003) s"))
    users = stored_in(past, sql(
        "UPDATE users SET secret = LARGE"
        " FROM generate_series(3000, 3000) s"))

    flip_middle(settings)
    flip_middle(picture)
    folder, lacks, done = partial(past, "elsewhere")
    assert set(lacks) == {"files/up/users/1.png"}
    assert any("no row of this table is asked for" in event["text"]
               and event["path"] == data + "settings"
               for event in done.of_type("message"))
    assert not os.path.exists(os.path.join(folder, "files/up/users/1.png"))
    flip_middle(orders)
    folder, lacks, _ = partial(past, "rows", "--no-files")
    assert set(lacks) == {data + "orders"}
    with open(os.path.join(folder, "index.html"), encoding="utf-8") as text:
        assert data + "orders" in text.read()
    flip_middle(users)
    output = past.stack.path("none")
    done = run(past, "run", "--subject", "1", output)
    assert done.status == FAILED
    assert "could not be restored whole" in done.err, str(done)
    assert not os.path.exists(output) and leftovers(past) == []


# ---- being stopped ----

def processes(folder):
    """Those whose command line names the folder."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as words:
                if os.fsencode(folder) + b"/" in words.read():
                    found.append(path)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("moment, signum", [
    ("making", signal.SIGTERM), ("asking", signal.SIGINT)])
def test_a_signal_leaves_no_cluster(past, moment, signum):
    stack = past.stack
    if moment == "asking":
        with open(past.map, "w") as out:
            out.write(PLAIN.replace(
                "key: avatar", "key: avatar, when: pg_sleep(600)::text = ''"))
    process = stack.start(
        "backup-export", "run", "--map", past.map, "--snapshot", "latest",
        "--identity-file", stack.identity, "--subject", "1",
        stack.path("out"))
    word = b"restoring" if moment == "making" else b"fetching files"
    for line in process.stderr:
        if word in line:
            break
    folder = stack.path("home", "tmp")
    assert processes(folder), "it has ended already"
    process.send_signal(signum)
    done = finish(process, timeout=30)
    assert done.status in (FAILED, 128 + signum, -signum), str(done)
    assert processes(folder) == [] and leftovers(past) == []
    assert not os.path.exists(stack.path("out"))


# ---- who was erased since ----

def test_who_was_erased_since_is_not_given_out(past, postgres, database):
    before, _ = export(past, "9007199254740993", "before", "--no-files")
    assert len(rows(before, "own/public.messages.ndjson")) == 1
    postgres.execute(database, """
        UPDATE messages SET author = NULL WHERE author = 2;
        UPDATE blocks SET creator = NULL WHERE creator = 2;
        DELETE FROM messages WHERE reader = 2;
        UPDATE blocks SET target = NULL WHERE target = 2;
        DELETE FROM orders WHERE user_id = 2;
        DELETE FROM users WHERE id = 2""")
    done = past.run("forget", "--subject", "2")
    assert done.status == COMPLETE, str(done)
    output = past.stack.path("erased")
    done = run(past, "run", "--subject", "002", output)
    assert done.status == FAILED and "was erased on 20" in done.err, str(done)
    assert not os.path.exists(output) and leftovers(past) == []
    # What was theirs is in nobody else's export, either.
    folder, _ = export(past, "9007199254740993", "other", "--no-files")
    assert not os.path.exists(
        os.path.join(folder, "own/public.messages.ndjson"))
    assert rows(folder, "own/public.users.ndjson")[0]["name"] == "big"
