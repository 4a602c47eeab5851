# SPDX-License-Identifier: Apache-2.0
"""An organisation of an application of 51 tables moves: out, in, and out
again."""

import json
import os

import pytest
from harness.stack import COMPLETE, FAILED

HERE = os.path.dirname(os.path.abspath(__file__))
MAP = os.path.join(HERE, "application/organisation.yaml")
PERSON = os.path.join(HERE, "application/map.yaml")
TENANT = 2
PUBLIC = {"id", "tenant_id", "uid", "name"}


def filled(*columns):
    return [option for column, sql in columns
            for option in ("--fill", "public.%s=%s" % (column, sql))]


# What no export has, and what nobody knows of the guests of an organisation.
CREDENTIALS = filled(("users.password_hash", "'none'"),
                     ("api_tokens.token", "'none'"))
GUESTS = CREDENTIALS + filled(
    ("users.email", "pg_catalog.gen_random_uuid()::text"),
    ("users.state", "'new'"), ("users.created_at", "'2026-01-01'"))


def run_sql(postgres, database, *names):
    for name in names:
        postgres.psql(database, os.path.join(HERE, "application", name))


@pytest.fixture(scope="module")
def full(postgres):
    name = "application_import"
    postgres.create_database(name)
    run_sql(postgres, name, "schema.sql", "data.sql")
    yield name
    postgres.drop_database(name)


class Move:
    """An application with data, an empty one, and what lies between."""

    def __init__(self, postgres, full, empty, stack):
        self.postgres, self.stack = postgres, stack
        self.full, self.empty = full, empty
        run_sql(postgres, empty, "schema.sql")
        stack.add_postgres("old", postgres, full)
        stack.add_postgres("new", postgres, empty)

    def export(self, source, name, subject=str(TENANT), map_file=MAP):
        path = self.stack.path(name)
        done = self.stack.run(
            "backup-export", "run", "--source", source, "--map", map_file,
            "--subject", subject, "--audit", self.stack.path("audit"),
            "--no-files", path)
        assert done.status == COMPLETE, str(done)
        return Export(path)

    def load(self, path, *args, status=COMPLETE):
        done = self.stack.run(
            "backup-import", "--json", "--source", "postgres/new", *args,
            path)
        assert done.status == status, str(done)
        return done

    def sql(self, statement):
        return self.postgres.execute(self.empty, statement)


class Export:
    """The rows of an export in a folder."""

    def __init__(self, path):
        self.path = path
        with open(os.path.join(path, "manifest.json"),
                  encoding="utf-8") as text:
            self.manifest = json.load(text)
        self.tables = {}
        for table in self.manifest["tables"]:
            with open(os.path.join(path, table["file"]["name"]),
                      encoding="utf-8") as lines:
                self.tables[table["decision"], table["table"]] = [
                    json.loads(line) for line in lines]


@pytest.fixture
def move(postgres, full, database, stack):
    return Move(postgres, full, database, stack)


def test_the_map_of_the_organisation_decides_everything(move):
    done = move.stack.run("backup-export", "check", "--source",
                          "postgres/old", "--map", MAP)
    assert done.status == COMPLETE, str(done)


def test_an_organisation_of_an_application_moves_and_is_equal(move):
    first = move.export("postgres/old", "one")
    assert len(first.tables) > 45
    guests = first.tables["lookup", "public.users"]
    assert guests and all(set(row) == PUBLIC for row in guests)
    said = str(move.load(first.path, status=FAILED))
    for column in ("users.password_hash", "api_tokens.token"):
        assert "public.%s: it must have a value" % column in said
    said = str(move.load(first.path, *GUESTS, status=FAILED))
    assert "public.messages(reply_to) -> public.messages(id): " in said
    assert "--null-missing" in said
    said = str(move.load(first.path, "--null-missing", *CREDENTIALS,
                         status=FAILED))
    assert "email, state, created_at; load these" in said
    done = move.load(first.path, "--null-missing", *GUESTS)
    lost = [row for row in first.tables["own", "public.messages"]
            if row["reply_to"] is not None and row["reply_to"] not in {
                other["id"]
                for other in first.tables["own", "public.messages"]}]
    assert lost and done.result["nulled"] == len(lost)
    for row in lost:
        row["reply_to"] = None
    assert done.result["rows"] == sum(map(len, first.tables.values()))
    second = move.export("postgres/new", "two")
    assert second.tables == first.tables


# ---- new keys ----

FRESH = {"tenants", "users", "addresses", "orders", "invoices", "payments",
         "events", "visits", "documents", "contracts", "blocks", "tickets",
         "ticket_comments", "invitations", "conversations", "messages",
         "groups", "attachments", "notes", "wallets", "cards", "plans",
         "steps", "tasks", "folders", "employees", "uploads", "devices",
         "device_pings", "api_tokens"}


def references(postgres, database):
    """{table: [(columns, parent, its columns)]}, by the catalogue."""
    found = {}
    for child, columns, parent, theirs in postgres.execute(database, """
            SELECT conrelid::regclass::text, (SELECT array_agg(attname::text
                ORDER BY o) FROM unnest(conkey) WITH ORDINALITY k(n, o)
                JOIN pg_attribute ON attrelid = conrelid AND attnum = n),
            confrelid::regclass::text, (SELECT array_agg(attname::text
                ORDER BY o) FROM unnest(confkey) WITH ORDINALITY k(n, o)
                JOIN pg_attribute ON attrelid = confrelid AND attnum = n)
            FROM pg_constraint WHERE contype = 'f'"""):
        found.setdefault(child, []).append((columns, parent, theirs))
    return found


