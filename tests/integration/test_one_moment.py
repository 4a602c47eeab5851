# SPDX-License-Identifier: Apache-2.0
"""All of an export is of one moment: what is committed while it runs, into
tables that it has read and into tables that it has yet to read, is not in
it, and what is deleted is."""

import json
import os

import pytest
from harness.stack import COMPLETE, finish

# The run waits in the middle, where it looks at the type of a reference, as
# long as somebody holds this lock.
LOCK = 4711

SCHEMA = """
CREATE FUNCTION is_looked_at(int) RETURNS bool LANGUAGE plpgsql AS
    $$BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(%d);
      RETURN true; END$$;
CREATE TABLE users (id int PRIMARY KEY, name text, email text UNIQUE);
CREATE TABLE early (id int PRIMARY KEY, user_id int REFERENCES users,
    body text) PARTITION BY HASH (id);
CREATE TABLE early_0 PARTITION OF early
    FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE early_1 PARTITION OF early
    FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE gates (id int PRIMARY KEY, user_id int);
CREATE TABLE late (id int PRIMARY KEY, email text, body text);
CREATE TABLE products (id int PRIMARY KEY, name text);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users,
    body text);
CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders,
    early_id int REFERENCES early, product_id int REFERENCES products,
    body text);
CREATE TABLE messages (id int PRIMARY KEY, author int REFERENCES users,
    reader int REFERENCES users, body text);
CREATE TABLE blocks (id int PRIMARY KEY, creator int REFERENCES users,
    body text);
INSERT INTO users VALUES (1, 'BEFORE', 'a@b'), (2, 'Bob', 'b@b');
INSERT INTO gates VALUES (1, 1);
INSERT INTO products SELECT n, 'BEFORE' FROM generate_series(1, 9) n;
INSERT INTO early SELECT n, 1, 'BEFORE' FROM generate_series(1, 9) n;
INSERT INTO late SELECT n, 'a@b', 'BEFORE' FROM generate_series(1, 9) n;
INSERT INTO orders SELECT n, 1, 'BEFORE' FROM generate_series(1, 9) n;
INSERT INTO items SELECT n, n, NULL, n, 'BEFORE' FROM generate_series(1, 9) n;
INSERT INTO messages SELECT n, 1, 2, 'BEFORE' FROM generate_series(1, 9) n;
INSERT INTO blocks SELECT n, 1, 'BEFORE' FROM generate_series(1, 9) n;
""" % LOCK

MAP = """
version: 1
subject: {table: public.users, key: [id]}
edges:
  "public.early(user_id) -> public.users(id)": own
  "public.orders(user_id) -> public.users(id)": own
  "public.items(order_id) -> public.orders(id)": own
  "public.items(early_id) -> public.early(id)": own
  "public.items(product_id) -> public.products(id)": {lookup: [id, name]}
  "public.messages(author) -> public.users(id)": shared
  "public.messages(reader) -> public.users(id)": shared
  "public.blocks(creator) -> public.users(id)": {actor: [id, body]}
references:
  - {from: public.gates, columns: [user_id], to: public.users(id),
     when: public.is_looked_at(id), own: down}
  - {from: public.late, columns: [email], to: public.users(email),
     own: down}
tables:
""" + "".join("  public.%s: {origin: provided}\n" % name for name in (
    "users", "early", "gates", "late", "orders", "items", "messages",
    "blocks"))

