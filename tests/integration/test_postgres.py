# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL there and back, with psycopg as the witness; and everything that
is refused, with the message that names it."""

import os
import signal
import time

import psycopg
import pytest

from harness import witness
from harness.process import free_port
from harness.proxy import Proxy
from harness.stack import DEGRADED, FAILED, finish, patience

pytestmark = pytest.mark.every_server

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def app(stack, postgres, database):
    """A source of one database."""
    stack.add_postgres("app", postgres, database)
    return stack


def refused(result, *words):
    """A command that failed; its message holds every word."""
    assert result.status == FAILED, str(result)
    for word in words:
        assert word in result.err, str(result)
    return result


def same(before, after):
    """Two witnesses agree."""
    lines = witness.differences(before, after)
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def fine(result):
    """A command that went well."""
    if result.status != 0:
        pytest.fail(str(result), pytrace=False)
    return result


def leftovers(postgres):
    """Databases and sessions that a run should not leave."""
    return [name for name in postgres.databases() if ".re" in name] + [
        query for (query,) in postgres.execute(
            "postgres", "SELECT query FROM pg_stat_activity"
            " WHERE application_name = 'libbackup'")]


def settle(postgres):
    """Sessions end a moment after their client does."""
    until = time.monotonic() + 10
    while leftovers(postgres) and time.monotonic() < until:
        time.sleep(0.05)
    assert not leftovers(postgres)


# ---- there and back ----

@pytest.fixture
def awkward(postgres, database):
    for role in ("owner_a", '"Reader ""Q"""'):
        try:
            postgres.execute("postgres", "CREATE ROLE %s" % role)
        except psycopg.errors.DuplicateObject:
            pass
    postgres.psql(database, os.path.join(HERE, "awkward.sql"))
    postgres.execute("postgres", '''
        ALTER DATABASE {0} OWNER TO owner_a;
        COMMENT ON DATABASE {0} IS 'it''s; a \\ comment';
        ALTER DATABASE {0} SET search_path TO "My Schema", public;
        ALTER DATABASE {0} SET "app.setting" = 'x''y';
        ALTER ROLE owner_a IN DATABASE {0} SET work_mem = '8MB';
        ALTER DATABASE {0} CONNECTION LIMIT 50;
        REVOKE CONNECT ON DATABASE {0} FROM PUBLIC;
        GRANT CONNECT ON DATABASE {0} TO "Reader ""Q""";
        '''.format(database))
    return database


PROPERTIES = """
    SELECT pg_get_userbyid(datdba), datconnlimit, datacl::text,
        shobj_description(oid, 'pg_database'),
        (SELECT array_agg(pg_get_userbyid(setrole) || ' ' || c
            ORDER BY setrole, c) FROM pg_db_role_setting, unnest(setconfig) c
            WHERE setdatabase = d.oid)
    FROM pg_database d WHERE datname = current_database()"""


def test_an_awkward_database_is_proven(app, postgres, awkward):
    app.create(statuses=(DEGRADED,))  # a foreign table
    app.verify(statuses=(DEGRADED,))


def test_an_awkward_database_comes_back_under_another_name(
        app, postgres, awkward):
    app.create(statuses=(DEGRADED,))
    twin = awkward + "_twin"
    app.restore("--to", twin, "latest", "postgres/app/" + awkward,
                statuses=(0, DEGRADED))
    before, after = (witness.database(postgres, name)
                     for name in (awkward, twin))
    copy = witness.copied(postgres, awkward, awkward + "_copy")
    before["schema"] = witness.schema_dump(postgres, copy)
    # The child's columns come in another order, and hashes of an enum choose
    # other partitions: what of it matters is looked at below.
    for told in (before, after):
        for name in ("public.child", "public.henum0", "public.henum1",
                     "public.henum2"):
            told.pop(name)
    same(before, after)
    assert postgres.execute(awkward, PROPERTIES) == postgres.execute(
        twin, PROPERTIES)
    for what in ("SELECT a, b, z, late FROM ONLY public.child",
                 "SELECT sum(v), count(*) FROM public.henum",
                 "SELECT relname, relispopulated FROM pg_class"
                 " WHERE relkind = 'm' ORDER BY 1"):
        assert postgres.execute(awkward, what) == postgres.execute(twin, what)


