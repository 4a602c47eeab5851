# SPDX-License-Identifier: Apache-2.0
"""Rows that are read, stored, compared and put back in COPY's binary form, and
the tables that must not be."""

import os
import subprocess

import pytest
from harness import witness
from harness.stack import FAILED

# One column of each type whose binary form is relied on, with what is odd about
# it; of a domain and an enum too, which are no type of their own there.
VALUES = {
    "bool": ("true", "false"),
    "bytea": ("''", "'\\x00ff0a5c2e'"),
    '"char"': ("'a'", "''"),
    "name": ("''", "'öäü'"),
    "int2": ("-32768", "32767"),
    "int4": ("-2147483648", "2147483647"),
    "int8": ("-9223372036854775808", "9223372036854775807"),
    "float4": ("'NaN'", "'-Infinity'", "'-0'", "1e-45", "3.4028235e38"),
    "float8": ("'NaN'", "'Infinity'", "'-0'", "5e-324", "1.7e308"),
    "numeric": ("'NaN'", "'Infinity'", "'-Infinity'", "0", "0.000",
                "1e131071", "-1e-16383", "12345.67890"),
    "numeric(8, 3)": ("-99999.999", "'NaN'"),
    "text": ("''", "E'a\\nb\\tc\\\\d'", "'\\N'", "repeat('lang', 40000)"),
    "varchar(5)": ("''", "'äöüß'"),
    "char(5)": ("''", "'ab'"),
    "uuid": ("'00000000-0000-0000-0000-000000000000'", "gen_random_uuid()"),
    "date": ("'-infinity'", "'infinity'", "'4713-01-01 BC'",
             "'5874897-12-31'"),
    "time": ("'00:00'", "'24:00'", "'12:34:56.789012'"),
    "timetz": ("'00:00+15:59'", "'23:59:59.999999-15:59'"),
    "timestamp": ("'-infinity'", "'infinity'", "'4713-01-01 BC'"),
    "timestamptz": ("'-infinity'", "'294276-12-31 23:59:59.999999Z'"),
    "interval": ("'-178000000 years'", "'1 mon -1 day 00:00:00.000001'"),
    "interval day to second (2)": ("'3 days 01:02:03.45'",),
    "json": ("'{\"b\": 1, \"a\" :  [null]}'", "'\"\\u20ac\"'"),
    "jsonb": ("'{}'", "'[1e-400, \"\\u20ac\", null]'",
              "jsonb_build_object('k', repeat('v', 9000))"),
    "inet": ("'10.1.2.3/8'", "'::ffff:1.2.3.4/128'"),
    "cidr": ("'10.0.0.0/8'", "'2001:db8::/32'"),
    "macaddr": ("'08:00:2b:01:02:03'",),
    "macaddr8": ("'08:00:2b:01:02:03:04:05'",),
    "bit(3)": ("B'101'",),
    "varbit(9)": ("B''", "B'101010101'"),
    "point": ("'(NaN,-0)'", "'(1e300,-Infinity)'"),
    "line": ("'{1,2,3}'",),
    "lseg": ("'[(1,2),(3,4)]'",),
    "box": ("'(1,2),(3,4)'",),
    "path": ("'[(1,2),(3,4)]'", "'((1,2),(3,4))'"),
    "polygon": ("'((1,2),(3,4),(5,6))'",),
    "circle": ("'<(1,2),3>'",),
    "pg_lsn": ("'0/0'", "'FFFFFFFF/FFFFFFFF'"),
    "int4range": ("'empty'", "'(,5]'", "'[1,)'"),
    "int8range": ("'[-9223372036854775808,9223372036854775807)'",),
    "numrange": ("'(NaN,)'", "'[1.10,1.200)'"),
    "tsrange": ("'[-infinity,infinity]'",),
    "tstzrange": ("'[2020-01-01Z,)'",),
    "daterange": ("'(,infinity)'",),
    "mood": ("'so so'", "'ä'"),
    "positive": ("1", "2147483647"),
    "positive_of_positive": ("7",),
    "moody": ("'ä'",),
}

# Of these the form is text: what they hold means something else elsewhere, or
# nobody knows.
TEXT = ("money", "xml", "regclass", "oid", "mood[]", "positive[]", "pair",
        "pair[]", "xid", "tid", "int2vector", "jsonpath", "moods", "tsquery",
        "pair_domain", "int4[]", "text[]", "words", "tsvector")

