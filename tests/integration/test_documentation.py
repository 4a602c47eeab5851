# SPDX-License-Identifier: Apache-2.0
"""Every command line of README.md and of the pages that tell people what to
type, in the order in which they stand there, as a person would type them.
A line that is not run is in NOT_RUN, with the reason."""

import glob
import os
import re
import subprocess

import pytest
import yaml
from harness import minio as minio_module
from harness.stack import patience

TOP = os.environ["top_srcdir"]
PAGES = ("README.md", "libbackup-tutorial.7", "libbackup-runbook.7",
         "libbackup-comparison.7", "libbackup-upgrade.7")

BUILDS = "installs packages and builds; whoever runs the tests has done so"
SYSTEMD = "there is no systemd; tests/packaging/units.t reads the units"
NOT_RUN = {
    "./bootstrap demo": BUILDS,
    "./bootstrap check": BUILDS,
    "make -C build install": "installs; distcheck does",
    "make -C build check-debian": "takes minutes; .ci/run runs it",
    "systemctl enable --now libbackup@default.timer": SYSTEMD,
    "systemctl stop 'libbackup*.timer'": SYSTEMD,
    "systemctl start libbackup@default.timer": SYSTEMD,
    "apt install ./libbackup0_*.deb ./libbackup-tools_*.deb":
        "tests/packaging/debian installs them on a fresh system",
}

# What ends otherwise than complete, as the page says.
STATUSES = {"backup-doctor": (0, 3)}

SCHEMA = """
create table users (id int primary key, name text not null);
create table notes (id int primary key, user_id int not null
    references users on delete cascade, body text);
insert into users select n, 'user ' || n from generate_series(1, 100) n;
insert into notes select n, n % 100 + 1, repeat('x', 50)
    from generate_series(1, 500) n;
"""


# ---- what stands there ----

def mdoc_blocks(text):
    """The literal blocks, with what the comment before one says of it."""
    for mark, block in re.findall(
            r"(?ms)(?:^\.\\\" ([a-z]+ ?\S*)\n)?^\.Bd -literal[^\n]*\n(.*?)^\.Ed$",
            text):
        yield mark, block.replace("\\e", "\\")


def markdown_blocks(text):
    fenced = re.compile(r"(?ms)^```\w*\n(.*?)^```$")
    for block in fenced.findall(text):
        yield "picture", block
    text = fenced.sub("", text)
    for block in re.findall(r"(?m)(?:^    .*\n)+", text):
        block = re.sub(r"(?m)^    ", "", block)
        if block.startswith("repository:"):
            yield "file /etc/libbackup/backup.yaml", block
        elif not block.startswith("tools/"):
            yield "", block


def commands(block):
    """The lines with a prompt, those that go on joined."""
    for line in re.findall(r"(?m)^[#$] ((?:.*\\\n)*.*)$", block):
        yield re.sub(r"\\\n\s*", "", line)


def blocks(page):
    folder = TOP if page.endswith(".md") else os.path.join(TOP, "man")
    with open(os.path.join(folder, page), encoding="utf-8") as file:
        text = file.read()
    found = list((markdown_blocks if page.endswith(".md")
                  else mdoc_blocks)(text))
    assert found, page
    return found


# ---- a machine as the pages suppose it ----