@pytest.mark.parametrize("files", [("pagila-schema.sql", "pagila-data.sql"),
                                   ("chinook.sql",)])
def test_a_sample_database_is_destroyed_and_comes_back(
        app, postgres, database, sample_data, tmp_path_of_test, files):
    for name in files:
        path = os.path.join(tmp_path_of_test, name)
        with open(os.path.join(sample_data, name)) as source, \
                open(path, "w") as out:
            out.writelines(line for line in source
                           if not line.startswith(("\\c ", "CREATE DATABASE",
                                                   "DROP DATABASE")))
        postgres.psql(database, path)
    before = witness.database(postgres, database)
    app.create()
    postgres.drop_database(database)
    app.restore()
    same(before, witness.database(postgres, database))
    app.verify()


def test_a_second_backup_adds_no_rows(app, postgres, database):
    postgres.execute(database, "CREATE TABLE t AS SELECT i, md5(i::text) AS m"
                     " FROM generate_series(1, 200000) i")
    app.create()
    again = app.create()
    # The schema archive holds the time that it was made.
    assert again["new_chunks"] <= 1, again
    postgres.execute(database, "UPDATE t SET m = '' WHERE i = 100000")
    assert app.create()["new_chunks"] <= 4


def test_any_database_name_and_encoding_comes_back(app, postgres, database):
    names = [database + tail for tail in ('/"q"', " ümlaut", "-x", "_l1")]
    for name in names[:3]:
        postgres.create_database(name)
    postgres.execute("postgres", "CREATE DATABASE %s TEMPLATE template0"
                     " ENCODING 'LATIN1' LOCALE 'C'" % names[3])
    for name in names:
        postgres.execute(name, 'CREATE TABLE "tä.b/le" ("c ö" text)')
        postgres.execute(name, 'INSERT INTO "tä.b/le" VALUES (%s)',
                         ("äöü\t\\" + name.replace("ü", "u"),))
    app.add_postgres("app", postgres, database, databases=names)
    app.create()
    for name in names:
        postgres.drop_database(name)
    app.restore()
    for name in names:
        assert postgres.execute(name, 'SELECT * FROM "tä.b/le"') == [
            ("äöü\t\\" + name.replace("ü", "u"),)]
        assert postgres.execute(name, "SHOW server_encoding") == [
            ("LATIN1" if name == names[3] else "UTF8",)]
    app.verify()


def test_rows_of_one_table_go_into_a_table_that_exists(
        app, postgres, database):
    postgres.execute(database, "CREATE TABLE a (i int); CREATE TABLE b (i int);"
                     "INSERT INTO a SELECT generate_series(1, 1000);"
                     "INSERT INTO b VALUES (1)")
    app.create()
    path = "postgres/app/%s/data/public.a" % database
    refused(app.admin("backup-restore", "latest", path), "public", "has rows")
    postgres.execute(database, "DELETE FROM a WHERE i > 10; DELETE FROM b")
    app.restore("--overwrite", "latest", path)
    assert postgres.execute(
        database, "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"
    ) == [(1000, 0)]
    postgres.execute(database, "DROP TABLE a")
    refused(app.admin("backup-restore", "latest", path), "exists")


def test_a_function_that_counts_on_search_path_costs_no_rows(
        app, postgres, database):
    postgres.execute(database, """
        CREATE FUNCTION helper(i int) RETURNS bool LANGUAGE sql IMMUTABLE
            AS 'SELECT i > 0';
        CREATE FUNCTION careless(i int) RETURNS bool LANGUAGE plpgsql IMMUTABLE
            AS 'BEGIN RETURN helper(i); END';
        CREATE TABLE t (i int CHECK (careless(i)));
        INSERT INTO t SELECT generate_series(1, 100)""")
    app.create()
    result = app.admin("backup-restore", "--to", database + "_x", "latest",
                       "postgres/app/" + database)
    assert "search_path" in fine(result).err
    assert postgres.execute(
        database + "_x", "SELECT count(*) FROM t") == [(100,)]


