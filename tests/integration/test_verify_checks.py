# SPDX-License-Identifier: Apache-2.0
"""What a verification says of each thing that it looks at: a line that names
it, for whatever is wrong, and none that is wrong where nothing is."""

import contextlib
import os
import subprocess
import time

import pytest

from conftest import SERVERS, TOOLS
from harness.stack import COMPLETE, FAILED, Stack, patience

SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, mood mood);
CREATE TABLE sale (id serial PRIMARY KEY,
    customer int CONSTRAINT sale_customer REFERENCES customer,
    price numeric CONSTRAINT dear CHECK (price > 0));
CREATE INDEX sale_customer_at ON sale (customer);
CREATE INDEX "sale ""dear"" At" ON sale (price) WHERE price > 90;
CREATE VIEW dear AS SELECT * FROM sale WHERE price > 90;
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
INSERT INTO customer SELECT n, 'c' || n, 'glad' FROM generate_series(1, 20) n;
INSERT INTO sale (customer, price) SELECT n % 20 + 1, n
    FROM generate_series(1, 100) n;
CREATE ROLE verify_reader;
GRANT SELECT ON sale TO verify_reader;
ALTER DATABASE checks SET statement_timeout = '1h';
ALTER DATABASE checks SET lock_timeout = '1h';
ALTER DATABASE checks SET idle_in_transaction_session_timeout = '1h';
"""

# What is odd about it is so on its own server, too.
ODD = """
CREATE EXTENSION pg_trgm VERSION '1.5';
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int CONSTRAINT loose REFERENCES parent,
    word text COLLATE "de-x-icu");
ALTER TABLE child DROP CONSTRAINT loose;
INSERT INTO child VALUES (7, 'orphan');
ALTER TABLE child ADD CONSTRAINT loose FOREIGN KEY (id) REFERENCES parent
    NOT VALID;
UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'de-x-icu';
"""


class Shop:
    def __init__(self, postgres, folder):
        self.postgres = postgres
        self.host = Stack(TOOLS, folder)
        self.host.write()
        self.host.init()
        for name, schema in (("checks", SHOP), ("checks_odd", ODD)):
            postgres.create_database(name)
            postgres.execute(name, schema)
        self.host.add_postgres(
            "app", postgres, "checks", databases=["checks", "checks_odd"])
        self.snapshot = self.host.create()["snapshot"]
        self.made = time.time()

    def verify(self, *args, statuses=(COMPLETE,)):
        """The lines of a verdict, by name."""
        done = self.host.verify(*args, statuses=statuses)
        self.result = done.result
        return {line["name"].removeprefix("postgres/app/"): line
                for line in done.of_type("check")}

    def live(self, statuses=(FAILED,)):
        return self.verify("--live", "latest", "postgres/app/checks",
                           statuses=statuses)

    @contextlib.contextmanager
    def changed(self, sql, back):
        self.postgres.execute("checks", sql)
        try:
            yield
        finally:
            self.postgres.execute("checks", back)


@pytest.fixture(scope="module")
def shop(postgres, session_folder):
    folder = os.path.join(session_folder, "verify-checks")
    os.mkdir(folder)
    shop = Shop(postgres, folder)
    yield shop
    for name in ("checks", "checks_odd"):
        postgres.drop_database(name)
    postgres.execute("postgres", "DROP ROLE verify_reader")


def failed(lines):
    return sorted(name for name, line in lines.items()
                  if line["status"] == "fail")


def test_each_check_has_its_line_and_all_are_good(shop):
    lines = shop.verify()
    good = {"catalogue.sql/" + sort: "equal" for sort in (
        "constraints", "foreign-keys", "functions", "grants", "indexes",
        "sequences", "tables", "types", "views")}
    good.update({
        "indexes": "4 indexes, all valid",
        "constraints": "1 foreign key and 3 other constraints, held by all",
        "extensions": "1 extension, of the same version",
        "collations": "1 collation, of the same version",
        "amcheck": "sound, and 1 index of expressions or with a condition",
        "data/public.sale": "100 rows, row hash equal",
        "sequences.sql": "equal"})
    for name, what in good.items():
        line = lines["checks/" + name]
        assert line["status"] == "pass" and what in line["what"], line
    assert failed(lines) == []
    assert lines["age"]["status"] == lines["recovery"]["status"] == "pass"
    assert 0 < shop.result["recovery_ms"] <= shop.result["duration_ms"]
    assert shop.result["age_ms"] <= (time.time() - shop.made + patience(60)) * 1000


def test_what_was_odd_is_told_and_no_failure(shop):
    lines = shop.verify("latest", "postgres/app/checks_odd")
    assert failed(lines) == []
    for name, status, what in (
            ("constraints", "pass", "but for 1, which were NOT VALID there"),
            ("extensions", "skip", "pg_trgm 1.5 there"),
            ("collations", "skip", '"de-x-icu" (made with 1.0, now ')):
        line = lines["checks_odd/" + name]
        assert line["status"] == status and what in line["what"], line
    assert "postgres/app/checks_odd/extensions" in shop.result["except"]


@pytest.mark.parametrize("sql, back, named", [
    ("DROP INDEX sale_customer_at",
     "CREATE INDEX sale_customer_at ON sale (customer)",
     {"catalogue.sql/indexes": "sale_customer_at is missing"}),
    ("ALTER TABLE sale DROP CONSTRAINT sale_customer; ALTER TABLE sale ADD"
     " CONSTRAINT sale_customer FOREIGN KEY (customer) REFERENCES customer"
     " NOT VALID", "ALTER TABLE sale VALIDATE CONSTRAINT sale_customer",
     {"catalogue.sql/foreign-keys": "sale sale_customer differs: ",
      "constraints": "not validated: sale_customer on public.sale"}),
    ("REVOKE SELECT ON sale FROM verify_reader",
     "GRANT SELECT ON sale TO verify_reader",
     {"catalogue.sql/grants": "TABLE sale is missing"}),
    ("ALTER TYPE mood RENAME VALUE 'sad' TO 'mad'",
     "ALTER TYPE mood RENAME VALUE 'mad' TO 'sad'",
     {"catalogue.sql/types": "mood differs: "}),
    ("ALTER TABLE sale ALTER customer SET NOT NULL",
     "ALTER TABLE sale ALTER customer DROP NOT NULL",
     {"catalogue.sql/tables": "sale differs: "}),
    ("CREATE OR REPLACE VIEW dear AS SELECT * FROM sale WHERE price > 91",
     "CREATE OR REPLACE VIEW dear AS SELECT * FROM sale WHERE price > 90",
     {"catalogue.sql/views": "dear differs: "}),
    ("CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql"
     " AS 'SELECT 2'", "CREATE OR REPLACE FUNCTION one() RETURNS int"
     " LANGUAGE sql AS 'SELECT 1'",
     {"catalogue.sql/functions": "one() differs: "}),
    ("UPDATE pg_index SET indisvalid = false"
     " WHERE indexrelid = 'sale_customer_at'::regclass",
     "UPDATE pg_index SET indisvalid = true"
     " WHERE indexrelid = 'sale_customer_at'::regclass",
     {"indexes": "not valid: public.sale_customer_at"}),
], ids=["index", "foreign-key", "grant", "enum", "column", "view", "function",
        "invalid-index"])
def test_what_has_changed_is_named(shop, sql, back, named):
    with shop.changed(sql, back):
        lines = shop.live()
    for name, what in named.items():
        line = lines["checks/" + name]
        assert line["status"] == "fail" and what in line["what"], line
    if "indexes" not in named:
        assert failed(lines) == sorted("checks/" + name for name in named)


def test_changed_back_it_is_proven(shop):
    assert failed(shop.live(statuses=(COMPLETE,))) == []


def test_a_quick_one_sees_the_structure_and_proves_no_whole(shop):
    lines = shop.verify("--level", "quick")
    assert failed(lines) == []
    assert lines["checks/catalogue.sql/indexes"]["status"] == "pass"
    assert lines["checks_odd/database.json"]["status"] == "pass"
    assert not [name for name in lines if "/data/" in name]
    assert lines["postgres/app"]["status"] == "skip"
    assert (shop.result["level"], shop.result["is_whole"]) == ("quick", False)
    assert shop.result["rows"] == 0


def test_a_sample_is_told_with_what_it_left(shop):
    lines = shop.verify("--level", "sample", "latest", "postgres/app/checks")
    assert failed(lines) == []
    assert " pieces read back" in lines["sample"]["what"], lines["sample"]
    assert "rest of its contents" in lines["postgres/app"]["what"]
    # A budget that nothing fits into leaves the structure.
    lines = shop.verify("--budget", "1s")
    assert failed(lines) == [] and not shop.result["is_whole"]
    assert "do not fit into the budget" in lines["postgres/app"]["what"]
    shop.verify("--budget", "10w", "latest", "postgres/app/checks")
    assert shop.result["rows"] == 120


def _with_program(shop, name, program, script):
    """A folder of programs in which one is this script ({real}: the one it
    stands for), unless it is asked for its version."""
    folder = shop.host.path(name)
    os.mkdir(folder)
    real = next(iter(SERVERS.values()))
    for name in os.listdir(real):
        os.symlink(os.path.join(real, name), os.path.join(folder, name))
    os.unlink(os.path.join(folder, program))
    real = os.path.join(real, program)
    with open(os.path.join(folder, program), "w",
              opener=lambda p, f: os.open(p, f, 0o755)) as file:
        file.write("#!/bin/sh\n"
                   "test \"$1\" = --version && exec '%s' \"$@\"\n" % real
                   + script.replace("{real}", real))
    shop.host.add_postgres("app", shop.postgres, "checks", bindir=folder,
                           databases=["checks", "checks_odd"])
    return os.path.join(folder, program)


def _with_amcheck(shop, name, script):
    _with_program(shop, name, "pg_amcheck", script + "exit 2\n")


def test_what_pg_amcheck_finds_is_told(shop):
    _with_amcheck(shop, "bin",
                  "echo 'btree index \"checks.public.x\":'\n"
                  "echo '    ERROR:  item order invariant violated'\n")
    lines = shop.verify("latest", "postgres/app/checks", statuses=(FAILED,))
    assert failed(lines) == ["checks/amcheck"]
    assert "item order invariant violated" in lines["checks/amcheck"]["what"]


def test_no_limit_of_the_database_ends_pg_amcheck(shop):
    _with_amcheck(shop, "bin_limits",
                  "for last; do :; done\n"
                  "psql --no-psqlrc -Atc 'SELECT string_agg(name || setting,"
                  " chr(32) ORDER BY name) FROM pg_settings WHERE name LIKE"
                  " $$%_timeout$$ AND source IN ($$database$$, $$client$$)'"
                  " \"$last\"\n")
    lines = shop.verify("latest", "postgres/app/checks", statuses=(FAILED,))
    assert ("idle_in_transaction_session_timeout0 lock_timeout0"
            " statement_timeout0") in lines["checks/amcheck"]["what"]


def _kept_clusters(shop):
    folder = os.path.join(shop.host.commands.home, ".cache", "libbackup",
                          "clusters")
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in os.listdir(folder)]


def _without_files(kept, folder):
    """Whole, and of the same programs, but no server starts in it."""
    os.makedirs(os.path.join(folder, "data"), 0o700)
    packed = subprocess.run("tar -cf - data | zstd -q --check", cwd=folder,
                            shell=True, check=True, stdout=subprocess.PIPE)
    return kept[:32] + packed.stdout


def test_an_empty_cluster_is_made_once(shop):
    counted = shop.host.path("counted")
    with open(counted, "w"):
        os.chmod(counted, 0o666)
    initdb = _with_program(shop, "bin_initdb", "initdb", "echo >>'%s'\n"
                           "exec '{real}' \"$@\"\n" % counted)
    before = set(_kept_clusters(shop))

    def made():
        shop.verify("--level", "quick", "latest", "postgres/app/checks")
        with open(counted) as lines:
            return len(lines.readlines())

    assert [made(), made()] == [1, 1]
    path, = set(_kept_clusters(shop)) - before
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path, "rb") as file:
        kept = file.read()
    # Whatever it has become, nobody is told of it.
    for number, damaged in enumerate((
            kept[:len(kept) // 2] + b"damage" + kept[len(kept) // 2 + 6:],
            kept[:-1], _without_files(kept, shop.host.path("no_files")))):
        with open(path, "wb") as file:
            file.write(damaged)
        assert made() == number + 2
    # Nor is it taken from whoever may have put it there.
    os.chmod(path, 0o620)
    assert made() == 5
    os.rename(path, path + ".there")
    os.symlink(path + ".there", path)
    assert made() == 6
    os.unlink(path)
    os.mkfifo(path, 0o600)
    assert made() == 7 and made() == 7
    # Another initdb may make another cluster.
    with open(initdb, "a") as file:
        file.write("# another\n")
    assert made() == 8


def test_too_old_is_not_proven_and_no_mark_on_the_snapshot(shop):
    while time.time() < shop.made + 1.5:
        time.sleep(0.05)
    shop.host.options["verification"] = {"max_age": "1s"}
    shop.host.add_postgres("app", shop.postgres, "checks",
                           databases=["checks", "checks_odd"])
    lines = shop.verify(statuses=(FAILED,))
    assert failed(lines) == ["age"]
    assert "at most 1 s is allowed" in lines["age"]["what"]
    listed = shop.host.run("backup-list", "--json")
    event, = listed.of_type("snapshot")
    assert event["proven"] and not event.get("failed"), event
    # One that is named may be as old as it is.
    lines = shop.verify("--live", shop.snapshot[:8], "postgres/app/checks")
    assert lines["age"]["status"] == "pass"
    lines = shop.verify("--live", "--max-age", "1s", "latest",
                        "postgres/app/checks", statuses=(FAILED,))
    assert failed(lines) == ["age"]


def test_what_takes_too_long_to_recover_is_not_proven(
        stack, postgres, database):
    postgres.execute(database, "CREATE TABLE t AS SELECT 1 AS n;"
                     "CREATE MATERIALIZED VIEW slow AS"
                     " SELECT n, pg_sleep(1.5)::text FROM t")
    stack.add_postgres("app", postgres, database)
    stack.create()

    def recovery(*args, statuses=(COMPLETE,)):
        check, = [check for check in stack.verify(
            *args, statuses=statuses).of_type("check")
            if check["name"] == "recovery"]
        return check["status"], check["what"]

    status, what = recovery("--max-recovery", "1s", statuses=(FAILED,))
    assert status == "fail" and "at most 1 s is allowed" in what
    status, what = recovery("--max-recovery", "1h")
    assert status == "pass" and "of at most 1 h" in what
    status, what = recovery("--max-recovery", "1h", "latest",
                            "postgres/app/" + database)
    assert status == "skip" and "not all was restored" in what
    # The snapshot is as good as it was.
    snapshot, = stack.run("backup-list", "--json").of_type("snapshot")
    assert snapshot["proven"] and not snapshot.get("failed"), snapshot


# The same row is another one whenever somebody asks.
FICKLE = """
CREATE FUNCTION fickle(int) RETURNS float LANGUAGE plpgsql IMMUTABLE
    AS 'BEGIN RETURN random(); END';
