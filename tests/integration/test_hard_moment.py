# SPDX-License-Identifier: Apache-2.0
"""What others do to a database while it is being read: between the moment and
the locks, behind the locks, and to the sessions themselves."""

import os
import signal
import subprocess
import time

import pytest
from harness import witness
from harness.stack import COMPLETE, DEGRADED, FAILED, finish, patience


@pytest.fixture
def app(stack, postgres, database):
    stack.add_postgres("app", postgres, database)
    return stack


def until(condition):
    """Waits for what must come."""
    end = time.monotonic() + patience(60)
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def waits(postgres):
    """The backup has its snapshot and waits for the first lock."""
    return postgres.execute("postgres", """
        SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND application_name = 'libbackup'""")


def same_after(app, postgres, database):
    """The snapshot holds what is there now."""
    other = database + "_back"
    app.restore("--to", other, "latest", "postgres/app/" + database)
    before, after = (witness.database(postgres, name)
                     for name in (database, other))
    assert not witness.differences(before, after)


# ---- between the moment and the locks ----

@pytest.mark.parametrize("statements", [
    "TRUNCATE a; INSERT INTO a VALUES (5, 6)",
    "DROP TABLE a",
    "ALTER TABLE a RENAME TO x; ALTER TABLE b RENAME TO a;"
    " ALTER TABLE x RENAME TO b",
    "ALTER TABLE a DROP COLUMN y; ALTER TABLE a ADD COLUMN y int DEFAULT 9",
    "ALTER TABLE a RENAME COLUMN y TO z; ALTER TABLE a RENAME COLUMN x TO y;"
    " ALTER TABLE a RENAME COLUMN z TO x",
    "DROP SCHEMA one CASCADE",
    "ALTER SCHEMA one RENAME TO x; ALTER SCHEMA two RENAME TO one;"
    " ALTER SCHEMA x RENAME TO two",
], ids=["truncated", "dropped", "exchanged", "column replaced",
        "columns exchanged", "schema dropped", "schemas exchanged"])
def test_a_change_between_snapshot_and_locks_is_seen(
        app, postgres, database, statements):
    postgres.execute(database, """
        CREATE TABLE a AS SELECT 1 AS x, 2 AS y;
        CREATE TABLE b AS SELECT 3 AS x, 4 AS y;
        CREATE SCHEMA one; CREATE TABLE one.c AS SELECT 1 AS x;
        CREATE SCHEMA two; CREATE TABLE two.c AS SELECT 2 AS x;
        CREATE TABLE locked (x int); CREATE TABLE changes (x int)""")
    with postgres.connect(database) as other:
        other.execute("BEGIN; LOCK TABLE locked")
        running = app.start("backup-create", "--json")
        until(lambda: waits(postgres))
        postgres.execute(database, "BEGIN; INSERT INTO changes VALUES (1); "
                         + statements + "; COMMIT")
        other.execute("ROLLBACK")
    result = finish(running)
    assert result.status == COMPLETE, str(result)
    same_after(app, postgres, database)


# ---- behind the locks ----

def gated(app, postgres, database, tail, program="pg_dump", name="app"):
    """A program waits behind a gate; answers the file that opens it, and the
    one that says that somebody stands there."""
    bindir, opened, there = (app.path(name)
                             for name in ("gated", "open", "there"))
    os.mkdir(bindir)
    for other in ("pg_dump", "pg_dumpall", "pg_restore"):
        os.symlink(postgres.program(other), os.path.join(bindir, other))
    gate = ": >%s; while [ ! -e %s ]; do sleep 0.02; done" % (there, opened)
    real = postgres.program(program)
    path = os.path.join(bindir, program)
    os.unlink(path)
    with open(path, "w") as out:
        out.write("#!/bin/sh\ncase \"$*\" in *--version*|*-V*) exec %s \"$@\""
                  ";; esac\n%s\n" % (real, tail % {
                      "gate": gate, "program": real + ' "$@"'}))
    os.chmod(path, 0o755)
    app.add_postgres(name, postgres, database, bindir=bindir)
    return opened, there


