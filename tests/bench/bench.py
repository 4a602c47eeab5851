# SPDX-License-Identifier: Apache-2.0
"""make bench: ours beside what people use today, in turn, in one run.

The columns: seconds, bytes stored, the peak memory of the largest process and
of all processes together, and our time divided by theirs.

Figures are medians over the rounds, with the smallest and the largest;
ratios are medians of each round's ratio, since machines drift. Everything is
in the page cache and on one machine: what is compared is work, not disks."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"),
                os.path.join(HERE, "..", "demo")]

import fill  # noqa: E402
from harness.folder import Folder  # noqa: E402
from harness.minio import Minio, remove_bucket  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.process import ServerMissing  # noqa: E402
from harness.stack import COMPLETE, Commands, Stack  # noqa: E402

OURS = "libbackup"
MIB = 1 << 20


def folder_size(path):
    return sum(os.lstat(os.path.join(where, name)).st_size
               for where, _, names in os.walk(path) for name in names)


def built_program(commands, name):
    """The program itself, and the environment that it runs in: what libtool
    made of it to run it where it was built is a script, which takes longer to
    begin than psql to end."""
    built = os.path.join(commands.tools, ".libs", name)
    if not os.path.exists(built):
        return commands.argv(name), commands.env
    return [built], {**commands.env, "LD_LIBRARY_PATH": os.path.join(
        os.path.dirname(commands.tools), "libbackup", ".libs")}


class Memory(threading.Thread):
    """Watches how much memory a command and all its children use: together,
    and the largest of them alone. It looks fifty times a second, so a short
    peak of the sum may be missed; that of one process is its own record
    (VmHWM), of which only the last moment is."""

    def __init__(self, session):
        super().__init__(daemon=True)
        self.session = session
        self.together_kib = self.largest_kib = 0
        self.is_over = False
        self.start()

    def run(self):
        while not self.is_over:
            together = 0
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if os.getsid(int(pid)) == self.session:
                        together += self._look_at(pid)
                except OSError:
                    continue  # it has ended meanwhile
            self.together_kib = max(self.together_kib, together)
            time.sleep(0.02)

    def _look_at(self, pid):
        figures = {}
        with open("/proc/%s/status" % pid) as status:
            for line in status:
                name, _, value = line.partition(":")
                if name in ("VmHWM", "VmRSS"):
                    figures[name] = int(value.split()[0])
        self.largest_kib = max(self.largest_kib, figures.get("VmHWM", 0))
        return figures.get("VmRSS", 0)


class Run:
    """Time, memory and bytes stored of one command line."""

    def __init__(self, argv, env=None, stored=None):
        self.argv, self.env, self.stored = argv, env, stored

    def __call__(self):
        began = time.monotonic()
        process = subprocess.Popen(
            self.argv, env=self.env, cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True)
        memory = Memory(process.pid)
        err = process.communicate()[1]
        seconds = time.monotonic() - began
        memory.is_over = True
        if process.returncode != COMPLETE:
            raise RuntimeError("%s ended with %d: %s" % (
                self.argv[0], process.returncode, err.decode()[-2000:]))
        return {
            "seconds": seconds,
            "largest": memory.largest_kib / 1024,
            "together": memory.together_kib / 1024,
            "stored": folder_size(self.stored) if self.stored else None,
        }


class Table:
    """One question, several ways to answer it, some rounds of each."""

    def __init__(self, title):
        self.title = title
        self.rows = {}

    def add(self, name, figures):
        self.rows.setdefault(name, []).append(figures)

    def median(self, name, what):
        values = [row[what] for row in self.rows[name]]
        return None if None in values else statistics.median(values)

    def ratio(self, name):
        pairs = zip(self.rows[OURS], self.rows[name])
        return statistics.median(
            ours["seconds"] / other["seconds"] for ours, other in pairs)

    def show(self):
        print("\n%s" % self.title)
        print("  %-30s %8s %17s %9s %9s %9s %7s" % (
            "", "median s", "[min-max]", "stored MB", "peak MiB", "together",
            "ratio"))
        for name, rows in self.rows.items():
            seconds = [row["seconds"] for row in rows]
            stored = self.median(name, "stored")
            print("  %-30s %8.2f %17s %9s %9.0f %9.0f %7s" % (
                name, statistics.median(seconds),
                "[%.2f-%.2f]" % (min(seconds), max(seconds)),
                "" if stored is None else "%.1f" % (stored / 1e6),
                self.median(name, "largest"), self.median(name, "together"),
                "" if name == OURS else "%.2f" % self.ratio(name)),
                flush=True)


class Bench:
    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.tools = Commands(args.tools, os.path.join(folder, "home"))
        self.env = self.tools.env
        self.count = 0
        self.postgres = Postgres(folder)
        self.minio = Minio(folder)
        self.s3 = self.minio.client()

    def stop(self):
        self.minio.stop()
        self.postgres.stop()

    def new_folder(self):
        self.count += 1
        path = os.path.join(self.folder, "run%d" % self.count)
        os.mkdir(path)
        return path

    # ---- ours ----

    def stack(self):
        stack = Stack(self.args.tools, self.new_folder())
        stack.options["workers"] = self.args.jobs
        stack.write()
        stack.init()
        return stack

    def ours(self, stack, name, *args):
        return Run(self.tools.argv(name, "--config", stack.config,
                                   "--identity-file", stack.identity, *args),
                   self.env, stack.repository)

    # ---- theirs ----

    def dump_directory(self, path):
        return Run([self.postgres.program("pg_dump"), "-Fd",
                    "-j%d" % self.args.jobs, "-f", path,
                    "-d", self.postgres.conninfo("bench")], self.env, path)

    def dump_age(self, path):
        os.mkdir(path)
        recipient = subprocess.run(
            ["age-keygen", "-o", os.path.join(self.new_folder(), "key")],
            check=True, capture_output=True, text=True
        ).stderr.split()[-1]
        return Run(
            ["bash", "-o", "pipefail", "-c",
             '"$1" -Fc -d "$2" | age -r "$3" -o "$4/dump.age"', "bash",
             self.postgres.program("pg_dump"),
             self.postgres.conninfo("bench"), recipient, path],
            self.env, path)

    # ---- questions ----

    def databases(self):
        """Backup and a second backup, in turn in every round."""
        first = Table("First backup of the database")
        second = Table("Backup after 1% of the rows changed")
        for number in range(self.args.rounds):
            print("round %d of %d" % (number + 1, self.args.rounds),
                  flush=True)
            stack = self.stack()
            stack.add_postgres(
                "bench", self.postgres, "bench",
                conninfo=self.postgres.conninfo("bench"))
            directory = os.path.join(self.new_folder(), "d")
            first.add(OURS, self.ours(stack, "backup-create")())
            first.add("pg_dump -Fd -j%d" % self.args.jobs,
                      self.dump_directory(directory)())
            first.add("pg_dump -Fc | age", self.dump_age(
                os.path.join(self.new_folder(), "c"))())

            self.change(number)
            before = folder_size(stack.repository)
            figures = self.ours(stack, "backup-create")()
            figures["stored"] -= before
            second.add(OURS, figures)
            shutil.rmtree(directory)
            second.add("pg_dump -Fd -j%d" % self.args.jobs,
                       self.dump_directory(directory)())
            shutil.rmtree(stack.folder)
            shutil.rmtree(directory)
        for table in (first, second):
            table.show()

    def restores(self):
        """All the way to valid constraints, built indexes and statistics;
        pg_restore takes no statistics. pgcopydb has no file between the two
        databases, so its time is that of reading as well."""
        table = Table("Restore of the database")
        stack = self.stack()
        stack.add_postgres("bench", self.postgres, "bench",
                           conninfo=self.postgres.conninfo("bench"))
        self.ours(stack, "backup-create")()
        directory = os.path.join(self.new_folder(), "d")
        self.dump_directory(directory)()
        ways = [
            (OURS, lambda name: self.ours(
                stack, "backup-restore", "latest", "--to", name)),
            ("pg_restore -j%d" % self.args.jobs, lambda name: Run(
                [self.postgres.program("pg_restore"), "--exit-on-error",
                 "-j%d" % self.args.jobs, "-d",
                 self.postgres.conninfo(name), directory], self.env))]
        if shutil.which("pgcopydb"):
            ways.append(("pgcopydb clone", self.pgcopydb))
        for number in range(self.args.rounds):
            print("restore %d of %d" % (number + 1, self.args.rounds),
                  flush=True)
            for name, way in ways:
                if name != OURS:
                    self.postgres.create_database("bench_copy")
                self.postgres.execute("postgres", "CHECKPOINT")
                table.add(name, way("bench_copy")())
                self.postgres.drop_database("bench_copy")
        shutil.rmtree(stack.folder)
        shutil.rmtree(directory)
        table.show()

    def pgcopydb(self, name):
        return Run(["pgcopydb", "clone", "--dir",
                    os.path.join(self.new_folder(), "copy"),
                    "--table-jobs", str(self.args.jobs),
                    "--index-jobs", str(self.args.jobs),
                    "--source", self.postgres.conninfo("bench"),
                    "--target", self.postgres.conninfo(name)], self.env)

    def change(self, number):
        with self.postgres.connect("bench") as connection:
            for table, column in (("task", "title"), ("comment", "body")):
                connection.execute(
                    "UPDATE app.%s SET %s = %s || '.' WHERE id %% 100 = %d"
                    % (table, column, column, number))
            connection.execute(
                "UPDATE app.event SET payload = payload || '{\"x\": %d}'"
                " WHERE id %% 100 = %d" % (number, number))

    def small_objects(self):
        table = Table("Backup of a bucket of %d small objects"
                      % self.args.objects)
        again = Table("The same again, nothing changed")
        self.s3.create_bucket(Bucket="small")
        threads = [threading.Thread(target=self.put, args=(n,))
                   for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(self.args.rounds):
            stack = self.stack()
            stack.add_bucket("small", self.minio)
            table.add(OURS, self.ours(stack, "backup-create")())
            again.add(OURS, self.ours(stack, "backup-create")())
            if shutil.which("rclone"):
                copy = os.path.join(self.new_folder(), "copy")
                table.add("rclone copy", self.rclone(copy)())
                again.add("rclone copy", self.rclone(copy)())
        table.show()
        again.show()
        remove_bucket(self.s3, "small")

    def put(self, lane):
        client = self.minio.client()
        for number in range(lane, self.args.objects, 8):
            client.put_object(
                Bucket="small", Key="%02x/%06d.json" % (number % 256, number),
                Body=b'{"number": %d, "text": "%s"}\n' % (
                    number, b"x" * (number % 4000)))

    def rclone(self, path):
        env = {**self.env,
               "RCLONE_CONFIG": "/dev/null",
               "RCLONE_CONFIG_M_TYPE": "s3",
               "RCLONE_CONFIG_M_PROVIDER": "Minio",
               "RCLONE_CONFIG_M_ENDPOINT": self.minio.endpoint,
               "RCLONE_CONFIG_M_ACCESS_KEY_ID": self.minio.access_key,
               "RCLONE_CONFIG_M_SECRET_ACCESS_KEY": self.minio.secret_key}
        return Run(["rclone", "copy", "-q", "--transfers", "8", "m:small",
                    path], env, path)

    def run(self):
        print("filling a database of %g million rows" % self.args.scale,
              flush=True)
        fill.fill_database(self.postgres, "bench", scale=self.args.scale)
        for question in self.args.questions.split(","):
            {"backups": self.databases, "restores": self.restores,
             "objects": self.small_objects}[question]()


def run_bench(make, args):
    """Runs what make(args, folder) makes, in a folder that goes, and answers
    what its run() does; a server that cannot be had ends it with a sentence."""
    with Folder("libbackup-bench") as folder:
        bench = None
        try:
            bench = make(args, folder.path)
            return bench.run()
        except ServerMissing as missing:
            sys.exit(str(missing))
        finally:
            if bench:
                bench.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", required=True)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, default=10000)
    parser.add_argument("--questions", default="backups,restores,objects")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    run_bench(Bench, args)


if __name__ == "__main__":
    main()
