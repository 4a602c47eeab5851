# SPDX-License-Identifier: Apache-2.0
"""A server that is there as the place of a drill: others work on it, and find
it afterwards as it was."""

import os
import signal
import socket
import subprocess

import pytest
from harness.postgres import Postgres
from harness.stack import COMPLETE, FAILED, Stack, finish
from test_drill import _wait

SQL = """
CREATE TABLE item AS SELECT n, md5(n::text) AS t FROM generate_series(1, 500) n;
ALTER TABLE item OWNER TO drill_owner;
CREATE INDEX ON item (n);
CREATE SEQUENCE ticket;
SELECT setval('ticket', 77), lo_from_bytea(4711, 'large');
"""


@pytest.fixture(scope="module")
def other(session_folder):
    """Another server, with a database of its own."""
    folder = os.path.join(session_folder, "drills")
    os.mkdir(folder, 0o711)
    server = Postgres(folder)
    server.execute("postgres", "CREATE ROLE drill_owner CREATEDB")
    server.create_database("theirs")
    yield server
    server.stop()


def _roles(server):
    return {name for name, in server.execute(
        "postgres", "SELECT quote_ident(rolname) FROM pg_roles"
        " WHERE rolname !~ '^pg_'")}


@pytest.fixture(scope="module")
def host(postgres, other, session_folder):
    folder = os.path.join(session_folder, "drilled")
    os.mkdir(folder)
    stack = Stack(os.path.join(os.environ["top_builddir"], "tools"), folder)
    postgres.execute("postgres", "CREATE ROLE drill_owner")
    # Other tests may have left roles on the server that they share.
    for role in _roles(postgres) - _roles(other):
        other.execute("postgres", "CREATE ROLE %s" % role)
    postgres.create_database("drilled")
    postgres.execute("drilled", SQL)
    postgres.execute("postgres", "ALTER DATABASE drilled SET work_mem = '7MB';"
                     "ALTER DATABASE drilled OWNER TO drill_owner")
    stack.add_postgres("app", postgres, "drilled")
    stack.init()
    stack.create()
    yield stack
    postgres.drop_database("drilled")
    postgres.execute("postgres", "DROP ROLE drill_owner")


def _seen(server):
    return (server.databases(), server.execute(
        "postgres", "SELECT rolname, rolcreatedb FROM pg_roles ORDER BY 1"))


def _verify(host, server, *args, **options):
    return host.admin("backup-verify", "--json", "--server",
                      server.conninfo("postgres"), *args, **options)


def test_a_database_is_proven_on_a_server_that_is_there(host, other):
    before = _seen(other)
    result = _verify(host, other)
    assert result.status == COMPLETE, str(result)
    assert result.result["rows"] == 500
    checks = {check["name"]: check for check in result.of_type("check")}
    assert checks["postgres/app/drilled/data/public.item"]["status"] == "pass"
    roles = checks["postgres/app/globals.sql"]
    assert roles["status"] == "skip" and "server's own" in roles["what"]
    assert not _about_room(result)
    assert _seen(other) == before
    # Nothing that is another database's, though it has the same name.
    other.create_database("drilled")
    result = _verify(host, other, "latest", "postgres/app/drilled")
    assert result.status == COMPLETE, str(result)
    assert other.execute("drilled", "SELECT count(*) FROM pg_class"
                         " WHERE relname = 'item'") == [(0,)]
    other.drop_database("drilled")


def test_the_configuration_may_name_the_server(host, other):
    host.options["verification"] = {"server": other.conninfo("postgres")}
    host.write()
    result = host.admin("backup-verify", "--json")
    del host.options["verification"]
    host.write()
    assert result.status == COMPLETE, str(result)
    assert "postgres/app/globals.sql" in result.result["except"]


def test_the_server_that_was_backed_up_is_refused(host, postgres):
    before = _seen(postgres)
    result = _verify(host, postgres)
    assert result.status == FAILED
    assert "the server that the backup is of" in result.err
    assert _seen(postgres) == before
    result = _verify(host, postgres, "--allow-source-server")
    assert result.status == COMPLETE, str(result)
    assert _seen(postgres) == before


def test_a_server_that_lacks_a_role_is_refused_by_its_name(
        host, other, postgres):
    other.execute("postgres", "ALTER ROLE drill_owner RENAME TO somebody")
    before = _seen(other)
    try:
        for level in "full", "quick":
            result = _verify(host, other, "--level", level)
            assert result.status == FAILED
            assert "drill_owner" in result.err
            # It says nothing of the snapshot, and no verdict is kept of it.
            assert not result.of_type("check")
        assert _seen(other) == before
    finally:
        other.execute("postgres", "ALTER ROLE somebody RENAME TO drill_owner")


