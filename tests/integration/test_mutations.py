# SPDX-License-Identifier: Apache-2.0
"""backup-verify is tested as tests are: by planting mistakes. For each kind of
damage (mutations/kinds.py) it has to say no, and what is wrong; and where
nothing is wrong, yes."""

import os

import pytest
from harness.stack import COMPLETE, FAILED, Stack
from mutations import kinds

HERE = os.path.dirname(os.path.abspath(__file__))
DATABASE = "mutated"
ROLES = ("mut_owner", "mut_reader", "mut_idle")

SQL = [kind for group in (
    kinds.ROWS, kinds.LARGE_OBJECTS, kinds.TABLES, kinds.CONSTRAINTS,
    kinds.CODE, kinds.RIGHTS, kinds.DATABASES) for kind in group]


def _say_no(result, says):
    """Not proven, and one line has all of these words in their order."""
    assert result.status == FAILED, str(result)
    assert not result.result["is_proven"]
    lines = ["%s: %s" % (check["name"], check["what"])
             for check in result.of_type("check")
             if check["status"] == "fail"]
    for line in lines:
        at = 0
        for word in says.split():
            at = line.find(word, at)
            if at < 0:
                break
            at += len(word)
        else:
            return lines
    pytest.fail("no line says '%s':\n%s" % (says, "\n".join(lines)))


@pytest.fixture(scope="module")
def host(postgres, session_folder):
    """A backup of everything that is damaged below."""
    folder = os.path.join(session_folder, "mutations")
    os.mkdir(folder)
    stack = Stack(os.path.join(os.environ["top_builddir"], "tools"), folder)
    for role in ROLES:
        postgres.execute("postgres", "CREATE ROLE %s" % role)
    postgres.execute("postgres", "ALTER ROLE mut_owner LOGIN;"
                     "GRANT mut_reader TO mut_owner")
    postgres.create_database(DATABASE)
    postgres.psql(DATABASE, os.path.join(HERE, "mutations", "schema.sql"))
    for statement in (
            "ALTER DATABASE {db} SET work_mem = '7MB'",
            "COMMENT ON DATABASE {db} IS 'everything'",
            "GRANT CONNECT ON DATABASE {db} TO mut_reader"):
        postgres.execute(DATABASE, statement.replace("{db}", DATABASE))
    stack.add_postgres("app", postgres, DATABASE)
    stack.init()
    stack.create()
    yield stack
    postgres.drop_database(DATABASE)
    for role in ROLES:
        postgres.execute("postgres", "DROP ROLE %s" % role)


def _verify(host, *args, **options):
    return host.admin("backup-verify", "--json", "--live", *args, **options)


@pytest.mark.parametrize("kind", SQL, ids=lambda kind: kind.name)
def test_damage_to_a_database(host, postgres, kind):
    postgres.execute(DATABASE, kind.do.replace("{db}", DATABASE))
    try:
        _say_no(_verify(host, "latest", "postgres/app"), kind.says)
    finally:
        postgres.execute(DATABASE, kind.undo.replace("{db}", DATABASE))


def test_no_damage(host):
    """Also: everything above was undone, so each was found for what it is."""
    assert _verify(host).status == COMPLETE
