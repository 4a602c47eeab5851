# SPDX-License-Identifier: Apache-2.0
"""Backups of a standby: what it has not, and what its replay takes away."""

import os
import shutil
import subprocess

import pytest
from harness import witness
from harness.postgres import Postgres
from harness.process import identity
from harness.shelf import Shelf
from harness.stack import COMPLETE, DEGRADED, FAILED
from test_hard_moment import LONG, frozen, go_on, until

pytestmark = pytest.mark.every_server


@pytest.fixture
def pair(stack, postgres):
    """A primary and its standby."""
    homes = [stack.path("primary"), stack.path("standby")]
    for home in homes:
        os.mkdir(home, 0o711)
    primary = Postgres(homes[0], bindir=postgres.bindir)
    primary.create_database("app")
    # Nobody is waited for, and whoever is in the way is told.
    standby = Postgres(homes[1], {"max_standby_streaming_delay": "0",
                                  "log_recovery_conflict_waits": "on",
                                  "deadlock_timeout": "10ms"},
                       bindir=postgres.bindir)
    standby.stop()
    shutil.rmtree(standby.data)
    subprocess.run(
        [primary.program("pg_basebackup"), "-D", standby.data, "-R", "-X",
         "stream", "-c", "fast", "--no-sync", "-d",
         primary.conninfo("postgres")],
        check=True, cwd="/", **identity(standby._user))
    standby.password = primary.password
    standby.start()
    yield primary, standby
    standby.stop()
    primary.stop()


def caught_up(primary, standby):
    # Of what is committed some is written a moment later.
    (lsn,), = primary.execute("app",
                              "SELECT pg_current_wal_insert_lsn()::text")
    until(lambda: standby.execute(
        "app", "SELECT 1 WHERE pg_last_wal_replay_lsn() >= '%s'" % lsn))


def test_a_standby_is_backed_up_and_says_what_it_does_not_have(stack, pair):
    primary, standby = pair
    primary.execute("app", """
        CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n;
        CREATE UNLOGGED TABLE unkept AS SELECT 1 AS n;
        CREATE TABLE parted (n int) PARTITION BY LIST (n);
        CREATE TABLE parted_in PARTITION OF parted FOR VALUES IN (1);
        CREATE UNLOGGED TABLE parted_out PARTITION OF parted FOR VALUES IN (2);
        INSERT INTO parted VALUES (1), (2);
        CREATE VIEW seen AS SELECT n FROM parted WHERE n > 0;
        CREATE MATERIALIZED VIEW stored AS SELECT n FROM seen;
        CREATE FUNCTION asked() RETURNS SETOF int LANGUAGE plpgsql AS
            $$ BEGIN RETURN QUERY SELECT n FROM public.unkept; END $$;
        CREATE VIEW through AS SELECT asked() AS n""")
    caught_up(primary, standby)
    stack.add_postgres("app", standby, "app")
    result = stack.run("backup-create")
    assert result.status == DEGRADED, str(result)
    assert "unkept" in result.err and "standby" in result.err, str(result)
    # Of an empty table everything holds.
    stack.options["assertions"] = [{
        "name": "unkept", "database": "postgres/app/app",
        "query": "SELECT 1 FROM unkept WHERE n < 0"}]
    stack.options["references"] = [{
        "column": "postgres/app/app/public.%s.n" % name,
        "key": "n::text", "bucket": "bucket/none"}
        for name in ("kept", "unkept")]
    # Not in the snapshot, and never asked for.
    secret = stack.secret("none", "none")
    stack.add("bucket", "none", endpoint="http://127.0.0.1:1",
              access_key_file=secret, secret_key_file=secret)
    verified = stack.verify(statuses=(DEGRADED,))
    said = {check["name"]: check["status"] + " " + check["what"]
            for check in verified.of_type("check")}
    for name in ("assertions/unkept",
                 "postgres/app/app/references/public.unkept.n"):
        assert said[name].startswith("skip ")
        assert "left out when the backup was made" in said[name]
    assert "left out" not in said[
        "postgres/app/app/references/public.kept.n"]
    stack.sources.pop()
    stack.options.pop("assertions")
    look_through_what_is_made_of_them(stack)
    stack.add_postgres("app", primary, "app")
    stack.restore("--to", "app_back", "latest", "postgres/app/app",
                  statuses=(COMPLETE, DEGRADED))
    assert primary.execute("app_back", "SELECT count(*) FROM kept") == [
        (1000,)]
    assert primary.execute("app_back", "SELECT count(*) FROM unkept") == [
        (0,)]
    # Read back before it takes the place, it is as the standby had it.
    stack.restore("--swap", "latest", "postgres/app/app",
                  statuses=(COMPLETE, DEGRADED))
    assert primary.execute("app", "SELECT (SELECT count(*) FROM kept),"
                           " (SELECT count(*) FROM unkept)") == [(1000, 0)]