def test_schemas_that_change_names_behind_the_locks_are_noticed(
        app, postgres, database):
    postgres.execute(database, """
        CREATE SCHEMA blue; CREATE TABLE blue.t AS SELECT 1 AS x;
        CREATE SCHEMA green; CREATE TABLE green.t AS SELECT 2 AS x""")
    opened, there = gated(app, postgres, database,
                          "%(gate)s; exec %(program)s", "pg_restore")
    running = app.start("backup-create")
    until(lambda: os.path.exists(there))
    postgres.execute(database, """
        ALTER SCHEMA blue RENAME TO x; ALTER SCHEMA green RENAME TO blue;
        ALTER SCHEMA x RENAME TO green""")
    open(opened, "w").close()
    result = finish(running)
    assert result.status == FAILED, str(result)
    assert "blue.t" in result.err and "try again" in result.err, str(result)
    assert app.snapshots() == []
    app.create()
    same_after(app, postgres, database)


def test_an_owner_who_goes_behind_the_locks_is_in_the_backup(
        app, postgres, database):
    role = database + "_owner"
    postgres.execute("postgres", 'CREATE ROLE "%s"' % role)
    postgres.execute(database, 'CREATE SCHEMA s AUTHORIZATION "%s"' % role)
    opened, there = gated(app, postgres, database,
                          "%(gate)s; exec %(program)s", "pg_restore")
    running = app.start("backup-create")
    until(lambda: os.path.exists(there))
    postgres.execute(database, "ALTER SCHEMA s OWNER TO CURRENT_USER")
    postgres.execute("postgres", 'DROP ROLE "%s"' % role)
    open(opened, "w").close()
    result = finish(running)
    assert result.status == COMPLETE, str(result)
    other = database + "_back"
    app.restore("--to", other, "latest", "postgres/app/" + database)
    try:
        assert postgres.execute(other, """
            SELECT nspowner::regrole::text FROM pg_namespace
            WHERE nspname = 's'""") == [(role,)]
    finally:
        postgres.drop_database(other)
        postgres.execute("postgres", 'DROP ROLE IF EXISTS "%s"' % role)


def test_an_owner_who_comes_before_a_later_moment_is_in_the_backup(
        app, postgres, database):
    """The roles have been read, the table waits for its new owner and pg_dump
    for the table: another moment is taken, after all that."""
    role = database + "_owner"
    postgres.execute(database, "CREATE TABLE t AS SELECT 1 AS x")
    opened, there = gated(app, postgres, database,
                          "%(gate)s; exec %(program)s")
    ended = app.path("roles-read")
    roles = os.path.join(app.path("gated"), "pg_dumpall")
    os.unlink(roles)
    with open(roles, "w") as out:
        out.write('#!/bin/sh\n%s "$@" || exit\ncase "$*" in *--globals*)'
                  ' : >%s;; esac\n' % (postgres.program("pg_dumpall"), ended))
    os.chmod(roles, 0o755)
    running = app.start("backup-create")
    until(lambda: os.path.exists(there) and os.path.exists(ended))
    migration = subprocess.Popen([
        postgres.program("psql"), "-qX", "-d", postgres.conninfo(database),
        "-v", "ON_ERROR_STOP=1", "-c",
        'BEGIN; CREATE ROLE "%s"; ALTER TABLE t OWNER TO "%s"; COMMIT' % (
            role, role)])
    until(lambda: postgres.execute(database, """
        SELECT pid FROM pg_locks WHERE NOT granted
        AND relation = 't'::regclass"""))
    open(opened, "w").close()
    result = finish(running)
    assert migration.wait(60) == 0
    assert result.status == COMPLETE, str(result)
    other = database + "_back"
    try:
        postgres.execute(database, "DROP TABLE t")
        postgres.execute("postgres", 'DROP ROLE "%s"' % role)
        app.restore("--to", other, "latest", "postgres/app/" + database)
        assert postgres.execute(other, """
            SELECT relowner::regrole::text FROM pg_class
            WHERE relname = 't'""") == [(role,)]
    finally:
        postgres.drop_database(other)
        postgres.execute("postgres", 'DROP ROLE IF EXISTS "%s"' % role)


