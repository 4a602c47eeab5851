# SPDX-License-Identifier: Apache-2.0
"""One backup into two repositories, a folder and a bucket: the sources are read
once, each of the two gives all of it back alone, and what becomes of one is no
matter of the other."""

import os
import shutil
import socket
import time

import pytest
from harness.gate import Gate
from harness.stack import COMPLETE, DEGRADED, FAILED, USAGE, patience, recipient_of
from test_incremental import summarising  # noqa: F401  (a fixture)

TABLES = 6
SCHEMA = "".join("""
CREATE TABLE t%d (id int PRIMARY KEY, name text);
INSERT INTO t%d SELECT n, md5(n::text) || '%d' FROM generate_series(1, 4000) n;
""" % (n, n, n) for n in range(TABLES))


class Pair:
    """A host with a repository in a folder and one like it in a bucket."""

    def __init__(self, stack, minio, location):
        self.stack, self.minio, self.location = stack, minio, location
        self.places = {
            "local": {"location": stack.repository,
                      "key_file": stack.key_file},
            "offsite": {"location": location,
                        "key_file": stack.path("offsite.key"),
                        "storage": {
                            "endpoint": minio.endpoint,
                            "access_key_file": stack.secret(
                                "repo-access", minio.access_key),
                            "secret_key_file": stack.secret(
                                "repo-secret", minio.secret_key)}}}
        self.write()

    def write(self):
        self.stack.options = {"repositories": self.places}
        self.stack.write()

    def init(self, *args):
        made = self.stack.run(
            "backup-init", "--repository", "offsite", "--recipient",
            recipient_of(self.stack.identity), *args)
        assert made.status == COMPLETE, str(made)

    def create(self, statuses=(COMPLETE,), **options):
        """The parts of the result event by the repositories' names."""
        self.event = self.stack.create(statuses=statuses, **options)
        return {it["name"]: it for it in self.event["repositories"]}

    def lists(self, name, snapshot):
        """What the snapshot in one of them holds, and its head."""
        done = self.stack.run("backup-list", "--json", "--repository", name,
                              snapshot)
        assert done.status == COMPLETE, str(done)
        return [{key: value for key, value in event.items()}
                for event in done.events if event["type"] == "entry"]

    def head(self, name, snapshot):
        done = self.stack.run(
            "backup-list", "--json", "--long", "--repository", name)
        assert done.status == COMPLETE, str(done)
        return [event for event in done.events
                if event.get("name") == snapshot][0]

    def verify(self, name, snapshot="latest"):
        done = self.stack.admin("backup-verify", "--json", "--repository",
                                name, snapshot)
        assert done.status == COMPLETE, str(done)
        return done

    def check(self, name):
        done = self.stack.admin("backup-check", "--read-data", "--repository",
                                name)
        assert done.status == COMPLETE, str(done)


@pytest.fixture
def pair(stack, minio, repository):
    made = Pair(stack, minio, repository)
    made.init("--like", "local")
    return made


def put_files(stack, count=20, size=60000):
    folder = stack.path("files")
    os.makedirs(folder, exist_ok=True)
    for number in range(count):
        with open(os.path.join(folder, "f%d" % number), "wb") as out:
            out.write(os.urandom(size))
    stack.add("files", "stack", paths=[folder])
    return folder


def copies(postgres):
    """How often tables were copied out, by what the server logged."""
    with open(postgres.log, errors="replace") as log:
        return sum("COPY" in line and "TO STDOUT" in line for line in log)


def remove_bucket(s3, location):
    bucket, prefix = location[len("s3://"):].split("/", 1)
    for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])


def test_sources_are_read_once_and_each_gives_all_back_alone(
        pair, postgres, database, bucket, s3):
    stack = pair.stack
    postgres.execute(database, SCHEMA)
    for number in range(30):
        s3.put_object(Bucket=bucket, Key="o%d" % number,
                      Body=os.urandom(30000))
    stack.add_postgres("app", postgres, database)
    put_files(stack)
    # Every COPY of this database is logged, with the name of its table.
    postgres.execute("postgres", "ALTER DATABASE %s SET log_statement = 'all'"
                     % database)
    counts = []
    for names in (["--repository", "local"], []):
        before = copies(postgres)
        stack.create(*names)
        counts.append(copies(postgres) - before)
        postgres.execute(database, "UPDATE t0 SET name = name || 'x'")
    assert counts[0] >= TABLES
    assert counts[1] == counts[0]

    made = pair.create()
    assert made["local"]["snapshot"] != made["offsite"]["snapshot"]
    heads = [pair.head(name, made[name]["snapshot"]) for name in made]
    assert heads[0]["time"] == heads[1]["time"]
    lists = [pair.lists(name, made[name]["snapshot"]) for name in made]
    assert lists[0] == lists[1] and len(lists[0]) > TABLES + 20
    # Either is enough without the other.
    shutil.move(stack.repository, stack.path("away"))
    pair.verify("offsite")
    shutil.move(stack.path("away"), stack.repository)
    remove_bucket(s3, pair.location)
    pair.verify("local")