class Machine:
    """Its folders are in one of the test's; its stack is the test's."""

    def __init__(self, host, postgres, minio, s3):
        self.host, self.postgres, self.minio, self.s3 = host, postgres, minio, s3
        self.root = host.path("machine")
        self.home = os.path.join(self.root, "root")
        for folder in ("etc/app", "etc/libbackup", "srv/app", "tmp", "root"):
            os.makedirs(os.path.join(self.root, folder))
        self.secrets()
        self.fill()

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(self.path(name), 0o600)

    def secrets(self):
        self.write("etc/libbackup/postgres.password", self.postgres.password + "\n")
        self.write("etc/libbackup/s3.access", self.minio.access_key + "\n")
        self.write("etc/libbackup/s3.secret", self.minio.secret_key + "\n")
        self.write("root/pass.txt", "a passphrase of eight words for this\n")

    def fill(self):
        self.postgres.create_database("shop")
        self.postgres.execute("shop", SCHEMA)
        self.s3.create_bucket(Bucket="uploads")
        for number in range(20):
            self.s3.put_object(Bucket="uploads", Key="%d/a.txt" % number,
                               Body=b"object %d" % number)
        self.write("etc/app/.env", "SECRET=1\n")
        self.write("srv/app/compose.yaml", "services: {}\n")

    def put_away(self):
        for name in self.postgres.databases():
            if re.match(r"shop($|_|\.)", name):
                self.postgres.drop_database(name)
        if "uploads" in [b["Name"] for b in self.s3.list_buckets()["Buckets"]]:
            minio_module.remove_bucket(self.s3, "uploads")

    def translated(self, text):
        """The same line, for this machine."""
        text = re.sub(r"(?<![\w./~])/(etc|srv|tmp|root|mnt|var)/",
                      lambda m: "%s/%s/" % (self.root, m[1]), text)
        text = re.sub(r"/srv/backup\b", self.root + "/srv/backup", text) \
            if self.root not in text else text
        text = text.replace("host=127.0.0.1", "host=127.0.0.1 port=%d"
                            % self.postgres.port)
        text = text.replace("http://127.0.0.1:9000", self.minio.endpoint)
        # Paths of entries begin with the whole path of the file.
        text = text.replace("files/stack/etc/",
                            "files/stack%s/etc/" % self.root)
        former = [name for name in self.postgres.databases()
                  if name.startswith("shop.before-")]
        return re.sub(r"shop\.before-\w+",
                      former[-1] if former else r"\g<0>", text)

    def run(self, line):
        env = {**self.host.commands.env, "HOME": self.home,
               "PATH": os.pathsep.join([self.host.commands.tools, os.path.dirname(
                   self.postgres.program("psql")), os.environ["PATH"]]),
               "PGHOST": self.postgres.home, "PGUSER": self.postgres.USER,
               "PGPORT": str(self.postgres.port),
               "BACKUP_CONFIG": self.path("etc/libbackup/backup.yaml"),
               "BACKUP_STATE_DIR": self.path("root/state"),
               "BACKUP_CACHE_DIR": self.path("root/cache")}
        done = subprocess.run(
            ["sh", "-c", self.translated(line)], cwd=self.home, env=env,
            stdin=subprocess.DEVNULL, text=True, capture_output=True,
            check=False, timeout=patience(300))
        assert done.returncode in STATUSES.get(line.split()[0], (0,)), (
            "%s\nended with %d\n%s%s" % (line, done.returncode, done.stdout,
                                         done.stderr))
        return done.stdout

    # ---- what happens to it, and whether that is mended ----

    def count(self, table):
        (count,), = self.postgres.execute(
            "shop", "select count(*) from %s" % table)
        return count

    def keys(self):
        listed = self.s3.list_objects_v2(Bucket="uploads")
        return [item["Key"] for item in listed.get("Contents", [])]

    def erase_somebody(self):
        """As the application does it, before that is recorded."""
        self.postgres.execute("shop", "delete from users where id = 42")

    def lose_rows(self):
        self.postgres.execute("shop", "delete from notes where id <= 10")

    def has_rows(self):
        assert self.count("notes") == 500

    def lose_database(self):
        self.postgres.execute("shop", "truncate users cascade")

    def has_database(self):
        assert self.count("users") == 100

    def lose_regret(self):
        """The database is right; the page takes the wrong one back."""

    def has_regret(self):
        assert self.count("users") == 0
        self.run("backup-restore --identity-file ~/backup-identity.txt "
                 "--swap latest postgres/app/shop")
        self.has_database()

    def lose_objects(self):
        self.s3.delete_object(Bucket="uploads", Key="3/a.txt")
        self.s3.put_object(Bucket="uploads", Key="4/a.txt", Body=b"wrong")

    def has_objects(self):
        assert len(self.keys()) == 20
        assert self.s3.get_object(Bucket="uploads", Key="4/a.txt")[
            "Body"].read() == b"object 4"

    def lose_files(self):
        os.unlink(self.path("etc/app/.env"))

    def has_files(self):
        with open(self.path("etc/app/.env"), encoding="utf-8") as file:
            assert file.read() == "SECRET=1\n"

    def lose_machine(self):
        for name in self.postgres.databases():
            if name.startswith("shop"):
                self.postgres.drop_database(name)
        minio_module.remove_bucket(self.s3, "uploads")
        self.lose_files()
        os.unlink(self.path("srv/app/compose.yaml"))
        self.run("backup-key host old-machine --key-file /tmp/old.key "
                 "--identity-file ~/backup-identity.txt")

    def has_machine(self):
        self.has_rows()
        self.has_objects()
        self.has_files()


