# SPDX-License-Identifier: Apache-2.0
"""A restored database takes the place of one that is in use; whatever happens
meanwhile, the name leads to one that is whole."""

import os
import re
import signal
import threading
import time

import psycopg
import pytest

from harness import postgres as postgres_module
from harness.stack import COMPLETE, FAILED, USAGE, patience

KEPT = r"%s[.]before-\d{8}T\d{6}Z$"
READY = r"%s[.]restored-\d{8}T\d{6}Z$"


class Place:
    """One database that is backed up, and then changed."""

    def __init__(self, stack, postgres, database):
        self.stack, self.postgres, self.name = stack, postgres, database
        self.path = "postgres/app/" + database
        stack.add_postgres("app", postgres, database)
        self.sql("CREATE TABLE t (i int PRIMARY KEY, v text);"
                 "INSERT INTO t SELECT i, md5(i::text)"
                 " FROM generate_series(1, 2000) i")
        self.sql("COMMENT ON DATABASE %s IS 'the one'" % database)
        stack.create()
        self.sql("INSERT INTO t VALUES (0, 'later')")

    def sql(self, text, name=None):
        return self.postgres.execute(name or self.name, text)

    def count(self, name=None):
        return self.sql("SELECT count(*) FROM t", name)[0][0]

    def swap(self, *args):
        return self.stack.admin(
            "backup-restore", "--swap", *args, "latest", self.path)

    def beside(self, *args, status=COMPLETE):
        done = self.stack.run("backup-restore", *args)
        assert done.status == status, str(done)
        return done

    def names(self, pattern):
        return [name for name in self.postgres.databases()
                if re.match(pattern % self.name, name)]

    def only(self, pattern):
        found = self.names(pattern)
        assert len(found) == 1, self.postgres.databases()
        return found[0]


@pytest.fixture
def place(stack, postgres, database):
    return Place(stack, postgres, database)


def went(result):
    assert result.status == COMPLETE, str(result)
    return result


# ---- there and back ----

def test_the_former_one_is_kept_and_can_be_put_back_and_dropped(place):
    done = went(place.swap())
    kept = place.only(KEPT)
    assert place.count() == 2000 and place.count(kept) == 2001
    assert kept in done.err and "read back: 2,000 rows" in done.err.replace(
        "2000", "2,000"), str(done)
    listed = place.beside("--former", "--json", "postgres/app").events
    assert [(e["name"], e["state"]) for e in listed
            if e["type"] == "former"
            and e["name"].startswith(place.name + ".")] == [(kept, "former")]
    assert kept in place.beside("--former", "postgres/app").out

    place.beside("--put-back", kept, place.path)
    assert place.count() == 2001
    other = [name for name in place.names(KEPT)]
    assert len(other) == 1 and place.count(other[0]) == 2000
    place.beside("--drop-former", other[0], "postgres/app")
    assert place.names(KEPT) == [] and place.count() == 2001


def test_what_belongs_to_a_database_goes_with_it(place):
    place.sql("ALTER DATABASE %s SET work_mem = '9MB'" % place.name)
    went(place.swap())
    kept = place.only(KEPT)
    assert place.sql("SHOW work_mem", kept) == [("9MB",)]
    assert place.sql("SHOW work_mem") != [("9MB",)]
    assert place.sql("SELECT shobj_description(oid, 'pg_database')"
                     " FROM pg_database WHERE datname = '%s'"
                     % place.name) == [("the one",)]
    assert place.sql("SELECT datallowconn FROM pg_database"
                     " WHERE datname = '%s'" % kept) == [(True,)]


def test_where_nothing_was_nothing_is_kept(place):
    twin = place.name + "_new"
    went(place.swap("--to", twin))
    assert place.count(twin) == 2000
    assert not [n for n in place.postgres.databases() if ".before-" in n]


def test_only_what_a_restore_left_is_dropped_or_put_back(place):
    for option in ("--drop-former", "--put-back"):
        done = place.beside(option, place.name, place.path, status=FAILED)
        assert "--former" in done.err
        done = place.beside(option, place.name + ".before-x", place.path,
                            status=FAILED)
    half = place.name + ".restoring-0a1b2c3d"
    place.postgres.create_database(half)
    done = place.beside("--put-back", half, place.path, status=FAILED)
    assert "not whole" in done.err
    place.beside("--put-back", half, "postgres/app", status=FAILED)
    place.beside("--drop-former", half, "postgres/app")
    assert place.count() == 2001


def test_wrong_uses_are_told(place):
    assert place.swap("--overwrite").status == FAILED
    done = place.stack.admin("backup-restore", "--swap", "latest",
                             place.path + "/data/public.t")
    assert done.status == FAILED and "--swap" in done.err
    place.beside("--former", "--drop-former", "x", "postgres/app",
                 status=USAGE)
    place.beside("--former", status=USAGE)
    place.beside("--former", "postgres/other", status=FAILED)
    assert place.count() == 2001 and place.names(KEPT) == []


# ---- others at work ----

class Client(threading.Thread):
    """An application: connects again and again, asks, stays for a while."""

    def __init__(self, place):
        super().__init__()
        self.place, self.counts, self.strange = place, [], []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                with self.place.postgres.connect(self.place.name) as it:
                    for _ in range(20):
                        self.counts.append(it.execute(
                            "SELECT count(*) FROM t").fetchone()[0])
            except psycopg.OperationalError as gone:
                if not re.search("terminat|closed|renamed|lost|does not exist",
                                 str(gone)):
                    self.strange.append(str(gone))


