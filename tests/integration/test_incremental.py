# SPDX-License-Identifier: Apache-2.0
"""Pages that no WAL has touched are not read again, and what is taken over in
their place is what a full reading gives: each backup here has the database
twice, once as it is taken over and once read whole, and both must agree."""

import glob
import os
import random
import shutil
import subprocess
import tempfile
import time

import psycopg
import pytest
from harness import postgres as postgres_module
from harness.stack import finish, patience
from test_hard_moment import gated

# A range is about 1 MiB: two tables of some, and one of one range.
SCHEMA = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE item (id int PRIMARY KEY, n int, mood mood, note text);
INSERT INTO item SELECT n, n, 'glad', repeat(md5(n::text), 8)
    FROM generate_series(1, 12000) n;
CREATE TABLE other (id int, body text);
INSERT INTO other SELECT n, repeat(md5(n::text), 8)
    FROM generate_series(1, 12000) n;
CREATE TABLE small (id int, t text);
INSERT INTO small VALUES (1, 'one'), (2, 'two');
"""

SETTINGS = {"max_prepared_transactions": "5"}


def wait_for(condition):
    until = time.monotonic() + patience(30)
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(scope="module")
def summarising(session_folder):
    """A server that keeps summaries of its WAL."""
    found = {major: bindir for major, bindir
             in postgres_module.installed().items()
             if major >= 17 and bindir is not None}
    if not found:
        pytest.skip("no PostgreSQL 17 or later here (./bootstrap postgres 17)")
    major = min(found)
    # Other files of tests have one, too.
    home = tempfile.mkdtemp(prefix="summarising-", dir=session_folder)
    os.chmod(home, 0o711)
    server = postgres_module.Postgres(home, SETTINGS, bindir=found[major])
    summarise(server, "on")
    yield server
    server.stop()


def summarise(server, how):
    server.execute("postgres", "ALTER SYSTEM SET summarize_wal = " + how)
    server.execute("postgres", "SELECT pg_reload_conf()")
    wait_for(lambda: server.execute(
        "postgres", "SHOW summarize_wal") == [(how,)])


class App:
    """An application's database, backed up night after night."""

    def __init__(self, stack, server, database):
        self.stack, self.server, self.database = stack, server, database
        self.caches = stack.path("home", "cache")
        self.event = self.said = None
        self.user = server.USER
        self.reconnect()

    def reconnect(self):
        """The server may have another port, and the role another name."""
        for name, options in (("app", {"incremental": True}), ("full", {})):
            self.stack.add_postgres(
                name, self.server, self.database, bindir=self.server.bindir,
                **{"conninfo": self.server.conninfo(
                    self.database, user=self.user), **options})

    def sql(self, *statements):
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def connect(self):
        return self.server.connect(self.database)

    def tables(self, snapshot="latest"):
        """What the backup says of each table of both: rows, hash, length."""
        told = {"app": {}, "full": {}}
        for path, entry in self.stack.entries(snapshot, "postgres/").items():
            if "/data/" in path:
                source, table = path.split("/")[1], path.split("/")[4]
                told[source][table] = (entry["attributes"]["rows"],
                                       entry["attributes"]["rowhash"],
                                       entry["size"])
        return told

    def back_up(self, statuses=(0,)):
        """Backs up and compares; answers how much was taken over, of 1."""
        return self.agree(self.stack.run("backup-create", "--json", env={
            "BACKUP_CACHE_DIR": self.caches}), statuses)

    def agree(self, result, statuses=(0,)):
        assert result.status in statuses, str(result)
        self.event, self.said = result.result, result.out + result.err
        told = self.tables(self.event["snapshot"])
        assert told["app"] == told["full"], str(result)
        return self.event["bytes_taken_over"] / (self.event["bytes"] / 2)


@pytest.fixture
def app(stack, summarising):
    name = "incremental"
    summarising.drop_database(name)
    summarising.create_database(name)
    made = App(stack, summarising, name)
    made.sql(SCHEMA, "VACUUM (FREEZE)", "CHECKPOINT")
    yield made
    summarising.drop_database(name)


def said_why(app, *words):
    """All was read, and the backup says why."""
    for word in words:
        assert word in app.said, app.said
    assert app.event["bytes_taken_over"] == 0, app.said