def test_objects_are_fetched_once(pair, s3, bucket, minio):
    for number in range(12):
        s3.put_object(Bucket=bucket, Key="o%d" % number,
                      Body=os.urandom(30000))
    with Gate(minio, lambda method, path: None) as gate:
        pair.stack.add_bucket("up", gate, bucket=bucket)
        pair.create()
        fetched = [path for method, path in gate.requests if method == "GET"
                   and path.startswith("/%s/o" % bucket) and "?" not in path]
    assert len(fetched) == len(set(fetched)) == 12, gate.requests
    pair.stack.add_bucket("up", minio, bucket=bucket)
    pair.verify("local")
    pair.verify("offsite")


def test_one_that_was_down_for_a_night_catches_up(pair, postgres, database):
    stack = pair.stack
    postgres.execute(database, SCHEMA)
    stack.add_postgres("app", postgres, database)
    folder = put_files(stack)
    pair.create()

    # The night without the local one: its folder is not there.
    shutil.move(stack.repository, stack.path("away"))
    postgres.execute(database, "UPDATE t1 SET name = name || 'y' WHERE id < 9")
    with open(os.path.join(folder, "new"), "wb") as out:
        out.write(os.urandom(500000))
    made = pair.create(statuses=(DEGRADED,))
    assert made["local"]["snapshot"] is None
    assert "no such directory" in made["local"]["why"]
    assert made["offsite"]["state"] == "complete"
    assert pair.event["snapshot"] == made["offsite"]["snapshot"]
    pair.verify("offsite")

    # It is back: what it missed is stored there, and nothing in the other.
    shutil.move(stack.path("away"), stack.repository)
    made = pair.create()
    assert made["local"]["stored_bytes"] > 500000
    assert made["offsite"]["stored_bytes"] < 50000
    assert (pair.lists("local", made["local"]["snapshot"]) ==
            pair.lists("offsite", made["offsite"]["snapshot"]))

    # The same the other way round: nobody listens there.
    good = pair.places["offsite"]["storage"]["endpoint"]
    pair.places["offsite"]["storage"]["endpoint"] = "http://127.0.0.1:9"
    pair.write()
    postgres.execute(database, "UPDATE t2 SET name = name || 'z' WHERE id < 9")
    made = pair.create(statuses=(DEGRADED,))
    assert made["offsite"]["snapshot"] is None
    assert pair.event["snapshot"] == made["local"]["snapshot"]
    pair.places["offsite"]["storage"]["endpoint"] = good
    pair.write()
    made = pair.create()
    assert made["local"]["new_chunks"] < made["offsite"]["new_chunks"]
    for name in made:
        pair.verify(name)
        pair.check(name)


def test_one_that_never_answers_does_not_keep_the_others_waiting(pair):
    stack = pair.stack
    put_files(stack, count=2)
    pair.places = {name: pair.places[name] for name in ("offsite", "local")}
    with socket.create_server(("127.0.0.1", 0)) as mute:
        # What is sent is taken, and nobody reads it.
        pair.places["offsite"]["storage"]["endpoint"] = (
            "http://127.0.0.1:%d" % mute.getsockname()[1])
        pair.write()
        began = time.monotonic()
        done = stack.run("backup-create", "--json")
        took = time.monotonic() - began
    assert done.status == DEGRADED, str(done)
    made = {it["name"]: it for it in done.result["repositories"]}
    assert made["local"]["state"] == "complete"
    assert made["offsite"]["snapshot"] is None
    assert "check that the server runs" in made["offsite"]["why"]
    assert took < patience(100)
    phases = list(dict.fromkeys(
        event["phase"] for event in done.of_type("progress")))
    assert phases[:2] == ["opening offsite", "opening local"]


