# SPDX-License-Identifier: Apache-2.0
"""What has gone wrong in somebody's restore of PostgreSQL, and does not here.
tests/pitfalls.tsv says which is which."""

import os

import psycopg
import pytest
from harness import witness
from harness.postgres import Postgres
from harness.stack import COMPLETE, DEGRADED, FAILED

pytestmark = pytest.mark.every_server


@pytest.fixture
def app(stack, postgres, database):
    stack.add_postgres("app", postgres, database)
    return stack


def beside(stack, database, statuses=(COMPLETE,)):
    """Restores the latest snapshot under another name; answers that and what
    the command said."""
    other = database + "_back"
    result = stack.admin("backup-restore", "--to", other, "latest",
                         "postgres/app/" + database)
    assert result.status in statuses, str(result)
    return other, result.err


def agree(postgres, database, other, *queries):
    for query in queries:
        ours = postgres.execute(database, query)
        assert ours, query
        assert ours == postgres.execute(other, query), query


# ---- what stands in the schema ----

KEPT = (
    "SELECT conrelid::regclass::text, conname, contype, convalidated,"
    " condeferrable, condeferred, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    " ORDER BY 1, 2",
    "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal"
    " ORDER BY 1",
    "SELECT relname, relreplident, relrowsecurity, relforcerowsecurity,"
    " reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " ORDER BY 1",
    "SELECT indexrelid::regclass::text, indisclustered, indisreplident,"
    " indisunique, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid"
    " WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    "SELECT attrelid::regclass::text, attname,"
    " coalesce(attstattarget, -1), attstorage, attcompression,"
    # Some servers note there how often a column was changed.
    " array(SELECT o FROM unnest(attoptions) AS o"
    "  WHERE o NOT LIKE 'pg\\_attver=%' ORDER BY 1)"
    " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
    " WHERE relnamespace = 'public'::regnamespace AND attnum > 0"
    " ORDER BY 1, 2",
    "SELECT polname, polcmd, polpermissive FROM pg_policy ORDER BY 1",
    "SELECT rulename, ev_enabled FROM pg_rewrite WHERE rulename <> '_RETURN'"
    " ORDER BY 1",
)


