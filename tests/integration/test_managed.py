# SPDX-License-Identifier: Apache-2.0
"""Roles that may do little: a backup that reads everything or says what it
may not read, and a restore into a server that others run."""

import os
import subprocess

import psycopg
import pytest

from harness import witness
from harness.stack import COMPLETE, DEGRADED, FAILED

ROLES = ("app_owner", "app_reader", "renter", "team", "only_reads")


@pytest.fixture
def roles(postgres):
    for role in ROLES:
        postgres.execute("postgres", "DO $$ BEGIN CREATE ROLE %s; EXCEPTION"
                         " WHEN duplicate_object THEN NULL; END $$" % role)
    postgres.execute("postgres", """
        ALTER ROLE renter LOGIN CREATEDB NOCREATEROLE NOSUPERUSER;
        GRANT team TO renter;
        ALTER ROLE only_reads LOGIN;
        GRANT pg_read_all_data TO only_reads""")


@pytest.fixture
def app(stack, postgres, database, roles):
    """One of everything that asks for privileges."""
    postgres.execute(database, """
        CREATE EXTENSION pg_trgm;
        COMMENT ON EXTENSION pg_trgm IS 'of ours';
        CREATE SCHEMA shop AUTHORIZATION app_owner;
        CREATE TABLE shop.item (i int PRIMARY KEY, v text);
        INSERT INTO shop.item SELECT i, md5(i::text)
            FROM generate_series(1, 500) i;
        ALTER TABLE shop.item OWNER TO app_owner;
        CREATE VIEW shop.few AS SELECT * FROM shop.item WHERE i < 10;
        ALTER VIEW shop.few OWNER TO app_owner;
        GRANT SELECT ON shop.item TO app_reader;
        CREATE FUNCTION shop.watch() RETURNS event_trigger
            LANGUAGE plpgsql AS 'BEGIN END';
        CREATE EVENT TRIGGER watcher ON ddl_command_end
            EXECUTE FUNCTION shop.watch();
        CREATE PUBLICATION everything FOR ALL TABLES;
        CREATE PUBLICATION one FOR TABLE shop.item""")
    postgres.execute("postgres", "ALTER DATABASE %s OWNER TO app_owner;"
                     "GRANT CONNECT ON DATABASE %s TO app_reader"
                     % (database, database))
    stack.add_postgres("app", postgres, database)
    stack.create()
    return stack


@pytest.fixture
def rented(app, postgres, database):
    """The same source, to be restored by a role that may do little."""
    app.twin = database + "_rented"
    as_role(app, postgres, "postgres", "renter")

    def restore(*args):
        return app.admin("backup-restore", "--json", "--to", app.twin, *args,
                         "latest", "postgres/app/" + database)

    app.rent = restore
    return app


def as_role(stack, postgres, database, role):
    stack.add("postgres", "app",
              conninfo=postgres.conninfo(database, user=role))


def owners(postgres, database):
    return postgres.execute(database, """
        SELECT relname, relowner::regrole::text, relacl FROM pg_class
        WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'v')
        ORDER BY 1""")


def owner_of(postgres, database):
    return postgres.execute(
        database, "SELECT datdba::regrole::text, datacl FROM pg_database"
        " WHERE datname = current_database()")[0]


def warnings(result):
    return " ".join(e["text"] for e in result.of_type("message")
                    if e["level"] == "warning")


# ---- reading ----

def test_a_role_that_reads_all_data_and_nothing_else_backs_up(
        app, postgres, database):
    postgres.execute(database, "DROP EVENT TRIGGER watcher")
    before = witness.database(postgres, database)
    as_role(app, postgres, database, "only_reads")
    app.create()
    as_role(app, postgres, database, "postgres")
    done = app.admin("backup-restore", "--overwrite", "latest")
    assert done.status == COMPLETE, str(done)
    assert not witness.differences(
        before, witness.database(postgres, database))