def test_what_nothing_touched_is_taken_over_and_proven(app):
    assert app.back_up() == 0
    said_why(app, "no earlier backup is remembered")
    app.sql("UPDATE item SET n = 0 WHERE id = 1")
    assert 0.5 < app.back_up() < 1
    for source in app.stack.run("backup-list", "--json").events[-2]["sources"]:
        taken = source["bytes_taken_over"]
        assert taken == (app.event["bytes_taken_over"]
                         if source["prefix"] == "postgres/app" else 0)
    app.sql("DELETE FROM small WHERE id = 2",
            "INSERT INTO other SELECT n, 'new' FROM generate_series(1, 9) n")
    assert 0.5 < app.back_up() < 1
    app.stack.verify()


def test_without_a_change_all_but_the_checked_is_taken_over(app):
    app.back_up()
    # Within sixteen backups each range is read once, one by one.
    shares = [app.back_up() for _ in range(3)]
    assert max(shares) > 0.8 and min(shares) > 0.5, shares


# ---- a. what was in progress at the backup before ----

def open_transaction(app, *statements):
    """Begun, and everything it wrote is behind a checkpoint."""
    connection = app.connect()
    connection.execute("BEGIN")
    for statement in statements:
        connection.execute(statement)
    app.sql("SELECT pg_current_xact_id()", "CHECKPOINT", "CHECKPOINT")
    return connection


WRITES = ("INSERT INTO item VALUES (-1, 1, 'sad', 'late')",
          "DELETE FROM other WHERE id BETWEEN 1 AND 10",
          "SAVEPOINT a",
          "UPDATE small SET t = 'later' WHERE id = 2",
          "RELEASE a")


def test_what_was_open_at_the_backup_before_is_seen(app):
    app.back_up()
    connection = open_transaction(app, *WRITES)
    app.back_up()
    connection.execute("COMMIT")
    connection.close()
    assert app.back_up() > 0.2
    assert app.back_up() > 0.5


def test_a_transaction_older_than_all_that_is_known_means_a_full_reading(app):
    connection = open_transaction(app, *WRITES)
    app.back_up()
    connection.execute("COMMIT")
    connection.close()
    app.back_up()
    said_why(app, "no earlier backup is remembered")
    assert app.back_up() > 0.5


def test_what_was_prepared_at_the_backup_before_is_seen(app):
    app.back_up()
    connection = open_transaction(app, *WRITES)
    connection.execute("PREPARE TRANSACTION 'late'")
    connection.close()
    app.sql("CHECKPOINT")
    app.back_up()
    app.sql("COMMIT PREPARED 'late'")
    assert app.back_up() > 0.2


def test_what_was_open_and_is_rolled_back_changes_nothing(app):
    app.back_up()
    connection = open_transaction(app, *WRITES)
    app.back_up()
    connection.execute("ROLLBACK")
    connection.close()
    assert app.back_up() > 0.2


# ---- b. changes that touch no page ----

def test_what_changes_in_the_catalogue_alone_is_seen(app):
    app.back_up()
    for change in ("ALTER TABLE item ADD COLUMN late int DEFAULT 7",
                   "ALTER TABLE item DROP COLUMN n",
                   "ALTER TABLE item RENAME COLUMN late TO m",
                   "ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'",
                   "ALTER TABLE other ALTER body TYPE varchar"):
        app.sql(change, "CHECKPOINT")
        # The other table is taken over.
        assert 0.2 < app.back_up() < 0.7, change


def test_a_label_that_was_renamed_and_renamed_back_is_not_what_it_was(app):
    app.back_up()
    app.sql("ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'",
            "ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'")
    assert 0.2 < app.back_up() < 0.7


def test_types_within_types_are_looked_at(app):
    app.sql("CREATE TYPE pair AS (a int, b mood)",
            "CREATE DOMAIN pairs AS pair[]",
            "ALTER TABLE other ADD p pairs",
            "UPDATE other SET p = ARRAY[(1, 'sad')::pair]",
            "VACUUM FULL other", "CHECKPOINT")
    app.back_up()
    for change in ("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
                   "ALTER TYPE pair ADD ATTRIBUTE c int"):
        app.sql(change, "CHECKPOINT")
        app.back_up()