CREATE TABLE plain (id int PRIMARY KEY);
INSERT INTO plain SELECT generate_series(1, 100);
CREATE INDEX fickle_at ON plain (fickle(id));
"""


def test_an_index_of_what_is_not_immutable_is_no_proof(shop):
    """And only indexes that compute are asked for their rows, where nobody
    wants more. The last of all: the newest snapshot is of this then."""
    shop.postgres.create_database("checks_fickle")
    try:
        shop.postgres.execute("checks_fickle", FICKLE)
        shop.host.add_postgres("app", shop.postgres, "checks_fickle")
        snapshot = shop.host.create()["snapshot"]
    finally:
        shop.postgres.drop_database("checks_fickle")
    what = "postgres/app/checks_fickle"
    lines = shop.verify(snapshot, what, statuses=(FAILED,))
    assert failed(lines) == ["checks_fickle/amcheck"]
    assert "fickle_at" in lines["checks_fickle/amcheck"]["what"]

    # The first time it has nothing to say.
    _with_amcheck(shop, "bin_asked",
                  "shift 2\ntest $# -gt 1 || exit 0\necho \"$*\"\n")
    lines = shop.verify(snapshot, what, statuses=(FAILED,))
    assert lines["checks_fickle/amcheck"]["what"].startswith(
        '--heapallindexed --index="public"."fickle_at" user=')
    shop.host.options["verification"] = {"heapallindexed": True}
    shop.host.write()
    try:
        lines = shop.verify(snapshot, what, statuses=(FAILED,))
    finally:
        del shop.host.options["verification"]
        shop.host.write()
    assert lines["checks_fickle/amcheck"]["what"].startswith(
        "--heapallindexed user=")

    # It did not run to its end.
    _with_program(shop, "bin_second", "pg_amcheck",
                  "shift 2\ntest $# -gt 1 || exit 0\necho no >&2\nexit 1\n")
    lines = shop.verify(snapshot, what)
    assert lines["checks_fickle/amcheck"]["status"] == "pass"
    assert lines["checks_fickle/amcheck"]["what"].endswith("are sound")
    assert lines["checks_fickle/amcheck/heapallindexed"]["status"] == "skip"
    _with_program(shop, "bin_ended", "pg_amcheck", "echo torn\nexit 1\n")
    lines = shop.verify(snapshot, what, statuses=(FAILED,))
    assert "torn" in lines["checks_fickle/amcheck"]["what"]


@pytest.mark.parametrize("encoding, codec", [
    ("LATIN1", "latin-1"), ("SQL_ASCII", "utf-8")])
def test_names_of_another_encoding_are_those_of_the_indexes(
        stack, postgres, database, encoding, codec):
    postgres.drop_database(database)
    postgres.execute("postgres", "CREATE DATABASE %s ENCODING '%s' LOCALE 'C'"
                     " TEMPLATE template0" % (database, encoding))
    postgres.execute(database, "CREATE TABLE t AS SELECT 1 AS a; "
                     "CREATE INDEX \"größe\" ON t ((a + 1))".encode(codec))
    stack.add_postgres("app", postgres, database)
    stack.create()
    check, = [check for check in stack.verify().of_type("check")
              if "/amcheck" in check["name"]]
    assert check["status"] == "pass", check
    assert "1 index of expressions" in check["what"], check


def test_an_index_without_a_name_here_is_not_asked(stack, postgres, database):
    """The server has a character in its name that UTF-8 has not."""
    postgres.drop_database(database)
    postgres.execute("postgres", "CREATE DATABASE %s ENCODING 'WIN1252'"
                     " LOCALE 'C' TEMPLATE template0" % database)
    postgres.execute(database, "CREATE TABLE t AS SELECT 1 AS a;"
                     "DO $$BEGIN EXECUTE 'CREATE INDEX i' || chr(129) ||"
                     " ' ON t ((a + 1))'; END$$")
    stack.add_postgres("app", postgres, database)
    stack.create()
    check, = [check for check in stack.verify().of_type("check")
              if "/amcheck" in check["name"]]
    assert check["status"] == "skip", check