def test_missing_roles_are_made_and_others_left_alone(app, postgres, database):
    postgres.execute("postgres", """
        DROP ROLE IF EXISTS t_lost; DROP ROLE IF EXISTS t_kept;
        CREATE ROLE t_lost LOGIN CONNECTION LIMIT 7 PASSWORD 'x';
        CREATE ROLE t_kept CONNECTION LIMIT 5""")
    postgres.execute(database, "CREATE TABLE t (i int);"
                     "ALTER TABLE t OWNER TO t_lost")
    app.create()
    postgres.drop_database(database)
    postgres.execute("postgres", "DROP ROLE t_lost;"
                     "ALTER ROLE t_kept CONNECTION LIMIT 9")
    app.restore()
    assert postgres.execute(
        "postgres", "SELECT rolname, rolconnlimit, rolcanlogin FROM pg_roles"
        " WHERE rolname LIKE 't\\_%' ORDER BY 1") == [
            ("t_kept", 9, False), ("t_lost", 7, True)]
    postgres.drop_database(database)
    postgres.execute("postgres", "DROP ROLE t_lost; DROP ROLE t_kept")


# ---- the moment ----

def test_a_lock_that_waits_behind_the_backup_does_not_stop_it(
        app, postgres, database):
    postgres.execute(database, "CREATE TABLE t AS SELECT i, repeat('x', 500)"
                     " FROM generate_series(1, 100000) i")
    running = app.start("backup-create", "--json", "--workers", "2")
    with postgres.connect(database) as other:
        while running.poll() is None:
            other.execute("BEGIN; LOCK TABLE t; ROLLBACK")
            time.sleep(0.5)
    fine(finish(running, timeout=60))
    app.verify()


def test_a_row_that_comes_after_the_moment_is_not_in_it(
        app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE a (i int); CREATE TABLE b (i int);
        CREATE TABLE pad AS SELECT i, repeat('x', 500)
            FROM generate_series(1, 50000) i""")
    running = app.start("backup-create", "--json")
    with postgres.connect(database) as other:
        while running.poll() is None:
            other.execute("WITH x AS (INSERT INTO a VALUES (1))"
                          " INSERT INTO b VALUES (1)")
    fine(finish(running))
    app.restore("--to", database + "_x", "latest", "postgres/app/" + database)
    (a, b), = postgres.execute(
        database + "_x",
        "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)")
    assert a == b


# ---- refused ----

def test_a_wrong_password_is_told_and_not_repeated(app, postgres, database):
    app.add_postgres("app", postgres, database,
                     password_file=app.secret("wrong", "hunter2-wrong"))
    result = refused(app.run("backup-create"), "authentication failed")
    assert "hunter2" not in result.err + result.out
    assert app.snapshots() == []


def test_a_server_that_is_not_there_is_told(app, postgres, database):
    app.add("postgres", "app",
            conninfo="host=127.0.0.1 port=%d" % free_port())
    refused(app.run("backup-create"), "postgres/app", "refused")


def test_a_database_that_is_not_there_is_told(app, postgres, database):
    app.add_postgres("app", postgres, database + "_nowhere")
    refused(app.run("backup-create"), database + "_nowhere", "does not exist")


def test_a_table_that_is_locked_is_named_with_who_holds_it(
        app, postgres, database):
    postgres.execute(database, 'CREATE TABLE "Busy" (i int)')
    app.add("postgres", "app", conninfo=postgres.conninfo(
        database, options="-c lock_timeout=200ms"))
    with postgres.connect(database, application_name="hog") as hog:
        hog.execute('BEGIN; LOCK TABLE "Busy"')
        refused(app.run("backup-create"), '"Busy"', "hog",
                str(hog.info.backend_pid))
    assert app.snapshots() == []


def test_rows_hidden_by_a_policy_are_refused_by_table(app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE secret (i int); CREATE TABLE plain (i int);
        ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
        DROP ROLE IF EXISTS t_reader; CREATE ROLE t_reader LOGIN;
        GRANT SELECT ON secret, plain TO t_reader""")
    app.add("postgres", "app", conninfo=postgres.conninfo(
        database, user="t_reader"))
    refused(app.run("backup-create"), "secret", "BYPASSRLS")
    postgres.execute(database, "DROP TABLE secret")
    result = fine(app.run("backup-create"))
    assert "passwords" in result.err
    app.verify()
    postgres.execute(database, "DROP OWNED BY t_reader; DROP ROLE t_reader")


