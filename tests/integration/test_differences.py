# SPDX-License-Identifier: Apache-2.0
"""Rows that change all over a table are stored as differences to what is
there: little is stored, and whatever happens to what the host remembers, to
the repository or to the rows, what comes back is what was there."""

import glob
import os
import random
import re
import shutil
import subprocess

import pytest

from harness.stack import COMPLETE, Commands

ROWS = 30000

SCHEMA = """
CREATE TABLE item (id int PRIMARY KEY, name text, price numeric, note text);
INSERT INTO item SELECT n, 'item ' || n, n * 1.25, md5(n::text) || md5((-n)::text)
    FROM generate_series(1, %d) n;
CREATE TABLE wide (id int, body text);
ALTER TABLE wide ALTER body SET STORAGE EXTERNAL;
INSERT INTO wide SELECT n, repeat(md5(n::text), 200) FROM generate_series(1, 300) n;
CREATE TABLE same (a int, b bool);
INSERT INTO same SELECT 1, true FROM generate_series(1, 40000);
CREATE TABLE odd (t text);
INSERT INTO odd SELECT E'libbackup delta 1\\n\\\\\\t=1 2\\n+1' || n
    FROM generate_series(1, 3000) n;
""" % ROWS

TABLES = ("item", "wide", "same", "odd")


def size(path):
    return sum(os.path.getsize(os.path.join(where, name))
               for where, _, names in os.walk(path) for name in names)


class Nights:
    """An application, and what its tables held at every backup."""

    def __init__(self, stack, postgres, database):
        self.stack, self.postgres, self.database = stack, postgres, database
        self.kept = {}
        self.random = random.Random(database)
        self.caches = stack.path("home", "cache")
        self.env = {"BACKUP_CACHE_DIR": self.caches}
        postgres.execute(database, SCHEMA)
        # What backup-cat writes is compared by lines.
        stack.add_postgres("app", postgres, database, copy="text")

    def rows(self, table):
        with self.postgres.connect(self.database) as connection:
            with connection.cursor().copy(
                    "COPY %s TO STDOUT" % table) as copy:
                return sorted(b"".join(copy).split(b"\n"))

    def back_up(self, env=None, stack=None):
        """Backs up; answers by how much the repository grew."""
        stack = stack or self.stack
        before = size(stack.repository)
        event = stack.create(env={**self.env, **(env or {})})
        self.kept[event["snapshot"]] = {
            table: self.rows(table) for table in TABLES}
        return size(stack.repository) - before

    def change(self, share=0.01, table="item"):
        """Some rows anywhere are changed, some come, some go."""
        number = self.random.randrange(1 << 30)
        self.postgres.execute(self.database, """
            SELECT setseed(%f);
            UPDATE item SET price = price + 1, note = md5(random()::text)
                WHERE random() < %f;
            DELETE FROM item WHERE random() < %f;
            INSERT INTO item SELECT %d + n, 'new ' || n, n, NULL
                FROM generate_series(1, %d) n
            """ % (number / (1 << 30), share, share / 4,
                   len(self.kept) * 1000000, ROWS * share / 4))
        self.postgres.execute(self.database, "VACUUM item")

    def check(self, snapshot):
        """Each table of a snapshot, as it was."""
        for table in TABLES:
            out = self.stack.admin(
                "backup-cat", snapshot, "postgres/app/%s/data/public.%s"
                % (self.database, table), text=False)
            assert out.status == COMPLETE, str(out)
            assert sorted(out.out.split(b"\n")) == self.kept[snapshot][table]

    def check_all(self):
        assert self.stack.snapshots() == list(self.kept)
        for snapshot in self.kept:
            self.check(snapshot)

    def cache_files(self):
        return glob.glob(os.path.join(self.caches, "*", "rows", "*"))


@pytest.fixture
def nights(stack, postgres, database):
    return Nights(stack, postgres, database)


def test_twenty_nights_of_changes_anywhere_come_back(nights):
    whole = nights.back_up()
    growth = []
    for _ in range(20):
        nights.change()
        growth.append(nights.back_up())
    # A night takes little, though every range was touched.
    assert growth[0] < whole / 10
    assert sum(growth) < whole * 6
    nights.check_all()
    nights.stack.verify("latest")
    nights.stack.verify(list(nights.kept)[7])


def test_a_night_without_changes_stores_no_rows(nights):
    nights.back_up()
    nights.change()
    nights.back_up()
    assert nights.back_up() < 16384
    nights.check_all()


def test_all_rows_new_and_all_rows_gone(nights):
    nights.back_up()
    nights.postgres.execute(
        nights.database, "UPDATE item SET note = md5(note), price = -price")
    nights.back_up()
    nights.postgres.execute(nights.database, "TRUNCATE item, same")
    nights.back_up()
    nights.postgres.execute(
        nights.database, "INSERT INTO same VALUES (2, NULL)")
    nights.back_up()
    nights.check_all()


