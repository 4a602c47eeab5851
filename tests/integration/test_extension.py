# SPDX-License-Identifier: Apache-2.0
"""Configuration tables of an extension, on a server that has one."""

import os
import shutil
import subprocess

import pytest
from harness import postgres as servers
from harness.stack import COMPLETE, DEGRADED, FAILED

SCRIPT = """
CREATE TABLE setting (name text PRIMARY KEY, value text, is_own bool);
CREATE TABLE job (id serial, what text);
CREATE TABLE state (x int);
INSERT INTO setting VALUES ('built in', '1', false);
INSERT INTO state VALUES (1);
SELECT pg_extension_config_dump('setting', 'WHERE is_own');
SELECT pg_extension_config_dump('job', '');
SELECT pg_extension_config_dump('job_id_seq', '');
"""

FAMILY = """
CREATE TABLE a_child (id int PRIMARY KEY, parent int REFERENCES a_child);
GRANT ALL ON a_child TO PUBLIC;
SELECT pg_extension_config_dump('a_child', '');
"""


@pytest.fixture
def extended(session_folder):
    """A server looks for extensions beside its own program: it is copied."""
    theirs = servers.find_bindir()
    share = subprocess.run(
        [os.path.join(theirs, "pg_config"), "--sharedir"], check=True,
        capture_output=True, text=True).stdout.strip()
    if not theirs.startswith("/usr/lib/postgresql/"):
        pytest.fail("this test knows Debian's folders, not " + theirs)
    top = os.path.join(session_folder, "extended")
    bindir = top + theirs[len("/usr"):]
    shutil.copytree(theirs, bindir)
    os.symlink(os.path.join(os.path.dirname(theirs), "lib"),
               os.path.join(os.path.dirname(bindir), "lib"))
    shared = top + share[len("/usr"):]
    shutil.copytree(share, shared)
    for name, text in (("own.control", "default_version = '1'\n"),
                       ("own--1.sql", SCRIPT),
                       ("family.control",
                        "default_version = '1'\ntrusted = true\n"),
                       ("family--1.sql", FAMILY),
                       ("second.control", "default_version = '2.1'\n"),
                       ("second--2.1.sql", ""),
                       ("third.control", "default_version = '7'\n"),
                       ("third--7.sql", "")):
        with open(os.path.join(shared, "extension", name), "w") as out:
            out.write(text)
    server = servers.Postgres(top, bindir=bindir)
    server.extensions = os.path.join(shared, "extension")
    yield server
    server.stop()
    shutil.rmtree(top)


def rows(server, database):
    with server.connect(database) as connection:
        return [connection.execute(sql).fetchall() for sql in (
            "SELECT * FROM setting ORDER BY 1", "SELECT * FROM job ORDER BY 1",
            "SELECT * FROM state", "SELECT last_value FROM job_id_seq")]


def test_configuration_tables_of_an_extension_come_back(extended, stack):
    extended.create_database("app")
    with extended.connect("app") as connection:
        connection.execute("CREATE EXTENSION own")
        connection.execute("INSERT INTO setting VALUES ('mine', '2', true)")
        connection.execute("INSERT INTO job (what) VALUES ('a'), ('b')")
    before = rows(extended, "app")
    stack.add_postgres("app", extended, "app", bindir=extended.bindir)
    stack.create()
    stack.verify()
    extended.drop_database("app")
    stack.restore()
    assert rows(extended, "app") == before
    # They are needed where nothing else is.
    with extended.connect("app") as connection:
        connection.execute("CREATE TABLE ours AS SELECT 1 AS i")
        connection.execute("CREATE SEQUENCE counter START 7")
        connection.execute("SELECT nextval('counter'), nextval('counter')")
    stack.create()
    stack.restore("--schema-only", "--to", "bare", "latest",
                  "postgres/app/app")
    assert rows(extended, "bare") == before
    assert extended.execute(
        "bare", "SELECT count(*), nextval('counter') FROM ours") == [(0, 7)]


def test_rows_of_an_extension_come_back_for_a_role_that_is_no_superuser(
        extended, stack):
    extended.create_database("app")
    extended.execute("app", """
        CREATE ROLE t_plain LOGIN CREATEDB;
        CREATE EXTENSION family;
        INSERT INTO a_child VALUES (1, 1);
        CREATE TABLE ours AS SELECT 1 AS i""")
    stack.add_postgres("app", extended, "app", bindir=extended.bindir)
    stack.create()
    stack.add_postgres("app", extended, "app", bindir=extended.bindir,
                       conninfo=extended.conninfo("app", user="t_plain"))
    to = ("--no-owner", "--no-privileges", "--skip-refused", "--to", "other",
          "latest", "postgres/app/app")
    stack.restore(*to, statuses=(COMPLETE, DEGRADED))
    assert extended.execute("other", "SELECT (SELECT count(*) FROM a_child),"
                            " (SELECT count(*) FROM ours)") == [(1, 1)]


def _restored(stack, extended):
    """A backup is there; restoring it beside, with what is now installed."""
    extended.create_database("app")
    extended.execute("app", "CREATE EXTENSION own")
    stack.add_postgres("app", extended, "app", bindir=extended.bindir)
    stack.create()
    control = os.path.join(extended.extensions, "own.control")
    yield control
    yield stack.admin("backup-restore", "--to", "other", "latest",
                      "postgres/app/app")


def test_every_extension_that_is_missing_is_named_before_anything_is_made(
        extended, stack):
    extended.execute("postgres", "CREATE ROLE t_extended")
    for name, wanted in (("app", ("own", "second")), ("books", ("third",)),
                         ("cook", ("own",))):
        extended.create_database(name)
        for extension in wanted:
            extended.execute(name, "CREATE EXTENSION " + extension)
        extended.execute(name, "CREATE TABLE t ();"
                         "ALTER TABLE t OWNER TO t_extended")
    stack.add_postgres("app", extended, "postgres", databases="all",
                       bindir=extended.bindir)
    stack.create()
    for name in ("app", "books", "cook"):
        extended.drop_database(name)
    extended.execute("postgres", "DROP ROLE t_extended")
    for name in ("own", "second", "third"):
        os.unlink(os.path.join(extended.extensions, name + ".control"))
    before = extended.databases()
    result = stack.admin("backup-restore", "latest", "postgres/app/app",
                         "--to", "elsewhere")
    assert result.status == FAILED, str(result)
    assert "own 1, second 2.1" in result.err, str(result)
    assert "third" not in result.err, str(result)
    result = stack.admin("backup-restore", "--overwrite", "latest")
    assert result.status == FAILED, str(result)
    assert "3 extensions" in result.err, str(result)
    assert "own 1, second 2.1, third 7" in result.err, str(result)
    assert "install" in result.err, str(result)
    for path, extension in (("app", "own 1"), ("app", "second 2.1"),
                            ("books", "third 7"), ("cook", "own 1")):
        assert ("postgres/app/%s: extension %s: " % (path, extension)
                in result.err), str(result)
    assert extended.databases() == before
    assert extended.execute("postgres", "SELECT 1 FROM pg_roles"
                            " WHERE rolname = 't_extended'") == []


def test_an_extension_of_another_version_is_named(extended, stack):
    steps = _restored(stack, extended)
    with open(next(steps), "w") as out:
        out.write("default_version = '2'\n")
    shutil.copy(os.path.join(extended.extensions, "own--1.sql"),
                os.path.join(extended.extensions, "own--2.sql"))
    result = next(steps)
    assert result.status == COMPLETE, str(result)
    assert "own is version 2 here and was 1" in result.err, str(result)
