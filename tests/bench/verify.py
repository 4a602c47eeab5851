# SPDX-License-Identifier: Apache-2.0
"""make bench-verify: what proving a backup costs, beside restoring it.

In turn in every round: a restore alone, on a machine where no server is yet,
as on the day that it is needed: a server is made, and backup-restore brings the
database back with everything that somebody who waits for it wants (statistics,
too). And backup-verify, which makes a server, restores into it, reads all of it
again and compares. Both servers have the settings of a scratch server. Fails
where the median of the ratios is more than --at-most: of the processor's time,
which other work on the machine spoils less than the clock's.

Below that is the ratio to a restore into a server that was there already, and
what of a verification goes where: a figure that does not grow with the rows is
the whole of it where there are few."""

import argparse
import collections
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
from bench import OURS, Memory, Run, built_program, run_bench  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.stack import Commands  # noqa: E402

RESTORE = "backup-restore"

# Those of a scratch server (libbackup/source/postgres_scratch.c).
SETTINGS = {"fsync": "off", "synchronous_commit": "off",
            "full_page_writes": "off", "wal_level": "minimal",
            "max_wal_senders": "0", "max_wal_size": "1GB",
            "checkpoint_timeout": "1h", "autovacuum": "off", "jit": "off",
            "maintenance_work_mem": "128MB", "shared_buffers": "128MB"}


# What the phases of a verification belong to, by a word of theirs; those that
# have none belong to what was before.
PARTS = (("making a scratch place", "a server"),
         ("restoring ", "the restore"),
         ("comparing ", "read back and compared"),
         ("looking at indexes", "indexes, constraints, pg_amcheck"))


def tree_seconds(pid):
    """Of the processor, by a process and all that it started."""
    seconds = rows.processor(pid, True)
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, thread)) as listing:
                seconds += sum(map(tree_seconds,
                                   map(int, listing.read().split())))
    except OSError:
        pass  # it has ended meanwhile
    return seconds


class Parted(Run):
    """A verification, and what each part of it took of the processor."""

    def __call__(self):
        began, before = time.monotonic(), rows.children()
        process = subprocess.Popen(
            self.argv, env=self.env, cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, start_new_session=True)
        memory = Memory(process.pid)
        parts, part, seen = collections.Counter(), PARTS[0][1], 0
        for line in process.stdout:
            event = json.loads(line)
            if event["type"] != "progress":
                continue
            seconds = tree_seconds(process.pid)
            parts[part] += seconds - seen
            seen = seconds
            for word, name in PARTS:
                if event["phase"].startswith(word) or (": " + word) in \
                        event["phase"]:
                    part = name
        memory.is_over = True
        if process.wait() != 0:
            raise RuntimeError("%s ended with %d" % (
                self.argv[0], process.returncode))
        parts[part] += rows.children() - before - seen
        return {"seconds": time.monotonic() - began, "stored": None,
                "together": memory.together_kib / 1024, "parts": parts}


class Bench(rows.Bench):
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.tools = Commands(args.tools, os.path.join(folder, "home"))
        self.postgres = Postgres(folder, SETTINGS)
        self.count = 0

    def command(self, stack, name, *args, kind=Run):
        argv, env = built_program(stack.commands, name)
        return kind([*argv, "--config", stack.config, "--identity-file",
                     stack.identity, *args, "latest", "postgres/bench"], env)

    def restored(self, stack):
        """What a restore took, with a server that was made for it."""
        folder = self.new_folder()
        began, before = time.monotonic(), rows.children()
        server = Postgres(folder, SETTINGS)
        try:
            made = rows.children() - before + tree_seconds(
                server.server.process.pid)
            seconds = time.monotonic() - began
            stack.add_postgres("bench", server, "postgres",
                               conninfo=server.conninfo("postgres"))
            figures = self.command(stack, "backup-restore")()
        finally:
            server.stop()
            shutil.rmtree(folder)
        figures["seconds"] += seconds
        figures["client"] = figures["cpu"] = rows.children() - before
        figures["server"], figures["stored"] = 0, 0
        return {**figures, "there": figures["cpu"] - made}

    def run(self):
        rows.GOALS[RESTORE] = self.args.at_most
        question = rows.Question("A verification, beside a restore")
        print("filling %.1f GB" % (1.2 * self.args.scale), flush=True)
        rows_data.fill(self.postgres, "app", self.args.scale)
        stack = self.stack("app", self.args.jobs)
        self.ours(stack)()
        for _ in range(self.args.rounds):
            os.sync()  # what one writes late is not the other's
            question.add(RESTORE, self.restored(stack))
            os.sync()
            question.add(OURS, self.measure(self.command(
                stack, "backup-verify", "--json", kind=Parted)))
        question.rows = {OURS: question.rows[OURS], **question.rows}
        question.show()
        self.tell(question.rows)
        ratio = question.ratio(RESTORE, "cpu")
        if ratio > self.args.at_most:
            sys.exit("verifying takes %.2f times the processor of restoring:"
                     " more than %.2f" % (ratio, self.args.at_most))

    @staticmethod
    def tell(figures):
        pairs = list(zip(figures[OURS], figures[RESTORE]))
        for what, ratio in (
                ("of the clock", lambda a, b: a["seconds"] / b["seconds"]),
                ("of the processor, with a server that was there already",
                 lambda a, b: a["cpu"] / b["there"])):
            print("  %.2f times %s" % (statistics.median(
                ratio(*pair) for pair in pairs), what))
        for _, part in PARTS:
            print("  %6.2f s of the processor: %s" % (statistics.median(
                row["parts"][part] for row in figures[OURS]), part))
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", required=True)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--at-most", type=float, default=1.3)
    run_bench(Bench, parser.parse_args())


if __name__ == "__main__":
    main()
