# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL that says no, goes away or is not what it seems: the message
names the thing, no snapshot appears, the server is as it was."""

import os
import socket
import time

import pytest
from harness import witness
from harness.proxy import Proxy, TransactionPooler
from harness.stack import COMPLETE, FAILED, patience

pytestmark = pytest.mark.every_server

ROWS = ("CREATE TABLE big AS SELECT n, repeat(md5(n::text), 20) AS t"
        " FROM generate_series(1, 50000) AS n")


@pytest.fixture
def app(stack, postgres, database):
    postgres.execute(database, ROWS)
    stack.add_postgres("app", postgres, database)
    return stack


def refused(stack, *words, name="backup-create", args=()):
    """The command fails and says the words; nothing is committed."""
    before = stack.snapshots()
    result = stack.admin(name, *args)
    assert result.status == FAILED, str(result)
    for word in words:
        assert word.lower() in result.err.lower(), str(result)
    assert stack.snapshots() == before
    return result


def test_a_wrong_password(app, postgres, database):
    wrong = app.secret("wrong", "not the password")
    app.add_postgres("app", postgres, database, password_file=wrong)
    result = refused(app, "postgres/app", "password")
    assert "not the password" not in result.err


def test_a_server_that_is_not_there(app, postgres, database):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    app.add_postgres("app", postgres, database,
                     conninfo=postgres.tcp_conninfo(database, port=port))
    refused(app, "postgres/app", str(port))


def test_a_database_that_does_not_exist(app, postgres):
    app.add_postgres("app", postgres, "no_such_database")
    refused(app, "no_such_database")


def test_a_server_that_is_gone_in_the_middle_of_copy(
        app, postgres, database):
    app.create()
    good = app.snapshots()
    postgres.execute(database, "UPDATE big SET t = t || 'x'")
    with Proxy(postgres.port, cut_after=8 << 20) as proxy:
        app.add_postgres("app", postgres, database,
                         conninfo=postgres.tcp_conninfo(
                             database, port=proxy.port))
        refused(app, "postgres/app")
        assert proxy.was_cut
    app.add_postgres("app", postgres, database)
    assert app.verify().result["is_proven"]
    assert app.snapshots() == good
    app.create()
    assert app.verify().result["is_proven"]


def test_a_server_that_is_gone_in_the_middle_of_a_restore(
        app, postgres, database):
    app.create()
    other = database + "_copy"
    before = witness.database(postgres, database)
    with Proxy(postgres.port, cut_after=3000) as proxy:
        app.add_postgres("app", postgres, database,
                         conninfo=postgres.tcp_conninfo(
                             database, port=proxy.port))
        refused(app, "postgres/app", name="backup-restore",
                args=("latest", "--to", other))
        assert proxy.was_cut
    # A part of a database must never stand under the name asked for.
    assert other not in postgres.databases()
    assert not witness.differences(
        before, witness.database(postgres, database))


def _old_program(folder, name, real):
    """A program of another major version, as far as it says."""
    path = os.path.join(folder, name)
    with open(path, "w") as out:
        out.write('#!/bin/sh\ncase "$*" in\n'
                  '--version | -V) echo "%s (PostgreSQL) 9.6.24" ;;\n'
                  '*) echo "%s: error: aborting because of server version'
                  ' mismatch" >&2; exit 1 ;;\nesac\n' % (name, name))
    os.chmod(path, 0o755)


def test_a_pg_dump_too_old_for_the_server(app, postgres, database):
    bindir = app.path("old")
    os.mkdir(bindir)
    for name in ("pg_dump", "pg_dumpall", "pg_restore"):
        _old_program(bindir, name, postgres.program(name))
    # Found first, in the configured folder and on PATH; what the
    # distribution keeps elsewhere may serve instead, but the old one never.
    app.add_postgres("app", postgres, database, bindir=bindir)
    path = bindir + ":" + app.commands.env["PATH"]
    result = app.run("backup-create", env={"PATH": path})
    if result.status == COMPLETE:
        assert app.verify().result["is_proven"]
    else:
        assert result.status == FAILED, str(result)
        assert "9.6" in result.err and "pg_dump" in result.err, str(result)
        assert str(postgres.connect("postgres").info.server_version // 10000
                   ) in result.err
        assert app.snapshots() == []


def test_a_pooler_in_transaction_mode(app, postgres, database):
    socket_path = os.path.join(postgres.home, ".s.PGSQL.%d" % postgres.port)
    with TransactionPooler(postgres.port, socket_path) as pooler:
        app.add_postgres("app", postgres, database,
                         conninfo=postgres.tcp_conninfo(
                             database, port=pooler.port))
        refused(app, "pool")


def test_a_table_that_somebody_has_locked_exclusively(
        app, postgres, database):
    app.add_postgres("app", postgres, database,
                     conninfo=postgres.tcp_conninfo(
                         database, options="-c lock_timeout=2s"))
    with postgres.connect(database) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE big IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        refused(app, "big", "lock")
        assert time.monotonic() - began < patience(30)
        assert other.execute("SELECT count(*) FROM big").fetchone() == (50000,)
        other.execute("ROLLBACK")
    app.create()


def test_a_value_that_its_own_type_refuses_on_restore(
        app, postgres, database):
    postgres.execute(database, """
        CREATE FUNCTION good(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE
            AS 'BEGIN RETURN true; END';
        CREATE DOMAIN picky AS int CHECK (good(VALUE));
        CREATE TABLE numbers (v picky);
        INSERT INTO numbers SELECT generate_series(1, 100);
        CREATE OR REPLACE FUNCTION good(int) RETURNS bool LANGUAGE plpgsql
            IMMUTABLE AS 'BEGIN RETURN $1 <> 50; END'""")
    before = witness.database(postgres, database)
    app.create()
    other = database + "_copy"
    refused(app, "numbers", name="backup-restore",
            args=("latest", "--to", other))
    assert other not in postgres.databases()
    # The proof finds it before the disaster does.
    result = app.admin("backup-verify")
    assert result.status == FAILED and "numbers" in (
        result.out + result.err), str(result)
    assert not witness.differences(
        before, witness.database(postgres, database))


def test_a_target_database_that_exists(app, postgres, database):
    app.create()
    postgres.execute(database, "DELETE FROM big WHERE n > 10")
    before = witness.database(postgres, database)
    databases = postgres.databases()
    refused(app, database, "exists", "--overwrite", name="backup-restore",
            args=("latest",))
    assert postgres.databases() == databases
    assert not witness.differences(
        before, witness.database(postgres, database))


def test_overwrite_replaces_a_database_that_exists(app, postgres, database):
    before = witness.database(postgres, database)
    app.create()
    postgres.execute(database, "DELETE FROM big WHERE n > 10")
    app.restore("latest", "--overwrite")
    assert not witness.differences(
        before, witness.database(postgres, database))


def test_row_security_that_would_hide_rows(app, postgres, database):
    postgres.execute(database, """
        CREATE ROLE half_blind LOGIN PASSWORD 'half';
        GRANT USAGE ON SCHEMA public TO half_blind;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO half_blind;
        ALTER TABLE big ENABLE ROW LEVEL SECURITY;
        CREATE POLICY few ON big USING (n < 100)""")
    try:
        app.add_postgres(
            "app", postgres, database,
            conninfo=postgres.tcp_conninfo(database, user="half_blind"),
            password_file=app.secret("half", "half"))
        refused(app, "postgres/app")
    finally:
        postgres.execute(database, "DROP OWNED BY half_blind;"
                         "DROP ROLE half_blind")
