# SPDX-License-Identifier: Apache-2.0
"""The rows of one subject, held against walks written by hand in SQL."""

import json
import os
import re
import subprocess

import pytest
from harness import peak
from harness.stack import patience

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(os.environ.get("top_builddir", "."), "tests",
                    "integration", "walk_tool")


class Failed(Exception):
    """What the tool said when it failed."""


class Walk:
    """The tool, on one database with one map."""

    def __init__(self, postgres, database, map_path, **options):
        self.postgres, self.database = postgres, database
        self.conninfo = postgres.conninfo(database, **options)
        self.map_path = map_path
        self.omitted = []

    def run(self, what, *args):
        done = subprocess.run(
            [TOOL, what, self.conninfo, self.map_path, *map(str, args)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.omitted = re.findall(r"(?m)^omitted (.*)$", done.stderr)
        if done.returncode != 0:
            raise Failed(done.stderr)
        return done.stdout

    def rows(self, *key, what="rows"):
        """[(table, decided, row)]"""
        lines = [json.loads(line)
                 for line in self.run(what, *key).splitlines()]
        return [(x["table"], x["decided"], x["row"]) for x in lines]

    def places(self, *key):
        """{(leaf, ctid): decided}"""
        lines = [line.split("\t")
                 for line in self.run("places", *key).splitlines()]
        places = {(rel, tid): decided for rel, tid, decided in lines}
        assert len(places) == len(lines)
        return places

    def expected(self, sql_path, subject):
        """The same, by hand."""
        with open(os.path.join(HERE, sql_path), encoding="utf-8") as text:
            sql = text.read().replace(":subject", str(int(subject)))
        rows = self.postgres.execute(self.database, sql)
        places = {(str(rel), tid): decided for rel, tid, decided in rows}
        assert len(places) == len(rows), "the walk by hand is no set"
        return places


def _load_sample(postgres, database, folder, text):
    path = os.path.join(folder, "sample.sql")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    postgres.psql(database, path)


@pytest.fixture
def pagila(postgres, database, sample_data, tmp_path_of_test):
    for name in ("pagila-schema.sql", "pagila-data.sql"):
        with open(os.path.join(sample_data, name), encoding="utf-8") as text:
            _load_sample(postgres, database, tmp_path_of_test, text.read())
    return Walk(postgres, database, os.path.join(HERE, "maps/pagila.yaml"))


@pytest.fixture
def chinook(postgres, database, sample_data, tmp_path_of_test):
    with open(os.path.join(sample_data, "chinook.sql"),
              encoding="utf-8") as text:
        tables = re.split(r"(?m)^\\c chinook;$", text.read())[1]
    _load_sample(postgres, database, tmp_path_of_test, tables)
    return Walk(postgres, database, os.path.join(HERE, "maps/chinook.yaml"))


def test_pagila_s_customers_have_the_rows_that_sql_by_hand_finds(pagila):
    for customer in (1, 148, 599):
        found = pagila.places(customer)
        assert found == pagila.expected("maps/pagila.sql", customer)
        assert found
    payments = [row for table, _, row in pagila.rows(1)
                if table == "public.payment"]
    assert len(payments) == 32
    july = [p for p in payments if p["payment_date"].startswith("2022-07")]
    assert len(july) == 7
    assert [p["payment_date"] for p in payments] == sorted(
        p["payment_date"] for p in payments)


def test_chinook_s_customers_have_the_rows_that_sql_by_hand_finds(chinook):
    for customer in (1, 59):
        assert chinook.places(customer) == chinook.expected(
            "maps/chinook.sql", customer)
    employees = [row for table, _, row in chinook.rows(1)
                 if table == "public.employee"]
    assert employees == [{"first_name": "Jane", "last_name": "Peacock",
                          "email": "jane@chinookcorp.com"}]


# ---- an application of every kind of edge ----

@pytest.fixture(scope="module")
def application(postgres):
    name = "application_walk"
    postgres.create_database(name)
    for part in ("schema.sql", "data.sql"):
        postgres.psql(name, os.path.join(HERE, "application", part))
    yield Walk(postgres, name, os.path.join(HERE, "application/map.yaml"))
    postgres.drop_database(name)


SUBJECTS = (1, 2, 7, 12, 24, 37)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_kind_of_edge_leads_where_sql_by_hand_leads(
        application, subject):
    found = application.places(subject)
    assert found == application.expected("application/walk.sql", subject)
    assert len(application.rows(subject)) == len(found)
    assert not application.omitted


@pytest.mark.parametrize("subject", SUBJECTS)
def test_nothing_tells_of_anybody_else(application, subject):
    text = application.run("rows", subject)
    assert set(re.findall(r"CANARY-\d+!", text)) == {"CANARY-%d!" % subject}
    assert "SECRET" not in text
    uids = set(re.findall(r"0000-4000-8000-0*(\d+)", text))
    assert uids == {str(subject)}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_people_in_shared_rows_are_known_by_one_pseudonym_each(
        application, subject):
    people = {"messages": "sender_id", "message_reactions": "user_id",
              "ticket_comments": "author_id", "conversations": "created_by"}
    seen = set()
    for table, decided, row in application.rows(subject):
        column = people.get(table.split(".")[1])
        if decided != "shared" or column is None:
            continue
        if table == "public.conversations" and row[column] == "self":
            continue
        assert re.fullmatch("[0-9a-f]{16}", row[column])
        seen.add(row[column])
    assert 1 < len(seen) < 40
    groups = [row for table, _, row in application.rows(subject)
              if table == "public.groups"]
    for row in groups:
        assert row["member_uids"].count("self") == 1
        assert row["member_uids"][-1] is None


def test_values_keep_their_meaning(application):
    rows = application.rows(7)
    profile, = [row for table, _, row in rows if table == "public.profiles"]
    assert profile == {
        "user_id": "7", "state": "active",
        "states": ["new", "it's, [complicated]", None],
        "motto": "CANARY-7!", "active": "[2026-01-01,)",
        "size": {"amount": 8.75, "unit": 'a "quoted", unit'},
        "sizes": [{"amount": 1, "unit": "kg"}, None],
        "picture": "AP9c", "balance": "1.10", "ratios": ["1.500", None],
        "extra": {"a": [7, None], "b": "x\ny"}, "raw": {"kept": 2},
        "words": ["a", None, "", "NULL", 'q"\\\n'],
        "grid": [[1, 2], [3, 4]], "born": "0044-03-15 BC",
        "seen": "infinity", "free": "1 day 02:03:04.5",
        "home": "10.0.0.1/8", "score": 0, "big": "9007199254740993",
        "is_public": False, "search": "'-7':2 'canary':1"}
    odd, = {json.dumps(row, ensure_ascii=False) for table, _, row in rows
            if "Odd" in table and row["select"] == 6}
    assert json.loads(odd) == {"select": 6, 'Us"er.Id': "7",
                               "Größe": "CANARY-7!", "a,b": "a\\b\tc"}


def test_rows_are_sorted_by_their_key(application):
    rows = application.rows(7)
    for table, key in (("public.events", "id"), ("public.messages", "id"),
                       ("public.payments", "paid_at")):
        for decided in ("own", "shared"):
            keys = [row[key] for t, d, row in rows
                    if t == table and d == decided]
            assert keys == sorted(keys)


def test_what_is_derived_is_not_portable(application):
    rows = application.rows(7, what="portability")
    assert not [row for table, _, row in rows
                if table == "public.recommendations"]
    user, = [row for table, _, row in rows if table == "public.users"]
    assert "name_upper" not in user and user["name"] == "CANARY-7!"


def test_a_row_says_by_which_edges_it_came_in(application):
    lines = [line.split("\t") for line in application.run(
        "explain", "public.device_pings", 5, 7).splitlines()]
    assert lines == [
        ["public.users", "id=7", "own", ""],
        ["public.devices", "id=6", "own",
         "public.devices(user_id) -> public.users(id)"],
        ["public.device_pings", "id=5", "own",
         "public.device_pings(device_id) -> public.devices(id)"]]
    with pytest.raises(Failed, match="code 3: the row of public.users is not"):
        application.run("explain", "public.users", 8, 7)
    with pytest.raises(Failed, match="public.users has no such row"):
        application.run("explain", "public.users", 800, 7)
    with pytest.raises(Failed, match="has 2 columns, and 1 values"):
        application.run("explain", "public.memberships", 8, 7)


# ---- what cannot be done, and is said ----

def _walk(postgres, database, folder, sql, text, **options):
    postgres.execute(database, sql)
    path = os.path.join(folder, "map.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return Walk(postgres, database, path, **options)


HEAD = "version: 1\nsubject: {table: public.u, key: [id]}\n"


@pytest.fixture
def small(postgres, database, tmp_path_of_test):
    """Makes a walk of a database of the test's own."""
    def make(sql, text, **options):
        return _walk(postgres, database, tmp_path_of_test, sql, HEAD + text,
                     **options)
    return make


def test_a_key_is_read_by_the_server_and_never_cut(small):
    walk = small("CREATE TABLE u (id varchar(5) PRIMARY KEY);"
                 "INSERT INTO u VALUES ('abcde')", "")
    assert walk.rows("abcde")
    with pytest.raises(Failed, match="code 3: there is no such subject"):
        walk.rows("abcdef")
    with pytest.raises(Failed, match="has 1 columns, and 2 values"):
        walk.rows("abcde", "x")


def test_a_key_that_is_none_of_its_type_is_refused(small):
    walk = small("CREATE TABLE u (id uuid PRIMARY KEY)", "")
    with pytest.raises(Failed, match='public.u: invalid input syntax for '
                                     'type uuid: "x"'):
        walk.rows("x")


def test_a_subject_is_one_row(small):
    walk = small("CREATE TABLE u (id int); INSERT INTO u VALUES (1), (1)", "")
    with pytest.raises(Failed, match="2 rows of public.u have this key"):
        walk.rows(1)


def test_a_cast_that_fails_names_the_reference(small):
    walk = small(
        "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
        "CREATE TABLE c (ref text); INSERT INTO c VALUES ('1'), ('none')",
        "references: [{from: public.c, columns: ['ref::int'],"
        " to: public.u(id), own: down}]")
    with pytest.raises(Failed, match=r"the reference public\.c.*cannot be "
                                     r'read from every row.*"none"'):
        walk.rows(1)


def test_a_condition_is_looked_at_before_its_value(small):
    walk = small(
        "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
        "CREATE FUNCTION slow(text) RETURNS bool LANGUAGE sql COST 100000"
        " AS $$SELECT $1 = 'user'$$;"
        "CREATE TABLE c (kind text, ref text);"
        "INSERT INTO c VALUES ('user', '1'), ('other', 'none')",
        "references: [{from: public.c, columns: ['ref::int'],"
        " when: 'public.slow(kind)', to: public.u(id), own: down}]")
    assert ("public.c", "own", {"kind": "user", "ref": "1"}) in walk.rows(1)


def test_a_type_that_no_reference_is_for_is_told(small):
    walk = small(
        "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1), (2);"
        "CREATE TABLE p (id int PRIMARY KEY, u_id int REFERENCES u);"
        "INSERT INTO p VALUES (5, 1), (6, 2);"
        "CREATE TABLE c (kind text, ref int, b int);"
        "INSERT INTO c VALUES ('U', 1), ('P', 5), ('Old', 1), ('Old', 5),"
        " ('New', 6), (NULL, 1), ('P', 1)",
        "edges: {'public.p(u_id) -> public.u(id)': own}\n"
        "references:\n"
        "  - {from: public.c, columns: [ref], to: public.u(id),"
        " when: \"kind = 'U'\", own: down}\n"
        "  - {from: public.c, columns: [ref], to: public.p(id),"
        " when: \"kind = 'P'\", own: down}\n")
    rows = [row for table, _, row in walk.rows(1) if table == "public.c"]
    assert [(r["kind"], r["ref"]) for r in rows] == [("U", 1), ("P", 5)]
    told, = walk.omitted
    assert re.match(r"public\.c: \d rows may refer to the subject's by ref, "
                    r"and no reference of the map is for their type", told)
    assert "'Old'" in told


def test_columns_are_those_of_the_edges_that_led_to_the_row(small):
    walk = small(
        "CREATE TABLE l (id int PRIMARY KEY, a text, b text, c text);"
        "INSERT INTO l SELECT n, 'a', 'b', 'c' FROM generate_series(1, 3) n;"
        "CREATE TABLE u (id int PRIMARY KEY, x int REFERENCES l,"
        " y int REFERENCES l, z int REFERENCES l);"
        "INSERT INTO u VALUES (1, 1, 2, 2)",
        "edges:\n"
        "  'public.u(x) -> public.l(id)': {lookup: [a]}\n"
        "  'public.u(y) -> public.l(id)': {lookup: [a, b]}\n"
        "  'public.u(z) -> public.l(id)': {lookup: [c]}\n")
    assert [row for table, _, row in walk.rows(1) if table == "public.l"] == [
        {"a": "a"}, {"a": "a", "b": "b", "c": "c"}]


def test_a_case_insensitive_key_is_compared_as_its_type_does(small):
    walk = small(
        "CREATE EXTENSION citext SCHEMA public;"
        "CREATE TABLE u (id public.citext PRIMARY KEY);"
        "INSERT INTO u VALUES ('Ann');"
        "CREATE TABLE c (id int PRIMARY KEY, u public.citext REFERENCES u);"
        "INSERT INTO c VALUES (1, 'ANN'), (2, 'ann');"
        "CREATE TABLE d (u text); INSERT INTO d VALUES ('aNN')",
        "edges: {'public.c(u) -> public.u(id)': own}\n"
        "references: [{from: public.d, columns: [u], to: public.u(id),"
        " own: down}]")
    assert len(walk.places("ann")) == 4
    assert len(walk.rows("ANN")) == 4


def test_two_collations_do_not_stop_it(small):
    walk = small(
        'CREATE TABLE u (id text COLLATE "C" PRIMARY KEY);'
        "INSERT INTO u VALUES ('x');"
        'CREATE TABLE c (u text COLLATE "POSIX" REFERENCES u);'
        "INSERT INTO c VALUES ('x')",
        "edges: {'public.c(u) -> public.u(id)': own}")
    assert len(walk.places("x")) == 2


def test_rows_that_a_policy_hides_are_never_left_out_in_silence(
        small, postgres, database):
    walk = small(
        "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
        "CREATE TABLE c (u int REFERENCES u); INSERT INTO c VALUES (1), (1);"
        "ALTER TABLE c ENABLE ROW LEVEL SECURITY;"
        "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN;"
        "GRANT SELECT ON u, c TO reader",
        "edges: {'public.c(u) -> public.u(id)': own}", user="reader")
    with pytest.raises(Failed, match='policy for table "c"'):
        walk.places(1)
    assert walk.rows(1) == [("public.u", "own", {"id": 1})]
    told, = walk.omitted
    assert told.startswith("public.c: row-level security hides rows of it")
    postgres.execute(database, "ALTER TABLE c DISABLE ROW LEVEL SECURITY;"
                     "REVOKE SELECT ON c FROM reader")
    with pytest.raises(Failed, match="code 6: .*permission denied for "
                                     "table c"):
        walk.places(1)
    assert walk.rows(1) == [("public.u", "own", {"id": 1})]
    told, = walk.omitted
    assert told.startswith("public.c: this role may not read it")
    postgres.execute(database, "GRANT SELECT ON c TO reader;"
                     'REVOKE TEMPORARY ON DATABASE "%s" FROM public'
                     % database)
    with pytest.raises(Failed, match="GRANT TEMPORARY ON DATABASE %s TO "
                                     "reader" % database):
        walk.rows(1)
    postgres.execute(database, 'GRANT TEMPORARY ON DATABASE "%s" TO reader'
                     % database)
    assert len(walk.rows(1)) == 3
    postgres.execute(database, "DROP OWNED BY reader; DROP ROLE reader")


def test_foreign_tables_are_refused_unless_the_map_skips_them(small):
    sql = ("CREATE EXTENSION IF NOT EXISTS postgres_fdw;"
           "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;"
           "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
           "CREATE FOREIGN TABLE f (u int) SERVER s")
    text = ("references: [{from: public.f, columns: [u], to: public.u(id),"
            " own: down}]\n")
    with pytest.raises(Failed, match="public.f is a foreign table"):
        small(sql, text).rows(1)
    assert small("SELECT", text + "tables: {public.f: {skip: elsewhere}}"
                 ).rows(1)


def test_sql_of_a_map_cannot_change_anything(small, postgres, database):
    walk = small(
        "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
        "CREATE TABLE c (u int); INSERT INTO c VALUES (1);"
        "CREATE FUNCTION bad(int) RETURNS int LANGUAGE plpgsql AS"
        " $$BEGIN DELETE FROM public.c; RETURN $1; END$$",
        "references: [{from: public.c, columns: ['public.bad(u)'],"
        " to: public.u(id), own: down}]")
    with pytest.raises(Failed, match="read-only transaction"):
        walk.rows(1)
    assert postgres.execute(database, "SELECT count(*) FROM c") == [(1,)]


def test_the_map_s_sql_sees_nothing_but_its_own_table(small):
    walk = small(
        "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
        "CREATE TABLE w (rel int, tid int, round int, c int, p int);"
        "INSERT INTO w VALUES (1, 2, 3, 4, 5), (2, 1, 1, 1, 1)",
        "references: [{from: public.w, columns: ['rel + 0'],"
        " to: public.u(id), when: 'w.tid = 2 AND round = 3', own: down}]")
    assert [row["rel"] for table, _, row in walk.rows(1)
            if table == "public.w"] == [1]


def test_a_skipped_table_is_not_walked(small):
    walk = small(
        "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
        "CREATE TABLE c (u int REFERENCES u); INSERT INTO c VALUES (1)",
        "edges: {'public.c(u) -> public.u(id)': own}\n"
        "tables: {public.c: {skip: not personal}}")
    assert len(walk.rows(1)) == 1


def test_an_array_in_an_expression_and_the_way_up(small):
    walk = small(
        "CREATE TABLE t (id bigint PRIMARY KEY, name text);"
        "INSERT INTO t SELECT n, 't' || n FROM generate_series(1, 9) n;"
        "CREATE TABLE u (id int PRIMARY KEY, tags int[], doc jsonb);"
        "INSERT INTO u VALUES (1, '{2,3,3,NULL}', '{\"t\": [5, 6]}')",
        "references:\n"
        "  - {from: public.u, columns: [tags], to: public.t(id),"
        " array: true, lookup: [name]}\n"
        "  - {from: public.u, columns: [\"ARRAY(SELECT"
        " pg_catalog.jsonb_array_elements_text(doc->'t')::bigint)\"],"
        " to: public.t(id), array: true, lookup: [name]}\n")
    assert [row["name"] for table, _, row in walk.rows(1)
            if table == "public.t"] == ["t2", "t3", "t5", "t6"]


# ---- tables that foreign keys alone tell ----

CHAINS = """
CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level2',
                        deterministic = false);
CREATE TABLE u (id int PRIMARY KEY, x int, y int, above int REFERENCES u,
                name text COLLATE alike UNIQUE, UNIQUE (x, y));
CREATE TABLE xy (id int PRIMARY KEY, y int, x int,
                 FOREIGN KEY (x, y) REFERENCES u (x, y));
CREATE TABLE named (id int PRIMARY KEY, name text COLLATE alike
                    REFERENCES u (name));
CREATE TABLE c1 (id int PRIMARY KEY, above int REFERENCES named);
CREATE TABLE p (id int PRIMARY KEY, above int REFERENCES u)
    PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (5);
CREATE TABLE p2 PARTITION OF p DEFAULT;
CREATE TABLE below_p (id int PRIMARY KEY, above int REFERENCES p);
CREATE TABLE two (id int PRIMARY KEY, a int REFERENCES u, b int REFERENCES u);
CREATE TABLE below_two (id int PRIMARY KEY, "walk 1" int REFERENCES two);
CREATE TABLE none (id int PRIMARY KEY, above int REFERENCES u);
CREATE TABLE below_none (id int PRIMARY KEY, above int REFERENCES none);
INSERT INTO u VALUES (1, 1, 1, NULL, 'Ann'), (2, 2, NULL, 1, 'Bob'),
                     (3, 3, 3, 2, 'Cyd'), (4, 4, 4, NULL, NULL);
INSERT INTO xy VALUES (1, 1, 1), (2, NULL, 2), (3, 3, 3), (4, 4, 4);
INSERT INTO named VALUES (1, 'ANN'), (2, 'ann'), (3, 'BOB'), (4, NULL);
INSERT INTO c1 SELECT n, 1 + n % 4 FROM generate_series(1, 9) n;
INSERT INTO p SELECT n, 1 + n % 4 FROM generate_series(1, 12) n;
INSERT INTO below_p SELECT n, 1 + n % 12 FROM generate_series(1, 30) n;
INSERT INTO two SELECT n, 1 + n % 4, 1 + n % 3 FROM generate_series(1, 9) n;
INSERT INTO below_two SELECT n, 1 + n % 9 FROM generate_series(1, 30) n;
""" + "".join(
    "CREATE TABLE c%d (id int PRIMARY KEY, above int REFERENCES c%d);"
    "INSERT INTO c%d SELECT n, 1 + n %% 9 FROM generate_series(1, 9) n;" %
    (n + 1, n, n + 1) for n in range(1, 8))

CHAIN_EDGES = [
    "xy(x, y) -> public.u(x, y)", "named(name) -> public.u(name)",
    "c1(above) -> public.named(id)", "p(above) -> public.u(id)",
    "below_p(above) -> public.p(id)", "two(a) -> public.u(id)",
    "two(b) -> public.u(id)", 'below_two("walk 1") -> public.two(id)',
    "none(above) -> public.u(id)", "below_none(above) -> public.none(id)",
] + ["c%d(above) -> public.c%d(id)" % (n + 1, n) for n in range(1, 8)]


@pytest.mark.parametrize("above", ("own", "{skip: not theirs}"))
def test_rows_that_are_read_by_keys_are_those_that_are_found(
        small, postgres, database, above):
    walk = small(CHAINS, "edges:\n" + "".join(
        "  'public.%s': own\n" % edge for edge in CHAIN_EDGES) +
        "  'public.u(above) -> public.u(id)': %s\n" % above)
    tables = ["u"] + sorted({edge.split("(")[0] for edge in CHAIN_EDGES})
    standing = {
        (str(rel), tid): (table, id_) for table in tables
        for rel, tid, id_ in postgres.execute(
            database, "SELECT tableoid, ctid::text, id FROM %s" % table)}
    for subject in (1, 2, 3, 4):
        read = sorted((table.split(".")[1], row["id"])
                      for table, _, row in walk.rows(subject))
        assert read == sorted(standing[x] for x in walk.places(subject))
        assert {"p", "below_p"} < {table for table, _ in read}
        assert subject > 1 or {"xy", "c8"} < {table for table, _ in read}


# ---- at size ----

LARGE = ("CREATE TABLE u (id int PRIMARY KEY);"
         "INSERT INTO u SELECT generate_series(1, 20000);"
         "CREATE TABLE p (id int PRIMARY KEY, name text);"
         "INSERT INTO p SELECT n, 'p' FROM generate_series(1, 20000) n;"
         "CREATE TABLE c (id int, u_id int REFERENCES u, p_id int"
         " REFERENCES p, body text) PARTITION BY RANGE (id);"
         "CREATE TABLE c_0 PARTITION OF c FOR VALUES FROM (0) TO (50000);"
         "CREATE TABLE c_1 PARTITION OF c FOR VALUES FROM (50000) TO (99999);"
         "CREATE TABLE c_2 PARTITION OF c DEFAULT;"
         "INSERT INTO c SELECT n, 1 + n %% %d, 1 + n %% 20000,"
         " repeat('x', 100) FROM generate_series(1, 150000) n;"
         "CREATE INDEX ON c (u_id); ANALYZE")
LARGE_MAP = ("edges:\n"
             "  public.c(u_id) -> public.u(id): own\n"
             "  public.c(p_id) -> public.p(id): {lookup: [id]}\n")


def _whole_reads(postgres, database):
    return postgres.execute(
        database, "SELECT relname, seq_scan FROM pg_stat_user_tables"
        " WHERE relname ~ '^[upc](_\\d)?$' ORDER BY 1")


def test_where_there_are_indexes_no_table_is_read_as_a_whole(
        small, postgres, database):
    walk = small(LARGE % 1000, LARGE_MAP)
    before = _whole_reads(postgres, database)
    assert len(before) == 6
    assert len(walk.rows(7)) == 1 + 150 + 20
    assert _whole_reads(postgres, database) == before


def test_many_rows_need_no_memory(small):
    walk = small(LARGE % 1, LARGE_MAP)
    rows, most = peak.run(
        [TOOL, "rows", walk.conninfo, walk.map_path, "1"])
    assert len(rows) == 1 + 150000 + 20000
    # Of which a sanitizer has its share.
    assert 1024 < most < 128 * 1024 * patience(1)


def test_who_holds_a_lock_is_told(small, postgres, database):
    walk = small("CREATE TABLE u (id int PRIMARY KEY);"
                 "INSERT INTO u VALUES (1); CREATE TABLE other (a int)", "",
                 options="-c lock_timeout=300")
    with postgres.connect(database, application_name="migration") as other:
        other.execute("BEGIN; LOCK TABLE other")
        with pytest.raises(Failed, match="code 7: table public.other is "
                                         "locked exclusively by process .*"
                                         "migration"):
            walk.rows(1)
    assert walk.rows(1)


def test_an_actor_is_followed_from_owned_rows_only(small):
    walk = small(
        "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);"
        "CREATE TABLE s (id int PRIMARY KEY, u int REFERENCES u);"
        "INSERT INTO s VALUES (1, 1);"
        "CREATE TABLE a (id int PRIMARY KEY, s int REFERENCES s,"
        " u int REFERENCES u); INSERT INTO a VALUES (1, 1, NULL), (2, 1, 1)",
        "edges:\n"
        "  public.s(u) -> public.u(id): shared\n"
        "  public.a(s) -> public.s(id): {actor: [id]}\n"
        "  public.a(u) -> public.u(id): {actor: [u]}\n")
    assert walk.rows(1) == [("public.a", "actor", {"u": 1}),
                            ("public.s", "shared", {"id": 1, "u": "self"}),
                            ("public.u", "own", {"id": 1})]
