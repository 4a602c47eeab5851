# SPDX-License-Identifier: Apache-2.0
"""What is an organisation's, held against a walk written by hand in SQL: its
rows, what they say of other organisations' people, and its files."""

import collections
import json
import os
import re

import pytest
from harness.stack import COMPLETE
from test_walk import Walk

HERE = os.path.dirname(os.path.abspath(__file__))
MAP = os.path.join(HERE, "application/organisation.yaml")
WALK = "application/organisation.sql"
TENANTS = (1, 2, 3)

# What is given of rows that are only looked up.
PUBLIC = {
    "users": {"id", "tenant_id", "uid", "name"}, "tenants": {"id", "name"},
    "cities": {"id", "name", "country_code"},
    "countries": {"code", "name", "region_id"}, "regions": {"id", "name"},
    "products": {"id", "name", "price", "category_id"},
    "categories": {"id", "name", "parent_id"}, "teams": {"id", "name"}}

# What is given of no member.
SECRET = {"users": {"password_hash", "phone"}, "api_tokens": {"token"}}

# Where a row of the organisation says who else had to do with it.
NAMES_OTHERS = {
    ("memberships", "own", "role"), ("ticket_comments", "own", "author_name"),
    ("conversation_members", "own", "nickname"),
    ("messages", "own", "sender_ip"),
    ("message_reactions", "own", "user_name")}

MARK = re.compile(r"(?:CANARY|SECRET)-\d+")


@pytest.fixture(scope="module")
def walk(postgres):
    name = "application_organisation"
    postgres.create_database(name)
    for part in ("schema.sql", "data.sql"):
        postgres.psql(name, os.path.join(HERE, "application", part))
    yield Walk(postgres, name, MAP)
    postgres.drop_database(name)


def sql(walk, statement):
    return walk.postgres.execute(walk.database, statement)


def members(walk, tenant):
    """Their marks."""
    return {"CANARY-%d" % n for n, in sql(
        walk, "SELECT id FROM users WHERE tenant_id = %d" % tenant)}


def bare(table):
    """Partitions are their table; a child by inheritance is its own."""
    table = table.split(".")[-1]
    return re.sub("^(payments|events|visits)_.*", r"\1", table)


def said(table, decided, row):
    """Whose marks stand in which columns, as often as they do."""
    return collections.Counter(
        (bare(table), decided, column, mark)
        for column, value in row.items()
        for mark in MARK.findall(json.dumps(value)))


def said_by_hand(walk, places):
    """The same of the rows as the server has them."""
    found = collections.Counter()
    for rel in {rel for rel, _ in places}:
        name, = sql(walk, "SELECT %s::regclass::text" % rel)[0]
        for tid, row in sql(walk, "SELECT ctid::text, to_jsonb(t)"
                            " FROM ONLY %s t" % name):
            decided = places.get((rel, tid))
            if decided == "lookup":
                row = {column: row[column] for column in PUBLIC[bare(name)]}
            for column in SECRET.get(bare(name), ()):
                row.pop(column, None)
            if decided is not None:
                found += said(name, decided, row)
    return found


@pytest.mark.parametrize("tenant", TENANTS)
def test_an_organisation_has_the_rows_that_sql_by_hand_finds(walk, tenant):
    found = walk.places(tenant)
    assert found == walk.expected(WALK, tenant)
    assert len(walk.rows(tenant)) == len(found) > 1000
    assert set(found.values()) == {"own", "lookup"}
    assert not walk.omitted


@pytest.mark.parametrize("tenant", TENANTS)
def test_of_other_organisations_people_there_is_what_is_public(walk, tenant):
    found = collections.Counter()
    for table, decided, row in walk.rows(tenant):
        found += said(table, decided, row)
        if decided == "lookup":
            assert set(row) <= PUBLIC[bare(table)], table
        assert not SECRET.get(bare(table), set()) & set(row), table
    assert found == said_by_hand(walk, walk.expected(WALK, tenant))
    its_own = members(walk, tenant) | {"CANARY-0"}
    named = {(table, decided, column) for table, decided, column, mark in found
             if mark.startswith("CANARY") and mark not in its_own}
    assert named == NAMES_OTHERS | {("users", "lookup", "name")}
    assert {mark for table, _, _, mark in found if table == "users"} >= \
        members(walk, tenant)
    assert not [mark for *_, mark in found if mark.startswith("SECRET")]


# ---- its files ----

OBJECTS = """
SELECT %(mine)s, avatar_key FROM users WHERE avatar_key IS NOT NULL
UNION ALL SELECT %(of_user)s, object_key FROM uploads
UNION ALL SELECT %(of_user)s, 'thumbs/' || id || '/small' FROM uploads
UNION ALL SELECT %(of_user)s, 'thumbs/' || id || '/large/2x' FROM uploads
UNION ALL SELECT CASE owner_type
    WHEN 'User' THEN owner_id IN (
        SELECT id FROM users WHERE tenant_id = %(tenant)d)
    ELSE owner_id IN (
        SELECT m.id FROM messages m JOIN conversations c
            ON c.id = m.conversation_id
        JOIN users u ON u.id = c.created_by
        WHERE u.tenant_id = %(tenant)d) END, file_key FROM attachments"""


def test_the_files_of_an_organisation_are_its_own_and_no_others(
        walk, stack, minio, s3, bucket):
    tenant = 2
    objects = sql(walk, OBJECTS % {
        "tenant": tenant, "mine": "tenant_id = %d" % tenant,
        "of_user": "user_id IN (SELECT id FROM users WHERE tenant_id = %d)"
        % tenant})
    expected = {key: key.encode() for is_its_own, key in objects if is_its_own}
    assert 30 < len(expected) < len(objects) / 2
    for _, key in objects:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    stack.add_postgres("app", walk.postgres, walk.database)
    stack.add_bucket("uploads", minio, bucket=bucket)
    folder = stack.path("out")
    done = stack.run("backup-export", "run", "--json", "--map", MAP,
                     "--subject", str(tenant), folder)
    assert done.status == COMPLETE, str(done)
    top = os.path.join(folder, "files", "uploads")
    found = {}
    for at, _, names in os.walk(top):
        for name in names:
            path = os.path.join(at, name)
            with open(path, "rb") as data:
                found[os.path.relpath(path, top)] = data.read()
    assert found == expected
    assert done.result["files"] == len(expected)
    assert not os.path.exists(os.path.join(folder, "shared-files"))