def test_who_is_no_superuser_is_told_before_anything_is_made(host, other):
    other.execute("postgres", "ALTER ROLE drill_owner LOGIN CREATEDB"
                  " PASSWORD 'drill'")
    before = _seen(other)
    try:
        result = host.admin(
            "backup-verify", "--json", "--server",
            other.tcp_conninfo("postgres") + " user=drill_owner",
            env={"PGPASSWORD": "drill"})
        assert result.status == FAILED
        assert "takes a superuser" in result.err, str(result)
        assert not result.of_type("check")
        assert _seen(other) == before
    finally:
        other.execute("postgres", "ALTER ROLE drill_owner NOLOGIN NOCREATEDB")


def test_a_password_is_not_taken_from_a_command_line(host, other):
    result = host.admin("backup-verify", "--server",
                        other.tcp_conninfo("postgres") + " password=secret")
    assert result.status == FAILED
    assert "secret" not in result.err and "PGPASSFILE" in result.err


@pytest.fixture
def subscribed(host, postgres):
    """A backup with a subscription, whose publisher is a socket."""
    with socket.create_server(("127.0.0.1", 0)) as publisher:
        publisher.setblocking(False)
        postgres.execute("drilled", """
            CREATE SUBSCRIPTION "its news" CONNECTION
                'host=127.0.0.1 port=%d dbname=x connect_timeout=2'
                PUBLICATION p WITH (connect = false, slot_name = its_slot);
            """ % publisher.getsockname()[1])
        try:
            host.create()
            yield publisher
        finally:
            postgres.execute(
                "drilled",
                'ALTER SUBSCRIPTION "its news" SET (slot_name = NONE);'
                'DROP SUBSCRIPTION "its news"')
    host.create()


FAILING_VIEW = """
CREATE FUNCTION fails() RETURNS int LANGUAGE plpgsql AS
    'BEGIN IF current_database() <> ''drilled'' THEN RAISE ''no''; END IF;
    RETURN 1; END';
CREATE MATERIALIZED VIEW failing AS SELECT fails();
"""


def test_a_subscription_does_not_keep_a_scratch_database(
        host, other, postgres, subscribed):
    before = _seen(other)
    result = _verify(host, other)
    assert result.status == COMPLETE, str(result)
    assert _seen(other) == before, str(result)
    # Nor one whose restore fails after the subscription is there.
    postgres.execute("drilled", FAILING_VIEW)
    try:
        host.create()
        result = _verify(host, other)
    finally:
        postgres.execute("drilled", "DROP MATERIALIZED VIEW failing;"
                         "DROP FUNCTION fails()")
    assert result.status != COMPLETE, str(result)
    assert _seen(other) == before, str(result)
    with pytest.raises(BlockingIOError):
        subscribed.accept()


SLOW = """
CREATE FUNCTION slow(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN IF current_database() <> ''drilled'' THEN PERFORM pg_sleep(600);
    END IF; RETURN n; END';
CREATE TABLE waits AS SELECT 1 AS n;
CREATE INDEX slow_index ON waits (slow(n));
"""


@pytest.fixture
def slow(host, postgres):
    postgres.execute("drilled", SLOW)
    host.create()
    yield host
    postgres.execute("drilled", "DROP TABLE waits; DROP FUNCTION slow(int)")
    host.create()


def _start(host, other):
    process = host.start("backup-verify", "--identity-file", host.identity,
                         "--server", other.conninfo("postgres"))
    _wait("the restore does not come to its index", lambda: other.execute(
        "postgres", "SELECT 1 FROM pg_stat_activity WHERE state = 'active'"
        " AND query LIKE '%INDEX slow_index%' AND pid <> pg_backend_pid()"))
    return process


def test_databases_are_dropped_after_a_signal(slow, other):
    before = _seen(other)
    process = _start(slow, other)
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    assert result.status == FAILED, str(result)
    assert _seen(other) == before


