# SPDX-License-Identifier: Apache-2.0
"""make bench-size: how large the backups of many nights become.

An application's rows change a little every day, most of them lately made, the
others anywhere in the tables; every night it is backed up by us, by restic
(pg_dump's text into its own deduplication and compression) and as a file
of pg_dump -Fc. Then all but the last ten nights are removed, once with the key
of the backup host alone and once by who may read contents, too.

Fails where ours is larger than restic's, or than half of the files, or where
the prune leaves what only the removed nights needed.
--anywhere 1 is the hard case: changes at random places only."""

import argparse
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"),
                os.path.join(HERE, "..", "demo"), HERE]

import fill  # noqa: E402
from bench import folder_size, run_bench  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.stack import COMPLETE, Stack  # noqa: E402

# What changes of a row, by table.
CHANGES = {
    "task": "title = left(title, 60) || md5(random()::text), state = 'done'",
    "comment": "body = 'Edited ' || md5(random()::text) || ' ' || body",
    "event": "payload = payload || jsonb_build_object('n', random())",
}

# Of what is needed: packs are left as they are while they are well used, and
# rows become longer.
MOST_LEFT = 1.25


class Sizes:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.postgres = Postgres(folder)
        self.stack = Stack(args.tools, os.path.join(folder, "ours"))
        self.stack.write()
        self.stack.init()
        self.stack.add_postgres("bench", self.postgres, "bench",
                                conninfo=self.postgres.conninfo("bench"))
        self.restic = os.path.join(folder, "restic")
        self.files = os.path.join(folder, "files")
        os.mkdir(self.files)
        self.env = {**self.stack.commands.env, "RESTIC_PASSWORD": "x",
                    "RESTIC_REPOSITORY": self.restic,
                    "RESTIC_CACHE_DIR": os.path.join(folder, "restic-cache")}
        self.rows = []

    def call(self, *argv):
        subprocess.run(argv, env=self.env, check=True, cwd="/",
                       stdout=subprocess.DEVNULL)

    # ---- nights ----

    def change(self):
        share, anywhere = self.args.share, self.args.anywhere
        with self.postgres.connect("bench") as connection:
            for table, change in CHANGES.items():
                # A tenth of each table is what was made lately.
                connection.execute(
                    "UPDATE app.%s SET %s WHERE random() < %g OR (random()"
                    " < %g AND id > (SELECT max(id) * 0.9 FROM app.%s))" % (
                        table, change, share * anywhere,
                        share * (1 - anywhere) * 10, table))
                connection.execute("VACUUM app.%s" % table)

    def back_up_ours(self):
        began = time.monotonic()
        self.stack.create()
        return time.monotonic() - began

    def back_up_restic(self):
        if not os.path.isdir(self.restic):
            self.call("restic", "init", "-q")
        self.call("bash", "-o", "pipefail", "-c",
                  '"$1" -Fp -d "$2" | restic backup -q --stdin'
                  ' --stdin-filename dump.sql', "bash",
                  self.postgres.program("pg_dump"),
                  self.postgres.conninfo("bench"))

    def back_up_file(self, number):
        self.call(self.postgres.program("pg_dump"), "-Fc", "-f",
                  os.path.join(self.files, "%d.dump" % number), "-d",
                  self.postgres.conninfo("bench"))

    def measure(self, night, seconds, repository=None):
        row = (folder_size(repository or self.stack.repository),
               folder_size(self.restic), folder_size(self.files))
        before = self.rows[-1] if self.rows else (0, 0, 0)
        self.rows.append(row)
        print("%5s %10.1f %8.2f %10.1f %8.2f %10.1f %8.1f" % (
            night, row[0] / 1e6, (row[0] - before[0]) / 1e6, row[1] / 1e6,
            (row[1] - before[1]) / 1e6, row[2] / 1e6, seconds), flush=True)

    def nights(self):
        print("%5s %10s %8s %10s %8s %10s %8s" % (
            "night", "ours MB", "more", "restic MB", "more", "-Fc MB",
            "ours s"))
        for number in range(self.args.nights):
            if number > 0:
                self.change()
            seconds = self.back_up_ours()
            self.back_up_restic()
            self.back_up_file(number)
            self.measure(number + 1, seconds)

    # ---- and afterwards ----

    def restore(self, snapshot):
        """Seconds to read everything of a snapshot."""
        began = time.monotonic()
        result = self.stack.admin("backup-restore", snapshot, "--to",
                                  "bench_restored")
        assert result.status == COMPLETE, str(result)
        seconds = time.monotonic() - began
        self.postgres.drop_database("bench_restored")
        return seconds

    def prune_ours(self, repository, *args):
        """Seconds, of a machine that has seen no other state of it."""
        state = self.stack.path("state-of-" + os.path.basename(repository))
        env = {"BACKUP_STATE_DIR": state, "BACKUP_CACHE_DIR": state}
        began = time.monotonic()
        for _ in range(2):  # condemned by the first, deleted by the second
            result = self.stack.run(
                "backup-prune", "--repository", repository, "--keep-last",
                str(self.args.keep), "--grace", "0", *args, env=env)
            assert result.status == COMPLETE, str(result)
        return time.monotonic() - began

    def prune(self):
        """What only the removed nights used is given back: packs of which
        nothing is needed by the host, and the rest by who may read them."""
        copy = self.stack.path("copy")
        shutil.copytree(self.stack.repository, copy)
        self.call("restic", "forget", "-q", "--keep-last",
                  str(self.args.keep), "--prune")
        for number in range(self.args.nights - self.args.keep):
            os.unlink(os.path.join(self.files, "%d.dump" % number))
        self.measure("host", self.prune_ours(copy), copy)
        shutil.rmtree(copy)
        self.measure("admin", self.prune_ours(
            self.stack.repository, "--identity-file", self.stack.identity))

    def verdict(self, ours, restic, files):
        """What the figures should be and are not."""
        if ours > restic:
            yield "ours is larger than restic's: %.1f and %.1f MB" % (
                ours / 1e6, restic / 1e6)
        if ours > files / 2:
            yield "ours is larger than half of the files: %.1f and %.1f MB" % (
                ours / 1e6, files / 1e6)

    def kept_verdict(self, left):
        """The nights that stay need what they added, and of what was there
        before no more than a whole database."""
        rows = [row[0] for row in self.rows[:self.args.nights]]
        removed = max(self.args.nights - self.args.keep, 0)
        needed = rows[0] + rows[-1] - (rows[removed - 1] if removed else 0)
        if left > MOST_LEFT * needed:
            yield "the prune leaves %.1f of %.1f MB; %.1f are needed" % (
                left / 1e6, rows[-1] / 1e6, needed / 1e6)

    def stop(self):
        self.postgres.stop()

    def run(self):
        fill.fill_database(self.postgres, "bench", scale=self.args.scale)
        self.nights()
        wrong = list(self.verdict(*self.rows[-1]))
        names = self.stack.snapshots()
        print("restore of the first night %.1f s, of the last %.1f s" % (
            self.restore(names[0]), self.restore(names[-1])))
        self.prune()
        if self.rows[-1][0] > self.rows[-2][0]:
            wrong.append("a prune with the identity gave back less")
        wrong += self.kept_verdict(self.rows[-1][0])
        self.restore(names[-1])
        return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", required=True)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--keep", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.01,
                        help="of the rows that change a day")
    parser.add_argument("--anywhere", type=float, default=0.2,
                        help="share of these that lies anywhere")
    args = parser.parse_args()
    if not shutil.which("restic"):
        sys.exit("restic is missing: there is nothing to compare with")
    wrong = run_bench(Sizes, args)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
