# SPDX-License-Identifier: Apache-2.0
"""Backups that several processes make: one leads, others read, one finishes."""

import json
import os
import re
import signal
import threading
import time

import pytest
import yaml
from harness.proxy import Stall
from harness.stack import COMPLETE, FAILED, Stack, finish, patience

TABLES = """
CREATE TABLE large (id int, word text);
INSERT INTO large SELECT i, md5(i::text) || md5((i / 7)::text)
  FROM generate_series(1, 250000) i;
CREATE TABLE middle (id bigint PRIMARY KEY, at timestamptz, data bytea);
INSERT INTO middle SELECT i, timestamptz '2026-01-01' + i * interval '1 s',
  sha256(i::text::bytea) FROM generate_series(1, 60000) i;
CREATE TABLE empty (id int);
CREATE TABLE bare ();
CREATE SCHEMA "odd "" schema";
CREATE TABLE "odd "" schema"."it's, a \\ table" ("a ""column" text);
INSERT INTO "odd "" schema"."it's, a \\ table"
  SELECT repeat('x', i) FROM generate_series(1, 1000) i;
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TABLE parts (c colour, n int) PARTITION BY HASH (c);
CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT (ARRAY['red', 'green'])[i % 2 + 1]::colour, i
  FROM generate_series(1, 5000) i;
CREATE VIEW seen AS SELECT id FROM large;
CREATE SEQUENCE counted; SELECT nextval('counted') FROM generate_series(1, 9);
SELECT lo_from_bytea(0, convert_to(repeat('large ', 9999), 'UTF8'));
ALTER TABLE middle ADD FOREIGN KEY (id) REFERENCES middle;
"""

CHANGES = """
UPDATE large SET word = 'changed' WHERE id % 3 = 0;
DELETE FROM large WHERE id % 5 = 0;
INSERT INTO large SELECT i, 'new' FROM generate_series(1, 20000) i;
UPDATE middle SET data = NULL;
INSERT INTO empty VALUES (1);
DELETE FROM parts;
"""


def fill(postgres, database):
    postgres.execute(database, TABLES)


class Leader:
    """backup-create --plan, at work."""

    def __init__(self, host, run, *args):
        self.run = run
        self.host = host
        self.process = host.start("backup-create", "--json", "--plan", "--run",
                                  run, *args)
        self.lines = []
        until = time.monotonic() + patience(60)
        while not any("ready to be shared" in line for line in self.lines):
            assert time.monotonic() < until
            line = self.process.stdout.readline().decode()
            if not line:
                raise AssertionError(self.process.communicate())
            self.lines.append(line)

    def end(self):
        return finish(self.process)

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        return finish(self.process)


def share(host, run, number, *args, **options):
    return host.run("backup-create", "--json", "--run", run, "--share", number,
                    "--wait", "20s", *args, **options)


def share_all(host, run, count):
    """All shares at once, each a process."""
    running = [host.start("backup-create", "--json", "--run", run, "--share",
                          "%d/%d" % (i, count)) for i in range(count)]
    ended = [finish(process) for process in running]
    for result in ended:
        assert result.status == COMPLETE, str(result)
    return [result.result for result in ended]


def end(host, run, *args):
    return host.run("backup-create", "--json", "--run", run, "--finish",
                    "--wait", "20s", *args)


def comparable(entries):
    """All that is said of the entries. An archive of the schema holds the time
    when it was made; of a file that has just changed no ctime is kept."""
    found = {}
    for path, event in entries.items():
        if event["kind"] == "postgres.schema":
            event = {key: value for key, value in event.items()
                     if key not in ("sha256", "size", "stored_size")}
        event.get("attributes", {}).pop("ctime", None)
        found[path] = json.dumps(event, sort_keys=True)
    return found


def assert_same(host, one, other):
    first = comparable(host.entries(one))
    second = comparable(host.entries(other))
    assert len(first) > 10
    assert first == second


def chunks(result):
    return result["new_chunks"] + result["known_chunks"]


def runs(host):
    """What is left of runs in the repository."""
    folder = os.path.join(host.repository, "runs")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