def test_states_of_constraints_triggers_and_columns_come_back(
        app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE root (id int, k int, PRIMARY KEY (id, k))
            PARTITION BY LIST (k);
        CREATE TABLE leaf PARTITION OF root FOR VALUES IN (1);
        CREATE TABLE points (id int, k int DEFAULT 1,
            FOREIGN KEY (id, k) REFERENCES root
            DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE a (id int PRIMARY KEY, b int);
        CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
        ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b
            DEFERRABLE INITIALLY DEFERRED;
        BEGIN; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1);
        COMMIT;
        INSERT INTO root VALUES (1, 1); INSERT INTO points VALUES (1, 1);
        CREATE TABLE loose (n int, t text, u int NOT NULL)
            WITH (fillfactor = 70, autovacuum_enabled = off);
        ALTER TABLE loose ALTER t SET STORAGE EXTERNAL;
        INSERT INTO loose VALUES (-1, 't', 1);
        ALTER TABLE loose ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
        ALTER TABLE loose ADD CONSTRAINT known FOREIGN KEY (n)
            REFERENCES a (id) NOT VALID;
        ALTER TABLE loose ALTER n SET STATISTICS 321;
        ALTER TABLE loose ALTER n SET (n_distinct = 5);
        CREATE UNIQUE INDEX loose_u ON loose (u);
        ALTER TABLE loose REPLICA IDENTITY USING INDEX loose_u;
        ALTER TABLE loose CLUSTER ON loose_u;
        CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN RAISE EXCEPTION ''fired''; END';
        CREATE TRIGGER off BEFORE INSERT ON loose EXECUTE FUNCTION boom();
        ALTER TABLE loose DISABLE TRIGGER off;
        CREATE TRIGGER always BEFORE INSERT ON loose EXECUTE FUNCTION boom();
        ALTER TABLE loose ENABLE ALWAYS TRIGGER always;
        CREATE RULE no_delete AS ON DELETE TO loose DO INSTEAD NOTHING;
        ALTER TABLE loose DISABLE RULE no_delete;
        ALTER TABLE loose ENABLE ROW LEVEL SECURITY,
            FORCE ROW LEVEL SECURITY;
        CREATE POLICY p ON loose AS RESTRICTIVE FOR UPDATE USING (n > 0)
        """)
    app.create()
    other, _ = beside(app, database)
    agree(postgres, database, other, *KEPT, "TABLE loose", "TABLE points")
    app.verify()


def test_constraints_of_version_18_come_back(app, postgres, database):
    with postgres.connect(database) as connection:
        if connection.info.server_version < 180000:
            return
        connection.execute("""
            CREATE TABLE a (id int PRIMARY KEY);
            CREATE TABLE b (a int, CONSTRAINT lax FOREIGN KEY (a)
                REFERENCES a NOT ENFORCED,
                n int CONSTRAINT named NOT NULL,
                CONSTRAINT lax_too CHECK (n > 5) NOT ENFORCED);
            ALTER TABLE b ADD CONSTRAINT later NOT NULL a NOT VALID;
            CREATE TABLE during (k int4range, r daterange,
                PRIMARY KEY (k, r WITHOUT OVERLAPS));
            INSERT INTO b VALUES (77, 1)""")
    app.create()
    other, _ = beside(app, database)
    agree(postgres, database, other, "SELECT conname, conenforced,"
          " convalidated, conperiod, pg_get_constraintdef(oid)"
          " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
          " ORDER BY 1", "TABLE b")
    app.verify()


def test_an_event_trigger_that_refuses_everything_refuses_no_restore(
        app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE t AS SELECT generate_series(1, 10) AS n;
        CREATE MATERIALIZED VIEW m AS SELECT sum(n) FROM t;
        CREATE INDEX ON t (n);
        CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql
            AS 'BEGIN RAISE EXCEPTION ''no changes here''; END';
        CREATE EVENT TRIGGER frozen ON ddl_command_start
            EXECUTE FUNCTION refuse()""")
    app.create()
    other, _ = beside(app, database)
    agree(postgres, database, other, "TABLE m",
          "SELECT evtname, evtenabled FROM pg_event_trigger")
    app.verify()


def test_default_privileges_do_not_reach_what_is_restored(
        app, postgres, database):
    postgres.execute(database, """
        DROP ROLE IF EXISTS t_nosy; CREATE ROLE t_nosy;
        CREATE TABLE private (n int);
        CREATE FUNCTION secret() RETURNS int LANGUAGE sql AS 'SELECT 1';
        ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO t_nosy;
        ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
        CREATE TABLE shared (n int)""")
    app.create()
    other, _ = beside(app, database)
    agree(postgres, database, other,
          "SELECT relname, has_table_privilege('t_nosy', oid, 'SELECT')"
          " FROM pg_class WHERE relname IN ('private', 'shared') ORDER BY 1",
          "SELECT has_function_privilege('public', 'secret()', 'EXECUTE')")
    postgres.drop_database(other)
    postgres.execute(database, "DROP OWNED BY t_nosy; DROP ROLE t_nosy")


def test_what_template1_has_is_not_in_the_way(stack, postgres):
    home = stack.path("template")
    os.mkdir(home, 0o711)
    server = Postgres(home, bindir=postgres.bindir)
    try:
        server.create_database("app")
        server.execute("app", "CREATE TABLE t AS SELECT 1 AS n")
        stack.add_postgres("app", server, "app")
        stack.create()
        server.execute("template1", "CREATE TABLE t (other text);"
                       "CREATE TABLE more (n int);"
                       "INSERT INTO t VALUES ('in the way')")
        server.drop_database("app")
        stack.restore()
        assert server.execute("app", "TABLE t") == [(1,)]
        assert server.execute("app", "SELECT to_regclass('more')") == [
            (None,)]
        stack.verify()
    finally:
        server.stop()


