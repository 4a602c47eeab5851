# SPDX-License-Identifier: Apache-2.0
"""backup-verify is tested as tests are: by planting mistakes. For each kind of
damage (mutations/kinds.py) it has to say no, and what is wrong; and where
nothing is wrong, yes. BACKUP_TEST_EVERY=N plants every N-th of the kinds of a database,
for builds in which each takes its time."""

import os
import shutil
import threading

import pytest
from harness.minio import empty_bucket, remove_bucket
from harness.stack import COMPLETE, FAILED, Stack
from mutations import kinds, places

HERE = os.path.dirname(os.path.abspath(__file__))
DATABASE, BUCKET = "mutated", "mutated"
ROLES = ("mut_owner", "mut_reader", "mut_idle")

SQL = [kind for group in (
    kinds.ROWS, kinds.LARGE_OBJECTS, kinds.TABLES, kinds.CONSTRAINTS,
    kinds.CODE, kinds.RIGHTS, kinds.DATABASES) for kind in group]
EVERY = int(os.environ.get("BACKUP_TEST_EVERY", "1"))


def _lines(result, status="fail"):
    return ["%s: %s" % (check["name"], check["what"])
            for check in result.of_type("check") if check["status"] == status]


def _say_no(result, says):
    """Not proven, and one line has all of these words in their order."""
    assert result.status == FAILED, str(result)
    assert not result.result["is_proven"]
    lines = _lines(result)
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
def host(postgres, minio, s3, session_folder):
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
    s3.create_bucket(Bucket=BUCKET)
    places.fill_bucket(s3, BUCKET)
    places.fill_folder(stack.path("data"))
    stack.add_postgres("app", postgres, DATABASE)
    stack.add_bucket("up", minio, bucket_name=BUCKET)
    stack.add("files", "data", paths=[stack.path("data")])
    stack.init()
    stack.create()
    yield stack
    remove_bucket(s3, BUCKET)
    postgres.drop_database(DATABASE)
    for role in ROLES:
        postgres.execute("postgres", "DROP ROLE %s" % role)


def _verify(host, *args, **options):
    return host.admin("backup-verify", "--json", "--live", *args, **options)


