# SPDX-License-Identifier: Apache-2.0
"""What an erasure by the map deletes, clears and leaves."""

import os
import re
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(os.environ.get("top_builddir", "."), "tests",
                    "integration", "walk_tool")


class Failed(Exception):
    """What the tool said when it failed."""


def erase(postgres, database, map_path, *keys, **options):
    """{(what, name): rows, why...}"""
    done = subprocess.run(
        [TOOL, "erase", postgres.conninfo(database, **options), map_path,
         *map(str, keys)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(done.stderr)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {(line[0], "/".join(line[1:]) if line[0] in ("object", "kept")
             else line[1]): line[2:] for line in lines}


def dump(postgres, database, *args):
    text = subprocess.run(
        [postgres.program("pg_dump"), "--no-sync", *args,
         postgres.conninfo(database)],
        stdout=subprocess.PIPE, check=True, text=True).stdout
    # Newer ones have a password of their own for psql.
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", text)


def rows(postgres, database):
    """{table: the lines of its rows}"""
    text = dump(postgres, database, "--data-only",
                "--load-via-partition-root")
    found = {}
    for table, lines in re.findall(
            r"(?ms)^COPY (.*?) \(.*?\) FROM stdin;\n(.*?)^\\\.$", text):
        found.setdefault(table, []).extend(lines.splitlines())
    return found


def make_keys_anew(postgres, database):
    """Every foreign key is checked by the server."""
    postgres.execute(database, """DO $$DECLARE k record; BEGIN
        FOR k IN SELECT conrelid::regclass AS t, conname,
            pg_get_constraintdef(oid) AS d FROM pg_constraint
            WHERE contype = 'f' AND conparentid = 0 LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', k.t, k.conname);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.t, k.conname,
            k.d);
        END LOOP; END$$""")


def write(folder, text):
    path = os.path.join(folder, "map.yaml")
    with open(path, "w") as out:
        out.write(text)
    return path


# ---- an application of every kind of edge ----

@pytest.fixture
def application(postgres, database):
    for part in ("schema.sql", "data.sql"):
        postgres.psql(database, os.path.join(HERE, "application", part))
    return os.path.join(HERE, "application/map.yaml")


# Rows of others that hang on what is erased; and rows that name it.
GOES = {"public.blocks", "public.ticket_comments", "public.follows",
        "public.message_reactions", "public.attachments"}
CLEARED = {"public.users", "public.tickets", "public.messages",
           "public.conversations", "public.teams", "public.audit_log",
           "public.groups"}


@pytest.mark.parametrize("people", [(7,), (2, 13)])
def test_nothing_of_the_erased_is_left_and_others_are_unharmed(
        postgres, database, application, people):
    schema = dump(postgres, database, "--schema-only")
    before = rows(postgres, database)
    told = erase(postgres, database, application, *people)
    after = rows(postgres, database)
    text = "\n".join(line for lines in after.values() for line in lines)
    for n in people:
        assert "CANARY-%d!" % n not in text
        assert "0000-4000-8000-%012d" % n not in text
    touched = set()
    for table, lines in before.items():
        gone = set(lines) - set(after[table])
        mine = {line for line in gone if any(
            "CANARY-%d!" % n in line for n in people)}
        if gone - mine:
            touched.add(table)
    assert touched - GOES - CLEARED <= {
        # of theirs without a canary in them
        "public.order_lines", "public.conversation_members",
        "public.employees", "public.events", "public.sessions"}, touched
    for (what, name), rest in told.items():
        if what == "deleted":
            assert len(before[name]) - len(after[name]) == int(rest[0])
    unchanged = {t for t in before if ("deleted", t) not in told} - CLEARED
    assert all(before[t] == after[t] for t in unchanged)
    assert "public.products" in unchanged
    assert dump(postgres, database, "--schema-only") == schema
    make_keys_anew(postgres, database)


def test_what_became_of_it_is_told(postgres, database, application):
    told = erase(postgres, database, application, 7)
    assert told["deleted", "public.users"] == ["1"]
    assert told["cleared", "public.users(invited_by) -> public.users(id)"][0
        ] == "2"
    array = "public.groups(member_uids) -> public.users(uid)"
    assert int(told["cleared", array][0]) > 0
    assert ("object", "uploads/avatars/7.png") in told
    assert ("object", "uploads/attached/u7") in told
    assert any(name.startswith("uploads/thumbs/") and name.endswith("/*")
               for what, name in told if what == "object")
    assert not any(what == "stays" for what, _ in told)


def test_an_owner_who_is_no_superuser_erases_the_same(
        postgres, database, application, tmp_path_of_test):
    before = rows(postgres, database)
    postgres.create_database("erase_twin")
    try:
        for part in ("schema.sql", "data.sql"):
            postgres.psql("erase_twin",
                          os.path.join(HERE, "application", part))
        erase(postgres, "erase_twin", application, 24, 7)
        expected = {t: sorted(x) for t, x in
                    rows(postgres, "erase_twin").items()}
    finally:
        postgres.drop_database("erase_twin")
    postgres.execute(database, """
        DROP ROLE IF EXISTS eraser; CREATE ROLE eraser LOGIN;
        DO $$DECLARE r regclass; BEGIN
        FOR r IN SELECT c.oid FROM pg_class c JOIN pg_namespace n
            ON n.oid = relnamespace WHERE relkind IN ('r', 'p')
            AND n.nspname IN ('public', 'Odd Schema') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO eraser', r); END LOOP; END$$;
        GRANT USAGE ON SCHEMA "Odd Schema", public TO eraser;""")
    try:
        erase(postgres, database, application, 24, 7, user="eraser")
        after = {t: sorted(x) for t, x in rows(postgres, database).items()}
        assert after == expected
        assert after != {t: sorted(x) for t, x in before.items()}
        make_keys_anew(postgres, database)
    finally:
        postgres.execute(database, "DROP OWNED BY eraser CASCADE;"
                         " DROP ROLE eraser")


# ---- one thing at a time ----

PEOPLE = """
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users VALUES (1, 'Ada'), (2, 'Bob'), (3, 'Cy');
"""

MAP = """
version: 1
subject: {table: public.users, key: [id]}
"""


class Small:
    def __init__(self, postgres, database, folder):
        self.postgres, self.database = postgres, database
        self.folder = folder

    def make(self, sql, map_text):
        self.postgres.execute(self.database, PEOPLE + sql)
        self.map = write(self.folder, MAP + map_text)

    def erase(self, *keys, **options):
        return erase(self.postgres, self.database, self.map, *keys, **options)

    def ask(self, sql):
        return self.postgres.execute(self.database, sql)


@pytest.fixture
def small(postgres, database, tmp_path_of_test):
    return Small(postgres, database, str(tmp_path_of_test))


def test_triggers_and_rules_rest_and_are_as_they_were(small):
    small.make("""
        CREATE TABLE notes (id int, user_id int REFERENCES users, said_to int
            REFERENCES users, text text);
        CREATE TABLE history (what text);
        INSERT INTO notes VALUES (1, 1, 2, 'x'), (2, 2, 1, 'y');
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN INSERT INTO public.history SELECT 'CANARY ' || OLD::text;
              RETURN NULL; END$$;
        CREATE TRIGGER a BEFORE DELETE OR UPDATE ON notes FOR EACH ROW
            EXECUTE FUNCTION f();
        CREATE TRIGGER b BEFORE DELETE ON users FOR EACH ROW
            EXECUTE FUNCTION f();
        CREATE TRIGGER c AFTER DELETE ON users EXECUTE FUNCTION f();
        CREATE TRIGGER d AFTER UPDATE ON notes EXECUTE FUNCTION f();
        ALTER TABLE notes ENABLE ALWAYS TRIGGER a;
        ALTER TABLE notes ENABLE REPLICA TRIGGER d;
        ALTER TABLE users DISABLE TRIGGER c;
        CREATE RULE r AS ON DELETE TO notes DO INSTEAD NOTHING;
        CREATE RULE s AS ON UPDATE TO notes DO ALSO INSERT INTO history
            VALUES ('CANARY');
        ALTER TABLE notes ENABLE ALWAYS RULE s;""", """
edges:
  "public.notes(user_id) -> public.users(id)": own
  "public.notes(said_to) -> public.users(id)": {actor: [id]}
""")
    states = """SELECT tgname::text, tgenabled::text FROM pg_trigger
        WHERE NOT tgisinternal UNION ALL SELECT rulename::text, ev_enabled::text
        FROM pg_rewrite WHERE ev_type <> '1' ORDER BY 1"""
    before = small.ask(states)
    small.erase(1)
    assert small.ask(states) == before
    assert small.ask("SELECT * FROM history") == []
    assert small.ask("SELECT * FROM notes") == [(2, 2, None, "y")]


def test_a_reference_that_cannot_be_null_stops_it_and_says_what_to_write(
        small):
    small.make("""
        CREATE TABLE likes (id int PRIMARY KEY, giver int REFERENCES users,
            taker int NOT NULL REFERENCES users);
        CREATE TABLE replies (to_like int REFERENCES likes NOT NULL);
        INSERT INTO likes VALUES (1, 2, 1), (2, 1, 3), (3, 2, 3);
        INSERT INTO replies VALUES (1), (2), (3);""", """
edges:
  "public.likes(giver) -> public.users(id)": own
  "public.likes(taker) -> public.users(id)": {actor: [id]}
  "public.replies(to_like) -> public.likes(id)": own
""")
    with pytest.raises(Failed) as failed:
        small.erase(1)
    assert "public.likes(taker) -> public.users(id)" in str(failed.value)
    assert "erase: delete" in str(failed.value)
    assert small.ask("SELECT count(*) FROM users") == [(3,)]
    with open(small.map) as text:
        fixed = text.read().replace("{actor: [id]}",
                                    "{actor: [id], erase: delete}")
    write(small.folder, fixed)
    small.erase(1)
    assert small.ask("SELECT id FROM likes") == [(3,)]
    assert small.ask("SELECT * FROM replies") == [(3,)]


def test_what_is_own_may_stay_without_its_owner(small):
    small.make("""
        CREATE TABLE invoices (id int PRIMARY KEY, buyer int REFERENCES users);
        CREATE TABLE lines (invoice int NOT NULL REFERENCES invoices);
        CREATE TABLE homes (id int PRIMARY KEY);
        ALTER TABLE users ADD home int REFERENCES homes;
        INSERT INTO homes VALUES (1);
        UPDATE users SET home = 1;
        INSERT INTO invoices VALUES (1, 1), (2, 2);
        INSERT INTO lines VALUES (1), (2);""", """
edges:
  "public.invoices(buyer) -> public.users(id)": {own: down, erase: null}
  "public.lines(invoice) -> public.invoices(id)": own
  "public.users(home) -> public.homes(id)": {own: up, erase: keep}
""")
    small.erase(1)
    assert small.ask("SELECT * FROM invoices ORDER BY 1") == [
        (1, None), (2, 2)]
    assert small.ask("SELECT count(*) FROM lines") == [(2,)]
    assert small.ask("SELECT id, home FROM users ORDER BY 1") == [
        (2, 1), (3, 1)]
    write(small.folder, open(small.map).read().replace(", erase: keep", ""))
    told = small.erase(2)
    assert told["cleared", "public.users(home) -> public.homes(id)"] == [
        "1", ""]
    assert small.ask("SELECT id, home FROM users") == [(3, None)]
    assert small.ask("SELECT * FROM homes") == []


def test_of_many_columns_those_are_cleared_that_nothing_else_needs(small):
    small.make("""
        CREATE TABLE tenants (id int PRIMARY KEY);
        CREATE TABLE members (tenant int REFERENCES tenants, id int,
            who int REFERENCES users, PRIMARY KEY (tenant, id));
        CREATE TABLE tasks (id int, tenant int REFERENCES tenants, done_by int,
            seen_by int, FOREIGN KEY (tenant, done_by) REFERENCES members,
            FOREIGN KEY (tenant, seen_by) REFERENCES members);
        CREATE TABLE full_tasks (id int, tenant int, done_by int,
            FOREIGN KEY (tenant, done_by) REFERENCES members MATCH FULL);
        INSERT INTO tenants VALUES (7);
        INSERT INTO members VALUES (7, 1, 1), (7, 2, 2);
        INSERT INTO tasks VALUES (1, 7, 1, 2), (2, 7, 1, 1), (3, 7, 2, 1);
        INSERT INTO full_tasks VALUES (1, 7, 1), (2, 7, 2);""", """
edges:
  "public.members(who) -> public.users(id)": own
  "public.members(tenant) -> public.tenants(id)": {lookup: [id]}
  "public.tasks(done_by, tenant) -> public.members(id, tenant)": {actor: [id]}
  "public.tasks(seen_by, tenant) -> public.members(id, tenant)": {actor: [id]}
  "public.full_tasks(done_by, tenant) -> public.members(id, tenant)":
    actor: [id]
""")
    small.erase(1)
    assert small.ask("SELECT * FROM tasks ORDER BY 1") == [
        (1, 7, None, 2), (2, 7, None, None), (3, 7, 2, None)]
    assert small.ask("SELECT * FROM full_tasks ORDER BY 1") == [
        (1, None, None), (2, 7, 2)]
    make_keys_anew(small.postgres, small.database)


def test_references_that_are_declared_are_cleared_where_they_can_be(small):
    small.make("""
        CREATE TABLE logs (id int, ref text, data jsonb, tags int[],
            hard int NOT NULL, sum text, wanted int);
        INSERT INTO logs SELECT n, 'u', jsonb_build_object('a', jsonb_build_object(
            'it''s', n, 'b', 'x')), ARRAY[n, 2, NULL, n], n, n::text || '!', n
            FROM generate_series(1, 2) n;
        UPDATE logs SET ref = id::text;""", """
references:
  - {from: public.logs, columns: ["ref::bigint"], to: public.users(id),
     shared: down}
  - {from: public.logs, columns: ["(data->'a'->>'it''s')::bigint"],
     to: public.users(id), shared: down}
  - {from: public.logs, columns: [tags], to: public.users(id), array: true,
     shared: down}
  - {from: public.logs, columns: [hard], to: public.users(id), shared: down}
  - {from: public.logs, columns: ["rtrim(sum, '!')::int"],
     to: public.users(id), shared: down}
  - {from: public.logs, columns: [wanted], to: public.users(id), shared: down,
     erase: keep}
""")
    told = small.erase(1)
    assert small.ask("SELECT * FROM logs ORDER BY 1") == [
        (1, None, {"a": {"it's": None, "b": "x"}}, [2, None], 1, "1!", 1),
        (2, "2", {"a": {"it's": 2, "b": "x"}}, [2, 2, None, 2], 2, "2!", 2)]
    stays = {name: rest for (what, name), rest in told.items()
             if what == "stays"}
    assert {name.split("(", 1)[1].split(")")[0] for name in stays} == {
        "hard", "rtrim(sum, '!'", "wanted"}
    assert {rest[0] for rest in stays.values()} == {"1"}


def test_a_row_that_a_check_does_not_let_go_stops_it(small):
    small.make("""
        CREATE TABLE things (owner int REFERENCES users, shop int,
            CHECK (owner IS NOT NULL OR shop IS NOT NULL));
        INSERT INTO things VALUES (1, NULL), (2, NULL);""", """
edges:
  "public.things(owner) -> public.users(id)": {actor: [shop]}
""")
    with pytest.raises(Failed) as failed:
        small.erase(1)
    assert "things_check" in str(failed.value)
    assert "erase: delete" in str(failed.value)
    assert small.ask("SELECT count(*) FROM users") == [(3,)]


def test_an_object_that_others_name_stays(small):
    small.make("""
        CREATE TABLE files (owner int REFERENCES users, k text, p text);
        INSERT INTO files VALUES (1, 'mine', 'a/'), (1, 'ours', 'b/'),
            (2, 'ours', 'c/'), (2, 'b/2', NULL), (2, 'b', NULL);""", """
edges:
  "public.files(owner) -> public.users(id)": own
files:
  - {table: public.files, bucket: up, key: k}
  - {table: public.files, bucket: up, prefix: p}
""")
    told = small.erase(1)
    assert {(what, name) for what, name in told if what != "deleted"} == {
        ("object", "up/mine"), ("kept", "up/ours"), ("object", "up/a/*"),
        ("kept", "up/b/*")}


def test_rows_move_between_partitions_as_their_reference_is_cleared(small):
    small.make("""
        CREATE TABLE visits (id int, who int REFERENCES users, guide int
            REFERENCES users) PARTITION BY LIST (who);
        CREATE TABLE visits_1 PARTITION OF visits FOR VALUES IN (1);
        CREATE TABLE visits_x PARTITION OF visits DEFAULT;
        INSERT INTO visits VALUES (1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 3, 3);
        """, """
edges:
  "public.visits(who) -> public.users(id)": {actor: [id]}
  "public.visits(guide) -> public.users(id)": {actor: [id]}
""")
    small.erase(1)
    assert small.ask("SELECT * FROM visits ORDER BY id") == [
        (1, None, None), (2, None, 2), (3, 2, None), (4, 3, 3)]
    assert small.ask("SELECT count(*) FROM visits_x") == [(4,)]


def test_a_key_cannot_be_kept_that_would_refer_to_nothing(small):
    small.make("", """
edges:
  "public.a(b) -> public.users(id)": {actor: [id], erase: keep}
""")
    with pytest.raises(Failed) as failed:
        small.erase(1)
    assert "'erase: keep'" in str(failed.value)