# In one transaction, as an application would.
CHANGES = """
BEGIN;
INSERT INTO products VALUES (100, 'AFTER');
INSERT INTO early VALUES (100, 1, 'AFTER');
INSERT INTO late VALUES (100, 'a@b', 'AFTER');
INSERT INTO orders VALUES (100, 1, 'AFTER');
INSERT INTO items VALUES (100, 1, NULL, 100, 'AFTER'),
    (101, 100, NULL, 1, 'AFTER'), (102, NULL, 1, 2, 'AFTER');
INSERT INTO messages VALUES (100, 2, 1, 'AFTER');
INSERT INTO blocks VALUES (100, 1, 'AFTER');
DELETE FROM items WHERE id IN (2, 3);
DELETE FROM orders WHERE id = 2;
DELETE FROM early WHERE id = 2;
DELETE FROM late WHERE id = 2;
DELETE FROM messages WHERE id = 2;
DELETE FROM blocks WHERE id = 2;
DELETE FROM products WHERE id = 3;
UPDATE users SET name = 'AFTER' WHERE id = 1;
UPDATE early SET body = 'AFTER' WHERE id = 4;
UPDATE late SET email = 'b@b', body = 'AFTER' WHERE id = 4;
UPDATE orders SET user_id = 2 WHERE id = 4;
UPDATE messages SET body = 'AFTER' WHERE id = 4;
UPDATE products SET name = 'AFTER' WHERE id = 5;
COMMIT;
"""

NINE = set(range(1, 10))
BEFORE = {"early": NINE, "late": NINE, "orders": NINE, "items": NINE,
          "messages": NINE, "blocks": NINE, "products": NINE,
          "users": {1}, "gates": {1}}
AFTER = {"early": NINE - {2} | {100}, "late": NINE - {2, 4} | {100},
         "orders": NINE - {2, 4} | {100},
         "items": NINE - {2, 3, 4} | {100, 101, 102},
         "messages": NINE - {2} | {100}, "blocks": NINE - {2} | {100},
         "products": NINE - {3, 4} | {100}, "users": {1}, "gates": {1}}

WAITING = """
SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory'
AND objid = %d AND NOT granted""" % LOCK


class Export:
    """A folder that was written, and what of which table is in it."""

    def __init__(self, folder):
        with open(os.path.join(folder, "manifest.json")) as text:
            self.manifest = json.load(text)
        self.rows = {}
        for table in self.manifest["tables"]:
            with open(os.path.join(folder, table["file"]["name"])) as lines:
                rows = [json.loads(line) for line in lines]
            assert table["rows"] == len(rows)
            self.rows[table["table"].split(".")[1]] = rows
        self.ids = {name: {row["id"] for row in rows}
                    for name, rows in self.rows.items()}
        self.bytes = b""
        for top, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(top, name), "rb") as data:
                    self.bytes += data.read()


@pytest.fixture(name="start")
def _start(stack, postgres, database):
    for name, text in (("schema.sql", SCHEMA), ("map.yaml", MAP)):
        with open(stack.path(name), "w", encoding="utf-8") as out:
            out.write(text)
    postgres.psql(database, stack.path("schema.sql"))
    stack.add_postgres("app", postgres, database)
    return lambda name: stack.start(
        "backup-export", "run", "--json", "--csv", "--map",
        stack.path("map.yaml"), "--subject", "1", stack.path(name))


def test_what_changes_while_it_runs_is_of_another_moment(
        start, stack, postgres, database):
    with postgres.connect(database) as other:
        other.execute("SELECT pg_advisory_lock(%d)" % LOCK)
        run = start("first")
        postgres.server.wait_until(
            lambda: run.poll() is not None or
            postgres.execute(database, WAITING)[0][0])
        assert run.poll() is None, str(finish(run))
        other.execute(CHANGES)
    done = finish(run)
    assert done.status == COMPLETE, str(done)
    first = Export(stack.path("first"))
    assert first.ids == BEFORE
    assert done.result["rows"] == sum(map(len, BEFORE.values()))
    assert b"AFTER" not in first.bytes
    # Seen it would have been.
    done = finish(start("second"))
    assert done.status == COMPLETE, str(done)
    second = Export(stack.path("second"))
    assert second.ids == AFTER
    assert second.rows["users"][0]["name"] == "AFTER"
    assert second.manifest["time"] > first.manifest["time"]
