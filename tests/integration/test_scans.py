# SPDX-License-Identifier: Apache-2.0
"""What an export of one person makes the server read: where there are indexes
no table is gone through for the rows of a few, and none twice."""

import json
import os
import re

import pytest
from harness import peak
from harness.stack import COMPLETE, patience

ROWS = 20000
PAGES = 20  # pages that a table has of its own, of 1,000 rows each

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users);
CREATE INDEX ON orders (user_id);
CREATE TABLE items (order_id int REFERENCES orders, n int, text text,
    PRIMARY KEY (order_id, n));
CREATE TABLE notes (item_order int, item_n int, text text,
    FOREIGN KEY (item_order, item_n) REFERENCES items (order_id, n));
CREATE INDEX ON notes (item_order, item_n);
CREATE TABLE messages (id int PRIMARY KEY, author int REFERENCES users,
    reader int REFERENCES users, topic int);
CREATE INDEX ON messages (author);
CREATE INDEX ON messages (reader);
CREATE TABLE topics (id int PRIMARY KEY, name text);
ALTER TABLE messages ADD FOREIGN KEY (topic) REFERENCES topics;
CREATE TABLE mails (id int PRIMARY KEY, recipient text);
CREATE INDEX ON mails (recipient);
CREATE TABLE groups (id int PRIMARY KEY, members int[]);
CREATE INDEX ON groups USING gin (members);
CREATE TABLE events (id int PRIMARY KEY, kind text, data jsonb);
CREATE INDEX ON events (((data->>'user')::int)) WHERE kind = 'user';
CREATE TABLE remarks (id int PRIMARY KEY, about_type text, about_id int);
CREATE INDEX ON remarks (about_id);
INSERT INTO users SELECT n, n || '@x' FROM generate_series(1, %(rows)d) n;
INSERT INTO orders SELECT n, n FROM generate_series(1, %(rows)d) n;
INSERT INTO items SELECT n, 1, 't' FROM generate_series(1, %(rows)d) n;
INSERT INTO notes SELECT n, 1, 't' FROM generate_series(1, %(rows)d) n;
INSERT INTO topics SELECT n, 't' FROM generate_series(1, %(rows)d) n;
INSERT INTO messages SELECT n, n, n %% %(rows)d + 1, n
    FROM generate_series(1, %(rows)d) n;
INSERT INTO mails SELECT n, n || '@x' FROM generate_series(1, %(rows)d) n;
INSERT INTO groups SELECT n, ARRAY[n, n + 1]
    FROM generate_series(1, %(rows)d) n;
INSERT INTO events SELECT n, CASE WHEN n %% 2 = 0 THEN 'user' ELSE 'host' END,
    jsonb_build_object('user', n) FROM generate_series(1, %(rows)d) n;
INSERT INTO remarks SELECT n, CASE WHEN n %% 2 = 0 THEN 'user' ELSE 'order' END,
    n FROM generate_series(1, %(rows)d) n;
INSERT INTO orders SELECT n, 5 FROM generate_series(100001, 120051) n;
VACUUM ANALYZE;
""" % {"rows": ROWS}

OWN = """
  - {from: public.mails, columns: [recipient], to: public.users(email), own: down}
  - {from: public.groups, columns: [members], array: true, to: public.users(id),
     own: down}
  - {from: public.events, columns: ["(data->>'user')::int"],
     when: kind = 'user', to: public.users(id), own: down}
  - {from: public.remarks, columns: [about_id], when: about_type = 'user',
     to: public.users(id), own: down}
  - {from: public.remarks, columns: [about_id], when: about_type = 'order',
     to: public.orders(id), own: down}
"""

MAP = """
version: 1
subject: {table: public.users, key: [id]}
edges:
  "public.orders(user_id) -> public.users(id)": own
  "public.items(order_id) -> public.orders(id)": own
  "public.notes(item_order, item_n) -> public.items(order_id, n)": own
  "public.messages(author) -> public.users(id)": shared
  "public.messages(reader) -> public.users(id)": shared
  "public.messages(topic) -> public.topics(id)": {lookup: [name]}
references:%s
tables:
%s""" % (OWN, "".join(
    "  public.%s: {origin: provided}\n" % name for name in (
        "users", "orders", "items", "notes", "messages", "mails", "groups",
        "events", "remarks")))

SCANS = """
SELECT relname, seq_scan FROM pg_stat_user_tables WHERE schemaname = 'public'
"""

# A session tells what it did when it ends.
ALONE = """
SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database()
"""


def scans(postgres, database):
    postgres.server.wait_until(
        lambda: postgres.execute(database, ALONE)[0][0])
    return dict(postgres.execute(database, SCANS))


@pytest.fixture(name="export")
def _export(stack, postgres, database):
    paths = {}
    for name, text in (("schema.sql", SCHEMA), ("map.yaml", MAP)):
        paths[name] = stack.path(name)
        with open(paths[name], "w", encoding="utf-8") as out:
            out.write(text)
    postgres.psql(database, paths["schema.sql"])
    stack.add_postgres("app", postgres, database)

    def run(subject, most=None):
        """most: how many MiB it may take."""
        folder = stack.path("out")
        words = ["run", "--map", paths["map.yaml"], "--subject", subject,
                 "--no-encryption", "--format", "folder", folder]
        if most is None:
            done = stack.run("backup-export", *words)
            assert done.status == COMPLETE, str(done)
        else:
            _, used = peak.run(
                stack.commands.argv("backup-export", "--config", stack.config,
                                    *words), env=stack.commands.env)
            # Of which a sanitizer has its share.
            assert 1024 < used < most * 1024 * patience(1), used
        return folder

    return run


def rows(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_no_table_is_gone_through_for_one_person(export, postgres, database):
    before = scans(postgres, database)
    folder = export("8")
    after = scans(postgres, database)
    assert {name: after[name] - before[name] for name in after
            if after[name] != before[name]} == {}
    found = {name: len(rows(folder, name)) for name in (
        "own/public.%s.ndjson" % table for table in (
            "users", "orders", "items", "notes", "mails", "groups", "events",
            "remarks"))}
    assert found == {**{name: 1 for name in found},
                     "own/public.groups.ndjson": 2}
    assert len(rows(folder, "shared/public.messages.ndjson")) == 2
    assert len(rows(folder, "lookup/public.topics.ndjson")) == 2


def test_people_turn_twenty_pages_of_a_table(export):
    folder = export("5", most=40)
    pages = sorted(os.listdir(os.path.join(folder, "pages")), key=lambda name:
                   int(name.split(".")[-2]))
    ids = [row["id"] for row in rows(folder, "own/public.orders.ndjson")]
    assert len(ids) == 1 + 20051 and len(pages) == PAGES
    shown = []
    for number, name in enumerate(pages, 1):
        with open(os.path.join(folder, "pages", name)) as page:
            text = page.read()
        assert "page %d of %d" % (number, PAGES) in text
        of_page = re.findall("<tr><td>([0-9]+)</td>", text)
        assert len(of_page) == 1000
        shown += of_page
    assert "All other rows are in own/public.orders.ndjson." in text
    assert shown == [str(n) for n in ids[:PAGES * 1000]]
    with open(os.path.join(folder, "index.html")) as page:
        assert "All 20052 rows" in page.read()