@pytest.mark.parametrize("force", ["", "FORCE"])
def test_rows_behind_a_policy_are_never_left_out_in_silence(
        app, postgres, database, force):
    postgres.execute(database, """
        ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY;
        CREATE POLICY few ON shop.item USING (i < 10)""")
    reader = "only_reads"
    if force:
        postgres.execute(
            database, "ALTER TABLE shop.item FORCE ROW LEVEL SECURITY;"
            "ALTER ROLE app_owner LOGIN")
        reader = "app_owner"
    count = len(app.snapshots())
    as_role(app, postgres, database, reader)
    done = app.run("backup-create")
    assert done.status == FAILED, str(done)
    assert "item" in done.err and "BYPASSRLS" in done.err, str(done)
    assert len(app.snapshots()) == count
    postgres.execute("postgres", "ALTER ROLE only_reads BYPASSRLS")
    try:
        as_role(app, postgres, database, "only_reads")
        app.create()
        as_role(app, postgres, database, "postgres")
        done = app.admin("backup-restore", "--overwrite", "latest")
        assert done.status == COMPLETE, str(done)
        assert postgres.execute(
            database, "SELECT count(*) FROM shop.item") == [(500,)]
    finally:
        postgres.execute("postgres", "ALTER ROLE only_reads NOBYPASSRLS")


# ---- a server that others run ----

def test_what_cannot_be_put_back_is_told_before_anything_is_touched(
        rented, postgres):
    before = postgres.databases()
    done = rented.rent()
    assert done.status == FAILED, str(done)
    told = warnings(done)
    for word in ("app_owner", "EVENT TRIGGER - watcher",
                 "PUBLICATION - everything", "COMMENT - EXTENSION pg_trgm"):
        assert word in told, str(done)
    for flag in ("--no-owner", "--role", "--no-privileges", "--skip-refused"):
        assert flag in done.err, str(done)
    done = rented.rent("--no-owner", "--no-privileges")
    assert done.status == FAILED, str(done)
    assert "--skip-refused" in done.err and "--no-owner" not in done.err
    done = rented.rent("--skip-refused")
    assert done.status == FAILED, str(done)
    assert "--no-owner" in done.err and "with --skip" not in done.err
    assert postgres.databases() == before


def test_the_rest_is_put_back_and_what_was_refused_is_named(
        rented, postgres, database):
    done = rented.rent("--no-owner", "--no-privileges", "--skip-refused")
    assert done.status == DEGRADED, str(done)
    left_out = sorted(e["text"].split(": ")[1].rsplit(" ", 1)[0]
                      for e in done.of_type("omission"))
    assert left_out == ["EVENT TRIGGER - watcher",
                        "PUBLICATION - everything"], str(done)
    assert owners(postgres, rented.twin) == [
        ("few", "renter", None), ("item", "renter", None)]
    assert owner_of(postgres, rented.twin) == ("renter", None)
    query = "SELECT * FROM shop.item ORDER BY i"
    assert postgres.execute(rented.twin, query) == postgres.execute(
        database, query)
    assert postgres.execute(
        rented.twin, "SELECT pubname FROM pg_publication") == [("one",)]
    assert postgres.execute(
        rented.twin, "SELECT obj_description(oid, 'pg_extension')"
        " FROM pg_extension WHERE extname = 'pg_trgm'") == [("of ours",)]


def test_another_role_can_own_everything(rented, postgres, database):
    done = rented.rent("--role", "team", "--no-privileges", "--skip-refused")
    assert done.status == DEGRADED, str(done)
    assert owners(postgres, rented.twin) == [
        ("few", "team", None), ("item", "team", None)]
    assert owner_of(postgres, rented.twin) == ("team", None)
    assert rented.rent("--role", "nobody_here", "--no-privileges",
                       "--skip-refused").status == FAILED


def test_a_superuser_can_leave_owners_and_privileges_out(
        app, postgres, database):
    twin = database + "_super"
    done = app.admin("backup-restore", "--to", twin, "--no-owner",
                     "--no-privileges", "latest", "postgres/app/" + database)
    assert done.status == COMPLETE, str(done)
    assert owners(postgres, twin) == [
        ("few", "postgres", None), ("item", "postgres", None)]
    assert owner_of(postgres, twin) == ("postgres", None)
    assert postgres.execute(twin, "SELECT count(*) FROM pg_event_trigger"
                            ) == [(1,)]


def test_the_owner_of_a_database_swaps_it(rented, postgres, database):
    flags = ("--no-owner", "--no-privileges", "--skip-refused", "--swap")
    assert rented.rent(*flags).status == DEGRADED
    postgres.execute(rented.twin, "DELETE FROM shop.item WHERE i > 3")
    assert rented.rent(*flags).status == DEGRADED
    kept = [name for name in postgres.databases()
            if name.startswith(rented.twin + ".before-")]
    assert len(kept) == 1
    assert [postgres.execute(name, "SELECT count(*) FROM shop.item")
            for name in (rented.twin, kept[0])] == [[(500,)], [(3,)]]
    # Nobody else's.
    done = rented.admin("backup-restore", "--swap", *flags[:3], "latest",
                        "postgres/app/" + database)
    assert done.status == FAILED and "own" in done.err, str(done)