def test_a_tablespace_that_is_not_there_costs_no_rows(
        app, postgres, database):
    space = os.path.join(postgres.home, "space_" + database)
    os.mkdir(space)
    owner = os.stat(postgres.data)
    os.chown(space, owner.st_uid, owner.st_gid)
    postgres.execute("postgres", "CREATE TABLESPACE t_space LOCATION '%s'"
                     % space)
    postgres.execute(database, """
        CREATE TABLE t TABLESPACE t_space AS
            SELECT generate_series(1, 10) AS n;
        CREATE INDEX i ON t (n) TABLESPACE t_space""")
    app.create()
    other, _ = beside(app, database)
    agree(postgres, database, other, "SELECT relname, spcname FROM pg_class c"
          " JOIN pg_tablespace s ON s.oid = c.reltablespace"
          " WHERE relname IN ('t', 'i') ORDER BY 1")
    postgres.drop_database(other)
    postgres.execute(database, "DROP TABLE t")
    postgres.execute("postgres", "DROP TABLESPACE t_space")
    other, told = beside(app, database)
    assert "t_space" in told and "default" in told
    assert postgres.execute(other, "SELECT count(*) FROM t") == [(10,)]
    app.verify()


# ---- after the rows ----

def test_statistics_are_there_when_a_restore_ends(app, postgres, database):
    postgres.execute(database, "CREATE TABLE t AS"
                     " SELECT n % 7 AS k FROM generate_series(1, 1000) AS n")
    app.create()
    other, _ = beside(app, database)
    assert postgres.execute(
        other, "SELECT n_distinct FROM pg_stats WHERE tablename = 't'") == [
            (7,)]


def test_views_on_views_are_filled_and_empty_ones_stay_empty(
        app, postgres, database):
    with postgres.connect(database) as connection:
        # From 17 on a view cannot count on it to begin with.
        is_safe = connection.info.server_version >= 170000
    postgres.execute(database, """
        CREATE FUNCTION inner_one() RETURNS int LANGUAGE sql
            AS 'SELECT 41';
        CREATE FUNCTION careless() RETURNS int LANGUAGE plpgsql
            %s AS 'BEGIN RETURN inner_one() + 1; END';
        CREATE MATERIALIZED VIEW z AS SELECT careless() AS n;
        CREATE MATERIALIZED VIEW a AS SELECT n + 1 AS n FROM z;
        CREATE MATERIALIZED VIEW never AS SELECT 1 AS n WITH NO DATA"""
                     % ("SET search_path = public" if is_safe else ""))
    app.create()
    other, told = beside(app, database)
    assert is_safe or "search_path" in told
    assert postgres.execute(other, "TABLE a") == [(43,)]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        postgres.execute(other, "TABLE never")


