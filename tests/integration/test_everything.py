# SPDX-License-Identifier: Apache-2.0
"""A database with one of everything that can be defined comes back."""

import os

import psycopg
import pytest
from harness import witness
from harness.stack import COMPLETE, DEGRADED

pytestmark = pytest.mark.every_server

HERE = os.path.dirname(os.path.abspath(__file__))

# What PostgreSQL calls the kinds that its CREATE commands make, and parts of
# them. Databases, roles and tablespaces have tests of their own.
KINDS = {
    "access method", "aggregate", "cast", "collation",
    "composite type column", "conversion", "default acl", "domain constraint", "event trigger",
    "extension", "foreign table", "foreign table column",
    "foreign-data wrapper", "function", "index", "language", "large object",
    "materialized view", "materialized view column", "operator",
    "operator class", "operator family", "policy", "procedure", "publication",
    "rule", "schema", "sequence", "server", "statistics object",
    "subscription", "table", "table column", "table constraint",
    "text search configuration", "text search dictionary",
    "text search parser", "text search template", "transform", "trigger",
    "type", "user mapping", "view", "view column",
}

OBJECTS = """
    SELECT i.type, i.identity, CASE i.type
        WHEN 'subscription' THEN shobj_description(id, 'pg_subscription')
        WHEN 'large object' THEN obj_description(id, 'pg_largeobject')
        WHEN 'publication' THEN obj_description(id, 'pg_publication')
        ELSE (SELECT description FROM pg_description AS d
            WHERE d.classoid = class AND d.objoid = id AND d.objsubid = part)
        END
    FROM every.every_object, pg_identify_object(class, id, part) AS i
    ORDER BY 1, 2"""


def without_subscription(postgres, name):
    """A subscription keeps a database from being dropped."""
    if postgres.execute(name, "SELECT 1 FROM pg_subscription"
                        " JOIN pg_database d ON d.oid = subdbid"
                        " WHERE datname = current_database()"):
        postgres.execute(name, "ALTER SUBSCRIPTION every_subscription"
                         " SET (slot_name = NONE)")
        postgres.execute(name, "DROP SUBSCRIPTION every_subscription")


@pytest.fixture
def everything(postgres, database):
    for role in ("every_owner", "every_reader"):
        try:
            postgres.execute("postgres", "CREATE ROLE %s" % role)
        except psycopg.errors.DuplicateObject:
            pass
    try:
        postgres.psql(database, os.path.join(HERE, "everything.sql"))
        yield database
    finally:
        for name in postgres.databases():
            if name.startswith(database):
                without_subscription(postgres, name)


def test_one_of_everything_is_proven_and_comes_back(
        stack, postgres, everything):
    objects = postgres.execute(everything, OBJECTS)
    assert not KINDS - {kind for kind, _, _ in objects}
    stack.add_postgres("app", postgres, everything)
    # The rows of foreign tables stay where they are.
    stack.create(statuses=(DEGRADED,))
    stack.verify(statuses=(DEGRADED,))
    twin = everything + "_twin"
    stack.restore("--to", twin, "latest", "postgres/app/" + everything,
                  statuses=(COMPLETE, DEGRADED))
    assert objects == postgres.execute(twin, OBJECTS)
    before, after = (witness.database(postgres, name)
                     for name in (everything, twin))
    # What a dump says of itself once it has been restored.
    copy = witness.copied(postgres, everything, everything + "_copy")
    before["schema"] = witness.schema_dump(postgres, copy)
    assert not witness.differences(before, after)