def test_where_none_can_be_reached_the_backup_has_failed(pair):
    put_files(pair.stack, 2)
    shutil.move(pair.stack.repository, pair.stack.path("away"))
    pair.places["offsite"]["storage"]["endpoint"] = "http://127.0.0.1:9"
    pair.write()
    done = pair.stack.run("backup-create", "--json")
    assert done.status == FAILED, str(done)
    assert [event for event in done.events if event["type"] == "error"]
    assert "local" in done.err


def test_each_is_pruned_by_itself_and_the_next_backup_stores_what_is_gone(
        pair):
    stack = pair.stack
    folder = put_files(stack, 2)
    pair.create()
    # These have packs of their own: one that is needed in part stays.
    come = ["g%d" % number for number in range(18)]
    for name in come:
        with open(os.path.join(folder, name), "wb") as out:
            out.write(os.urandom(60000))
    second = pair.create()
    away = stack.path("files-away")
    os.mkdir(away)
    for name in come:
        os.rename(os.path.join(folder, name), os.path.join(away, name))
    pair.create()
    pruned = stack.run("backup-prune", "--repository", "local", "--keep-last",
                       "1", "--grace", "0", "--json")
    assert pruned.status == COMPLETE, str(pruned)
    # What comes back is known in the one, and must be stored in the other.
    for name in come:
        os.rename(os.path.join(away, name), os.path.join(folder, name))
    made = pair.create()
    assert made["local"]["new_chunks"] >= 18
    assert made["offsite"]["new_chunks"] == 0
    for name in made:
        pair.check(name)
        pair.verify(name)
    pair.verify("offsite", second["offsite"]["snapshot"])


def test_a_revoked_key_of_one_is_told_and_the_other_goes_on(pair):
    stack = pair.stack
    put_files(stack, 3)
    pair.create()
    shown = stack.admin("backup-key", "--repository", "offsite", "show",
                        "--json")
    host, = [event["name"] for event in shown.of_type("host")]
    done = stack.admin("backup-key", "--repository", "offsite", "revoke", host)
    assert done.status == COMPLETE, str(done)
    made = pair.create(statuses=(DEGRADED,))
    assert made["local"]["state"] == "complete"
    assert made["offsite"]["snapshot"] is None
    assert "revoked" in made["offsite"]["why"]


def test_those_that_are_not_alike_are_read_for_one_after_the_other(
        stack, minio, repository):
    pair = Pair(stack, minio, repository)
    pair.init()
    put_files(stack, 3)
    done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    assert [event for event in done.of_type("message")
            if "backup-init --like" in event["text"]]
    made = {it["name"]: it for it in done.result["repositories"]}
    for name in made:
        assert made[name]["new_chunks"] > 0
        pair.verify(name)


def test_one_may_be_chosen(pair):
    put_files(pair.stack, 3)
    made = pair.create()
    event = pair.stack.create("--repository", "offsite")
    assert [it["name"] for it in event["repositories"]] == ["offsite"]
    assert event["snapshot"] != made["offsite"]["snapshot"]
    assert event["new_chunks"] == 0
    done = pair.stack.run("backup-create", "--key-file", pair.stack.key_file)
    assert done.status == USAGE and "--repository NAME" in done.err


def test_rows_are_differences_in_both(pair, postgres, database):
    stack = pair.stack
    postgres.execute(database, """
        CREATE TABLE big (id int PRIMARY KEY, note text);
        INSERT INTO big SELECT n, md5(n::text) FROM generate_series(1, 30000) n
        """)
    stack.add_postgres("app", postgres, database)
    env = {"BACKUP_CACHE_DIR": stack.path("home", "cache")}
    whole = pair.create(env=env)
    for night in range(3):
        postgres.execute(database, "UPDATE big SET note = md5(note)"
                         " WHERE id %% 200 = %d" % night)
        made = pair.create(env=env)
        for name in made:
            assert (made[name]["stored_bytes"] <
                    whole[name]["stored_bytes"] / 5), made
    for name in made:
        pair.verify(name)
        pair.check(name)