def test_views_on_a_server_that_does_not_answer_cost_no_database(
        app, postgres, database):
    far = database + "_far"
    postgres.create_database(far)
    postgres.execute(far, "CREATE TABLE t AS SELECT 1 AS n")
    postgres.execute(database, """
        CREATE EXTENSION postgres_fdw;
        CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host '%s', port '%d', dbname '%s');
        CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'postgres');
        CREATE FOREIGN TABLE there (n int) SERVER far
            OPTIONS (table_name 't');
        CREATE TABLE here AS SELECT 2 AS n;
        CREATE MATERIALIZED VIEW z_near AS TABLE here;
        CREATE MATERIALIZED VIEW b_near AS TABLE z_near;
        CREATE MATERIALIZED VIEW m_far AS TABLE there;
        CREATE UNIQUE INDEX ON m_far (n);
        CREATE MATERIALIZED VIEW a_far AS TABLE m_far"""
                     % (postgres.home, postgres.port, far))
    result = app.run("backup-create")
    assert result.status == DEGRADED, str(result)  # the foreign table
    other = database + "_back"
    to = ("--to", other, "latest", "postgres/app/" + database)
    there = app.restore(*to, statuses=(DEGRADED,))
    assert postgres.execute(other, "TABLE a_far") == [(1,)]
    assert there["omissions"] == 1
    postgres.drop_database(other)
    postgres.drop_database(far)
    told = app.admin("backup-restore", *to)
    assert told.status == DEGRADED, str(told)
    for name in ("m_far", "a_far"):
        assert ("view public.%s: " % name) in told.err, str(told)
    assert far in told.err and "REFRESH" in told.err, str(told)
    assert "near" not in told.err, str(told)
    assert postgres.execute(other, """
        SELECT relname, relispopulated FROM pg_class WHERE relkind = 'm'
        ORDER BY 1""") == [("a_far", False), ("b_near", True),
                           ("m_far", False), ("z_near", True)]
    assert postgres.execute(other, "TABLE b_near") == [(2,)]
    # What is wrong here is no reason to have a view without its rows.
    postgres.execute(database, """
        DROP MATERIALIZED VIEW m_far CASCADE;
        CREATE FUNCTION once() RETURNS int LANGUAGE plpgsql AS
            'BEGIN IF current_database() = ''%s'' THEN RETURN 1; END IF;
            RAISE EXCEPTION ''not again''; END';
        CREATE MATERIALIZED VIEW m_once AS SELECT public.once()""" % database)
    app.create(statuses=(DEGRADED,))
    postgres.drop_database(other)
    told = app.admin("backup-restore", *to)
    assert told.status == FAILED and "m_once" in told.err, str(told)
    assert other not in postgres.databases()


def test_a_label_whose_provider_is_not_there_is_named(
        app, postgres, database):
    # No provider of labels is packaged, so one is written by hand.
    postgres.execute(database, """
        CREATE TABLE t AS SELECT 1 AS n;
        SET allow_system_table_mods = on;
        INSERT INTO pg_seclabel VALUES
            ('t'::regclass, 'pg_class'::regclass, 1, 'nobody', 'secret')""")
    app.create()
    other = database + "_back"
    to = ("--to", other, "latest", "postgres/app/" + database)
    told = app.admin("backup-restore", *to)
    assert told.status == FAILED, str(told)
    assert 'provider "nobody"' in told.err, str(told)
    assert "COLUMN public.t.n IS 'secret'" in told.err, str(told)
    assert other not in postgres.databases()
    told = app.admin("backup-restore", "--skip-refused", *to)
    assert told.status == DEGRADED, str(told)
    assert 'provider "nobody"' in told.err, str(told)
    assert postgres.execute(other, "TABLE t") == [(1,)]