def test_settings_of_the_server_are_looked_at(app):
    app.back_up()
    app.sql("ALTER DATABASE incremental SET escape_string_warning = off")
    assert app.back_up() == 0
    assert app.back_up() > 0.5


# ---- c. other files ----

def test_rows_in_other_files_are_read(app):
    fill = ("INSERT INTO item SELECT n, -n, 'sad', repeat(md5(n::text), 8)"
            " FROM generate_series(%d, 12000) n ON CONFLICT DO NOTHING")
    app.back_up()
    app.sql("TRUNCATE small", "CHECKPOINT")
    app.back_up()
    for change in (("TRUNCATE item",),
                   (fill % 1,),
                   ("TRUNCATE item", fill % 1),
                   ("DELETE FROM item WHERE id % 2 = 0", "VACUUM FULL item"),
                   ("DELETE FROM item WHERE id % 3 = 0",
                    "CLUSTER item USING item_pkey"),
                   ("ALTER TABLE item ALTER n TYPE bigint",),
                   ("DELETE FROM item WHERE id > 6000", "VACUUM item"),
                   (fill % 9000,),
                   ("DELETE FROM item WHERE id > 4000", "VACUUM item",
                    fill % 1),
                   ("DROP TABLE item", "CREATE TABLE item (id int, n int)"),
                   ("INSERT INTO item VALUES (1, 2)",)):
        app.sql(*change)
        assert app.back_up() > 0.2, change


# ---- d. touched and the same ----

def test_pages_that_vacuum_touched_are_read_and_not_stored_again(app):
    app.back_up()
    app.sql("DELETE FROM item WHERE id = 1", "UPDATE item SET n = n"
            " WHERE id % 1000 = 0")
    app.back_up()
    app.sql("VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) item")
    app.back_up()
    assert app.event["new_chunks"] < 12, app.event


# ---- e. summaries that do not say all ----

def test_unlogged_tables_are_read(app):
    app.sql("CREATE UNLOGGED TABLE loose AS SELECT 1 AS a")
    app.back_up()
    app.sql("UPDATE loose SET a = 2")
    app.back_up()
    app.sql("ALTER TABLE loose SET LOGGED")
    app.back_up()
    app.sql("UPDATE loose SET a = 3")
    app.back_up()


def summaries(server):
    # Not the one that is being written: "temp.summary".
    return sorted(glob.glob(os.path.join(
        server.data, "pg_wal", "summaries", "0*.summary")))


def test_a_gap_in_the_summaries_means_a_full_reading(app):
    app.back_up()
    before = set(summaries(app.server))
    app.sql("UPDATE item SET n = 1", "CHECKPOINT")
    wait_for(lambda: set(summaries(app.server)) - before)
    for path in set(summaries(app.server)) - before:
        os.unlink(path)
    app.back_up()
    said_why(app, "summaries of the WAL since the last backup are missing")
    assert app.back_up() > 0.5


def test_another_life_of_the_server_means_a_full_reading(app):
    app.back_up()
    app.server.restart()
    app.reconnect()
    app.back_up()
    said_why(app, "started again")
    assert app.back_up() > 0.5


def test_files_of_an_earlier_day_mean_a_full_reading(app, monkeypatch):
    """The same server with other files under the same numbers."""
    # All settings are to be the same, too.
    monkeypatch.setattr(
        postgres_module, "free_port", lambda: app.server.port)
    data, kept = app.server.data, app.server.data + ".kept"
    app.server.stop()
    # With their owner.
    subprocess.run(["cp", "-a", data, kept], check=True)
    app.server.start()
    app.reconnect()
    app.sql("UPDATE item SET n = 1 WHERE id < 6000")
    app.back_up()
    app.server.stop()
    shutil.rmtree(data)
    os.rename(kept, data)
    app.server.start()
    app.reconnect()
    # Further than the days that are no more came.
    app.sql(*["UPDATE other SET body = body || 'x'"] * 9, "CHECKPOINT")
    app.back_up()
    assert app.event["bytes_taken_over"] == 0