# ---- between the moment and pg_dump ----

DEFINED = """
    CREATE SCHEMA s; CREATE TABLE s.t (x int PRIMARY KEY, y int);
    CREATE FUNCTION s.f(a int DEFAULT 1) RETURNS int
        LANGUAGE sql AS 'SELECT a';
    CREATE FUNCTION s.touch() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touch BEFORE INSERT ON s.t FOR EACH ROW
        EXECUTE FUNCTION s.touch();
    CREATE TYPE s.pair AS (a int, b int);
    CREATE TYPE s.mood AS ENUM ('sad', 'glad');
    CREATE TABLE s.felt (how s.mood DEFAULT 'sad');
    INSERT INTO s.felt VALUES ('sad'), ('glad');
    CREATE VIEW s.low AS SELECT x FROM s.t;
    CREATE VIEW s.high AS SELECT x, s.f() AS f FROM s.low"""


@pytest.mark.parametrize("statement", [
    "CREATE OR REPLACE FUNCTION s.f(a int DEFAULT 2) RETURNS int"
    " LANGUAGE sql AS 'SELECT a + 1'",
    "CREATE OR REPLACE VIEW s.high AS SELECT x, s.f() AS f, 7 AS g FROM s.low",
    "ALTER VIEW s.low RENAME TO deep",
    "ALTER VIEW s.low RENAME x TO z",
    "DROP VIEW s.high",
    "DROP FUNCTION s.f CASCADE",
    "ALTER TYPE s.pair RENAME ATTRIBUTE b TO c",
    "CREATE OR REPLACE TRIGGER touch AFTER INSERT ON s.t"
    " FOR EACH ROW EXECUTE FUNCTION s.touch()",
    "ALTER TYPE s.mood RENAME VALUE 'sad' TO 'blue'",
], ids=["function", "view", "view's name", "view's column", "view dropped",
        "function dropped", "type", "trigger", "label"])
def test_a_definition_that_is_replaced_before_it_is_read_is_of_one_moment(
        app, postgres, database, statement):
    postgres.execute(database, DEFINED)
    opened, there = gated(app, postgres, database,
                          "%(gate)s; exec %(program)s")
    running = app.start("backup-create")
    until(lambda: os.path.exists(there))
    postgres.execute(database, statement)
    open(opened, "w").close()
    result = finish(running)
    assert result.status == COMPLETE, str(result)
    same_after(app, postgres, database)


def test_a_definition_that_never_rests_is_named(app, postgres, database):
    postgres.execute(database, DEFINED)
    replace = ("CREATE OR REPLACE FUNCTION s.f(a int DEFAULT $$) RETURNS int"
               " LANGUAGE sql AS 'SELECT 1'")
    gated(app, postgres, database,
          '%%(program)s || exit; %s -qd "%s" -c "%s"' % (
              postgres.program("psql"), postgres.conninfo(database), replace))
    result = app.run("backup-create")
    assert result.status == DEGRADED, str(result)
    assert "function f" in result.err, str(result)
    assert "again and again" in result.err, str(result)


def test_what_pg_dump_reads_by_itself_may_change_while_it_does(
        app, postgres, database):
    """No other moment is needed, nor another pg_dump."""
    postgres.execute(database, DEFINED)
    count = app.path("dumps")
    opened, there = gated(app, postgres, database, "echo >>%s; %%(gate)s;"
                          " exec %%(program)s" % count)
    running = app.start("backup-create")
    until(lambda: os.path.exists(there))
    postgres.execute(database, """
        CREATE OR REPLACE FUNCTION s.f(a int DEFAULT 1) RETURNS int
            LANGUAGE sql AS 'SELECT a + 1';
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA s TO PUBLIC;
        ALTER TABLE s.t DISABLE TRIGGER touch; ANALYZE s.t""")
    open(opened, "w").close()
    result = finish(running)
    assert result.status == COMPLETE, str(result)
    with open(count) as dumps:
        assert len(dumps.readlines()) == 1


