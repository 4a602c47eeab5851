# SPDX-License-Identifier: Apache-2.0
"""Exports of what once was: out of a snapshot, with nothing but the repository
at hand."""

import glob
import json
import os

import pytest
from harness.postgres import Postgres
from harness.stack import COMPLETE, FAILED
from test_export import MAP, Exporter, everything, exporter, manifest, rows

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
    assert manifest(live)["lsn"] != told["lsn"]


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
    assert content(past.stack.path("out")) == content(live)


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


def test_the_server_may_be_stopped(stack, tmp_path_of_test):
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
    done = run(it, "run", "--subject", "2", stack.path("two"))
    assert done.status == FAILED and "no such subject" in done.err, str(done)