# It is sent as one that has some until it was received, and is equal.
HAD_A_NULL = """
CREATE TABLE t99 AS SELECT '{1,NULL,3}'::int[] AS had_a_null;
UPDATE t99 SET had_a_null[2] = 2;
"""

TYPES = """
CREATE TYPE mood AS ENUM ('so so', 'ä');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN positive_of_positive AS positive;
CREATE DOMAIN moody AS mood NOT NULL DEFAULT 'ä';
CREATE DOMAIN words AS text[];
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN pair_domain AS pair;
CREATE TYPE moods AS RANGE (subtype = mood);
"""

SHAPES = """
CREATE TABLE nothing ();
INSERT INTO nothing SELECT FROM generate_series(1, 3);
CREATE TABLE empty (i int, t text);
CREATE TABLE dropped (a int, gone text, b text);
INSERT INTO dropped SELECT n, 'x', 'y' || n FROM generate_series(1, 50) n;
ALTER TABLE dropped DROP gone, ADD c int DEFAULT 7;
CREATE TABLE generated (a int, twice int GENERATED ALWAYS AS (a * 2) STORED,
    id int GENERATED ALWAYS AS IDENTITY);
INSERT INTO generated SELECT n FROM generate_series(1, 50) n;
CREATE TABLE secret (who text, what text);
INSERT INTO secret SELECT 'u' || n % 3, 'v' FROM generate_series(1, 9) n;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON secret USING (who = current_user);
CREATE TABLE parted (i int, mood mood, t text) PARTITION BY LIST (mood);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('so so');
CREATE TABLE parted_b (t text, mood mood, i int);
ALTER TABLE parted ATTACH PARTITION parted_b DEFAULT;
INSERT INTO parted SELECT n, (ARRAY['so so', 'ä'])[1 + n % 2]::mood, 't'
    FROM generate_series(1, 99) n;
CREATE TABLE hashed (mood mood, t text) PARTITION BY HASH (mood);
CREATE TABLE hashed_0 PARTITION OF hashed
    FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed
    FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT (ARRAY['so so', 'ä'])[1 + n % 2]::mood, 't' || n
    FROM generate_series(1, 99) n;
CREATE TABLE parent (z int, a text);
CREATE TABLE child (b int) INHERITS (parent);
ALTER TABLE parent ADD m int;
INSERT INTO child SELECT n, 'a' || n, n, n FROM generate_series(1, 9) n;
"""


def type_table(name, types):
    return "CREATE TABLE %s (%s);" % (name, ", ".join(
        "c%d %s" % (n, kind) for n, kind in enumerate(types)))


def fill_types():
    """Every value of each type, the other columns NULL, or the domain's."""
    kinds = list(VALUES)
    moody = kinds.index("moody")
    lines = []
    for n, kind in enumerate(kinds):
        for value in VALUES[kind]:
            columns, values = ["c%d" % n], [value]
            if n != moody:
                columns.append("c%d" % moody)
                values.append("'so so'")
            lines.append("INSERT INTO types (%s) VALUES (%s);" % (
                ", ".join(columns), ", ".join(values)))
    return "\n".join(lines)


@pytest.fixture
def binary(stack, postgres, database):
    stack.add_postgres("app", postgres, database, copy="binary",
                       bindir=postgres.bindir)
    yield stack
    for name in postgres.databases():
        if name.startswith(database):
            postgres.drop_database(name)


def forms(stack, snapshot="latest"):
    return {path.split("/data/")[1]: entry["attributes"]["format"]
            for path, entry in stack.entries(snapshot, "postgres/").items()
            if "/data/" in path}


def seen(postgres, name):
    """Which partition an enum hashes to is by a number that is made anew."""
    facts = witness.database(postgres, name)
    for key in ("database", "public.hashed_0", "public.hashed_1"):
        facts.pop(key, None)
    facts["hashed"] = postgres.execute(
        name, "SELECT mood::text, t FROM hashed ORDER BY 2")
    return facts


