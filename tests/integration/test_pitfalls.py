# SPDX-License-Identifier: Apache-2.0
"""What has gone wrong in somebody's backup of PostgreSQL, and does not here:
reading. tests/pitfalls.tsv says which is which."""

import os
import re
import threading
import time

import pytest
from harness import witness
from harness.postgres import Postgres
from harness.stack import COMPLETE, DEGRADED, FAILED, finish, patience
from test_refuses_postgres import refused

pytestmark = pytest.mark.every_server

PAD = ("CREATE TABLE pad AS SELECT n, repeat(md5(n::text), 20) AS t"
       " FROM generate_series(1, 20000) AS n;")


@pytest.fixture
def app(stack, postgres, database):
    stack.add_postgres("app", postgres, database)
    return stack


def comes_back(stack, postgres, database):
    """Backs up, restores beside, and compares."""
    stack.create()
    other = database + "_back"
    stack.restore("--to", other, "latest", "postgres/app/" + database)
    before, after = (witness.database(postgres, name)
                     for name in (database, other))
    assert not witness.differences(before, after)


def version(postgres):
    with postgres.connect("postgres") as connection:
        return connection.info.server_version // 10000


# ---- sessions and the moment ----

def test_settings_of_a_role_end_no_session_and_change_no_row(
        app, postgres, database):
    settings = {
        "statement_timeout": "'1s'", "lock_timeout": "'1s'",
        "idle_in_transaction_session_timeout": "'1s'",
        "idle_session_timeout": "'1s'", "datestyle": "'SQL, DMY'",
        "intervalstyle": "'iso_8601'", "timezone": "'Asia/Kathmandu'",
        "extra_float_digits": "-15", "bytea_output": "escape",
        "xmloption": "document", "standard_conforming_strings": "off",
        "search_path": "nowhere", "quote_all_identifiers": "on",
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "serializable",
        "default_transaction_deferrable": "on",
        "synchronize_seqscans": "on", "client_encoding": "'LATIN1'",
    }
    if version(postgres) >= 17:
        settings["transaction_timeout"] = "'1s'"
    postgres.execute(database, """
        CREATE FUNCTION slow(n int) RETURNS bool LANGUAGE sql IMMUTABLE
            AS 'SELECT pg_catalog.pg_sleep(1.5) IS NOT NULL';
        CREATE TABLE slow (n int CHECK (slow(n)));
        INSERT INTO slow VALUES (1);
        CREATE TABLE odd (ts timestamptz, d date, i interval, f float8,
            f4 real, b bytea, x xml, t text);
        INSERT INTO odd SELECT now(), '2026-02-03', '1 mon -2 days 3:04:05.6',
            pi(), pi(), '\\x00ff5c', 'two <b>parts</b>', 'ā'""")
    before = witness.database(postgres, database)
    postgres.execute("postgres", "DROP ROLE IF EXISTS t_odd;"
                     "CREATE ROLE t_odd SUPERUSER LOGIN PASSWORD 'odd'")
    try:
        for name, value in settings.items():
            postgres.execute("postgres", "ALTER ROLE t_odd SET %s TO %s"
                             % (name, value))
        app.add_postgres(
            "app", postgres, database,
            conninfo=postgres.tcp_conninfo(database, user="t_odd"),
            password_file=app.secret("odd", "odd"))
        with postgres.connect(database) as other:
            other.execute("BEGIN; LOCK TABLE slow")
            running = app.start("backup-create")
            time.sleep(2.5)
            other.execute("ROLLBACK")
        result = finish(running)
        assert result.status == COMPLETE, str(result)
        # A role that may only read restores nothing.
        postgres.execute("postgres", "ALTER ROLE t_odd"
                         " RESET default_transaction_read_only")
        app.restore("--overwrite", "latest", "postgres/app/" + database)
        after = witness.database(postgres, database)
        assert not witness.differences(before, after)
        app.verify()
    finally:
        postgres.execute("postgres", "DROP ROLE t_odd")


def _terminate_holder(postgres):
    """Ends the session that holds the snapshot: the first one."""
    end = time.monotonic() + patience(30)
    while time.monotonic() < end:
        if postgres.execute("postgres", """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'libbackup'
                AND state LIKE 'idle in transaction%%'
                AND (SELECT count(*) FROM pg_stat_activity
                    WHERE application_name = 'libbackup') > 1
                ORDER BY backend_start LIMIT 1"""):
            return True
        time.sleep(0.01)
    return False


def test_a_snapshot_whose_holder_is_ended_fails_the_backup(
        app, postgres, database):
    postgres.execute(database, PAD)
    for n in range(8):
        postgres.execute(database, "CREATE TABLE pad%d AS TABLE pad" % n)
    running = app.start("backup-create", "--json", "--workers", "2")
    assert _terminate_holder(postgres)
    result = finish(running)
    assert result.status == FAILED, str(result)
    assert app.snapshots() == []
    app.create()


