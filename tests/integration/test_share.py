# SPDX-License-Identifier: Apache-2.0
"""Backups that several processes make: one leads, others read, one finishes."""

import json
import os
import signal
import time

import pytest
from harness.stack import COMPLETE, FAILED, USAGE, finish, patience

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
    assert_same(host, one, ended.result["snapshot"])
    assert runs(host) == []
    # The next one by one process sees what has changed since.
    assert host.create()["new_chunks"] > 0
    check = host.admin("backup-check", "--read-data")
    assert check.status == COMPLETE, str(check)