@pytest.fixture
def host(stack, postgres, database):
    fill(postgres, database)
    stack.database = database
    stack.add_postgres("app", postgres, database)
    stack.files = stack.path("files")
    os.mkdir(stack.files)
    for number in range(5):
        with open(os.path.join(stack.files, "f%d" % number), "wb") as out:
            out.write(b"%d" % number * 100000)
    stack.add("files", "stack", paths=[stack.files])
    return stack


def test_what_several_processes_make_is_what_one_makes(host, postgres):
    one = host.create()["snapshot"]
    leader = Leader(host, "nightly")
    # All of them see the moment of the leader.
    postgres.execute(host.database, CHANGES)
    results = share_all(host, "nightly", 3)
    assert all(result["tasks"] > 0 for result in results)
    # The leader reads the leaves of a root by itself.
    assert sum(result["rows"] for result in results) == 311000
    ended = end(host, "nightly")
    assert ended.status == COMPLETE, str(ended)
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert led.result["snapshot"] == ended.result["snapshot"]
    assert led.result["rows"] == 316000
    # It has not read what they had read.
    assert chunks(led.result) - sum(map(chunks, results)) < 20
    assert_same(host, one, ended.result["snapshot"])
    assert runs(host) == []
    # The next one by one process sees what has changed since.
    assert host.create()["new_chunks"] > 0
    check = host.admin("backup-check", "--read-data")
    assert check.status == COMPLETE, str(check)


def test_what_came_back_of_it_is_proven(host, postgres):
    leader = Leader(host, "proof", "--finish")
    share_all(host, "proof", 2)
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert runs(host) == []
    verified = host.verify()
    assert any(event.get("rows") == 316000 for event in verified.events), str(
        verified)
    host.restore("latest", "postgres/app", "--to", host.database + "-back")
    assert postgres.execute(
        host.database + "-back",
        "SELECT count(*), sum(hashtext(l::text)::bigint) FROM large l"
    ) == postgres.execute(
        host.database,
        "SELECT count(*), sum(hashtext(l::text)::bigint) FROM large l")


def test_a_share_that_was_killed_is_run_again(host, postgres, tmp_path_of_test):
    one = host.create()["snapshot"]
    leader = Leader(host, "killed", "--finish")
    other = elsewhere(host, "other")
    with Stall(postgres.port, 300000) as stall:
        other.add_postgres("app", postgres, host.database)
        point_at(other, stall.port)
        dying = other.start("backup-create", "--run", "killed", "--share",
                            "1/2", "--json")
        assert stall.has_stalled.wait(patience(60))
        os.killpg(dying.pid, signal.SIGKILL)
        finish(dying)
    assert share(host, "killed", "0/2").status == COMPLETE
    # Nothing is made of what is not there.
    late = end(host, "killed", "--wait", "1s")
    assert late.status == FAILED
    assert "shares are missing: 1/2 " in late.message, str(late)
    again = share(host, "killed", "1/2")
    assert again.status == COMPLETE, str(again)
    assert again.result["known_tasks"] == 0
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert_same(host, one, led.result["snapshot"])


def test_a_share_may_be_run_twice_and_any_number_of_them_will_do(host):
    one = host.create()["snapshot"]
    leader = Leader(host, "twice", "--finish")
    both = [host.start("backup-create", "--json", "--run", "twice", "--share",
                       "0/3") for _ in range(2)]
    for process in both:
        ended = finish(process)
        assert ended.status == COMPLETE, str(ended)
    again = share(host, "twice", "0/3")
    assert again.result["known_tasks"] == again.result["tasks"] > 0
    assert again.result["rows"] == 0
    # Somebody counts otherwise: all is there once he is done.
    share_all(host, "twice", 2)
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert_same(host, one, led.result["snapshot"])
    # What was stored twice is garbage, and no more than that.
    pruned = host.admin("backup-prune", "--json", "--keep-last", "2",
                        "--grace", "0")
    assert pruned.status == COMPLETE, str(pruned)
    check = host.admin("backup-check", "--read-data")
    assert check.status == COMPLETE, str(check)