@pytest.fixture
def machine(stack, postgres, minio, s3):
    made = Machine(stack, postgres, minio, s3)
    yield made
    made.put_away()


def walk(machine, page):
    """Does what the page says."""
    happened = None
    for mark, block in blocks(page):
        if mark.startswith("before "):
            if happened:
                getattr(machine, "has_" + happened)()
            happened = mark.split()[1]
            getattr(machine, "lose_" + happened)()
        if mark.startswith("file "):
            name = mark.split()[1].lstrip("/")
            machine.write(name, machine.translated(block))
            continue
        if mark == "picture":
            continue
        for line in commands(block):
            if line.startswith("backup-export forget"):
                machine.erase_somebody()
            if line not in NOT_RUN:
                print(line)
                machine.run(line)
    if happened:
        getattr(machine, "has_" + happened)()


# ---- tests ----

def test_every_line_of_the_readme_works(machine):
    walk(machine, "README.md")
    assert "shop_copy" in machine.postgres.databases()


def test_every_line_of_the_tutorial_works(machine):
    walk(machine, "libbackup-tutorial.7")
    assert not os.path.exists(machine.path("root/backup-identity.txt"))


def prepared(machine):
    """As the tutorial leaves a machine, with the identity at hand."""
    for mark, block in blocks("libbackup-tutorial.7"):
        if mark.startswith("file "):
            machine.write(mark.split()[1].lstrip("/"),
                          machine.translated(block))
    machine.run("backup-init -r /srv/backup -k /etc/libbackup/host.key "
                "--new-identity ~/backup-identity.txt")
    machine.run("backup-create")


def test_every_line_of_the_runbook_works(machine):
    prepared(machine)
    walk(machine, "libbackup-runbook.7")


@pytest.mark.parametrize("page", PAGES[3:])
def test_every_line_of_another_page_works(machine, page):
    prepared(machine)
    walk(machine, page)


def given_away():
    """The configurations that containers and clusters begin with."""
    with open(os.path.join(TOP, "tools/container/backup.yaml"),
              encoding="utf-8") as file:
        yield file.read()
    for path in sorted(glob.glob(os.path.join(TOP, "tools/kubernetes/*.yaml"))):
        with open(path, encoding="utf-8") as file:
            for document in yaml.safe_load_all(file):
                if document["kind"] == "ConfigMap":
                    yield from document["data"].values()


def test_configurations_that_are_given_away_are_read(stack):
    secrets = stack.path("secrets")
    os.mkdir(secrets)
    found = [text for text in given_away() if "sources:" in text]
    assert len(found) >= 2
    for text in found:
        for name in re.findall(r"/run/secrets/(?:\w+/)?([\w.]+)", text):
            stack.secret(os.path.join("secrets", name), "a secret")
        text = re.sub(r"/run/secrets/(?:libbackup/)?", secrets + "/", text)
        with open(stack.config, "w", encoding="utf-8") as out:
            out.write(text)
        told = stack.run("backup-doctor", "--offline", "--json", "--all")
        problems = [event for event in told.events if event.get("id") in
                    ("configuration", "secret-files")
                    and event["status"] in ("error", "warning")]
        assert not problems, "%s\n%s" % (problems, text)
        assert any(event.get("id") == "configuration"
                   for event in told.events), str(told)


def test_no_command_stands_there_without_a_prompt():
    """Whatever looks like a command is one of those that are run."""
    wrong, seen, shown = [], set(), []
    for page in PAGES:
        for mark, block in blocks(page):
            lines = list(commands(block))
            if mark == "picture":
                shown += lines
                continue
            seen.update(lines)
            if not lines and not mark:
                wrong.append("%s: neither commands nor a file: %s"
                             % (page, block))
            for line in re.findall(
                    r"(?m)^(?:sudo |\w+=\S+ )*((?:backup-[a-z]+|psql|systemctl"
                    r"|apt|make|mkdir|docker) .*)", block):
                wrong.append("%s: no prompt before: %s" % (page, line))
    wrong += ["shown and not run: " + line for line in shown
              if line not in seen]
    wrong += ["in no page: " + line for line in NOT_RUN if line not in seen]
    assert not wrong, "\n".join(wrong)