# ---- a guard ----

SUPERS = ("CREATE EVENT TRIGGER watcher ON ddl_command_end"
          " EXECUTE FUNCTION shop.watch()",
          "CREATE PUBLICATION everything FOR ALL TABLES")
PROFILE = ("--no-owner", "--no-privileges", "--skip-refused")


@pytest.fixture
def tenant(app, postgres, database):
    """The owner of a database who is no superuser, a guard as that role, and
    a migration."""
    postgres.execute(database, "REASSIGN OWNED BY app_owner TO renter;"
                     "ALTER SCHEMA shop OWNER TO renter")
    as_role(app, postgres, database, "renter")
    # What has run nothing leaves no trace of having run.
    app.migration = app.path("migrate")
    app.trace = app.path("trace")
    with open(app.migration, "w") as out:
        out.write("#!/bin/sh\n: >'%s'\npsql -X -q -d '%s' -c "
                  "'DELETE FROM shop.item WHERE i > 3'\nexit ${1:-0}\n" % (
                      app.trace, postgres.conninfo(database, user="renter")))
    os.chmod(app.migration, 0o755)
    app.guard = lambda *args: app.admin("backup-guard", "--json", *args)
    app.count = lambda: postgres.execute(
        database, "SELECT count(*) FROM shop.item")[0][0]
    return app


def test_a_guard_finds_before_it_runs_anything_what_a_role_cannot_put_back(
        tenant):
    done = tenant.guard("--", tenant.migration)
    assert done.status == FAILED, str(done)
    assert "no way back, so that nothing is run" in done.err
    for flag in PROFILE:
        assert flag in done.err, str(done)
    done = tenant.guard(*PROFILE[:2], "--", tenant.migration)
    assert done.status == FAILED and "--skip-refused" in done.err
    assert not os.path.exists(tenant.trace)


def test_a_guard_of_a_role_that_may_do_little_leads_back(
        tenant, postgres, database):
    done = tenant.guard(*PROFILE, "--", tenant.migration)
    assert done.status == COMPLETE, str(done)
    assert tenant.count() == 3
    (line,) = done.result["run"]
    env = {**tenant.commands.env, "PATH": "%s:%s" % (
        tenant.commands.tools, tenant.commands.env["PATH"])}
    assert subprocess.run(["sh", "-c", line], env=env).returncode == 0, line
    assert tenant.count() == 500
    # What was refused then is there once more, and a journal knows how.
    for statement in SUPERS:
        postgres.execute(database, statement)
    done = tenant.guard(*PROFILE, "--no-restore", "--", tenant.migration, "7")
    assert done.result["state"] == "left" and tenant.count() == 3, str(done)
    done = tenant.guard("--resume")
    assert done.status == FAILED and done.result["state"] == "put-back"
    assert done.result["refused"] == 2, str(done)
    assert len(done.of_type("omission")) == 2
    assert tenant.count() == 500
    assert owner_of(postgres, database)[0] == "renter"


# ---- extensions ----

def test_another_version_of_an_extension_is_told_first(
        app, postgres, database):
    postgres.execute(database, "UPDATE pg_extension SET extversion = '0.1'"
                     " WHERE extname = 'pg_trgm'")
    app.create()
    done = app.admin("backup-restore", "latest", "postgres/app/" + database)
    assert done.status == FAILED, str(done)  # the name is taken
    done = app.admin("backup-restore", "--to", database + "_v", "latest",
                     "postgres/app/" + database)
    assert "extension pg_trgm will be version" in done.err, str(done)
    assert done.err.index("will be version") < done.err.index(
        "making the schema"), str(done)


def test_an_extension_for_superusers_is_named_first(
        rented, postgres, database):
    try:
        postgres.execute(database, "CREATE EXTENSION pageinspect")
    except psycopg.Error:
        pytest.fail("the contrib modules are missing", pytrace=False)
    as_role(rented, postgres, database, "postgres")
    rented.create()
    as_role(rented, postgres, "postgres", "renter")
    before = postgres.databases()
    done = rented.rent("--no-owner", "--no-privileges")
    assert done.status == FAILED and "pageinspect" in warnings(done)
    done = rented.rent("--no-owner", "--no-privileges", "--skip-refused")
    assert done.status == FAILED and "pageinspect" in done.err, str(done)
    assert postgres.databases() == before