def test_a_subscription_comes_back_without_connecting(
        app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE t (n int);
        CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere dbname=x'
            PUBLICATION p WITH (connect = false)""")
    try:
        app.create()
        other, _ = beside(app, database)
        assert postgres.execute(
            "postgres", "SELECT d.datname, subname, subenabled"
            " FROM pg_subscription JOIN pg_database d ON d.oid = subdbid"
            " WHERE datname = '%s'" % other) == [(other, "s", False)]
    finally:
        for name in (database, database + "_back"):
            if name in postgres.databases():
                postgres.execute(
                    name, "ALTER SUBSCRIPTION s SET (slot_name = NONE)")
                postgres.execute(name, "DROP SUBSCRIPTION s")


# ---- secrets ----

def test_passwords_of_other_servers_need_the_identity(
        app, postgres, database):
    postgres.execute(database, """
        CREATE EXTENSION postgres_fdw;
        CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host 'nowhere');
        CREATE USER MAPPING FOR PUBLIC SERVER far
            OPTIONS (user 'u', password 'hunter2-far')""")
    app.create()
    for folder, _, names in os.walk(app.repository):
        for name in names:
            with open(os.path.join(folder, name), "rb") as content:
                assert b"hunter2" not in content.read()
    listed = app.run("backup-list", "--json", "latest")
    assert "hunter2" not in listed.out
    path = "postgres/app/%s/catalogue.sql" % database
    assert app.run("backup-cat", "latest", path).status == FAILED
    shown = app.admin("backup-cat", "latest", path)
    assert shown.status == COMPLETE and "hunter2-far" in shown.out
    other, _ = beside(app, database, (COMPLETE, DEGRADED))
    agree(postgres, database, other, "SELECT o FROM pg_user_mappings,"
          " unnest(umoptions) AS o ORDER BY 1")


# ---- never half ----

def test_a_function_of_an_index_that_counts_on_search_path_is_named(
        app, postgres, database):
    postgres.execute(database, """
        CREATE FUNCTION helper(n int) RETURNS int LANGUAGE sql IMMUTABLE
            AS 'SELECT n + 1';
        CREATE FUNCTION careless(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE
            SET search_path FROM CURRENT
            AS 'BEGIN RETURN helper(n); END';
        CREATE TABLE t AS SELECT generate_series(1, 100) AS n;
        CREATE INDEX i ON t (careless(n));
        ALTER FUNCTION careless RESET search_path""")
    app.create()
    before = postgres.databases()
    result = app.admin("backup-restore", "--to", database + "_back",
                       "latest", "postgres/app/" + database)
    if result.status != COMPLETE:
        assert result.status == FAILED, str(result)
        assert "helper" in result.err, str(result)
        assert postgres.databases() == before
    # Either way the proof says the same as the restore.
    proof = app.admin("backup-verify")
    assert (proof.status == COMPLETE) == (result.status == COMPLETE), str(
        proof)


def test_a_role_that_may_not_make_databases_is_told_at_once(
        app, postgres, database):
    postgres.execute(database, "CREATE TABLE t AS SELECT 1 AS n")
    app.create()
    postgres.execute("postgres", "DROP ROLE IF EXISTS t_small;"
                     "CREATE ROLE t_small LOGIN PASSWORD 'small'")
    try:
        app.add_postgres(
            "app", postgres, database,
            conninfo=postgres.tcp_conninfo(database, user="t_small"),
            password_file=app.secret("small", "small"))
        names = postgres.databases()
        result = app.admin("backup-restore", "--to", database + "_back",
                           "latest", "postgres/app/" + database)
        assert result.status == FAILED, str(result)
        assert "CREATEDB" in result.err, str(result)
        assert postgres.databases() == names
    finally:
        postgres.execute("postgres", "DROP ROLE t_small")


def test_a_backup_of_a_newer_version_is_refused_by_an_older_server(
        stack, postgres, postgres_servers):
    from conftest import SERVERS
    majors = sorted(SERVERS)
    with postgres.connect("postgres") as connection:
        major = connection.info.server_version // 10000
    older = [other for other in majors if other < major]
    newer = [other for other in majors if other > major]
    name = "across%d" % major
    postgres.create_database(name)
    try:
        postgres.execute(name, "CREATE TABLE t AS SELECT 1 AS n")
        stack.add_postgres("app", postgres, name)
        stack.create()
        for other in older[-1:]:
            there = postgres_servers(other)
            stack.add_postgres("app", there, name)
            result = stack.admin("backup-restore", "latest")
            assert result.status == FAILED, str(result)
            assert "newer major version" in result.err, str(result)
            assert name not in there.databases()
        for other in newer:
            there = postgres_servers(other)
            stack.add_postgres("app", there, name)
            stack.restore()
            assert there.execute(name, "TABLE t") == [(1,)]
            there.drop_database(name)
    finally:
        postgres.drop_database(name)