def test_a_prune_in_between_takes_nothing_away(host):
    one = host.create()["snapshot"]
    elder = Leader(host, "pruned")
    assert share(host, "pruned", "0/2").status == COMPLETE
    for _ in range(2):
        pruned = host.admin("backup-prune", "--json", "--keep-last", "1",
                            "--grace", "0")
        assert pruned.status in (COMPLETE, 3), str(pruned)
    assert share(host, "pruned", "1/2").status == COMPLETE
    check = host.admin("backup-check", "--json")
    assert not [event for event in check.of_type("finding")], str(check)
    ended = end(host, "pruned")
    assert ended.status == COMPLETE, str(ended)
    assert elder.end().status == COMPLETE
    assert_same(host, one, ended.result["snapshot"])
    check = host.admin("backup-check", "--read-data")
    assert check.status == COMPLETE, str(check)


def test_a_table_that_somebody_waits_for_is_read_by_the_leader(host, postgres):
    one = host.create()["snapshot"]
    leader = Leader(host, "waits", "--finish")
    waiting = threading.Thread(target=postgres.execute, args=(
        host.database, "ALTER TABLE large ADD later int"))
    waiting.start()
    until = time.monotonic() + patience(30)
    while not postgres.execute(host.database, "SELECT 1 FROM pg_locks"
                               " WHERE mode = 'AccessExclusiveLock' AND NOT"
                               " granted"):
        assert time.monotonic() < until
        time.sleep(0.05)
    results = share_all(host, "waits", 2)
    assert sum(result["left_pieces"] for result in results) > 0
    led = leader.end()
    waiting.join()
    assert led.status == COMPLETE, str(led)
    assert_same(host, one, led.result["snapshot"])


def test_what_is_not_of_a_run_does_not_count(host, postgres):
    leader = Leader(host, "strange", "--finish")
    folder = os.path.join(host.repository, "runs")
    plan, = os.listdir(folder)
    session = plan.split(".")[0]
    forged = os.path.join(folder, session + ".0-1.0123456789abcdef")
    with open(forged, "wb") as out:
        out.write(b"age-encryption.org/v1 and so on")
    # A server that is another one.
    other = elsewhere(host, "other")
    other.add_postgres("app", postgres, "postgres")
    other.add_postgres("another", postgres, "postgres")
    other.sources = [source for source in other.sources
                     if source[1] == "another"]
    other.write()
    lost = share(other, "strange", "0/1")
    assert lost.status == FAILED
    assert "names no source 'postgres/app'" in lost.message
    assert share(host, "strange", "0/1").status == COMPLETE
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert any("does not count" in event["text"]
               for event in led.of_type("message")), str(led)
    assert runs(host) == []


def test_the_jobs_of_the_manifest_make_a_backup(host):
    """What the pods are told to run, run here."""
    manifest = os.path.join(os.environ.get("top_srcdir", "."), "tools",
                            "kubernetes", "indexed-job.yaml")
    with open(manifest) as text:
        jobs = {job["metadata"]["name"]: job["spec"]
                for job in yaml.safe_load_all(text) if job}
    leader, shares = jobs["libbackup-leader"], jobs["libbackup-shares"]
    assert shares["completionMode"] == "Indexed"
    assert shares["completions"] == shares["parallelism"]
    running = []
    for spec, count in (leader, 1), (shares, shares["completions"]):
        pod = spec["template"]["spec"]
        container, = pod["containers"]
        # podFailurePolicy and backoffLimitPerIndex ask for this.
        assert pod["restartPolicy"] == "Never"
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]}
        for index in range(count):
            name, *args = [arg.replace("$(SHARE)", str(index))
                           for arg in container["args"]]
            assert not any("$(" in arg for arg in args)
            running.append(host.start(name, *args))
    for process in running:
        ended = finish(process)
        assert ended.status == COMPLETE, str(ended)
    assert len(host.snapshots()) == 1


def elsewhere(host, name):
    """Another host with the same repository and key."""
    folder = host.path(name)
    os.mkdir(folder)
    other = Stack(host.commands.tools, folder)
    other.repository = host.repository
    other.key_file = host.key_file
    other.options = dict(host.options)
    other.write()
    return other


def point_at(host, port):
    """The databases are behind that port."""
    for _, _, options in host.sources:
        options["conninfo"] = re.sub(
            r"port='?[0-9]+'?", "port=%d" % port, options["conninfo"])
    host.write()