@pytest.mark.every_server
def test_one_of_every_type_and_shape_comes_back_and_is_proven(
        binary, postgres, database):
    postgres.execute(database, "SET check_function_bodies = on")
    with postgres.connect(database) as connection:
        for part in (TYPES, type_table("types", VALUES), fill_types(), SHAPES,
                     type_table("wide", ["int"] * 1600),
                     "INSERT INTO wide (c0, c1599) VALUES (1, 2), (3, NULL)",
                     *(type_table("t%d" % n, ["int", kind])
                       for n, kind in enumerate(TEXT)),
                     "INSERT INTO t0 VALUES (1, '12.34'), (2, NULL)",
                     HAD_A_NULL):
            connection.execute(part)
    before = seen(postgres, database)
    binary.create()
    found = forms(binary)
    assert {name: form for name, form in found.items() if form == "text"} == {
        "public.t%d" % n: "text" for n in (*range(len(TEXT)), 99)}
    assert found["public.types"] == "binary"
    live = binary.verify("--live")
    assert live.result["failed"] == 0
    binary.verify()
    binary.restore("latest", "--to", database + "_copy",
                   "postgres/app/" + database)
    binary.restore("--swap", "latest", "postgres/app/" + database)
    for name in (database, database + "_copy"):
        assert not witness.differences(before, seen(postgres, name))


def plain(postgres, database):
    postgres.execute(database, "CREATE TABLE t (i int PRIMARY KEY, at"
                     " timestamptz, n int8, body text)")
    postgres.execute(database, "INSERT INTO t SELECT i, 'epoch'::timestamptz +"
                     " i * interval '1 hour', i, repeat(md5(i::text), 8)"
                     " FROM generate_series(1, 12000) i")


def hashes(stack):
    return {path: (entry["attributes"]["rows"], entry["attributes"]["rowhash"])
            for path, entry in stack.entries("latest", "postgres/").items()
            if "/data/" in path}


def is_known(result):
    """But for the archive of the schema, which holds the time."""
    return result["new_chunks"] <= 1 < result["known_chunks"]


def test_a_table_stays_what_it_was_until_somebody_says_otherwise(
        binary, postgres, database):
    def back_up(copy=None):
        options = {} if copy is None else {"copy": copy}
        binary.add_postgres("app", postgres, database, **options)
        return binary.create()

    plain(postgres, database)
    postgres.execute(database, "CREATE TABLE small (i int)")
    back_up()
    assert forms(binary) == {"public.small": "text", "public.t": "binary"}
    assert is_known(back_up())
    back_up("text")
    assert set(forms(binary).values()) == {"text"}
    as_text = hashes(binary)
    assert is_known(back_up())
    assert set(forms(binary).values()) == {"text"}
    back_up("binary")
    assert set(forms(binary).values()) == {"binary"}
    assert hashes(binary) != as_text
    # What was recorded says how it is compared, not the configuration.
    binary.add_postgres("app", postgres, database, copy="text")
    assert binary.verify("--live").result["failed"] == 0
    postgres.execute(database, "UPDATE t SET n = n + 1 WHERE i = 77")
    failed = binary.verify("--live", statuses=(FAILED,))
    assert "public.t" in failed.out


def test_rows_that_changed_are_stored_as_differences_and_come_back(
        binary, postgres, database):
    plain(postgres, database)
    first = binary.create()
    for night in range(3):
        postgres.execute(
            database, "UPDATE t SET n = -%d WHERE i %% 100 = %d" % (
                night, night))
        postgres.execute(database, "DELETE FROM t WHERE i = %d" % (night + 50))
        night = binary.create()
        assert night["new_chunks"] > 1
        assert night["stored_bytes"] < first["stored_bytes"] / 5
    before = witness.database(postgres, database)
    binary.verify()
    assert binary.admin("backup-check", "--read-data").status == 0
    postgres.drop_database(database)
    binary.restore()
    assert not witness.differences(
        before, witness.database(postgres, database))