@pytest.fixture
def changing(postgres, database):
    """Something that goes on in the database for as long as a test wants."""
    stop = threading.Event()
    threads = []

    def start(*statements, pause=0.02):
        def go():
            with postgres.connect(database) as connection:
                while not stop.is_set():
                    for statement in statements:
                        connection.execute(statement)
                    stop.wait(pause)
        threads.append(threading.Thread(target=go))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def test_tables_that_are_changed_and_truncated_are_of_one_moment(
        app, postgres, database, changing):
    postgres.execute(database, PAD + """
        CREATE TABLE emptied AS SELECT generate_series(1, 1000) AS n;
        CREATE TABLE altered AS SELECT generate_series(1, 1000) AS n""")
    changing("BEGIN; TRUNCATE emptied;"
             "INSERT INTO emptied SELECT generate_series(1, 1000); COMMIT",
             pause=0.4)
    changing("ALTER TABLE altered ADD COLUMN more int DEFAULT 7",
             "ALTER TABLE altered DROP COLUMN more", pause=0.4)
    proven = 0
    for _ in range(3):
        result = app.run("backup-create")
        if result.status != COMPLETE:
            # Only where it never came to a lock in five attempts.
            assert "try again" in result.err, str(result)
            continue
        other = database + "_moment"
        app.restore("--to", other, "latest", "postgres/app/" + database)
        assert postgres.execute(other, """
            SELECT (SELECT count(*) FROM emptied),
                (SELECT count(*) FROM altered)""") == [(1000, 1000)]
        postgres.drop_database(other)
        proven += 1
    assert proven > 0


def test_sequences_are_never_behind_the_rows_that_used_them(
        app, postgres, database, changing):
    postgres.execute(database, PAD + "CREATE TABLE made (id serial, t text)")
    changing("INSERT INTO made (t) SELECT 'x' FROM generate_series(1, 10)")
    app.create()
    other = database + "_back"
    app.restore("--to", other, "latest", "postgres/app/" + database)
    (last, following), = postgres.execute(
        other, "SELECT max(id), nextval('made_id_seq') FROM made")
    assert following > last


def test_more_tables_than_the_server_can_lock_name_the_setting(
        stack, postgres):
    home = stack.path("small")
    os.mkdir(home, 0o711)
    server = Postgres(home, {"max_connections": "10",
                             "max_locks_per_transaction": "10",
                             "max_wal_senders": "0",
                             "max_prepared_transactions": "0",
                             "autovacuum_max_workers": "1",
                             "max_worker_processes": "0"},
                      bindir=postgres.bindir)
    try:
        server.create_database("app")
        for first in range(0, 2000, 50):
            server.execute("app", ";".join(
                "CREATE TABLE t%d (i int)" % n
                for n in range(first, first + 50)))
        stack.add_postgres("app", server, "app")
        said = refused(stack, "its 2000 tables",
                       "max_locks_per_transaction 10, times 10 ").err
        # What it says is enough.
        enough, = re.findall("set max_locks_per_transaction to ([0-9]+)", said)
        server._settings["max_locks_per_transaction"] = enough
        server.restart()
        stack.add_postgres("app", server, "app")
        stack.create()
    finally:
        server.stop()


def test_no_password_stands_in_an_argument(app, postgres, database):
    bindir = app.path("noted")
    notes = app.path("notes")
    os.mkdir(bindir)
    for name in ("pg_dump", "pg_dumpall", "pg_restore"):
        path = os.path.join(bindir, name)
        with open(path, "w") as out:
            out.write('#!/bin/sh\necho "%s $*" >>%s\nexec %s "$@"\n' % (
                name, notes, postgres.program(name)))
        os.chmod(path, 0o755)
    app.add_postgres("app", postgres, database, bindir=bindir)
    app.create()
    app.restore("--overwrite", "latest", "postgres/app/" + database)
    with open(notes) as lines:
        told = lines.read()
    assert "pg_dump " in told and "pg_restore " in told
    assert postgres.password not in told


# ---- which rows ----

