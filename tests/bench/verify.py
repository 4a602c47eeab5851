# SPDX-License-Identifier: Apache-2.0
"""make bench-verify: what proving a backup costs, beside restoring it.

In turn in every round: backup-restore into a server that is there, with
everything that somebody who waits for it wants (statistics, too), and
backup-verify, which makes a server, restores into it, reads all of it again
and compares. Both servers have the settings of a scratch server. Fails where
the median of the ratios is more than --at-most: of the processor's time, which
other work on the machine spoils less than the clock's."""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), HERE]

import rows  # noqa: E402
import rows_data  # noqa: E402
from bench import OURS, Run, built_program, run_bench  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.stack import Commands  # noqa: E402

RESTORE = "backup-restore"

# Those of a scratch server (libbackup/source/postgres_scratch.c).
SETTINGS = {"fsync": "off", "synchronous_commit": "off",
            "full_page_writes": "off", "wal_level": "minimal",
            "max_wal_senders": "0", "max_wal_size": "1GB",
            "checkpoint_timeout": "1h", "autovacuum": "off", "jit": "off",
            "maintenance_work_mem": "128MB", "shared_buffers": "128MB"}


class Bench(rows.Bench):
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.tools = Commands(args.tools, os.path.join(folder, "home"))
        self.postgres = Postgres(folder, SETTINGS)
        self.count = 0

    def command(self, stack, name, *args):
        argv, env = built_program(stack.commands, name)
        return Run([*argv, "--config", stack.config, "--identity-file",
                    stack.identity, *args, "latest", "postgres/bench"], env)

    def run(self):
        rows.GOALS[RESTORE] = self.args.at_most
        question = rows.Question("A verification, beside a restore")
        print("filling %.1f GB" % (1.2 * self.args.scale), flush=True)
        rows_data.fill(self.postgres, "app", self.args.scale)
        stack = self.stack("app", self.args.jobs)
        self.ours(stack)()
        for _ in range(self.args.rounds):
            question.add(RESTORE, self.measure(
                self.command(stack, "backup-restore", "--to", "copy")))
            self.postgres.drop_database("copy")
            question.add(OURS, self.measure(
                self.command(stack, "backup-verify")))
        question.rows = {OURS: question.rows[OURS], **question.rows}
        question.show()
        ratio = question.ratio(RESTORE, "cpu")
        print("  verifying takes %.2f times the processor of restoring"
              " (%s times the clock)" % (ratio, " ".join(
                  "%.2f" % (one["seconds"] / other["seconds"])
                  for one, other in zip(question.rows[OURS],
                                        question.rows[RESTORE]))), flush=True)
        if ratio > self.args.at_most:
            sys.exit("more than %.2f" % self.args.at_most)


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