def test_a_job_reads_its_sources_once_for_both(pair):
    stack = pair.stack
    count = stack.path("count")
    stack.add("command", "said", output="text",
              run=["sh", "-c", "echo x >>%s; date +%%N" % count])
    put_files(stack, 2)
    done = stack.run("backup-run", "--json")
    assert done.status == COMPLETE, str(done)
    with open(count) as file:
        assert file.read() == "x\n"
    made = {it["name"]: it["snapshot"] for it in done.result["repositories"]}
    assert (pair.lists("local", made["local"]) ==
            pair.lists("offsite", made["offsite"]))
    assert [(step["name"], step["repository"], step["state"])
            for step in done.result["steps"]] == [
                ("backup", "local", "complete"),
                ("backup", "offsite", "complete")]


def test_earlier_lists_that_cannot_be_read_cost_a_reading_and_no_backup(pair):
    """Of the first repository, which saves work; the other one goes on."""
    stack = pair.stack
    put_files(stack, 30)
    pair.create()
    # Packs of the local one that hold entry lists go away.
    packs = stack.path("repository", "packs")
    for where, _, names in os.walk(packs):
        for name in names:
            path = os.path.join(where, name)
            if os.path.getsize(path) < 100000:
                os.unlink(path)
    made = pair.create(statuses=(DEGRADED,))
    assert made["local"]["snapshot"] and made["offsite"]["snapshot"]
    assert made["local"]["problems"] > 0 and made["offsite"]["problems"] == 0
    assert (pair.lists("local", made["local"]["snapshot"]) ==
            pair.lists("offsite", made["offsite"]["snapshot"]))
    pair.verify("local")
    pair.verify("offsite")


def test_an_earlier_snapshot_that_cannot_be_read_costs_no_backup(pair, minio):
    """Whenever the first repository is asked for it: another one goes on, and
    so does the first where the snapshot only saves work."""
    put_files(pair.stack, 3)
    pair.places = {"offsite": pair.places["offsite"],
                   "local": pair.places["local"]}
    pair.write()
    newest = pair.create()["offsite"]["snapshot"]
    asked, refused, without = 0, 0, 0

    def refuse(method, path):
        nonlocal asked
        if method != "GET" or not path.endswith("/snapshots/" + newest):
            return None
        asked += 1
        return (403, "AccessDenied") if asked == refused else None

    with Gate(minio, refuse) as gate:
        pair.places["offsite"]["storage"]["endpoint"] = gate.endpoint
        pair.write()
        while asked >= refused:
            asked, refused = 0, refused + 1
            made = pair.create(statuses=(COMPLETE, DEGRADED))
            local, offsite = made["local"], made["offsite"]
            assert local["snapshot"] and local["problems"] == 0
            if offsite["snapshot"]:
                newest = offsite["snapshot"]
                if asked >= refused:
                    without += 1
                    assert offsite["problems"] == 1
    assert refused > 2 and without > 0


def test_pages_are_taken_over_where_both_have_them(pair, summarising):
    """By the server's summaries of WAL, which tell nothing of repositories."""
    stack = pair.stack
    database = "two_incremental"
    summarising.execute("postgres", "CREATE DATABASE " + database)
    summarising.execute(database, """
        CREATE TABLE item (id int PRIMARY KEY, note text);
        INSERT INTO item SELECT n, repeat(md5(n::text), 8)
            FROM generate_series(1, 20000) n""")
    summarising.execute(database, "VACUUM (FREEZE)")
    summarising.execute(database, "CHECKPOINT")
    stack.add_postgres("app", summarising, database, incremental=True,
                       bindir=summarising.bindir)
    env = {"BACKUP_CACHE_DIR": stack.path("home", "cache")}
    pair.create(env=env)
    pair.create(env=env)
    assert pair.event["bytes_taken_over"] > 2000000

    # What changes while the second one is away is in the first alone.
    good = pair.places["offsite"]["location"]
    pair.places["offsite"]["location"] = stack.path("nowhere")
    pair.write()
    summarising.execute(database, "UPDATE item SET note = note || 'x'")
    pair.create(statuses=(DEGRADED,), env=env)
    pair.places["offsite"]["location"] = good
    pair.write()
    made = pair.create(env=env)
    assert pair.event["bytes_taken_over"] < 2000000
    assert made["offsite"]["new_chunks"] > made["local"]["new_chunks"]
    pair.create(env=env)
    assert pair.event["bytes_taken_over"] > 2000000
    for name in made:
        pair.verify(name)
        pair.check(name)
