# SPDX-License-Identifier: Apache-2.0
"""The project's own commands, and a configuration for them."""

import json
import os
import signal
import subprocess

COMPLETE, FAILED, USAGE, DEGRADED = 0, 1, 2, 3

# What a run needs of the caller's environment; all else could only mislead it.
KEPT = ("PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS",
        "TSAN_OPTIONS", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


def patience(seconds):
    """A time limit; sanitizers and slow machines get a multiple of it."""
    return seconds * float(os.environ.get("BACKUP_TEST_PATIENCE", "1"))


class Result:
    """How a command ended and what it said."""

    def __init__(self, argv, status, out, err):
        self.argv = argv
        self.status = status
        self.out = out
        self.err = err

    @property
    def message(self):
        """What a person would read of a failure."""
        return self.err

    @property
    def events(self):
        """What --json printed."""
        return [json.loads(line) for line in self.out.split("\n") if line]

    @property
    def result(self):
        """The last event: the outcome."""
        event = self.events[-1]
        assert event["type"] == "result", str(self)
        return event

    def of_type(self, kind):
        return [event for event in self.events if event["type"] == kind]

    def __str__(self):
        return "%s\nended with %s\n--- stdout\n%s--- stderr\n%s" % (
            " ".join(map(str, self.argv)), self.status, _text(self.out),
            _text(self.err))


def _text(what):
    if isinstance(what, bytes):
        what = what.decode(errors="backslashreplace")
    return what[-6000:]


class Commands:
    """The commands as one host sees them: a home, an environment."""

    def __init__(self, tools, home):
        self.tools = os.path.abspath(tools)
        self.home = home
        os.makedirs(os.path.join(home, "tmp"), exist_ok=True)
        self.env = {name: os.environ[name]
                    for name in KEPT if name in os.environ}
        self.env.update(HOME=home, LC_ALL="C.UTF-8", TZ="UTC",
                        TMPDIR=os.path.join(home, "tmp"))

    def argv(self, name, *args):
        return [os.path.join(self.tools, name), *map(os.fspath, args)]

    def start(self, name, *args, env=None, stdin=subprocess.DEVNULL,
              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options):
        """A running command, in a process group of its own."""
        return subprocess.Popen(
            self.argv(name, *args), env={**self.env, **(env or {})},
            cwd=self.home, stdin=stdin, stdout=stdout, stderr=stderr,
            start_new_session=True, **options)

    def run(self, name, *args, env=None, text=True, timeout=300, **options):
        process = self.start(name, *args, env=env, **options)
        return finish(process, text, timeout)


def finish(process, text=True, timeout=300):
    """Waits for a command; one that hangs is a failure that says so."""
    try:
        out, err = process.communicate(timeout=patience(timeout))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(
            "it hangs: %s" % Result(process.args, "no status", out, err))
    err = (err or b"").decode(errors="backslashreplace")
    if text:
        out = (out or b"").decode(errors="backslashreplace")
    return Result(process.args, process.returncode, out, err)


def recipient_of(identity):
    """For whom an age identity opens files."""
    return subprocess.run(["age-keygen", "-y", identity], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def _scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(_scalar(item) for item in value)
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (key, _scalar(item))
                                  for key, item in value.items())
    return json.dumps(str(value))


class Stack:
    """A backup host: repository, keys, a configuration that grows, and what
    it is pointed at. Secrets are in files, as the man page advises."""

    def __init__(self, tools, folder):
        self.folder = folder
        self.commands = Commands(tools, os.path.join(folder, "home"))
        self.repository = os.path.join(folder, "repository")
        self.key_file = os.path.join(folder, "host.key")
        self.identity = os.path.join(folder, "identity.txt")
        self.config = os.path.join(folder, "backup.yaml")
        self.sources = []
        self.options = {"repository": self.repository,
                        "key_file": self.key_file}

    # ---- configuration ----

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def secret(self, name, value):
        path = self.path(name)
        with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as out:
            out.write(value + "\n")
        return path

    def add(self, kind, name, **options):
        """Adds or replaces a source; answers its prefix."""
        self.sources = [source for source in self.sources
                        if source[0] != kind or source[1] != name]
        self.sources.append((kind, name, options))
        self.write()
        return "%s/%s" % (kind, name)

    def add_postgres(self, name, postgres, database, **options):
        return self.add("postgres", name, **{
            "conninfo": postgres.tcp_conninfo(database),
            "password_file": self.secret("pg-password", postgres.password),
            **options})

    def add_bucket(self, name, minio, **options):
        return self.add("bucket", name, **{
            "endpoint": minio.endpoint,
            "access_key_file": self.secret("s3-access", minio.access_key),
            "secret_key_file": self.secret("s3-secret", minio.secret_key),
            **options})

    def use_bucket(self, minio, location, **storage):
        """The repository is in a bucket: s3://bucket/prefix."""
        self.repository = location
        self.options["repository"] = location
        self.options["storage"] = {
            "endpoint": minio.endpoint,
            "access_key_file": self.secret("repo-access", minio.access_key),
            "secret_key_file": self.secret("repo-secret", minio.secret_key),
            **storage}
        self.write()

    def write(self):
        lines = ["%s: %s" % (key, _scalar(value))
                 for key, value in self.options.items()]
        lines.append("sources:")
        for kind, name, options in self.sources:
            lines.append("  - %s: %s" % (kind, _scalar(name)))
            lines += ["    %s: %s" % (key, _scalar(value))
                      for key, value in options.items()]
        with open(self.config, "w") as out:
            out.write("\n".join(lines) + "\n")

    # ---- commands ----

    def run(self, name, *args, **options):
        return self.commands.run(
            name, "--config", self.config, *args, **options)

    def start(self, name, *args, **options):
        return self.commands.start(
            name, "--config", self.config, *args, **options)

    def _expect(self, result, *statuses):
        assert result.status in statuses, str(result)
        return result

    def init(self, *args):
        if not args:
            args = ("--new-identity", self.identity)
        return self._expect(self.commands.run(
            "backup-init", "--repository", self.repository, "--key-file",
            self.key_file, *(["--config", self.config]
                             if "storage" in self.options else []),
            *args), COMPLETE)

    def create(self, *args, statuses=(COMPLETE,), **options):
        """A backup that must go well; answers its result event."""
        return self._expect(self.run(
            "backup-create", "--json", *args, **options), *statuses).result

    def admin(self, name, *args, **options):
        """A command as an administrator runs it, with the identity."""
        return self.run(name, "--identity-file", self.identity, *args,
                        **options)

    def restore(self, *args, statuses=(COMPLETE,), **options):
        return self._expect(self.admin(
            "backup-restore", "--json", *(args or ("latest",)), **options),
            *statuses).result

    def verify(self, *args, statuses=(COMPLETE,), **options):
        return self._expect(self.admin(
            "backup-verify", "--json", *args, **options), *statuses)

    def snapshots(self):
        """Names, oldest first, as the command tells them."""
        result = self._expect(self.run("backup-list", "--json"), COMPLETE)
        return [event["name"] for event in result.events
                if event.get("type") == "snapshot"]

    def entries(self, snapshot="latest", *prefix):
        """The entries' events by path."""
        result = self._expect(self.run(
            "backup-list", "--json", snapshot, *prefix), COMPLETE)
        return {event["path"]: event for event in result.events
                if event.get("type") == "entry"}
