# SPDX-License-Identifier: Apache-2.0
"""A throwaway PostgreSQL cluster."""

import glob
import os
import secrets
import shutil
import signal
import subprocess

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from .process import (Server, ServerMissing, free_port, identity,
                      unprivileged_user)

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "60",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
    "shared_buffers": "256MB",
    "listen_addresses": "127.0.0.1",
    "log_line_prefix": "%m [%p] %a ",
    "timezone": "Europe/Berlin",
    "datestyle": "German",
    "intervalstyle": "sql_standard",
}


def _cache():
    """Where tests/support/postgres.sh unpacks other versions."""
    if os.geteuid() == 0:
        return "/var/cache/libbackup-servers"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(
        "~/.cache"), "libbackup-servers")


def _major(bindir):
    return int(os.path.basename(os.path.dirname(bindir)))


def _bindirs(top):
    """Folders of servers under `top`, the newest first."""
    found = map(os.path.dirname,
                glob.glob(top + "/lib/postgresql/[0-9]*/bin/initdb"))
    return sorted(found, key=_major, reverse=True)


def find_bindir():
    """Where the programs of the newest server are that is installed."""
    for bindir in _bindirs("/usr"):
        return bindir
    path = shutil.which("initdb")
    if path is None:
        raise ServerMissing("there is no PostgreSQL server here (initdb)")
    return os.path.dirname(os.path.realpath(path))


def installed():
    """Folders of every server here by major version, the one that most tests
    use first; or of those that BACKUP_TEST_POSTGRES names, in its order:
    "17 15", or "usual" for that one alone."""
    found = {_major(bindir): bindir for bindir in
             [*_bindirs(_cache() + "/postgresql-*/usr"), *_bindirs("/usr")]}
    wanted = os.environ.get("BACKUP_TEST_POSTGRES", "").split()
    usual = [_major(bindir) for bindir in _bindirs("/usr")[:1]]
    if wanted == ["usual"]:
        wanted = usual
    elif not wanted:
        wanted = usual + sorted(set(found) - set(usual))
    return {int(major): found.get(int(major)) for major in wanted}


class Postgres:
    """One cluster: local socket without a password, TCP with one. Its
    defaults are odd on purpose: a backup must not depend on them."""

    USER = "postgres"

    def __init__(self, folder, settings=None, bindir=None, environment=None,
                 make=None):
        """`make` makes its data, where that is not initdb's."""
        self._environment = environment or {}
        self.bindir = bindir or find_bindir()
        self.password = secrets.token_urlsafe(18)
        self._user = unprivileged_user()
        self._settings = {**SETTINGS, **(settings or {})}
        self.home = os.path.join(folder, "pg")
        os.mkdir(self.home, 0o700)
        self.data = os.path.join(self.home, "data")
        self.log = os.path.join(self.home, "log")
        if self._user:
            os.chown(self.home, self._user.pw_uid, self._user.pw_gid)
            os.chmod(self.home, 0o711)
        if make is None:
            self._initdb()
        else:
            make(self)
        self.start()

    def program(self, name):
        return os.path.join(self.bindir, name)

    def _initdb(self):
        password_file = os.path.join(self.home, "password")
        with open(password_file, "w") as out:
            out.write(self.password + "\n")
        if self._user:
            os.chown(password_file, self._user.pw_uid, self._user.pw_gid)
        os.chmod(password_file, 0o400)
        subprocess.run(
            [self.program("initdb"), "-D", self.data, "-U", self.USER,
             "--auth-local=trust", "--auth-host=scram-sha-256",
             "--pwfile=" + password_file, "-E", "UTF8",
             "--locale=C.UTF-8", "--no-sync"],
            check=True, cwd="/", stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            **identity(self._user))
        os.unlink(password_file)

    def start(self):
        self.port = free_port()
        options = []
        for name, value in {**self._settings, "port": str(self.port),
                            "unix_socket_directories": self.home}.items():
            options += ["-c", "%s=%s" % (name, value)]
        self.server = Server(
            [self.program("postgres"), "-D", self.data, *options], self.log,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                 **self._environment},
            user=self._user, death_signal=signal.SIGQUIT,
            stop_signals=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))
        self.server.wait_until(self._is_ready)

    def _is_ready(self):
        try:
            self.connect("postgres").close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self):
        self.server.stop()

    def restart(self):
        self.stop()
        self.start()

    def conninfo(self, database, **options):
        """By the socket, as superuser, without a password."""
        return make_conninfo(
            **{"host": self.home, "port": self.port, "user": self.USER,
               "dbname": database, **options})

    def tcp_conninfo(self, database, **options):
        """By TCP; the password is not in it."""
        return self.conninfo(database, host="127.0.0.1", **options)

    def connect(self, database, **options):
        connection = psycopg.connect(self.conninfo(database, **options),
                                     autocommit=True)
        # A witness must not see the cluster's odd defaults.
        connection.execute("SET datestyle = ISO")
        connection.execute("SET intervalstyle = postgres")
        connection.execute("SET timezone = UTC")
        return connection

    def execute(self, database, statement, *args):
        with self.connect(database) as connection:
            cursor = connection.execute(statement, *args)
            return cursor.fetchall() if cursor.description else None

    def create_database(self, name):
        self.execute("postgres", sql.SQL("CREATE DATABASE {}").format(
            sql.Identifier(name)))

    def drop_database(self, name):
        self.execute("postgres", sql.SQL(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                sql.Identifier(name)))

    def databases(self):
        return [name for (name,) in self.execute(
            "postgres", "SELECT datname FROM pg_database ORDER BY 1")]

    def psql(self, database, path):
        """Loads a file as psql does, stopping at the first error."""
        result = subprocess.run(
            [self.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1",
             "-o", os.devnull, "-d", self.conninfo(database), "-f", path],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if result.returncode != 0:
            raise RuntimeError("%s: %s" % (path, result.stderr))