class Renaming:
    """Which key became which, by the order of rows alone."""

    def __init__(self, first, second, postgres, database):
        self.references = references(postgres, database)
        self.new = {}
        for (decision, table), rows in first.tables.items():
            name = table.replace("public.", "")
            if name not in FRESH:
                continue
            others = second.tables[decision, table]
            assert len(rows) == len(others)
            for row, other in zip(rows, others):
                assert self.new.setdefault(
                    (name, str(row["id"])), other["id"]) == other["id"]
        assert len(set(self.new.values())) > 1
        for name in FRESH:
            keys = [new for (table, _), new in self.new.items()
                    if table == name]
            assert len(set(map(str, keys))) == len(keys)

    def key(self, table, old):
        return self.new[table, str(old)] if old is not None else None

    def row(self, table, row):
        name = table.replace("public.", "")
        new = dict(row)
        for columns, parent, theirs in self.references.get(name, ()):
            for column, other in zip(columns, theirs):
                if other == "id" and parent in FRESH and column in row:
                    new[column] = self.key(parent, row[column])
                if other == "tenant_id" and column in row:
                    new[column] = self.key("tenants", row[column])
        if name in FRESH:
            new["id"] = self.key(name, row["id"])
        if name in ("visits", "sessions"):
            new["user_id"] = self.key("users", row["user_id"])
        if name == "events":
            new["payload"] = dict(row["payload"], user_id=str(
                self.key("users", row["payload"]["user_id"])))
        if name == "notes":
            new["user_ref"] = str(self.key("users", row["user_ref"]))
        if name == "attachments":
            new["owner_id"] = str(self.key(
                {"User": "users", "Message": "messages"}[row["owner_type"]],
                row["owner_id"]))
        return new


def canonical(rows):
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_new_keys_reach_every_reference_of_an_application(move):
    for table in FRESH - {"contracts"}:
        move.sql("CREATE SEQUENCE %s_new START 5000; ALTER TABLE %s ALTER id"
                 " SET DEFAULT nextval('%s_new')" % ((table,) * 3))
    move.sql("ALTER TABLE contracts ALTER id"
             " SET DEFAULT nextval('documents_new')")
    first = move.export("postgres/old", "one")
    done = move.load(first.path, "--remap-keys", "--null-missing", *GUESTS)
    assert done.result["unfollowed"] == 0
    own = {row["id"] for row in first.tables["own", "public.messages"]}
    for row in first.tables["own", "public.messages"]:
        if row["reply_to"] not in own:
            row["reply_to"] = None
    tenant, = move.sql("SELECT id FROM tenants WHERE name = 'Tenant %d'"
                       % TENANT)
    second = move.export("postgres/new", "two", str(tenant[0]))
    assert set(second.tables) == set(first.tables)
    renaming = Renaming(first, second, move.postgres, move.full)
    for (decision, table), rows in first.tables.items():
        expected = [renaming.row(table, row) for row in rows]
        found = second.tables[decision, table]
        if table == "public.sessions":  # a key of type uuid is a random one
            old, new = ([row.pop("token") for row in x]
                        for x in (expected, found))
            assert len(set(old + new)) == len(old) + len(new)
        assert canonical(expected) == canonical(found), table
    assert not [row for row in second.tables["own", "public.users"]
                if int(row["id"]) < 5000]


# ---- one person ----

def test_a_person_s_export_is_loaded_as_far_as_it_is_theirs(move):
    """Made to be read: much is left out, masked or a pseudonym."""
    first = move.export("postgres/old", "one", "7", map_file=PERSON)
    args = ["--with", "shared", "--null-missing"]
    args += CREDENTIALS + filled(
        ("sessions.token", "pg_catalog.gen_random_uuid()"),
        ("invitations.sent_by", "7"))
    said = str(move.load(first.path, *args, status=FAILED))
    for words in ("public.messages.sender_id (pseudonyms of other people): ",
                  "public.blocks(blocked_by) -> public.users(id): 1 rows",
                  "became NULL"):
        assert words in said
    left = {"public.messages", "public.message_reactions",
            "public.ticket_comments", "public.blocks"}
    for table in left:
        args += ["--leave-out", table]
    said = str(move.load(first.path, *args, status=FAILED))
    assert "loading public.countries: " in said and "region_id" in said
    move.sql("INSERT INTO regions VALUES (1, 'North'), (2, 'South');"
             "INSERT INTO countries VALUES ('AA', 'Aland', 1),"
             " ('BB', 'Bland', 1), ('CC', 'Cland', 2)")
    move.load(first.path, *args)
    # Who the person is in what is shared is known again; others are nobody.
    for statement in (
            "SELECT id FROM conversations WHERE created_by = 7 ORDER BY id",
            "SELECT id, array_position(member_uids, (SELECT uid FROM users"
            " WHERE id = 7)) FROM groups WHERE (SELECT uid FROM users"
            " WHERE id = 7) = ANY (member_uids) ORDER BY id"):
        here = move.sql(statement)
        assert here and here == move.postgres.execute(move.full, statement)
    assert move.sql("SELECT count(*) FROM conversations"
                    " WHERE created_by <> 7") == [(0,)]
    second = move.export("postgres/new", "two", "7", map_file=PERSON)
    lost = {"phone", "invited_by", "sent_by", "accepted_by", "resolved_by"}
    for (decision, table), rows in first.tables.items():
        if decision == "own" and table not in left:
            assert [{k: v for k, v in row.items() if k not in lost}
                    for row in rows] == [
                {k: v for k, v in row.items() if k not in lost}
                for row in second.tables[decision, table]], table
