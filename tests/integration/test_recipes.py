# SPDX-License-Identifier: Apache-2.0
"""The recipes of libbackup-recipes(7), as they stand there, with the real
programs: into a backup and back again."""

import os
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest

from harness.stack import COMPLETE, DEGRADED, FAILED, patience

PAGE = os.path.join(os.environ.get("top_srcdir", "."),
                    "man/libbackup-recipes.7")


def recipe(title):
    with open(PAGE) as page:
        section = page.read().split(".Ss " + title + "\n")[1]
    return re.search(r"\.Bd .*?\n(.*?)\.Ed\n", section, re.S).group(1)


def use(stack, title, moved):
    """The recipe with other places."""
    text = recipe(title)
    for old, new in moved.items():
        assert old in text, old
        text = text.replace(old, new)
    with open(stack.config, "w") as out:
        out.write("repository: %s\nkey_file: %s\n%s" % (
            stack.repository, stack.key_file, text))


class Redis:
    def __init__(self, folder):
        os.mkdir(folder)
        self.folder = folder
        self.socket = os.path.join(folder, "socket")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket,
             "--dir", self.folder, "--save", ""],
            stdout=subprocess.DEVNULL)
        until = time.monotonic() + patience(30)
        while self.ask("PING", check=False) != "PONG":
            assert time.monotonic() < until
            assert self.process.poll() is None
            time.sleep(0.05)

    def ask(self, *words, check=True):
        run = subprocess.run(["redis-cli", "-s", self.socket, *words],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True, check=False)
        assert run.returncode == 0 or not check
        return run.stdout.strip()

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=patience(30))
            self.process = None


@pytest.fixture
def redis(tmp_path_of_test):
    # A socket's name is short.
    servers = [Redis(os.path.join(tmp_path_of_test, name)) for name in "ab"]
    yield servers
    for server in servers:
        server.stop()


def test_redis_comes_back_in_a_fresh_server(stack, redis):
    old, new = redis
    old.start()
    for n in range(20):
        old.ask("SET", "key:%d" % n, "value %d" % n)
    old.ask("RPUSH", "list", "a", "b", "c")
    use(stack, "Redis", moved={
        "/run/redis/redis-server.sock": old.socket,
        "/var/lib/redis/dump.rdb": os.path.join(new.folder, "dump.rdb")})
    assert stack.run("backup-run").status == COMPLETE
    stack.restore("latest", "command/redis")
    new.start()
    assert new.ask("DBSIZE") == "21"
    assert new.ask("GET", "key:19") == "value 19"
    assert new.ask("LRANGE", "list", "0", "-1").split() == ["a", "b", "c"]
    # A server that does not answer is a backup that failed.
    old.stop()
    assert stack.run("backup-run").status == FAILED


def test_an_index_is_built_again_by_the_command_that_was_kept(stack):
    script = stack.path("rebuild-search.sh")
    index = stack.path("index")
    with open(script, "w") as out:
        out.write("echo built > %s\n" % index)
    use(stack, "An index that can be built again",
        moved={"/srv/app/rebuild-search.sh": script})
    assert stack.run("backup-run").status == COMPLETE
    os.unlink(script)
    shown = stack.admin("backup-cat", "latest",
                        "command/search/rebuild-search.sh")
    assert "echo built" in shown.out
    stack.restore("latest", "command/search")
    with open(index) as file:
        assert file.read() == "built\n"


@pytest.fixture
def searched(stack, postgres, database):
    """A database, and a recipe whose script builds an index from it."""
    script, index = stack.path("rebuild-search.sh"), stack.path("index")
    postgres.execute(database, "CREATE TABLE page (word text);"
                     "INSERT INTO page VALUES ('one'), ('two')")
    with open(script, "w") as out:
        out.write("psql -X -d '%s' -Atc 'SELECT word FROM page ORDER BY 1'"
                  " > %s\n" % (postgres.conninfo(database), index))
    use(stack, "An index that can be built again",
        moved={"/srv/app/rebuild-search.sh": script})
    with open(stack.config, "a") as out:
        out.write("  - postgres: app\n    conninfo: \"%s\"\n"
                  % postgres.conninfo(database))
    assert stack.run("backup-run").status == COMPLETE
    os.unlink(script)
    postgres.drop_database(database)
    return index