def test_applications_that_connect_all_the_time_do_not_keep_it_out(place):
    clients = [Client(place) for _ in range(6)]
    for client in clients:
        client.start()
    try:
        went(place.swap())
        time.sleep(0.2)
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
    for client in clients:
        assert client.strange == []
        changes = [a for a, b in zip(client.counts, client.counts[1:])
                   if a != b]
        assert set(client.counts) <= {2000, 2001} and len(changes) <= 1
    assert place.count() == 2000 and place.count(place.only(KEPT)) == 2001


def test_a_row_that_arrives_otherwise_keeps_the_old_one_in_its_place(place):
    place.sql("CREATE FUNCTION slow(i int) RETURNS bool LANGUAGE sql AS"
              " 'SELECT pg_catalog.pg_sleep(3) IS NOT NULL';"
              "CREATE TABLE slow (i int CHECK (public.slow(i)));"
              "INSERT INTO slow VALUES (1);"
              "CREATE TABLE empty (i int)")
    place.stack.create()
    running = place.stack.start(
        "backup-restore", "--identity-file", place.stack.identity, "--swap",
        "latest", place.path)
    until = time.monotonic() + patience(60)
    while time.monotonic() < until and running.poll() is None:
        try:
            place.sql("INSERT INTO empty VALUES (1)",
                      place.only("%s[.]restoring-.*"))
            break
        except (AssertionError, psycopg.Error):
            time.sleep(0.05)
    out, err = running.communicate(timeout=patience(120))
    assert running.returncode == FAILED, err
    assert b"empty" in err and b"0 rows" in err, err
    assert place.count() == 2001
    assert place.names("%s[.].*") == []


# ---- what stands in the way, and what dies ----

@pytest.fixture(scope="module")
def preparing(tmp_path_factory):
    """A server that takes prepared transactions, which nobody can end."""
    folder = tmp_path_factory.mktemp("preparing")
    for path in (folder, folder.parent, folder.parent.parent):
        os.chmod(path, 0o755)
    server = postgres_module.Postgres(
        str(folder), {"max_prepared_transactions": "5"})
    yield server
    server.stop()


@pytest.fixture
def blocked(stack, preparing):
    name = "held"
    preparing.drop_database(name)
    for other in preparing.databases():
        if other.startswith(name):
            preparing.drop_database(other)
    preparing.create_database(name)
    place = Place(stack, preparing, name)
    place.sql("BEGIN; CREATE TABLE held (i int); PREPARE TRANSACTION 'held'")
    yield place
    if place.sql("SELECT 1 FROM pg_prepared_xacts", "postgres"):
        where = place.sql("SELECT database FROM pg_prepared_xacts",
                          "postgres")[0][0]
        place.sql("ROLLBACK PREPARED 'held'", where)


def test_what_cannot_be_ended_leaves_the_old_one_usable(blocked):
    done = blocked.swap()
    assert done.status == FAILED, str(done)
    assert "prepared transaction 'held'" in done.err
    ready = blocked.only(READY)
    assert ready in done.err and "--put-back" in done.err
    assert blocked.count() == 2001 and blocked.names(KEPT) == []
    blocked.sql("ROLLBACK PREPARED 'held'")
    blocked.beside("--put-back", ready, blocked.path)
    assert blocked.count() == 2000
    assert blocked.count(blocked.only(KEPT)) == 2001


def renaming(place):
    return place.sql("SELECT pid FROM pg_stat_activity WHERE query LIKE"
                     " 'ALTER DATABASE%RENAME%before-%'"
                     " AND state = 'active'", "postgres")


@pytest.mark.parametrize("what", ["client", "session"])
def test_death_amid_the_renames_leaves_the_old_one_usable(blocked, what):
    running = blocked.stack.start(
        "backup-restore", "--identity-file", blocked.stack.identity, "--swap",
        "latest", blocked.path)
    until = time.monotonic() + patience(60)
    while not renaming(blocked) and time.monotonic() < until:
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    (pid,), = renaming(blocked)
    if what == "client":
        running.send_signal(signal.SIGKILL)
    else:
        blocked.sql("SELECT pg_terminate_backend(%d)" % pid, "postgres")
    running.communicate(timeout=patience(60))
    assert running.returncode != 0
    while renaming(blocked) and time.monotonic() < until:
        time.sleep(0.05)
    assert blocked.count() == 2001
    ready = blocked.only(READY)
    told = blocked.stack.admin("backup-restore", "latest", blocked.path)
    assert told.status == FAILED and ready in told.err, str(told)
    states = {e["name"]: e["state"] for e in blocked.beside(
        "--former", "--json", "postgres/app").of_type("former")}
    assert states == {ready: "ready"}
    blocked.sql("ROLLBACK PREPARED 'held'")
    blocked.beside("--put-back", ready, blocked.path)
    assert blocked.count() == 2000
    assert blocked.count(blocked.only(KEPT)) == 2001


@pytest.mark.parametrize("delay", [0.1, 0.3, 0.5, 0.7, 0.9, 1.2])
def test_a_killed_swap_leaves_one_or_the_other_in_the_place(place, delay):
    running = place.stack.start(
        "backup-restore", "--identity-file", place.stack.identity, "--swap",
        "latest", place.path)
    time.sleep(delay)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    # Its sessions end, and with them whatever they were at.
    until = time.monotonic() + patience(30)
    while time.monotonic() < until and place.sql(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE application_name IN ('libbackup', 'pg_restore')",
            "postgres"):
        time.sleep(0.05)
    kept = place.names(KEPT)
    assert place.count() == (2000 if kept else 2001)
    beside = place.names("%s[.].*")
    states = {e["name"]: e["state"] for e in place.beside(
        "--former", "--json", "postgres/app").of_type("former")}
    for name in beside:
        assert name in states
        place.beside("--drop-former", name, "postgres/app")
    assert place.names("%s[.].*") == []
    went(place.swap())
    assert place.count() == 2000