def test_rows_that_moved_come_back(nights):
    whole = nights.back_up()
    nights.postgres.execute(
        nights.database, "DELETE FROM item WHERE id % 3 = 0")
    nights.postgres.execute(nights.database, "VACUUM FULL item")
    nights.back_up()
    nights.postgres.execute(
        nights.database, "CREATE INDEX by_note ON item (note);"
        "CLUSTER item USING by_note")
    nights.back_up()
    nights.change()
    assert nights.back_up() < whole / 10
    nights.check_all()
    nights.stack.verify("latest")


# ---- what the host remembers ----

def test_what_is_remembered_is_the_owners_and_tells_nothing(nights):
    nights.back_up()
    path, = nights.cache_files()
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    with open(path, "rb") as file:
        content = file.read()
    # Long enough that hashes do not spell them by chance.
    for word in (b"public", b"quantity", nights.database.encode()):
        assert word not in content
    # Not much more than 64 bits a row.
    assert len(content) < (ROWS + 300 + 40000 + 3000) * 8 * 1.1


def forget(nights):
    shutil.rmtree(nights.caches)


def cut(nights):
    path, = nights.cache_files()
    os.truncate(path, os.path.getsize(path) // 2)


def empty(nights):
    path, = nights.cache_files()
    os.truncate(path, 0)


def flip(nights):
    """Some bits, so that every record has one."""
    path, = nights.cache_files()
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        for at in range(100, len(content), 512):
            content[at] ^= 1
        file.seek(0)
        file.write(content)


def open_to_all(nights):
    path, = nights.cache_files()
    os.chmod(path, 0o666)


def a_folder(nights):
    path, = nights.cache_files()
    os.unlink(path)
    os.mkdir(path)


def a_link(nights):
    path, = nights.cache_files()
    os.rename(path, path + "x")
    os.symlink(path + "x", path)


@pytest.mark.parametrize("damage", [forget, cut, empty, flip, open_to_all,
                                    a_folder, a_link])
def test_what_is_not_remembered_right_is_not_believed(nights, damage):
    whole = nights.back_up()
    damage(nights)
    nights.change()
    assert nights.back_up() > whole / 10  # all of the item table
    nights.check_all()
    if damage is not a_folder:
        nights.change()
        assert nights.back_up() < whole / 10
        nights.check_all()


def test_what_was_remembered_before_a_lost_night_is_still_of_use(nights):
    """The cache of an older night, as after a restore of the host."""
    whole = nights.back_up()
    saved = nights.stack.path("saved")
    shutil.copytree(nights.caches, saved)
    for _ in range(3):
        nights.change()
        nights.back_up()
    shutil.rmtree(nights.caches)
    shutil.copytree(saved, nights.caches)
    nights.change()
    assert nights.back_up() < whole / 5
    nights.check_all()


def test_what_another_repository_remembers_is_not_believed(nights):
    nights.back_up()
    path, = nights.cache_files()
    shutil.rmtree(nights.stack.repository)
    os.unlink(nights.stack.key_file)
    os.unlink(nights.stack.identity)
    nights.stack.init()
    nights.kept.clear()
    whole = nights.back_up()
    other, = set(nights.cache_files()) - {path}
    shutil.copy(path, other)
    nights.change()
    assert nights.back_up() > whole / 10
    nights.check_all()


def test_nowhere_to_remember_is_no_failure(nights):
    blocked = nights.stack.path("a file")
    open(blocked, "w").close()
    for _ in range(2):
        nights.back_up(env={"BACKUP_CACHE_DIR": blocked + "/below"})
        nights.change()
    nights.check_all()


# ---- what happens to the repository ----

def packs(stack):
    return set(glob.glob(os.path.join(stack.repository, "packs", "*", "*")))


def test_a_base_that_is_lost_is_stored_again(nights):
    stack = nights.stack
    whole = nights.back_up()
    lost = packs(stack)
    nights.change()
    nights.back_up()
    for path in lost:
        os.unlink(path)
    # What was a difference to something lost is not taken for stored.
    assert nights.back_up() > whole / 2
    latest = stack.snapshots()[-1]
    nights.check(latest)
    stack.verify("latest")
    nights.change()
    assert nights.back_up() < whole / 10
    nights.check(stack.snapshots()[-1])


def test_two_hosts_share_what_is_whole(nights, postgres):
    """The second host remembers nothing of what the first one stored, finds
    most of it there, and goes on from that."""
    whole = nights.back_up()
    nights.change()
    nights.back_up()
    second = nights.stack.path("second")
    assert nights.back_up(env={"BACKUP_CACHE_DIR": second}) < whole / 10
    for number in range(4):
        nights.change()
        nights.back_up(
            env={"BACKUP_CACHE_DIR": second} if number % 2 else None)
    nights.check_all()
    nights.stack.verify("latest")


def test_a_backup_that_was_killed_leaves_what_was_remembered(nights):
    whole = nights.back_up()
    path, = nights.cache_files()
    before = os.stat(path).st_ino
    nights.change()
    process = nights.stack.start("backup-create", env=nights.env)
    process.terminate()
    process.communicate()
    assert process.returncode != 0
    assert os.stat(path).st_ino == before
    assert nights.back_up() < whole / 10
    nights.check_all()