def test_there_are_kinds_enough():
    assert len(SQL) + len(places.OBJECTS) + len(places.FILES) >= 140
    names = [kind.name for kind in SQL + places.OBJECTS + places.FILES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", SQL[::EVERY], ids=lambda kind: kind.name)
def test_damage_to_a_database(host, postgres, kind):
    postgres.execute(DATABASE, kind.do.replace("{db}", DATABASE))
    try:
        _say_no(_verify(host, "latest", "postgres/app"), kind.says)
    finally:
        postgres.execute(DATABASE, kind.undo.replace("{db}", DATABASE))


@pytest.mark.parametrize("kind", places.OBJECTS, ids=lambda kind: kind.name)
def test_damage_to_a_bucket(host, s3, kind):
    kind.do(s3, BUCKET)
    try:
        _say_no(_verify(host, "latest", "bucket/up"), kind.says)
    finally:
        empty_bucket(s3, BUCKET)
        places.fill_bucket(s3, BUCKET)


@pytest.mark.parametrize("kind", places.FILES, ids=lambda kind: kind.name)
def test_damage_to_a_folder(host, kind):
    kind.do(host.path("data"))
    try:
        _say_no(_verify(host, "latest", "files/data"), kind.says)
    finally:
        places.fill_folder(host.path("data"))


def test_no_damage(host):
    """Also: everything above was undone, so each was found for what it is."""
    result = _verify(host)
    assert result.status == COMPLETE, str(result)


def test_an_extension_of_another_version(host, postgres):
    """It is what the packages of a server make it: no damage, but told."""
    postgres.execute(DATABASE, "ALTER EXTENSION pg_trgm UPDATE TO '1.5'")
    try:
        result = _verify(host, "latest", "postgres/app")
        assert result.result["except"] == ["postgres/app/mutated/extensions"]
        assert "pg_trgm 1.4 there, 1.5 here" in _lines(result, "skip")[0]
    finally:
        postgres.execute(DATABASE, "DROP EXTENSION pg_trgm;"
                         "CREATE EXTENSION pg_trgm VERSION '1.4'")


# ---- all of it ----

def _rename(postgres, name, other):
    postgres.execute("postgres", "ALTER DATABASE %s RENAME TO %s"
                     % (name, other))


def test_an_empty_database(host, postgres):
    _rename(postgres, DATABASE, "mutated_away")
    try:
        postgres.create_database(DATABASE)
        result = _verify(host, "latest", "postgres/app")
        for says in ("data/public.customer not found", "data/public.log_a",
                     "largeobjects/4711 not found", "ticket 4200"):
            _say_no(result, says)
    finally:
        postgres.drop_database(DATABASE)
        _rename(postgres, "mutated_away", DATABASE)


def test_no_database(host, postgres):
    _rename(postgres, DATABASE, "mutated_away")
    try:
        result = _verify(host, "latest", "postgres/app")
        assert result.status == FAILED and DATABASE in result.err, str(result)
    finally:
        _rename(postgres, "mutated_away", DATABASE)


def test_an_old_snapshot(host):
    """All of it is right, and yesterday's."""
    for _ in range(100):  # it is too old as soon as a second has gone by
        result = _verify(host, "--max-age", "1s", "latest", "files/data")
        if result.status != COMPLETE:
            break
    _say_no(result, "age")
    assert _verify(host, "--max-age", "1d", "latest",
                   "files/data").status == COMPLETE


def test_bytes_damaged_in_the_repository(host, postgres):
    """A copy of it; what was stored is read where it is restored from."""
    copy = host.path("copy")
    shutil.copytree(host.repository, copy)
    for where, _, names in os.walk(os.path.join(copy, "packs")):
        for name in names:
            path = os.path.join(where, name)
            # Not that of the lists, without which nobody knows what was lost.
            if os.path.getsize(path) < places.LARGE:
                continue
            with open(path, "r+b") as pack:
                pack.seek(places.LARGE // 2)
                pack.write(b"damage")
    result = host.admin("backup-verify", "--json", "--repository", copy,
                        "latest", "files/data")
    _say_no(result, "/large ")
    shutil.rmtree(copy)


# ---- in the restore ----

# What has been restored is damaged by the program that restores it, when its
# last part is in: beside the real one, it runs SQL in the database.
PROGRAM = """#!/bin/sh
{real} "$@" || exit
for argument; do
	case $argument in
	--section=*) exit 0 ;;
	--dbname=*) database=${argument#--dbname=} ;;
	esac
done
[ -z "$database" ] || exec {psql} -qX -d "$database" -f {damage}
"""

DAMAGE = """
DELETE FROM log_a WHERE at = 7;
INSERT INTO log_b VALUES (7, 'b 7');
UPDATE customer SET note = 'nota' WHERE id = 7;
DROP INDEX of_customer_index;
ALTER TABLE invoice DROP CONSTRAINT of_customer;
ALTER TABLE invoice ADD CONSTRAINT of_customer FOREIGN KEY (customer)
    REFERENCES customer ON DELETE CASCADE NOT VALID;
SELECT setval('ticket', 4100);
REVOKE UPDATE (note) ON customer FROM mut_reader;
ALTER TYPE mood RENAME VALUE 'proud' TO 'vain';
ALTER ROLE mut_owner SUPERUSER;
SELECT lo_unlink(4712);
"""


def test_a_restore_that_loses_things(host, postgres):
    programs = host.path("programs")
    os.mkdir(programs)
    for name in os.listdir(postgres.bindir):
        os.symlink(postgres.program(name), os.path.join(programs, name))
    with open(os.path.join(programs, "damage.sql"), "w") as out:
        out.write(DAMAGE)
    path = os.path.join(programs, "pg_restore")
    os.unlink(path)
    with open(path, "w") as out:
        out.write(PROGRAM.replace("{real}", postgres.program("pg_restore"))
                  .replace("{psql}", postgres.program("psql"))
                  .replace("{damage}", os.path.join(programs, "damage.sql")))
    os.chmod(path, 0o755)
    sources = list(host.sources)
    host.add_postgres("app", postgres, DATABASE, bindir=programs)
    result = host.admin("backup-verify", "--json", "latest", "postgres/app")
    host.sources = sources
    host.write()
    for says in ("data/public.log_a rows 20 19",
                 "data/public.log_b rows 20 21",
                 "data/public.customer rowhash", "of_customer_index",
                 "of_customer NOT VALID", "ticket 4200",
                 "customer.note is missing",
                 "proud", "mut_owner", "largeobjects/4712 not found"):
        _say_no(result, says)


# ---- no false alarm ----

WRITES = """
UPDATE customer SET score = score + 1 WHERE id = %(n)s;
INSERT INTO log_a VALUES (%(n)s + 100, 'while it is read');
DELETE FROM log_b WHERE at = %(n)s;
SELECT nextval('ticket');
INSERT INTO event VALUES ('2026-06-06', 'busy');
SELECT lo_put(4711, 0, 'B');
CREATE TABLE IF NOT EXISTS brief_%(n)s (n int)
"""


def test_no_damage_while_others_write(host, postgres):
    """Last, for it leaves what it wrote."""
    is_over = threading.Event()
    rounds = []

    def write():
        with postgres.connect(DATABASE) as connection:
            while not is_over.is_set():
                for statement in WRITES.split(";"):
                    connection.execute(
                        statement.replace("%(n)s", str(len(rounds) % 50 + 1)))
                rounds.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        name = host.create()["snapshot"]
        result = host.verify(name)
    finally:
        is_over.set()
        writer.join()
    assert result.result["is_proven"] and len(rounds) > 10
    assert not _lines(result)
