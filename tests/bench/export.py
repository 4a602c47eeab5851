# SPDX-License-Identifier: Apache-2.0
"""make bench-export: one person's rows, beside SQL written by hand.

Thirty tables, ten of them below other ones, of which each person has about
2,000 rows; by hand it is one psql script, one snapshot, a \\copy of JSON for
each table with the joins spelled out and every column of a key indexed, and
what was written is synced or packed as ours is. Ours makes more of it: it
reads the catalogue and holds the map against it, decides for each row why it
is there, and writes digests, pages for people and subject.json.

Each has 50 objects in a bucket, too (--files), which by hand are one curl that
knows their names. --at-most says how many times as long as by hand it may take:
more than that, and it fails.

--rows says how large the database is: 50,000,000 are about 10 GB, of which
the server's memory holds 256 MB. Every round asks for somebody else, and in
every second one ours comes last, so that nobody finds what the other read.

A second question is one person who has nearly everything (--large), in each
form. Whoever is asked for, ours fails where it takes more than 256 MiB."""

import argparse
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), HERE]

from bench import OURS, Run, Table, built_program, run_bench  # noqa: E402
from harness.minio import Minio  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.stack import Commands, Stack  # noqa: E402

BY_HAND = "psql, \\copy by hand"

# What is done by hand with the folder of rows, by form. It is in the present
# directory; $5 is where it goes.
PACK = {
    "folder": "sync -f .",
    "tar.zst": 'tar -cf "$5" --zstd . && sync "$5"',
    "zip": 'bsdtar -cf "$5" --format zip . && sync "$5"',
}

# The same with the objects of a person.
FETCH = 'curl -q -K "$6"'
CURL = """user = "%(access)s:%(secret)s"
aws-sigv4 = "aws:amz:%(region)s:s3"
header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"
fail
silent
show-error
create-dirs
url = "%(endpoint)s/%(bucket)s/u/%(person)d/[1-%(files)d].bin"
output = "%(folder)s/files/#1.bin"
"""

TABLES = 30
OF_A_PERSON = 2000
BUCKET = "uploads"
OBJECT_SIZE = 64 << 10
FIRST = 3  # of the people who are asked for
MOST_MIB = 256


def parent(table):
    """Twenty tables refer to people, ten to one of those."""
    return "u" if table < 20 else "t%d" % (table - 20)


