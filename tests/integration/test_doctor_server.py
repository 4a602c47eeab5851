# SPDX-License-Identifier: Apache-2.0
"""backup-doctor: troubles of a server that are those of the whole of it, and
a server that has none. All share one, whose clock a test may set."""

import contextlib
import os
import shutil
import subprocess
import tempfile

import pytest
from harness.postgres import Postgres
from harness.process import Server, free_port, identity, unprivileged_user
from harness.proxy import Proxy
from harness.stack import FAILED
from test_doctor import examine
from test_hard_moment import until
from test_prune import _library

SETTINGS = {"max_connections": "20", "max_prepared_transactions": "4",
            "max_locks_per_transaction": "10", "wal_sender_timeout": "0"}


class Clock:
    """What a server takes for the time, from the next moment on."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "clock")
        self.set("+0")
        self.environment = {
            "LD_PRELOAD": _library(), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_TIMESTAMP_FILE": self.path,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set(self, offset):
        with open(self.path + ".new", "w") as out:
            out.write(offset + "\n")
        os.chmod(self.path + ".new", 0o644)
        os.rename(self.path + ".new", self.path)


@pytest.fixture(scope="module")
def own(session_folder, request):
    """A small server, with a clock, and with checksums."""
    # Other servers may come between the tests of this file: then it is made
    # anew.
    home = tempfile.mkdtemp(prefix="doctor-", dir=session_folder)
    os.chmod(home, 0o711)
    clock = Clock(home)
    server = Postgres(home, SETTINGS, environment=clock.environment)
    server.clock = clock
    server.stop()
    subprocess.run([server.program("pg_checksums"), "--enable", "--no-sync",
                    "-D", server.data], check=True, cwd="/",
                   stdout=subprocess.DEVNULL, **identity(server._user))
    server.start()
    server.create_database("app")
    yield server
    server.stop()


@pytest.fixture
def app(stack, own):
    stack.add_postgres("app", own, "app")
    return stack


# What has its reasons elsewhere: there is no backup yet, and one key.
OF_THE_STACK = {"administrators", "last-backup", "repository-history",
                "last-proof"}


def test_a_server_that_is_well_gives_no_alarm(app, postgres):
    findings = examine(app)
    assert set(findings.alarms()) <= OF_THE_STACK, str(findings.result)
    for name in ("pooler", "server-version", "server-programs",
                 "databases-covered", "databases-present", "role", "timeouts",
                 "connections", "lock-table", "standby", "wal-summaries",
                 "old-transactions", "prepared-transactions",
                 "replication-slots", "transaction-ids", "unlogged-tables",
                 "invalid-indexes", "collation-versions", "extensions",
                 "page-checksums", "database-clock", "scratch-room"):
        assert findings.statuses(name) == {"ok"}, findings.seen(name)
    app.add_postgres("app", postgres, "postgres")
    assert examine(app).statuses("page-checksums") == {"note"}


def test_what_nobody_ended(app, own):
    """Of two hours ago; and what was prepared just now may well be ended."""
    own.execute("app", "CREATE TABLE t (a int)")
    with contextlib.ExitStack() as closing:
        closing.callback(own.execute, "postgres",
                         "DROP ROLE IF EXISTS plain")
        closing.callback(own.execute, "app", "DROP TABLE t")
        old, both = (closing.enter_context(own.connect("app"))
                     for _ in range(2))
        both.execute("BEGIN; INSERT INTO t VALUES (1);"
                     " PREPARE TRANSACTION 'young one'")
        closing.callback(own.execute, "app", "ROLLBACK PREPARED 'young one'")
        findings = examine(app)
        assert findings.statuses("prepared-transactions") == {"ok"}
        assert "1 prepared" in findings.seen("prepared-transactions")
        own.clock.set("-2h")
        try:
            old.execute("BEGIN; SELECT 1")
            both.execute("BEGIN; INSERT INTO t VALUES (2);"
                         " PREPARE TRANSACTION 'old one'")
        finally:
            own.clock.set("+0")
        closing.callback(own.execute, "app", "ROLLBACK PREPARED 'old one'")
        findings = examine(app)
        assert findings.statuses("old-transactions") == {"warning"}
        seen = findings.seen("old-transactions")
        assert "pid %d of postgres in app" % old.info.backend_pid in seen
        assert "%d" % both.info.backend_pid not in seen
        assert findings.statuses("prepared-transactions") == {"warning"}
        assert "'old one' in app" in findings.seen("prepared-transactions")
        assert "young" not in findings.seen("prepared-transactions")
        # Who does not see them does not say that there are none.
        own.execute("postgres", "CREATE ROLE plain LOGIN PASSWORD '%s'"
                    % own.password)
        app.add_postgres("app", own, "app",
                         conninfo=own.tcp_conninfo("app", user="plain"))
        assert examine(app).statuses("old-transactions") == {"skipped"}
        own.execute("postgres", "GRANT pg_read_all_stats TO plain")
        assert examine(app).statuses("old-transactions") == {"warning"}


@pytest.mark.parametrize("column, now", [
    ("datfrozenxid", "(txid_current() % 4294967296)"),
    ("datminmxid", "(SELECT next_multixact_id::text::bigint"
     " FROM pg_control_checkpoint())")])
def test_ids_that_run_out(app, own, column, now):
    (before,), = own.execute("app", "SELECT %s::text FROM pg_database"
                             " WHERE datname = 'app'" % column)

    def old(millions):
        own.execute("app", "UPDATE pg_database SET %s = ((%s - %d +"
                    " 4294967296) %% 4294967296)::text::xid"
                    " WHERE datname = 'app'" % (column, now, millions * 10**6))
        return examine(app)

    try:
        findings = old(900)
        assert findings.statuses("transaction-ids") == {"ok"}
        findings = old(1100)
        assert findings.statuses("transaction-ids") == {"warning"}
        assert "in app, is 1100 million" in findings.seen("transaction-ids")
        assert old(1900).statuses("transaction-ids") == {"error"}
    finally:
        own.execute("app", "UPDATE pg_database SET %s = '%s'"
                    " WHERE datname = 'app'" % (column, before))


def test_connections_and_locks_that_do_not_suffice(app, own):
    """It has room for 10 locks of each of 24, and for 20 connections."""
    own.create_database("wide")
    own.execute("wide", "DO $$ BEGIN FOR i IN 1..150 LOOP"
                " EXECUTE format('CREATE TABLE t%s (id int)', i);"
                " END LOOP; END $$")
    try:
        app.add_postgres("app", own, "wide")
        with contextlib.ExitStack() as closing:
            for _ in range(12):
                closing.enter_context(own.connect("postgres"))
            findings = examine(app)
        assert findings.statuses("connections") == {"warning"}
        assert findings.statuses("lock-table") == {"error"}
        assert "150 tables" in findings.seen("lock-table")
    finally:
        own.drop_database("wide")


def test_extensions_without_their_files(app, own):
    own.execute("app", "INSERT INTO pg_extension VALUES"
                " (77777, 'gone', 10, 2200, false, '1.0', NULL, NULL)")
    try:
        findings = examine(app)
        assert findings.statuses("extensions") == {"warning"}
        assert "gone" in findings.seen("extensions", "postgres/app/app")
    finally:
        own.execute("app", "DELETE FROM pg_extension WHERE oid = 77777")
    own.execute("app", "UPDATE pg_extension SET extversion = '0.9'"
                " WHERE extname = 'plpgsql'")
    try:
        findings = examine(app)
        assert findings.statuses("extensions") == {"note"}
        assert "plpgsql 0.9 (1.0 is there)" in findings.seen("extensions")
    finally:
        own.execute("app", "UPDATE pg_extension SET extversion = '1.0'"
                    " WHERE extname = 'plpgsql'")


@pytest.mark.every_server
def test_summaries_of_wal_that_are_asked_for(stack, postgres):
    stack.add_postgres("app", postgres, "postgres", incremental=True)
    major = int(postgres.execute("postgres", "SHOW server_version_num")[0][0])
    findings = examine(stack)
    assert findings.statuses("wal-summaries") == {"warning"}
    if major < 170000:
        assert "has no summaries" in findings.seen("wal-summaries")
        return
    postgres.execute("postgres", "ALTER SYSTEM SET summarize_wal = on")
    postgres.execute("postgres", "SELECT pg_reload_conf()")
    try:
        until(lambda: postgres.execute(
            "postgres", "SHOW summarize_wal") == [("on",)])
        assert examine(stack).statuses("wal-summaries") == {"ok"}
    finally:
        postgres.execute("postgres", "ALTER SYSTEM RESET summarize_wal")
        postgres.execute("postgres", "SELECT pg_reload_conf()")


class Renamed(Proxy):
    """The server says that it is of another version."""

    def __init__(self, port, major):
        self._major = b"%d." % major
        super().__init__(port)

    def answer(self, data):
        name = b"server_version\0"
        at = data.find(name)
        if at < 0:
            return data
        at += len(name)
        return data[:at] + self._major + data[data.index(b".", at) + 1:]


def test_a_version_that_is_not_supported_any_more(app, own):
    with Renamed(own.port, 13) as proxy:
        app.add_postgres("app", own, "app", conninfo=own.tcp_conninfo(
            "app", port=proxy.port))
        findings = examine(app, status=FAILED)
    assert findings.statuses("server-version") == {"warning"}
    assert "14 to 18 are supported" in findings.seen("server-version")
    # And there are no programs of it.
    assert findings.statuses("server-programs") == {"error", "note"}
    for program in ("pg_dump", "pg_restore", "initdb"):
        assert program in findings.seen("server-programs")


# ---- poolers ----

@pytest.fixture
def pooled(own, tmp_path_of_test):
    """Starts PgBouncer; answers where."""
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    assert found, "pgbouncer is missing: ./bootstrap"
    running = []

    def start(mode, more=""):
        port = free_port()
        config = os.path.join(tmp_path_of_test, mode + ".ini")
        with open(config, "w") as out:
            out.write("[databases]\n* = host=%s port=%d user=postgres\n"
                      "[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                      "listen_port = %d\nauth_type = any\n"
                      "unix_socket_dir =\npool_mode = %s\n%s\n"
                      % (own.home, own.port, port, mode, more))
        os.chmod(tmp_path_of_test, 0o711)
        os.chmod(config, 0o644)
        server = Server([found, config],
                        os.path.join(tmp_path_of_test, mode + ".log"),
                        user=unprivileged_user())
        running.append(server)
        conninfo = own.tcp_conninfo("app", port=port)
        server.wait_until(lambda: subprocess.run(
            [own.program("psql"), "-X", "-d", conninfo, "-c", "SELECT 1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode == 0)
        return conninfo

    yield start
    for server in running:
        server.stop()


def test_a_pooler_in_between(app, own, pooled):
    app.add_postgres("app", own, "app", conninfo=pooled("session"))
    findings = examine(app, status=FAILED)
    assert findings.statuses("pooler") == {"error"}
    assert "parameter: options" in findings.seen("pooler")
    assert app.run("backup-create").status == FAILED
    app.add_postgres("app", own, "app", conninfo=pooled(
        "session", "ignore_startup_parameters = options"))
    findings = examine(app)
    assert findings.statuses("pooler") == {"note"}
    assert "session mode" in findings.seen("pooler")
    assert set(findings.alarms()) <= OF_THE_STACK, str(findings.result)
    app.create()
    app.add_postgres("app", own, "app", conninfo=pooled("transaction"))
    findings = examine(app, status=FAILED)
    assert findings.statuses("database-reachable") == {"error"}
    assert "transaction mode" in findings.seen("database-reachable")
    assert findings.statuses("pooler") == {"skipped"}


# ---- a standby ----

@pytest.fixture
def standby(own, tmp_path_of_test):
    """For it is two hours later than for its primary."""
    home = os.path.join(tmp_path_of_test, "standby")
    os.mkdir(home, 0o711)
    os.chmod(tmp_path_of_test, 0o711)
    clock = Clock(home)
    clock.set("+2h")

    def copied(server):
        subprocess.run(
            [own.program("pg_basebackup"), "-D", server.data, "-R", "-X",
             "stream", "-c", "fast", "--no-sync", "-d",
             own.conninfo("postgres")],
            check=True, cwd="/", **identity(server._user))

    server = Postgres(home, {**SETTINGS, "wal_receiver_timeout": "0"},
                      environment=clock.environment, make=copied)
    server.password = own.password
    yield server
    server.stop()


def test_a_standby_that_does_not_follow_or_does_not_wait(
        stack, own, standby):
    def change(setting):
        standby.execute("postgres", "ALTER SYSTEM SET " + setting)
        standby.execute("postgres", "SELECT pg_reload_conf()")
        name, value = setting.split(" = ")
        until(lambda: standby.execute("postgres", "SHOW " + name) == [
            (value.strip("'"),)])
        return examine(stack)

    def changed():
        own.execute("postgres", "SELECT txid_current()")
        (lsn,), = own.execute("postgres",
                              "SELECT pg_current_wal_insert_lsn()::text")
        return lsn

    def receives(yes):
        until(lambda: standby.execute(
            "postgres", "SELECT count(*) FROM pg_stat_wal_receiver") == [
            (yes,)])

    lsn = changed()
    receives(1)
    until(lambda: standby.execute(
        "postgres", "SELECT pg_last_wal_replay_lsn() >= '%s'" % lsn) == [
        (True,)])
    stack.add_postgres("app", standby, "app")
    findings = examine(stack)
    assert findings.statuses("standby") == {"warning"}
    assert "ends the transaction" in findings.seen("standby")
    findings = change("hot_standby_feedback = on")
    assert findings.statuses("standby") == {"note"}
    assert "after 30 s" in findings.seen("standby")
    findings = change("max_standby_streaming_delay = '2h'")
    assert findings.statuses("standby") == {"note"}
    assert "waits for a backup for 2 h" in findings.seen("standby")
    findings = change("max_standby_streaming_delay = -1")
    assert findings.statuses("standby") == {"note"}
    # It follows, and its primary has been idle for two hours.
    assert "is of" not in findings.seen("standby")
    standby.execute("postgres", "SELECT pg_wal_replay_pause()")
    findings = examine(stack)
    assert findings.statuses("standby") == {"warning", "note"}
    assert "replay is paused" in findings.seen("standby")
    standby.execute("postgres", "SELECT pg_wal_replay_resume()")
    assert examine(stack).statuses("standby") == {"note"}
    change("recovery_min_apply_delay = '1d'")
    lsn = changed()
    until(lambda: standby.execute(
        "postgres", "SELECT pg_last_wal_receive_lsn() >= '%s'" % lsn) == [
        (True,)])
    findings = examine(stack)
    assert findings.statuses("standby") == {"warning", "note"}
    assert "the last change that came" in findings.seen("standby")
    change("recovery_min_apply_delay = 0")
    until(lambda: examine(stack).statuses("standby") == {"note"})
    change("primary_conninfo = ''")
    receives(0)
    findings = examine(stack)
    assert findings.statuses("standby") == {"warning", "note"}
    assert "the last change that came" in findings.seen("standby")