def test_labels_that_change_while_rows_are_read_are_noticed(
        app, postgres, database):
    postgres.execute(database, DEFINED)
    opened, there = gated(app, postgres, database,
                          "%(gate)s; exec %(program)s", "pg_restore")
    running = app.start("backup-create")
    until(lambda: os.path.exists(there))
    postgres.execute(database,
                     "ALTER TYPE s.mood RENAME VALUE 'sad' TO 'blue'")
    open(opened, "w").close()
    result = finish(running)
    assert result.status == FAILED, str(result)
    assert "mood.sad" in result.err and "try again" in result.err, str(result)
    app.create()
    same_after(app, postgres, database)


# ---- sessions ----

# Rows larger than what lies between a server and its client.
LONG = ("CREATE TABLE long AS SELECT n, repeat(md5(n::text), 300000) AS t"
        " FROM generate_series(1, 8) AS n")


def frozen(postgres, running, waits_for, query):
    """Stops a command while a session of its waits for it; answers that."""
    sessions = []

    def is_waited_for():
        assert running.poll() is None, str(finish(running))
        os.kill(running.pid, signal.SIGSTOP)
        sessions[:] = postgres.execute("postgres", """
            SELECT pid FROM pg_stat_activity
            WHERE query LIKE '%s' AND application_name = 'libbackup'
            AND state = 'active' AND wait_event = '%s'"""
                                       % (query, waits_for))
        if not sessions:
            os.kill(running.pid, signal.SIGCONT)
        return sessions

    try:
        until(is_waited_for)
    except BaseException:
        running.kill()
        raise
    return sessions[0][0]


def go_on(running):
    os.kill(running.pid, signal.SIGCONT)
    return finish(running)


def test_a_worker_that_is_ended_fails_the_backup_and_names_its_table(
        app, postgres, database):
    postgres.execute(database, LONG)
    running = app.start("backup-create", "--workers", "2")
    session = frozen(postgres, running, "ClientWrite", "COPY %TO STDOUT%")
    postgres.execute("postgres", "SELECT pg_terminate_backend(%d)" % session)
    result = go_on(running)
    assert result.status == FAILED, str(result)
    # In the middle of what it sends a server has no room for its reason.
    assert "table public.long" in result.err, str(result)
    assert ("administrator" in result.err
            or "closed the connection" in result.err), str(result)
    assert app.snapshots() == []
    app.create()


def restarted(app, postgres, database):
    """The server comes back somewhere else."""
    postgres.restart()
    app.add_postgres("app", postgres, database)


def test_a_server_that_restarts_while_it_is_read_fails_the_backup(
        app, postgres, database):
    postgres.execute(database, LONG)
    running = app.start("backup-create", "--workers", "2")
    frozen(postgres, running, "ClientWrite", "COPY %TO STDOUT%")
    restarted(app, postgres, database)
    result = go_on(running)
    assert result.status == FAILED, str(result)
    assert "database " + database in result.err, str(result)
    assert app.snapshots() == []
    app.create()


def test_a_server_that_restarts_in_a_restore_leaves_nothing_under_the_name(
        app, postgres, database):
    postgres.execute(database, LONG)
    app.create()
    other = database + "_back"
    what = ("--to", other, "latest", "postgres/app/" + database)
    running = app.start("backup-restore", "--identity-file", app.identity,
                        *what)
    frozen(postgres, running, "ClientRead", "COPY %FROM STDIN%")
    restarted(app, postgres, database)
    result = go_on(running)
    assert result.status == FAILED, str(result)
    assert database in result.err, str(result)
    assert other not in postgres.databases()
    # What it had begun has a name that says so, and is told.
    again = app.admin("backup-restore", *what)
    assert again.status == COMPLETE, str(again)
    assert other + ".restoring-" in again.err, str(again)
    assert postgres.execute(other, "SELECT count(*) FROM long") == [(8,)]