def test_a_database_that_exists_is_replaced_only_on_request(
        app, postgres, database):
    postgres.execute(database, "CREATE TABLE t AS SELECT 1 AS i")
    app.create()
    postgres.execute(database, "UPDATE t SET i = 2")
    refused(app.admin("backup-restore", "latest"), database, "--overwrite")
    assert postgres.execute(database, "SELECT i FROM t") == [(2,)]
    with postgres.connect(database) as in_the_way:
        in_the_way.execute("SELECT 1")
        app.restore("--overwrite", "latest")
    assert postgres.execute(database, "SELECT i FROM t") == [(1,)]
    settle(postgres)


def test_a_value_that_the_target_refuses_names_table_and_line(
        app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE allowed (i int);
        CREATE FUNCTION ok(i int) RETURNS bool LANGUAGE plpgsql AS
            'BEGIN RETURN EXISTS (SELECT FROM public.allowed a
                WHERE a.i = ok.i); END';
        INSERT INTO allowed VALUES (1);
        CREATE TABLE t (i int CHECK (ok(i)));
        INSERT INTO t SELECT 1 FROM generate_series(1, 100000);
        DELETE FROM allowed""")
    app.create()
    refused(app.admin("backup-restore", "--overwrite", "latest"),
            '"public"."t"', "line 1")
    settle(postgres)
    assert postgres.execute(
        database, "SELECT count(*) FROM t") == [(100000,)]
    refused(app.admin("backup-verify"))


def test_a_server_that_goes_away_in_the_middle_is_told(
        app, postgres, database):
    postgres.execute(database, "CREATE TABLE t AS SELECT i, md5(i::text)"
                     " FROM generate_series(1, 200000) i")
    proxy = Proxy(postgres.port, cut_after=3000000)
    app.add("postgres", "app",
            conninfo=postgres.conninfo(
                database, host="127.0.0.1", port=proxy.port),
            password_file=app.secret("pg-password", postgres.password))
    refused(app.run("backup-create"), "postgres/app")
    assert proxy.was_cut
    assert app.snapshots() == []
    settle(postgres)


# ---- stopped ----

def heeds_interrupts(process):
    """Waits until Ctrl-C is handled: before, it just ends the process."""
    while process.poll() is None:
        with open("/proc/%d/status" % process.pid) as status:
            caught, = (int(line.split()[1], 16) for line in status
                       if line.startswith("SigCgt:"))
        if caught & 1 << (signal.SIGINT - 1):
            return
        time.sleep(0.01)


@pytest.mark.parametrize("delay", [0.1, 0.4, 0.8])
def test_a_terminal_that_is_interrupted_ends_it_within_seconds(
        app, postgres, database, delay):
    postgres.execute(database, "CREATE TABLE t AS SELECT i, md5(i::text)"
                     " FROM generate_series(1, 400000) i;"
                     "CREATE INDEX ON t (md5)")
    app.create()
    for command in (("backup-create",),
                    ("backup-restore", "--identity-file", app.identity,
                     "--overwrite", "latest"),
                    ("backup-verify", "--identity-file", app.identity)):
        running = app.start(*command)
        time.sleep(delay)
        heeds_interrupts(running)
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        result = finish(running, timeout=60)
        assert result.status in (0, 1), str(result)
        assert time.monotonic() - began < patience(5), str(result)
        settle(postgres)
        assert os.listdir(os.path.join(app.commands.home, "tmp")) == []
    assert postgres.execute(
        database, "SELECT count(*) FROM t") == [(400000,)]


def test_a_verification_leaves_nothing_behind(app, postgres, database):
    postgres.execute(database, "CREATE TABLE t (i int)")
    app.create()
    app.verify()
    assert os.listdir(os.path.join(app.commands.home, "tmp")) == []
    settle(postgres)


def test_what_a_killed_restore_left_is_told(app, postgres, database):
    postgres.execute(database, "CREATE TABLE t (i int)")
    app.create()
    twin = database + "_told"
    left = [twin + ".restoring-0123abcd", twin + ".replaced-0123abcd"]
    try:
        for name in left:
            postgres.create_database(name)
        result = app.admin("backup-restore", "--to", twin, "latest",
                           "postgres/app/" + database)
        assert result.status == 0, str(result)
        assert 'DROP DATABASE "%s"' % left[0] in result.err, str(result)
        assert left[1] in result.err, str(result)
        assert 'DROP DATABASE "%s"' % left[1] not in result.err, str(result)
        assert set(left) <= set(postgres.databases())
    finally:
        for name in left + [twin]:
            postgres.drop_database(name)