def schema(rows, large):
    """Rows are laid out as they came: those of a person all over a table."""
    people = max(20, rows // OF_A_PERSON)
    each = OF_A_PERSON // TABLES
    yield "CREATE TABLE u (id int PRIMARY KEY, name text)"
    yield ("INSERT INTO u SELECT n, md5(n::text)"
           " FROM generate_series(1, %d) n" % people)
    for table in range(TABLES):
        yield ("CREATE TABLE t%d (id int PRIMARY KEY, p_id int NOT NULL,"
               " amount numeric, made timestamptz, body text)" % table)
        owner = "1 + n %% %d" % people
        if table >= 20:
            owner = "1 + n %% %d" % (people * each)
        yield ("INSERT INTO t%d SELECT n, %s, n / 7.0, now(),"
               " md5(n::text) || md5(n::text) || md5(n::text)"
               " FROM generate_series(1, %d) n" % (
                   table, owner, people * each))
    if large:
        yield ("INSERT INTO t0 SELECT n, 2, n / 7.0, now(), md5(n::text)"
               " FROM generate_series(%d + 1, %d) n" % (
                   people * each, people * each + large))
    for table in range(TABLES):
        yield "CREATE INDEX ON t%d (p_id)" % table
        yield "ALTER TABLE t%d ADD FOREIGN KEY (p_id) REFERENCES %s" % (
            table, parent(table))
    yield "VACUUM ANALYZE"


def map_text(has_files):
    lines = ["version: 1", "subject: {table: public.u, key: [id]}"]
    if has_files:
        lines.append("files: [{table: public.u, bucket: %s,"
                     " prefix: \"'u/' || id || '/'\"}]" % BUCKET)
    lines.append("edges:")
    for table in range(TABLES):
        lines.append("  public.t%d(p_id) -> public.%s(id): own" % (
            table, parent(table)))
    lines.append("tables:")
    for table in ["u"] + ["t%d" % n for n in range(TABLES)]:
        lines.append("  public.%s: {origin: provided}" % table)
    return "\n".join(lines) + "\n"


def by_hand(person, folder):
    """A file a table, as somebody would write it who knows the tables."""
    yield "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    yield "SET jit TO off;"
    for table in range(-1, TABLES):
        if table < 0:
            name, source = "u", "u x WHERE x.id = %d" % person
        elif table < 20:
            name = "t%d" % table
            source = "%s x WHERE x.p_id = %d" % (name, person)
        else:
            name = "t%d" % table
            source = ("%s x JOIN t%d p ON p.id = x.p_id WHERE p.p_id = %d" %
                      (name, table - 20, person))
        yield ("\\copy (SELECT row_to_json(x) FROM %s ORDER BY x.id)"
               " TO '%s'" % (source, os.path.join(folder, name)))
    yield "COMMIT;"


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.postgres = Postgres(folder)
        self.postgres.create_database("bench")
        self.tools = Commands(args.tools, os.path.join(folder, "home"))
        self.map = os.path.join(folder, "map.yaml")
        with open(self.map, "w", encoding="utf-8") as out:
            out.write(map_text(args.files > 0))
        self.failures = []
        self.stack = Stack(args.tools, folder)
        self.stack.add_postgres("bench", self.postgres, "bench",
                                conninfo=self.postgres.conninfo("bench"))
        self.minio = None
        if args.files:
            self.minio = Minio(folder)
            self.stack.add_bucket(BUCKET, self.minio, bucket=BUCKET)
        self.stack.write()

    def stop(self):
        if self.minio:
            self.minio.stop()
        self.postgres.stop()

    def fill_bucket(self):
        if not self.minio:
            return
        s3 = self.minio.client()
        s3.create_bucket(Bucket=BUCKET)
        for person in (2, *range(FIRST, FIRST + self.args.rounds)):
            for number in range(1, self.args.files + 1):
                s3.put_object(Bucket=BUCKET, Key="u/%d/%d.bin" % (
                    person, number), Body=os.urandom(OBJECT_SIZE))

    def ours(self, person, path, form):
        argv, env = built_program(self.tools, "backup-export")
        return Run([*argv, "run", "--config", self.stack.config, "--map",
                    self.map, "--subject", str(person), "--no-encryption",
                    "--format", form, path], env)

    def walk(self, person):
        """The rows alone, to nowhere."""
        return Run([self.args.walk, "rows", self.postgres.conninfo("bench"),
                    self.map, str(person)], self.tools.env)

    def theirs(self, person, path, form):
        folder = os.path.join(self.folder, "by-hand")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        script = os.path.join(self.folder, "by-hand.sql")
        with open(script, "w", encoding="utf-8") as out:
            out.write("\n".join(by_hand(person, folder)) + "\n")
        steps = ['"$1" -X -q -v ON_ERROR_STOP=1 -d "$2" -f "$3"',
                 'cd "$4"', PACK[form]]
        curl = os.path.join(self.folder, "by-hand.curl")
        if self.minio:
            steps.insert(2, FETCH)
            with open(curl, "w", encoding="utf-8") as out:
                out.write(CURL % {
                    "access": self.minio.access_key,
                    "secret": self.minio.secret_key,
                    "region": self.minio.REGION, "bucket": BUCKET,
                    "endpoint": self.minio.endpoint, "person": person,
                    "files": self.args.files, "folder": folder})
        return Run(["sh", "-c", " && ".join(steps), "sh",
                    self.postgres.program("psql"),
                    self.postgres.conninfo("bench"), script, folder, path,
                    curl], self.tools.env)

    def ask_one(self, table, person, form, is_first):
        ours = os.path.join(self.folder, "ours")
        theirs = os.path.join(self.folder, "theirs")
        ways = [
            (OURS, self.walk(person) if self.args.walk
             else self.ours(person, ours, form)),
            (BY_HAND, self.theirs(person, theirs, form))]
        for name, run in ways if is_first else reversed(ways):
            table.add(name, run())
        for path in (ours, theirs):
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)

    def ask(self, title, person, form, rounds):
        table = Table("%s, %s" % (title, form))
        for number in range(rounds):
            # Autovacuum is off, and temporary tables leave dead rows in the
            # catalogue, which every statement would go through.
            self.postgres.execute("bench", "VACUUM")
            self.ask_one(table, person + number, form, number % 2 == 0)
        table.show()
        self.judge(table)

    def judge(self, table):
        ratio = table.ratio(BY_HAND)
        most = max(row["largest"] for row in table.rows[OURS])
        if 0 < self.args.at_most < ratio:
            self.failures.append("%s: %.2f times as long as by hand" % (
                table.title, ratio))
        if most > MOST_MIB:
            self.failures.append("%s: %.0f MiB of memory" % (
                table.title, most))

    def run(self):
        print("filling %d tables with %d rows" % (
            TABLES, self.args.rows + self.args.large), flush=True)
        with self.postgres.connect("bench") as connection:
            for statement in schema(self.args.rows, self.args.large):
                connection.execute(statement)
            size, = connection.execute(
                "SELECT pg_size_pretty(pg_database_size('bench'))").fetchone()
        self.fill_bucket()
        print("the database has %s, the bucket %d objects of each person" % (
            size, self.args.files), flush=True)
        for form in ("folder",) if self.args.walk else PACK:
            self.ask("One person of about %d rows" % OF_A_PERSON, FIRST, form,
                     self.args.rounds)
            if self.args.large:
                self.ask("One person of %d rows" % self.args.large, 2, form, 1)
        if self.failures:
            sys.exit("\n".join(self.failures))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", required=True)
    parser.add_argument("--rows", type=int, default=5000000)
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--at-most", type=float, default=0, metavar="RATIO")
    parser.add_argument("--walk", help="tests/integration/walk_tool, to "
                        "measure the reading of rows without the writing")
    args = parser.parse_args()
    if args.walk:
        args.files = 0
    run_bench(Bench, args)


if __name__ == "__main__":
    main()