def test_what_a_killed_run_left_is_told(slow, other, postgres):
    before = other.databases()
    process = _start(slow, other)
    process.kill()
    process.communicate()
    left, = set(other.databases()) - set(before)
    other.execute("postgres", "SELECT pg_terminate_backend(pid) FROM"
                  " pg_stat_activity WHERE datname = '%s'" % left)
    _wait("somebody is still in it", lambda: not other.execute(
        "postgres", "SELECT 1 FROM pg_stat_activity WHERE datname = '%s'"
        % left))
    result = _verify(slow, other, slow.snapshots()[0])
    assert result.status == COMPLETE, str(result)
    assert [event for event in result.of_type("message")
            if left in event["text"] and "DROP DATABASE" in event["text"]]
    other.drop_database(left)


# ---- room ----

def _on_a_small_disk(host, server, conninfo):
    """As somebody sees it who has a disk of 1 MiB where the server's is."""
    argv = host.commands.argv(
        "backup-verify", "--json", "--config", host.config, "--identity-file",
        host.identity, "--server", conninfo)
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c",
         'mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@"', "sh",
         server.data, *argv], env=host.commands.env, cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True)
    return finish(process)


def _about_room(result):
    return [event["text"] for event in result.of_type("message")
            if "that much room cannot be seen" in event["text"]]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts are root's")
def test_a_server_without_room_is_refused(host, other):
    before = _seen(other)
    result = _on_a_small_disk(host, other, other.conninfo("postgres"))
    assert result.status == FAILED, str(result)
    assert "postgres/app takes about" in result.err, str(result)
    assert other.data + " of the server has room for 1 MiB" in result.err
    assert "--scratch-directory" in result.err
    # Before anything was made, and it says nothing of the snapshot.
    assert not result.of_type("check")
    assert _seen(other) == before


def test_room_that_cannot_be_seen_is_told(host, other):
    # By a name that may be any machine's.
    result = host.admin(
        "backup-verify", "--json", "--server",
        other.tcp_conninfo("postgres") + " hostaddr=127.0.0.1"
        " host=drill.example.org", env={"PGPASSWORD": other.password})
    assert result.status == COMPLETE, str(result)
    text, = _about_room(result)
    assert text.startswith("scratch databases take about "), text


# ---- objects ----

def test_objects_go_where_the_option_says(stack, minio, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    stack.add_bucket("up", minio, bucket_name=bucket)
    stack.create()
    before = s3.list_buckets()["Buckets"]
    tried = {}
    for where in ("bucket", "digest", "folder"):
        result = stack.verify("--objects", where, "latest", "bucket/up")
        tried[where] = not result.result["except"]
        assert result.result["objects"] == 1
    assert tried == {"bucket": True, "digest": False, "folder": False}
    assert s3.list_buckets()["Buckets"] == before
    # On a machine that does not know where they came from.
    stack.sources = []
    stack.write()
    result = stack.admin("backup-verify", "--objects", "bucket")
    assert result.status == FAILED and "--objects digest" in result.err
    stack.verify("--objects", "digest")
    stack.verify("--objects", "folder")


# What a bucket can hold and a folder cannot, in so many names. (This server
# lists no key that another one is the beginning of.)
AWKWARD = ["a/b", "a!", "a%", "a%o", "a%d", "%2E", "tab\there", "end/",
           "\u00e4/\U0001f4e6", "long/" + "n" * 200, "long/" + "n" * 201,
           "long/" + "%" * 190 + "/t"]


def test_objects_of_any_key_go_into_a_folder(
        stack, minio, s3, bucket, tmp_path):
    for key in AWKWARD:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * 3)
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="typed", Body=b"1",
                  ContentType="text/x-own", Metadata={"m": "1"})
    s3.put_object(Bucket=bucket, Key="typed", Body=b"22")
    s3.put_object(Bucket=bucket, Key="deleted", Body=b"3")
    s3.delete_object(Bucket=bucket, Key="deleted")
    script = tmp_path / "look"
    script.write_text('#!/bin/sh\ncd "$BACKUP_SCRATCH_DIRECTORY" &&'
                      ' test "$(cat up/typed)" = 22\n')
    script.chmod(0o755)
    stack.options["assertions"] = [
        {"name": "an own look", "source": "bucket/up", "run": [str(script)]}]
    stack.add_bucket("up", minio, bucket_name=bucket, versions="all")
    stack.create()
    result = stack.verify("--json", "--objects", "folder")
    checks = {(check["name"], check["status"]): check["what"]
              for check in result.of_type("check")}
    assert ("bucket/up/times", "pass") in checks, checks
    assert "were not tried" in checks["bucket/up", "skip"]
    assert ("assertions/an own look", "pass") in checks, sorted(checks)
    assert result.result["objects"] == len(AWKWARD) + 3