def test_summaries_that_lie_are_found_out(app):
    """A table of more ranges than one in so many is checked of."""
    app.sql("CREATE TABLE big (id int, n int, t text)",
            "ALTER TABLE big ALTER t SET STORAGE PLAIN",
            "INSERT INTO big SELECT n, 0, repeat(md5(n::text), 120)"
            " FROM generate_series(1, 5200) n", "VACUUM (FREEZE) big",
            "CHECKPOINT")
    app.back_up()
    assert app.back_up() > 0.8
    quiet = set(summaries(app.server))
    app.sql("CHECKPOINT")
    wait_for(lambda: set(summaries(app.server)) - quiet)
    empty = (set(summaries(app.server)) - quiet).pop()
    before = set(summaries(app.server))
    app.sql("UPDATE big SET n = 1", "CHECKPOINT")
    wait_for(lambda: set(summaries(app.server)) - before)
    for path in set(summaries(app.server)) - before:
        shutil.copyfile(empty, path)
    app.back_up()
    said_why(app, "cannot be relied on", "came with other rows")
    app.back_up()
    said_why(app, "no earlier backup is remembered")


# ---- f. and all at once ----

class Weather:
    """Whatever may happen to a database between two backups."""

    def __init__(self, app, seed):
        self.app, self.random = app, random.Random(seed)
        self.open, self.count = [], 0

    def some(self):
        low = self.random.randrange(1, 12000)
        return "id BETWEEN %d AND %d" % (
            low, low + self.random.choice((0, 5, 50, 3000)))

    def table(self):
        return self.random.choice(("item", "other"))

    def write(self):
        """A statement that changes rows."""
        self.count += 1
        return self.random.choice((
            "UPDATE item SET n = n + 1 WHERE " + self.some(),
            "UPDATE other SET body = body || 'x' WHERE " + self.some(),
            "DELETE FROM %s WHERE %s" % (self.table(), self.some()),
            "INSERT INTO other SELECT n, repeat('y', n %% 700) FROM"
            " generate_series(1, %d) n" % self.random.choice((1, 20, 2000)),
            "SELECT FROM item WHERE %s FOR UPDATE" % self.some()))

    def begin(self):
        connection = self.app.connect()
        connection.execute("SET lock_timeout = '100ms'")
        connection.execute("BEGIN")
        for _ in range(self.random.randrange(1, 4)):
            self._try(connection, "SAVEPOINT s")
            if not self._try(connection, self.write()):
                connection.execute("ROLLBACK TO s")
        self.open.append(connection)

    def _try(self, connection, statement):
        try:
            connection.execute(statement)
            return True
        except psycopg.Error:
            return False

    def end(self):
        connection = self.open.pop(self.random.randrange(len(self.open)))
        how = self.random.choice(("COMMIT", "COMMIT", "ROLLBACK"))
        connection.execute(how)
        connection.close()

    def change(self):
        """A change of shape; an open transaction may be in its way."""
        self.count += 1
        return self.random.choice((
            "TRUNCATE small", "VACUUM " + self.table(),
            "VACUUM (FREEZE) " + self.table(),
            "VACUUM FULL " + self.table(),
            "ALTER TABLE item ADD c%d int DEFAULT %d" % (
                self.count, self.count),
            "ALTER TYPE mood RENAME VALUE 'sad' TO 'happy'",
            "ALTER TYPE mood RENAME VALUE 'happy' TO 'sad'",
            "CREATE TABLE t%d AS SELECT * FROM other LIMIT 10" % self.count,
            "INSERT INTO small SELECT n, 'new' FROM generate_series(1, 5) n"))

    def blow(self):
        for _ in range(self.random.randrange(1, 6)):
            what = self.random.random()
            if what < 0.2 and len(self.open) < 3:
                self.begin()
            elif what < 0.45 and self.open:
                self.end()
            elif what < 0.55:
                self.app.sql("CHECKPOINT")
            else:
                with self.app.connect() as connection:
                    connection.execute("SET lock_timeout = '100ms'")
                    self._try(connection, self.write() if what < 0.85
                              else self.change())