def lines_of(index):
    with open(index) as file:
        return file.read().split()


def test_a_restore_of_everything_builds_the_index_when_the_database_is_back(
        stack, searched):
    done = stack.restore("latest")
    assert done["run"] == []
    assert lines_of(searched) == ["one", "two"]


def test_an_index_that_is_not_built_yet_is_offered_by_the_line_that_does(
        stack, searched):
    done = stack.admin("backup-restore", "latest", "postgres/app")
    assert done.status == COMPLETE, str(done)
    assert not os.path.exists(searched)
    (line,) = re.findall(r"^    (backup-restore .*)$", done.out, re.M)
    assert "command/search/rebuild-search.sh to 'sh'" in done.out
    # From anywhere, by a shell.
    run = subprocess.run(
        ["sh", "-c", line], cwd="/", stdout=subprocess.PIPE, text=True,
        env={**stack.commands.env, "PATH": "%s:%s" % (
            stack.commands.tools, stack.commands.env["PATH"])}, check=False)
    assert run.returncode == COMPLETE
    assert lines_of(searched) == ["one", "two"]
    assert "Yours to run" not in run.stdout
    # The same for machines, and nothing of it beside a copy.
    again = stack.restore("--overwrite", "latest", "postgres/app")
    assert again["run"] == [line]
    copy = stack.restore("--to", "a_copy", "latest", "postgres/app")
    assert copy["run"] == []


def test_a_command_that_fails_at_the_end_of_a_restore_takes_nothing_with_it(
        stack, searched, postgres, database):
    os.mkdir(searched)  # the script cannot write there
    done = stack.admin("backup-restore", "--json", "latest")
    assert done.status == DEGRADED, str(done)
    assert postgres.execute(database, "SELECT count(*) FROM page") == [(2,)]
    (line,) = done.result["run"]
    assert line.endswith(" command/search")
    (left,) = done.of_type("omission")
    assert left["path"] == "command/search"
    # By itself it has failed.
    alone = stack.admin("backup-restore", "latest", "command/search")
    assert alone.status == FAILED, str(alone)
    os.rmdir(searched)
    stack.restore("latest", "command/search")
    assert lines_of(searched) == ["one", "two"]


def test_settings_come_back_with_their_modes(stack):
    folder = stack.path("app")
    os.mkdir(folder)
    for name, mode in ((".env", 0o600), ("compose.yaml", 0o644)):
        with open(os.path.join(folder, name), "w") as out:
            out.write("of %s\n" % name)
        os.chmod(os.path.join(folder, name), mode)
    use(stack, "Settings and compose files", moved={"/srv/app": folder})
    assert stack.run("backup-run").status == COMPLETE
    shutil.rmtree(folder)
    stack.restore("latest", "files/stack")
    for name, mode in ((".env", 0o600), ("compose.yaml", 0o644)):
        path = os.path.join(folder, name)
        assert stat.S_IMODE(os.stat(path).st_mode) == mode
        with open(path) as file:
            assert file.read() == "of %s\n" % name


def test_a_volume_comes_back_without_what_is_excluded(stack):
    volume = stack.path("_data")
    os.makedirs(os.path.join(volume, "deep"))
    for name in ("a", "deep/b", "deep/c.tmp"):
        with open(os.path.join(volume, name), "w") as out:
            out.write(name)
    use(stack, "Volumes", moved={
        "/var/lib/docker/volumes/app_media/_data": volume})
    assert stack.run("backup-run").status == COMPLETE
    shutil.rmtree(volume)
    stack.restore("latest", "files/volumes")
    with open(os.path.join(volume, "deep/b")) as file:
        assert file.read() == "deep/b"
    assert not os.path.exists(os.path.join(volume, "deep/c.tmp"))
