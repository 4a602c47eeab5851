# SPDX-License-Identifier: Apache-2.0
"""make bench-objects: buckets, beside what copies them today.

Two buckets, of many small objects and of some large ones, in three questions:
a first run, a second one with nothing changed, and all of it back into an
empty bucket. Ours encrypts, deduplicates and checks; `mc mirror` and `rclone
sync` copy to a folder and from it. Ratios are of rounds in which all ran in
turn. Beside the seconds stand those of the processor, the program's and the
server's: on a machine that others use, they say more. mc is asked where it is
here (./bootstrap s3 mc)."""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support")]

from bench import built_program  # noqa: E402
from harness.folder import Folder  # noqa: E402
from harness.minio import Minio, empty_bucket  # noqa: E402
from harness.process import ServerMissing  # noqa: E402
from harness.stack import COMPLETE, Stack  # noqa: E402

OURS = "libbackup"
QUESTIONS = ("first run", "nothing changed", "restore")


def processor_seconds(pid):
    """What a process that still runs has used."""
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(argv, env, server):
    """Seconds, and seconds of the processor that a command and the server
    took."""
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (usage.ru_utime + usage.ru_stime,
                processor_seconds(server.process.pid))

    before, began = used(), time.monotonic()
    done = subprocess.run(argv, env=env, cwd="/", stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode != COMPLETE:
        sys.exit("%s ended with %d: %s" % (
            " ".join(argv), done.returncode, done.stderr.decode()[-2000:]))
    seconds, after = time.monotonic() - began, used()
    own, others = (one - other for one, other in zip(after, before))
    return seconds, own, others, own + others


class Ours:
    name = OURS

    def __init__(self, bench, folder):
        self.stack = Stack(bench.args.tools, folder)
        self.bench = bench
        self.stack.write()
        self.stack.init()

    def _run(self, command, *args):
        program, env = built_program(self.stack.commands, command)
        return measure(
            [*program, "--config", self.stack.config, "--identity-file",
             self.stack.identity, *args], env, self.bench.minio.server)

    def save(self, bucket):
        self.stack.add_bucket("b", self.bench.minio, bucket_name=bucket)
        return self._run("backup-create")

    def restore(self, bucket):
        return self._run("backup-restore", "latest", "bucket/b",
                         "--to", bucket)


class Copies:
    """A program that copies: to(bucket) and back are command lines."""

    def __init__(self, bench, folder):
        self.copy = os.path.join(folder, "copy")
        os.mkdir(self.copy)
        self.server = bench.minio.server
        self.env = {"PATH": os.environ["PATH"], "HOME": folder,
                    **self.environment(bench.minio)}

    def save(self, bucket):
        return measure(self.line("m/" + bucket, self.copy), self.env,
                       self.server)

    def restore(self, bucket):
        return measure(self.line(self.copy, "m/" + bucket), self.env,
                       self.server)


class Rclone(Copies):
    name = "rclone sync"
    program = shutil.which("rclone")

    def environment(self, minio):
        return {"RCLONE_CONFIG": "/dev/null",
                "RCLONE_CONFIG_M_TYPE": "s3",
                "RCLONE_CONFIG_M_PROVIDER": "Minio",
                "RCLONE_CONFIG_M_ENDPOINT": minio.endpoint,
                "RCLONE_CONFIG_M_ACCESS_KEY_ID": minio.access_key,
                "RCLONE_CONFIG_M_SECRET_ACCESS_KEY": minio.secret_key}

    def line(self, source, target):
        return [self.program, "sync", "-q", "--transfers", "8",
                *[place.replace("m/", "m:", 1) if place.startswith("m/")
                  else place for place in (source, target)]]


class Mc(Copies):
    name = "mc mirror"
    program = shutil.which(os.environ.get("MC") or "mc")

    def environment(self, minio):
        scheme, address = minio.endpoint.split("://")
        return {"MC_HOST_m": "%s://%s:%s@%s" % (
            scheme, minio.access_key, minio.secret_key, address)}

    def line(self, source, target):
        return [self.program, "mirror", "--quiet", "--overwrite", source,
                target]


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.minio = Minio(folder)
        self.s3 = self.minio.client()
        self.figures = {}
        self.ways = [way for way in (Mc, Rclone) if way.program]

    def fill(self, bucket, count, size):
        """Bytes that nothing compresses, and no two objects share."""
        self.s3.create_bucket(Bucket=bucket)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self.s3.put_object(
                Bucket=bucket, Key="%02x/%06d" % (number % 256, number),
                Body=os.urandom(size)), range(count)))

    def one(self, way, bucket):
        folder = os.path.join(self.folder, "round")
        os.mkdir(folder)
        tool = way(self, folder)
        target = "back"
        self.s3.create_bucket(Bucket=target)
        for question, ask in zip(QUESTIONS, (
                lambda: tool.save(bucket), lambda: tool.save(bucket),
                lambda: tool.restore(target))):
            self.figures.setdefault((bucket, question), {}).setdefault(
                way.name, []).append(ask())
        self.compare(bucket, target, way)
        empty_bucket(self.s3, target)
        self.s3.delete_bucket(Bucket=target)
        shutil.rmtree(folder)

    def compare(self, bucket, target, way):
        """Nobody is fast by doing nothing."""
        def seen(name):
            return {item["Key"]: item["Size"] for page in
                    self.s3.get_paginator("list_objects_v2").paginate(
                        Bucket=name) for item in page.get("Contents", [])}
        if seen(bucket) != seen(target):
            sys.exit("%s did not bring back %s" % (way.name, bucket))

    def show(self):
        """Answers whether ours was slower than any other at anything."""
        slower = []
        print("%-22s %-11s %8s %7s %9s %7s %12s" % (
            "", "", "median s", "of CPU", "server's", "ratio",
            "ratio of CPU"))
        for (bucket, question), ways in self.figures.items():
            for name, runs in ways.items():
                line = [statistics.median(run[i] for run in runs)
                        for i in (0, 1, 2)]
                line += [statistics.median(
                    ours[i] / run[i] for ours, run in zip(ways[OURS], runs))
                    for i in (0, 3)]
                at_most = self.args.at_most
                if question == "nothing changed":
                    at_most /= 3
                if name != OURS and line[3] > at_most:
                    slower.append("%s, %s: %.2f times %s" % (
                        bucket, question, line[3], name))
                print("%-22s %-11s %8.2f %7.2f %9.2f %7.2f %12.2f" % (
                    bucket + ", " + question, name, *line), flush=True)
        return slower

    def run(self):
        scale = self.args.scale
        buckets = [("small", int(10000 * scale), 10240),
                   ("large", max(1, int(200 * scale)), 8 << 20)]
        for bucket in buckets:
            self.fill(*bucket)
        for _ in range(self.args.rounds):
            for bucket, _, _ in buckets:
                for way in [Ours, *self.ways]:
                    self.one(way, bucket)
        return self.show()

    def stop(self):
        self.minio.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", required=True)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-most", type=float, default=0,
                        help="fail where ours takes more than so many times "
                        "what another takes, or a third of that where "
                        "nothing changed; 0: only tell")
    args = parser.parse_args()
    with Folder("libbackup-bench") as folder:
        try:
            bench = Bench(args, folder.path)
        except ServerMissing as missing:
            sys.exit(str(missing))
        try:
            slower = bench.run()
        finally:
            bench.stop()
    if args.at_most > 0 and slower:
        sys.exit("\n".join(["too slow:", *slower]))


if __name__ == "__main__":
    main()
