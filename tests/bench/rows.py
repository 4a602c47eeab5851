# SPDX-License-Identifier: Apache-2.0
"""make bench-rows: how fast the rows of a database become a backup.

Beside ours, in turn in every round: pg_dump into a directory, as it is and
with the fastest compression; pg_dump through zstd and age, and through restic,
which is what encrypts today. Then one row of a hundred changes and the backup
is made again; beside it as many connections send the same rows and nobody
keeps them, which no backup that reads them all can beat. "MB" is there what
the repository grew by, ours and restic's. What was then stored as differences
is restored beside a backup of the same rows that has none.

Then one table alone and several together, with one worker and with two.

Server and client share the processors, so beside the time there is what each
of them used of them: the one figure that other work on the machine spoils
less."""

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), HERE]

import rows_data  # noqa: E402
from bench import (OURS, Run, built_program, folder_size,  # noqa: E402
                   run_bench)
from harness.postgres import Postgres  # noqa: E402
from harness.stack import Commands, Stack  # noqa: E402

DRAIN = "the same COPY to nowhere"
TICK = os.sysconf("SC_CLK_TCK")

# The goals of the first backup: our time to theirs.
DIRECTORY, FASTEST = "pg_dump -Fd", "pg_dump -Fd -Z1"
AGE, RESTIC = "pg_dump -Fc -Z0 | zstd -3 | age", "pg_dump -Fp | restic"
WHOLE = "of a backup without them"
GOALS = {DIRECTORY: 0.25, FASTEST: 0.55, AGE: 0.55, RESTIC: 0.4, DRAIN: 1.1,
         WHOLE: 1.1}