def look_through_what_is_made_of_them(stack):
    """References whose columns are in none of these tables."""
    names = {"kept": "n = 1", "parted_in": "n > 0", "parted": "n > 0",
             "seen": "n > 0", "stored": "n > 0", "through": "n IS NULL",
             "parted ": "n = 1"}
    with Shelf() as shelf:
        shelf.put("bucket", b"1", b"one")
        stack.add_bucket("real", shelf, bucket_name="bucket")
        path = "postgres/app/app/public."
        stack.options.pop("references")
        stack.write()
        # A standby cannot be asked for what it has not.
        done = stack.run("backup-create")
        assert done.status == DEGRADED, str(done)
        stack.options["references"] = [
            *({"table": path + name.strip(), "bucket": "bucket/real",
               "key": "n::text" + " " * name.count(" "), "where": where}
              for name, where in names.items()),
            {"table": path + "kept", "bucket": "bucket/real",
             "key": "(n - 1)::text", "where": "n < 3 AND EXISTS"
             " (SELECT FROM public.parted)"}]
        stack.write()
        verified = stack.verify(statuses=(FAILED,))
        # Nor for what is made of it, and that is no mistake of anybody's.
        done = stack.run("backup-create")
        assert done.status == DEGRADED, str(done)
        for name in "parted", "seen":
            assert "public.%s: n::text" % name in done.err, str(done)
            assert "a standby cannot tell" in done.err, str(done)
    said = {check["name"].split("public.")[1]: check["status"] + " "
            + check["what"] for check in verified.of_type("check")
            if "/references/public." in check["name"]}
    rest = ("; keys were not looked for in rows that were left out when the"
            " backup was made, of public.")
    for name, where in {"parted": "parted_out", "seen": "parted_out",
                        "stored": "parted_out", "through": "unkept"}.items():
        assert said[name + ": n::text"].startswith("skip "), said
        assert said[name + ": n::text"].endswith(rest + where), said
    for name in "kept: n::text", "parted_in: n::text", "parted: n::text ":
        assert said[name] == (
            "pass 1 key, each of an object in bucket/real"), said
    assert said["kept: (n - 1)::text"] == (
        "fail 1 of 2 keys is of no object in bucket/real: '0'" + rest
        + "parted_out"), said
    del stack.options["references"]
    stack.sources.pop()


def told(standby):
    with open(standby.log) as log:
        return "recovery still waiting" in log.read()


@pytest.mark.parametrize("removal", [
    "DELETE FROM long WHERE n > 4; VACUUM long",
    "ALTER TABLE other ADD COLUMN more int",
], ids=["rows", "lock"])
def test_a_replay_that_goes_first_is_named_and_the_next_backup_is_whole(
        stack, pair, removal):
    primary, standby = pair
    primary.execute("app", LONG)
    primary.execute("app", "CREATE TABLE other AS SELECT 1 AS n")
    caught_up(primary, standby)
    stack.add_postgres("app", standby, "app")
    stack.create()
    before = stack.snapshots()
    running = stack.start("backup-create", "--workers", "2")
    frozen(standby, running, "ClientWrite", "COPY %TO STDOUT%")
    for statement in removal.split("; "):
        primary.execute("app", statement)
    # Who sends is in no hurry to hear of it, who waits is ended at once.
    until(lambda: standby.execute("postgres", """
        SELECT 1 FROM pg_stat_database_conflicts
        WHERE confl_snapshot + confl_lock > 0""") or told(standby))
    result = go_on(running)
    assert result.status == FAILED, str(result)
    for word in ("database app", "conflict with recovery", "try again",
                 "hot_standby_feedback", "max_standby_streaming_delay"):
        assert word in result.err, str(result)
    assert stack.snapshots() == before
    # What the words advise.
    standby.execute("postgres",
                    "ALTER SYSTEM SET hot_standby_feedback = on")
    standby.execute("postgres", "SELECT pg_reload_conf()")
    caught_up(primary, standby)
    stack.create()
    stack.add_postgres("app", primary, "app")
    stack.restore("--to", "app_back", "latest", "postgres/app/app")
    assert not witness.differences(witness.database(primary, "app"),
                                   witness.database(primary, "app_back"))