def test_whatever_happens_between_two_backups_is_seen(app):
    # BACKUP_TEST_NIGHTS: how many; BACKUP_TEST_SEED: of which kind.
    seed = int(os.environ.get("BACKUP_TEST_SEED", "1"))
    weather = Weather(app, seed)
    taken = 0
    for _ in range(int(os.environ.get("BACKUP_TEST_NIGHTS", "8"))):
        app.back_up()
        taken += app.event["bytes_taken_over"]
        weather.blow()
    while weather.open:
        weather.end()
        app.back_up()
    assert taken > 0
    app.stack.verify()


# ---- one after the other ----

def test_nothing_is_taken_over_of_a_backup_of_a_later_moment(app):
    app.back_up()
    # Changed before either looks at WAL, and committed between their moments.
    writer = app.connect()
    writer.execute("BEGIN; UPDATE item SET n = -1 WHERE id % 100 = 0")
    app.server.drop_database("before")
    app.server.create_database("before")
    app.server.execute("before", "CREATE TABLE t ()")
    env = {"BACKUP_CACHE_DIR": app.caches}
    # The one looks at WAL, and waits before its moment of this database.
    waiter = app.server.connect("before")
    waiter.execute("BEGIN; LOCK TABLE t")
    app.stack.add_postgres(
        "app", app.server, app.database, bindir=app.server.bindir,
        incremental=True, databases=["before", app.database])
    later = app.stack.start("backup-create", env=env)
    wait_for(lambda: app.server.execute("postgres", """
        SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND application_name = 'libbackup'"""))
    # The other has its moments, and waits with reading.
    app.reconnect()
    opened, there = gated(app.stack, app.server, app.database,
                          "%(gate)s; exec %(program)s", name="full")
    earlier = app.stack.start("backup-create", "--json", env=env)
    wait_for(lambda: os.path.exists(there))
    writer.execute("COMMIT")
    waiter.execute("ROLLBACK")
    result = finish(later)
    assert result.status == 0, str(result)
    open(opened, "w").close()
    app.agree(finish(earlier))
    said_why(app, "was not over when this one began")
    # What this one remembers is of the older moment: whoever comes now sees
    # what was committed since.
    app.reconnect()
    assert app.back_up() > 0
    app.stack.verify()


# ---- g. what is read as ever ----

def test_what_is_no_plain_heap_is_read(app):
    app.sql("CREATE TABLE names (c regclass)",
            "INSERT INTO names VALUES ('small')",
            "CREATE TABLE hashed (m mood, n int) PARTITION BY HASH (m)",
            "CREATE TABLE hashed0 PARTITION OF hashed"
            " FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "CREATE TABLE hashed1 PARTITION OF hashed"
            " FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
            "INSERT INTO hashed VALUES ('glad', 1), ('sad', 2)",
            "SELECT lo_from_bytea(0, 'large')", "CHECKPOINT")
    app.back_up()
    app.sql("ALTER TABLE small RENAME TO little")
    app.back_up()
    app.sql("UPDATE hashed SET n = 3 WHERE m = 'sad'",
            "SELECT lo_from_bytea(0, 'another')")
    app.back_up()
    app.stack.verify()


def test_a_role_that_may_ask_for_a_checkpoint_is_enough(app):
    app.sql("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN",
            "GRANT pg_read_all_data TO reader")
    app.user = "reader"
    app.reconnect()
    for _ in range(2):
        app.back_up(statuses=(0, 3))
        said_why(app, "permission denied", "pg_checkpoint")
    app.sql("GRANT pg_checkpoint TO reader")
    app.back_up()
    assert app.back_up() > 0.5


def test_a_server_without_summaries_is_read_whole(app):
    app.back_up()
    summarise(app.server, "off")
    try:
        app.back_up()
        said_why(app, "summarize_wal is off")
    finally:
        summarise(app.server, "on")


def test_an_older_server_is_read_whole(stack, postgres, database):
    if postgres.connect(database).info.server_version >= 170000:
        pytest.skip("the usual server is not older here")
    stack.add_postgres("app", postgres, database, incremental=True)
    postgres.execute(database, "CREATE TABLE t AS SELECT 1 AS a")
    result = stack.run("backup-create")
    assert result.status == 0 and "before PostgreSQL 17" in result.err, result