def processor(pid, ended):
    """Seconds of processor that a process took, and its children of which it
    knows that they have ended."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15 if ended else 13])) / TICK


def children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Question:
    """One question, several ways to answer it, some rounds of each."""

    def __init__(self, title):
        self.title, self.rows = title, {}

    def add(self, name, figures):
        self.rows.setdefault(name, []).append(figures)

    def ratio(self, name, what):
        return statistics.median(
            ours[what] / other[what]
            for ours, other in zip(self.rows[OURS], self.rows[name]))

    def show(self):
        print("\n%s" % self.title)
        print("  %-33s %7s %15s %6s %6s %7s %6s %6s %6s %6s %5s" % (
            "", "wall s", "[min-max]", "server", "client", "MB", "MiB",
            "ratio", "of cpu", "of MB", "goal"))
        for name, rows in self.rows.items():
            def median(what):
                return statistics.median(row[what] for row in rows)

            seconds = [row["seconds"] for row in rows]
            line = "  %-33s %7.2f %15s %6.2f %6.2f %7.1f %6.0f" % (
                name, median("seconds"),
                "[%.2f-%.2f]" % (min(seconds), max(seconds)),
                median("server"), median("client"),
                (median("stored") or 0) / 1e6, median("together"))
            if name != OURS and OURS in self.rows:
                line += " %6.2f %6.2f" % (self.ratio(name, "seconds"),
                                          self.ratio(name, "cpu"))
                line += " %6s %5s" % (
                    "%.3f" % self.ratio(name, "stored")
                    if rows[0]["stored"] else "", GOALS.get(name, ""))
            print(line, flush=True)


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.tools = Commands(args.tools, os.path.join(folder, "home"))
        self.postgres = Postgres(folder, {"shared_buffers": "1GB"})
        self.restored = Question("Restore through differences")
        self.count = 0

    def new_folder(self):
        self.count += 1
        path = os.path.join(self.folder, "run%d" % self.count)
        os.mkdir(path)
        return path

    def measure(self, run):
        """A run, and the processor that both sides took for it."""
        server, client = self.server_seconds(), children()
        figures = run()
        figures["client"] = children() - client
        figures["server"] = self.server_seconds() - server
        figures["cpu"] = figures["client"] + figures["server"]
        figures["stored"] = figures["stored"] or 0
        return figures

    def server_seconds(self):
        """Of all of its processes, those that have just ended, too."""
        pid = self.postgres.server.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as listing:
            running = listing.read().split()
        return processor(pid, True) + sum(
            processor(int(child), False) for child in running)

    # ---- ours ----

    def stack(self, database, workers, **options):
        stack = Stack(self.args.tools, self.new_folder())
        stack.options["workers"] = workers
        stack.write()
        stack.init()
        stack.add_postgres("bench", self.postgres, database,
                           conninfo=self.postgres.conninfo(
                               database, **options))
        return stack

    def ours(self, stack):
        argv, env = built_program(stack.commands, "backup-create")
        return Run([*argv, "--config", stack.config], env, stack.repository)

    def statements(self, database):
        """What a backup asks the server for, from the server's log."""
        with open(self.postgres.log, encoding="utf-8") as log:
            log.seek(0, os.SEEK_END)
            stack = self.stack(database, self.args.jobs,
                               options="-c log_statement=all")
            self.ours(stack)()
            found = re.findall(r"execute <unnamed>: (COPY \(.*)", log.read())
        shutil.rmtree(stack.folder)
        return found

    # ---- theirs ----

    def dump(self, database, *options):
        path = os.path.join(self.new_folder(), "d")
        return Run([self.postgres.program("pg_dump"), "-Fd", *options,
                    "-j%d" % self.args.jobs, "-f", path, "-d",
                    self.postgres.conninfo(database)], self.tools.env, path)

    def pipe(self, database, form, command, env, path, *args):
        return Run(["bash", "-o", "pipefail", "-c",
                    '"$1" %s -d "$2" | %s' % (form, command), "bash",
                    self.postgres.program("pg_dump"),
                    self.postgres.conninfo(database), *args], env, path)

    def age(self, database):
        path = self.new_folder()
        recipient = subprocess.run(
            ["age-keygen", "-o", os.path.join(self.new_folder(), "key")],
            check=True, capture_output=True, text=True
        ).stderr.split()[-1]
        return self.pipe(database, "-Fc -Z0",
                         'zstd -3 -q | age -r "$3" -o "$4/dump.age"',
                         self.tools.env, path, recipient, path)

    def restic(self, database):
        path = self.new_folder()
        env = {**self.tools.env, "RESTIC_PASSWORD": "x",
               "RESTIC_REPOSITORY": path,
               "RESTIC_CACHE_DIR": self.new_folder()}
        subprocess.run(["restic", "init", "-q"], env=env, check=True)
        return self.pipe(database, "-Fp",
                         "restic backup -q --stdin --stdin-filename dump.sql",
                         env, path)

    def drain(self, database):
        statements = self.statements(database)
        path = os.path.join(self.new_folder(), "statements")
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(statements) + "\n")
        return Run(["sh", "-c", '"$1" "$2" "$3" <"$4"', "sh",
                    os.path.abspath(self.args.drain),
                    self.postgres.conninfo(
                        database, options="-c datestyle=ISO -c timezone=UTC"
                        " -c intervalstyle=postgres -c extra_float_digits=3"
                        " -c jit=off -c synchronize_seqscans=off"),
                    str(self.args.jobs), path], self.tools.env)

    # ---- questions ----

    def ways(self, database):
        if self.args.no_peers:
            return {}
        ways = {DIRECTORY: self.dump(database),
                FASTEST: self.dump(database, "-Z1"),
                AGE: self.age(database)}
        if shutil.which("restic"):
            ways[RESTIC] = self.restic(database)
        return ways

    def backups(self, database, title):
        first = Question("First backup of " + title)
        same = Question("The same again, nothing changed")
        changes = {"at random places": Question(
            "Again, after 1% of the rows changed at random places"),
                   "of the newest": Question(
            "Again, after 1% of the rows changed, all among the newest")}
        for number in range(self.args.rounds):
            stack = self.stack(database, self.args.jobs)
            drain = self.drain(database)
            first.add(OURS, self.measure(self.ours(stack)))
            first.add(DRAIN, self.measure(drain))
            ways = self.ways(database)
            for name, run in ways.items():
                first.add(name, self.measure(run))
            same.add(OURS, self.grown(self.ours(stack)))
            same.add(DRAIN, self.measure(drain))
            for where in changes if database == "app" else ():
                rows_data.change(self.postgres, database, number,
                                 where == "of the newest")
                changes[where].add(OURS, self.grown(self.ours(stack)))
                changes[where].add(DRAIN, self.measure(self.drain(database)))
                if RESTIC in ways:
                    changes[where].add(RESTIC, self.grown(ways[RESTIC]))
            if database == "app":
                self.restores(stack, database)
            for run in ways.values():
                shutil.rmtree(run.stored)
            shutil.rmtree(stack.folder)
        for question in (first, same, *changes.values(), self.restored):
            if question.rows:
                question.show()
        self.restored.rows.clear()

    def grown(self, run):
        """Another backup; of what is stored, what it added."""
        before = folder_size(run.stored)
        figures = self.measure(run)
        figures["stored"] -= before
        return figures

    def restores(self, stack, database):
        """What is stored as differences, and the same without any."""
        whole = self.stack(database, self.args.jobs)
        self.ours(whole)()
        for name, source in ((OURS, stack), (WHOLE, whole)):
            argv, env = built_program(source.commands, "backup-restore")
            self.restored.add(name, self.measure(Run(
                [*argv, "--config", source.config, "--identity-file",
                 source.identity, "latest", "--to", "back"], env)))
            self.postgres.drop_database("back")
        shutil.rmtree(whole.folder)

    def workers(self):
        """One table alone, and several: what another worker is worth."""
        for database in ("pgbench", "app"):
            question = Question("Workers, " + database)
            for _ in range(self.args.rounds):
                for workers in (1, 2):
                    stack = self.stack(database, workers)
                    question.add("%d" % workers,
                                 self.measure(self.ours(stack)))
                    shutil.rmtree(stack.folder)
            question.show()

    def stop(self):
        self.postgres.stop()

    def run(self):
        scale = self.args.scale
        print("filling %.1f GB of an application and pgbench at %d" % (
            1.2 * scale, max(1, 100 * scale)), flush=True)
        rows_data.fill(self.postgres, "app", scale)
        rows_data.fill_pgbench(self.postgres, "pgbench", scale)
        self.backups("app", "an application")
        self.backups("pgbench", "pgbench")
        self.workers()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", required=True)
    parser.add_argument("--drain", required=True, help="tests/bench/drain")
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-peers", action="store_true",
                        help="ours and the limit alone")
    args = parser.parse_args()
    run_bench(Bench, args)


if __name__ == "__main__":
    main()