def test_columns_of_other_types_are_refused_and_not_filled(
        binary, postgres, database):
    """The bytes of a time are a number, too."""
    plain(postgres, database)
    binary.create()
    path = "postgres/app/%s/data/public.t" % database
    for change in ("at TYPE int8 USING 1", "body TYPE bytea USING '\\x00'",
                   "n TYPE float8"):
        postgres.execute(database, "DROP TABLE t")
        plain(postgres, database)
        postgres.execute(database, "DELETE FROM t WHERE i > 7")
        postgres.execute(database, "ALTER TABLE t ALTER " + change)
        before = postgres.execute(database, "SELECT * FROM t ORDER BY 1")
        done = binary.admin("backup-restore", "--overwrite", "latest", path)
        assert done.status == FAILED, str(done)
        assert 'column "%s" was ' % change.split()[0] in done.err, done.err
        assert "is %s here" % {"float8": "double precision",
                               "int8": "bigint"}.get(
            change.split()[2], change.split()[2]) in done.err, done.err
        assert postgres.execute(
            database, "SELECT * FROM t ORDER BY 1") == before
    postgres.execute(database, "DROP TABLE t")
    postgres.execute(database, "CREATE TABLE t (extra text DEFAULT 'e',"
                     " body bpchar, n int8, at timestamptz, i int)")
    done = binary.admin("backup-restore", "latest", path)
    assert done.status == FAILED and 'column "body"' in done.err, str(done)
    # As text would be; and what is text under another name is taken.
    postgres.execute(database, "ALTER TABLE t ALTER body TYPE varchar(3)")
    done = binary.admin("backup-restore", "latest", path)
    assert done.status == FAILED and "too long" in done.err, str(done)
    postgres.execute(database, "ALTER TABLE t ALTER body TYPE varchar(500)")
    binary.restore("latest", path)
    assert postgres.execute(
        database, "SELECT count(*), sum(n), min(extra) FROM t") == [
            (12000, 12000 * 12001 // 2, "e")]


def test_the_content_is_a_file_that_psql_loads(binary, postgres, database):
    plain(postgres, database)
    postgres.execute(database, "CREATE TABLE none (i int)")
    binary.create()
    for table in ("t", "none"):
        content = binary.admin(
            "backup-cat", "latest",
            "postgres/app/%s/data/public.%s" % (database, table), text=False)
        assert content.status == 0
        postgres.execute(
            database, "CREATE TABLE again_%s (LIKE %s)" % (table, table))
        done = subprocess.run(
            [postgres.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1",
             "-d", postgres.conninfo(database), "-c",
             "COPY again_%s FROM STDIN (FORMAT binary)" % table],
            input=content.out, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
    assert postgres.execute(
        database, "SELECT count(*) FROM (TABLE t EXCEPT TABLE again_t) x"
        ) == [(0,)]
    assert postgres.execute(database, "SELECT count(*) FROM again_t"
                            ) == [(12000,)]


def test_an_archive_holds_it_and_gives_it_back(binary, postgres, database):
    plain(postgres, database)
    binary.create()
    archive = binary.path("a.tar.zst.age")
    assert binary.admin("backup-archive", "-o", archive, "latest").status == 0
    before = witness.database(postgres, database)
    postgres.drop_database(database)
    done = binary.admin("backup-restore", "--repository", archive, "latest")
    assert done.status == 0, str(done)
    assert not witness.differences(
        before, witness.database(postgres, database))


def test_other_encodings_stay_text(binary, postgres, database):
    postgres.drop_database(database)
    postgres.execute("postgres", "CREATE DATABASE %s ENCODING 'LATIN1'"
                     " LOCALE 'C' TEMPLATE template0" % database)
    plain(postgres, database)
    postgres.execute(database, "INSERT INTO t (i, body) VALUES (0, 'äöü')")
    before = witness.database(postgres, database)
    binary.create()
    assert set(forms(binary).values()) == {"text"}
    binary.restore("latest", "--to", database + "_copy",
                   "postgres/app/" + database)
    after = witness.database(postgres, database + "_copy")
    assert not witness.differences(before, after)


def test_what_is_lost_leaves_the_rest(binary, postgres, database):
    """Each chunk holds whole rows, and can be loaded without the others."""
    plain(postgres, database)
    binary.create()
    pack = max((os.path.join(folder, name) for folder, _, names in os.walk(
        os.path.join(binary.repository, "packs")) for name in names),
        key=os.path.getsize)
    os.chmod(pack, 0o600)
    with open(pack, "r+b") as file:
        file.seek(os.path.getsize(pack) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 16]))
    done = binary.admin("backup-restore", "latest", "--to",
                        database + "_copy", "postgres/app/" + database)
    assert "chunks are lost" in done.err, str(done)
    left, = [name for name in postgres.databases()
             if name.startswith(database + "_copy")]
    found = postgres.execute(left, "SELECT count(*), count(*) FILTER (WHERE"
                             " n <> i OR body <> repeat(md5(i::text), 8))"
                             " FROM t")[0]
    assert 1000 < found[0] < 12000 and found[1] == 0
