# SPDX-License-Identifier: Apache-2.0
"""./bootstrap demo: fill, back up, change, back up again, lose everything,
restore, prove. Exits with 0 only where every witness agrees."""

import argparse
import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import fill  # noqa: E402
from harness import witness  # noqa: E402
from harness.folder import Folder  # noqa: E402
from harness.minio import Minio, empty_bucket  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.process import ServerMissing  # noqa: E402
from harness.stack import COMPLETE, DEGRADED, Stack, finish  # noqa: E402

DATABASE, BUCKET = "shop", "uploads"


class Failed(Exception):
    """The demonstration does not show what it should."""


def size(number):
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return "%.4g %s" % (number, unit)
        number /= 1000
    return "%.4g GB" % number


class Demo:
    def __init__(self, tools, folder, scale):
        self.scale = scale
        self.stack = Stack(tools, folder)
        self.files = os.path.join(folder, "stack")
        self.dump = os.path.join(folder, "cache.rdb")
        self.summary = []

    # ---- telling ----

    def step(self, text):
        self._began = time.monotonic()
        print("\n== %s" % text, flush=True)

    def done(self, text):
        seconds = time.monotonic() - self._began
        print("   %s (%.1f s)" % (text, seconds), flush=True)
        return seconds

    def note(self, label, text):
        self.summary.append("%-18s %s" % (label, text))

    def command(self, name, *args, identity=False):
        """Runs one of the project's commands and shows its line."""
        if identity:
            args = ("--identity-file", self.stack.identity, *args)
        shown = [arg.replace(self.stack.folder + "/", "") for arg in args]
        print("   $ %s %s" % (name, " ".join(shown)), flush=True)
        began = time.monotonic()
        # On a terminal, the command's own progress is the thing to see.
        stderr = None if sys.stderr.isatty() else -1
        process = self.stack.commands.start(
            name, "--json", *args, stderr=stderr)
        try:
            result = finish(process, timeout=1800)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait()
        if result.status not in (COMPLETE, DEGRADED):
            raise Failed(str(result))
        for event in result.of_type("omission"):
            raise Failed("left out: %s: %s" % (event["path"], event["text"]))
        result.seconds = time.monotonic() - began
        return result

    # ---- the story ----

    def start(self):
        self.step("starting PostgreSQL and MinIO in %s" % self.stack.folder)
        self.postgres = Postgres(self.stack.folder)
        self.minio = Minio(self.stack.folder)
        self.s3 = self.minio.client()
        self.done("ports %d and %d" % (self.postgres.port, self.minio.port))

    def stop(self):
        for name in ("minio", "postgres"):
            if hasattr(self, name):
                getattr(self, name).stop()

    def fill(self):
        self.step("filling a database, a bucket and a folder")
        objects = fill.fill_bucket(self.s3, BUCKET, self.scale)
        fill.fill_database(self.postgres, DATABASE, objects, self.scale)
        fill.fill_folder(self.files)
        with open(self.dump, "wb") as out:
            out.write(b"REDIS0011" + bytes(range(256)) * 40)
        self.done("%d objects, %s" % (
            len(objects), size(sum(item[1] for item in objects))))

    def configure(self):
        self.stack.add_postgres("shop", self.postgres, DATABASE)
        self.stack.add_bucket("uploads", self.minio,
                              scratch_bucket=True)
        self.stack.add("files", "stack", paths=[self.files])
        self.stack.add("command", "cache", run=["cat", self.dump],
                       restore=["dd", "status=none", "of=" + self.dump],
                       output="cache.rdb")
        self.step("making a repository")
        self.command("backup-init", "--repository", self.stack.repository,
                     "--key-file", self.stack.key_file,
                     "--new-identity", self.stack.identity)
        self.done("encrypted; this host's own key cannot read it")

    def create(self, label):
        self.step("taking the %s backup" % label)
        result = self.command("backup-create", "--config", self.stack.config)
        event = result.result
        self.done("%d rows, %d objects, %d files" % (
            event["rows"], event["objects"], event["files"]))
        self.note(label + " backup", "%s of data, %s added, %.1f s" % (
            size(event["bytes"]), size(event["stored_bytes"]),
            result.seconds))

    def change(self):
        self.step("changing 1% of the rows, 30 objects, 2 files")
        fill.change(self.postgres, DATABASE, self.s3, BUCKET, self.files)
        self.done("changed")

    def look(self):
        return {
            "database": witness.database(self.postgres, DATABASE),
            "bucket": witness.bucket(self.s3, BUCKET),
            "files": witness.folder(self.files),
            "command": {"cache": open(self.dump, "rb").read()},
        }

    def remember(self):
        self.step("looking at everything by SQL, boto3 and the file system")
        self.before = self.look()
        self.rows = witness.row_total(self.before["database"])
        self.done("%d rows, %d objects, %d files" % (
            self.rows, len(self.before["bucket"]),
            len(self.before["files"])))

    def destroy(self):
        self.step("disaster: dropping the database and its roles, emptying"
                  " the bucket, deleting the folder")
        self.postgres.drop_database(DATABASE)
        fill.drop_roles(self.postgres)
        empty_bucket(self.s3, BUCKET)
        shutil.rmtree(self.files)
        os.unlink(self.dump)
        self.done("all gone")

    def restore(self):
        self.step("restoring the latest backup")
        result = self.command("backup-restore", "--config",
                              self.stack.config, "latest", identity=True)
        self.done("%s back" % size(result.result["bytes"]))
        self.note("restore", "%.1f s" % result.seconds)

    def verify(self, label, *args):
        self.step("proving it: %s" % label)
        result = self.command("backup-verify", "--config", self.stack.config,
                              *args, identity=True)
        event = result.result
        if not event["is_proven"]:
            raise Failed(str(result))
        for check in result.of_type("check"):
            if check["status"] != "pass":
                print("   %(status)s %(name)s: %(what)s" % check)
        text = "%d checks passed, %d failed, %d skipped" % (
            event["passed"], event["failed"], event["skipped"])
        self.done(text)
        self.note("verify, " + label,
                  "%s, %.1f s" % (text, result.seconds))

    def compare(self):
        self.step("comparing with what was there before, by SQL, boto3 and"
                  " the file system")
        after = self.look()
        lines = ["%s: %s" % (what, line) for what in self.before
                 for line in witness.differences(
                     self.before[what], after[what])]
        if lines:
            raise Failed("%d things differ\n%s" % (
                len(lines), "\n".join(lines[:50])))
        self.done("all the same")
        self.note("data", "%d rows, %d objects (%s), %d files" % (
            self.rows, len(after["bucket"]),
            size(sum(seen["size"] for seen in after["bucket"].values())),
            len(after["files"])))

    def run(self):
        self.start()
        self.fill()
        self.configure()
        self.create("first")
        self.change()
        self.create("second")
        self.remember()
        self.destroy()
        self.restore()
        self.compare()
        self.verify("live", "--live")
        self.verify("scratch")


def main():
    parser = argparse.ArgumentParser(prog="./bootstrap demo")
    parser.add_argument("--tools", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--scale", type=float, default=1, metavar="N",
                        help="N times the data")
    parser.add_argument("--keep", action="store_true",
                        help="leave the folder behind")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    with Folder("libbackup-demo") as folder:
        demo = Demo(args.tools, folder.path, args.scale)
        try:
            demo.run()
        except (Failed, ServerMissing) as failure:
            print("\n== FAILED: %s" % failure, flush=True)
            return 1
        except KeyboardInterrupt:
            print("\n== stopped", flush=True)
            return 130
        finally:
            demo.stop()
            if args.keep:
                folder.keep()
                print("\n== kept: %s" % folder.path)
        print("\n== what happened")
        print("\n".join("   " + line for line in demo.summary))
        print("\n== PROVEN: everything came back as it was")
    return 0


if __name__ == "__main__":
    sys.exit(main())
