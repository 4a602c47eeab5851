# SPDX-License-Identifier: Apache-2.0
"""make bench-restores: how fast a backup becomes a database again.

Ours goes all the way: valid constraints, built indexes, statistics, settings,
its name. Beside it, in turn in every round, pg_restore of a folder that
pg_dump made, with vacuumdb --analyze-only behind it, for it takes no
statistics; and pgcopydb, which has no file between the two databases, so that
its time is that of reading as well. All have as many jobs.

Then the same without statistics: ours until somebody can use the database
(which is after rough ones), and pg_restore alone.

Then one table alone, and several: what another worker is worth.

The server has the settings it comes with, but for shared_buffers; --minimal is
one that writes no log of what it need not (wal_level=minimal). Server and
client share the processors, so beside the time there is what each of them used
of them: the one figure that other work on the machine spoils less."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), HERE]

import rows  # noqa: E402
import rows_data  # noqa: E402
from bench import OURS, Run, built_program, run_bench  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.stack import Commands  # noqa: E402

PG_RESTORE, PGCOPYDB = "pg_restore", "pgcopydb clone"
rows.GOALS.update({PG_RESTORE: 0.8, PGCOPYDB: 1})

# As a server comes; the tests' own are faster and lose what they have.
SETTINGS = {"fsync": "on", "synchronous_commit": "on",
            "full_page_writes": "on", "autovacuum": "on",
            "maintenance_work_mem": "64MB", "max_wal_size": "1GB",
            "shared_buffers": "1GB"}
MINIMAL = {"wal_level": "minimal", "max_wal_senders": "0"}


class Told(Run):
    """One of our commands, and what it tells of itself."""

    def __call__(self):
        began = time.monotonic()
        result = subprocess.run(self.argv, env=self.env, cwd="/",
                                stdin=subprocess.DEVNULL, check=True,
                                stdout=subprocess.PIPE)
        seconds = time.monotonic() - began
        told = [json.loads(line) for line in result.stdout.splitlines()]
        return {"seconds": seconds, "largest": 0, "together": 0,
                "stored": None, "told": told[-1]}


class Bench(rows.Bench):
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.tools = Commands(args.tools, os.path.join(folder, "home"))
        self.postgres = Postgres(folder, {
            **SETTINGS, **(MINIMAL if args.minimal else {})})
        self.count = 0

    # ---- ways ----

    def ours(self, stack):
        argv, env = built_program(stack.commands, "backup-restore")
        return Told([*argv, "--config", stack.config, "--identity-file",
                     stack.identity, "--json", "latest", "--to", "copy"], env)

    def pg_restore(self, directory):
        return Run([self.postgres.program("pg_restore"), "--exit-on-error",
                    "-j%d" % self.args.jobs, "-d",
                    self.postgres.conninfo("copy"), directory],
                   self.tools.env)

    def analyze(self):
        return Run([self.postgres.program("vacuumdb"), "--analyze-only", "-q",
                    "-j%d" % self.args.jobs, "-d",
                    self.postgres.conninfo("copy")], self.tools.env)

    def pgcopydb(self, database):
        return Run(["pgcopydb", "clone", "--dir",
                    os.path.join(self.new_folder(), "copy"),
                    "--table-jobs", str(self.args.jobs),
                    "--index-jobs", str(self.args.jobs),
                    "--source", self.postgres.conninfo(database),
                    "--target", self.postgres.conninfo("copy")],
                   self.tools.env)

    # ---- questions ----

    def backup(self, database, workers):
        stack = self.stack(database, workers)
        rows.Bench.ours(self, stack)()
        return stack

    def timed(self, run, makes_database=False):
        """One restore; the database stays until the next."""
        if makes_database:
            self.postgres.create_database("copy")
        self.postgres.execute("postgres", "CHECKPOINT")
        return self.measure(run)

    def theirs(self, whole, bare, database, directory):
        figures = self.timed(self.pg_restore(directory), True)
        bare.add(PG_RESTORE, figures)
        statistics_of = self.measure(self.analyze())
        whole.add(PG_RESTORE, {
            what: figures[what] + statistics_of[what]
            for what in ("seconds", "server", "client", "cpu", "stored",
                         "together")})
        self.postgres.drop_database("copy")
        if shutil.which("pgcopydb"):
            whole.add(PGCOPYDB, self.timed(self.pgcopydb(database), True))
            self.postgres.drop_database("copy")

    def restored(self, database, title):
        whole = rows.Question("Restore of %s, with statistics" % title)
        bare = rows.Question(
            "The same, until ours can be used; theirs without statistics"
            " (cpu of ours: with all of them)")
        stack = self.backup(database, self.args.jobs)
        directory = os.path.join(self.new_folder(), "d")
        Run([self.postgres.program("pg_dump"), "-Fd",
             "-j%d" % self.args.jobs, "-f", directory, "-d",
             self.postgres.conninfo(database)], self.tools.env)()
        for _ in range(self.args.rounds):
            figures = self.timed(self.ours(stack))
            self.postgres.drop_database("copy")
            whole.add(OURS, figures)
            bare.add(OURS, {**figures, "seconds":
                            figures["told"]["ready_ms"] / 1000})
            if not self.args.no_peers:
                self.theirs(whole, bare, database, directory)
        whole.show()
        bare.show()
        shutil.rmtree(stack.folder)
        shutil.rmtree(directory)

    def scaling(self):
        """How much faster two workers are than one."""
        for database, title in (("pgbench", "one table alone"),
                                ("app", "several tables")):
            question = rows.Question("Workers, " + title)
            stacks = {workers: self.backup(database, workers)
                      for workers in (1, 2)}
            for _ in range(self.args.rounds):
                for workers, stack in stacks.items():
                    question.add("%d" % workers,
                                 self.timed(self.ours(stack)))
                    self.postgres.drop_database("copy")
            question.show()
            print("  one worker takes %.2f times as long as two" %
                  statistics.median(
                      one["seconds"] / two["seconds"] for one, two in
                      zip(question.rows["1"], question.rows["2"])),
                  flush=True)
            for stack in stacks.values():
                shutil.rmtree(stack.folder)

    def run(self):
        scale = self.args.scale
        print("filling %.1f GB of an application and pgbench at %d" % (
            1.2 * scale, max(1, 100 * scale)), flush=True)
        rows_data.fill(self.postgres, "app", scale)
        rows_data.fill_pgbench(self.postgres, "pgbench", scale)
        for question in self.args.questions.split(","):
            {"app": lambda: self.restored("app", "an application"),
             "pgbench": lambda: self.restored("pgbench", "pgbench"),
             "workers": self.scaling}[question]()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", required=True)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minimal", action="store_true",
                        help="a server with wal_level=minimal")
    parser.add_argument("--questions", default="app,pgbench,workers")
    parser.add_argument("--no-peers", action="store_true",
                        help="ours alone")
    args = parser.parse_args()
    run_bench(Bench, args)


if __name__ == "__main__":
    main()