def test_generated_inherited_and_shuffled_columns_come_back(
        app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE parent (a int, b text);
        CREATE TABLE child (z int) INHERITS (parent);
        ALTER TABLE parent ADD COLUMN late int;
        INSERT INTO parent VALUES (1, 'b', 2);
        INSERT INTO child VALUES (1, 'c', 3, 4);
        CREATE TABLE made (n int, twice int GENERATED ALWAYS AS (n * 2) STORED,
            id int GENERATED ALWAYS AS IDENTITY);
        INSERT INTO made (n) SELECT generate_series(1, 10);
        CREATE TABLE nothing ();
        INSERT INTO nothing DEFAULT VALUES""")
    if version(postgres) >= 18:
        postgres.execute(database, """
            CREATE TABLE virtual (n int,
                twice int GENERATED ALWAYS AS (n * 2) VIRTUAL);
            INSERT INTO virtual SELECT generate_series(1, 10)""")
    app.create()
    other = database + "_back"
    app.restore("--to", other, "latest", "postgres/app/" + database)
    queries = ["SELECT a, b, late FROM ONLY parent",
               "SELECT a, b, late, z FROM child",
               "SELECT n, twice, id FROM made ORDER BY n",
               "SELECT count(*) FROM nothing"]
    if version(postgres) >= 18:
        queries.append("SELECT n, twice FROM virtual ORDER BY n")
    for query in queries:
        assert postgres.execute(database, query) == postgres.execute(
            other, query), query
    app.verify()


def test_policies_that_are_forced_on_the_owner_are_refused(
        app, postgres, database):
    postgres.execute(database, """
        DROP ROLE IF EXISTS t_forced;
        CREATE ROLE t_forced LOGIN PASSWORD 'forced';
        CREATE TABLE hidden (n int);
        INSERT INTO hidden VALUES (1), (2);
        ALTER TABLE hidden OWNER TO t_forced;
        ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
        ALTER TABLE hidden FORCE ROW LEVEL SECURITY;
        CREATE POLICY one ON hidden USING (n = 1)""")
    try:
        app.add_postgres(
            "app", postgres, database,
            conninfo=postgres.tcp_conninfo(database, user="t_forced"),
            password_file=app.secret("forced", "forced"))
        refused(app, "hidden", "BYPASSRLS")
        postgres.execute("postgres", "ALTER ROLE t_forced BYPASSRLS")
        app.create()
    finally:
        postgres.execute(database, "DROP OWNED BY t_forced;"
                         "DROP ROLE t_forced")


def test_a_role_that_only_reads_all_data_is_enough(app, postgres, database):
    postgres.execute(database, """
        DROP ROLE IF EXISTS t_reads;
        CREATE ROLE t_reads LOGIN PASSWORD 'reads' IN ROLE pg_read_all_data;
        CREATE SCHEMA inner_one;
        CREATE TABLE inner_one.t AS SELECT generate_series(1, 100) AS n;
        CREATE TABLE s (id serial);
        INSERT INTO s DEFAULT VALUES;
        CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM inner_one.t""")
    before = witness.database(postgres, database)
    try:
        app.add_postgres(
            "app", postgres, database,
            conninfo=postgres.tcp_conninfo(database, user="t_reads"),
            password_file=app.secret("reads", "reads"))
        app.create()
        app.add_postgres("app", postgres, database)
        other = database + "_back"
        app.restore("--to", other, "latest", "postgres/app/" + database)
        assert not witness.differences(
            before, witness.database(postgres, other))
    finally:
        postgres.execute("postgres", "DROP ROLE t_reads")


def test_many_large_objects_come_back(app, postgres, database):
    postgres.execute(database, """
        SELECT lo_from_bytea(0, decode(repeat(md5(n::text), n % 300), 'hex'))
        FROM generate_series(1, 1200) AS n""")
    comes_back(app, postgres, database)
    app.verify()


def test_bytes_without_an_encoding_come_back(app, postgres, database):
    raw = database + "_raw"
    postgres.execute("postgres", "CREATE DATABASE %s TEMPLATE template0"
                     " ENCODING 'SQL_ASCII' LOCALE 'C'" % raw)
    postgres.execute(raw, """
        CREATE TABLE t (b text);
        INSERT INTO t VALUES (E'\\xff\\xfe\\x80 latin \\xe4'), ('plain')""")
    app.add_postgres("app", postgres, raw)
    app.create()
    other = raw + "_back"
    app.restore("--to", other, "latest", "postgres/app/" + raw)
    seen = []
    for name in (raw, other):
        with postgres.connect(name, client_encoding="SQL_ASCII") as there:
            seen.append(there.execute(
                "SELECT md5(b), pg_encoding_to_char(encoding)"
                " FROM t, pg_database WHERE datname = current_database()"
                " ORDER BY 1").fetchall())
    assert seen[0] == seen[1] and len(seen[0]) == 2
    assert b"SQL_ASCII" in seen[0][0]
    app.verify()


def test_toast_that_is_damaged_names_the_table_and_its_pages(
        stack, postgres):
    home = stack.path("hurt")
    os.mkdir(home, 0o711)
    server = Postgres(home, bindir=postgres.bindir)
    try:
        server.create_database("app")
        server.execute("app", """
            CREATE TABLE hurt (n int, t text);
            ALTER TABLE hurt ALTER t SET STORAGE EXTERNAL;
            INSERT INTO hurt SELECT n, repeat(md5(n::text), 1000)
                FROM generate_series(1, 100) AS n""")
        server.execute("app", "CHECKPOINT")
        (path,), = server.execute("app", """
            SELECT pg_relation_filepath(reltoastrelid) FROM pg_class
            WHERE oid = 'hurt'::regclass""")
        server.stop()
        with open(os.path.join(server.data, path), "r+b") as toast:
            toast.seek(20 * 8192)
            toast.write(bytes(8192))
        server.start()
        stack.add_postgres("app", server, "app")
        refused(stack, "hurt", "toast value")
    finally:
        server.stop()
