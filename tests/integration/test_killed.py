# SPDX-License-Identifier: Apache-2.0
"""Commands that are killed at random instants, one after the other, in one
repository: it always checks clean, and no snapshot that was reported as made is
lost. BACKUP_TEST_KILLS says how many (a thousand at night), BACKUP_TEST_SEED
repeats a run; with an odd one, error correction is kept."""

import glob
import hashlib
import json
import os
import random
import signal
import statistics
import subprocess
import time

from harness.stack import COMPLETE, DEGRADED, FAILED, finish

KILLS = int(os.environ.get("BACKUP_TEST_KILLS", "32"))
SEED = int(os.environ.get("BACKUP_TEST_SEED", "0")) or random.randrange(1 << 32)
FILES = 24
SAMPLE = 10  # of so many kills, one is followed by a restore

# What is done in turn; a good part of it is what is done every night.
TURNS = ("backup", "prune", "backup", "keys", "backup", "repair", "archive",
         "backup", "keys", "prune", "keys", "repair")

# Each of these is to die so often; a repository has room for 31 rotations,
# and a turn may take two.
CHANGES = ("rotate", "add", "remove", "host", "revoke", "sheet")
ARCHIVES = ("archive of a snapshot", "archive of a night", "import")
DEATHS = max(1, min(8, KILLS // 100))
ROTATIONS = 15


class Killer:
    """Kills commands at instants that are spread evenly over the time that
    they take, which it learns from those that came to their end."""

    def __init__(self, chance):
        self.chance = chance
        self.seconds = {}  # what: how long it takes, about
        self.killed = {}   # what: how many died by the signal
        self.missed = {}   # what: how many had ended before it

    def took(self, what, seconds):
        known = self.seconds.get(what, seconds)
        self.seconds[what] = (known + seconds) / 2

    def strike(self, what, process):
        """How the command ended; None where it was killed."""
        began = time.monotonic()
        # One that is not known yet is given the time of what is like it.
        known = self.seconds.get(what) or statistics.median(
            self.seconds.values())
        try:
            process.wait(self.chance.uniform(0, known))
            self.took(what, time.monotonic() - began)
        except subprocess.TimeoutExpired:
            # It may take longer than what is known.
            self.seconds[what] = known * 1.02
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        result = finish(process)
        is_killed = result.status == -signal.SIGKILL
        counts = self.killed if is_killed else self.missed
        counts[what] = counts.get(what, 0) + 1
        return result, is_killed

    def __str__(self):
        return "%d died by the signal (%s); %d had ended before (%s)" % (
            sum(self.killed.values()), _counts(self.killed),
            sum(self.missed.values()), _counts(self.missed))


def _counts(counts):
    return ", ".join("%s %d" % pair for pair in sorted(counts.items()))


def _digests(folder):
    found = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as content:
            found[name] = hashlib.sha256(content.read()).hexdigest()
    return found


class Night:
    """A host whose data change a little before each backup."""

    def __init__(self, stack, chance):
        self.stack = stack
        self.chance = chance
        self.killer = Killer(chance)
        self.number = 0   # of the kill
        self.round = 0
        self.held = {}    # round: digests of its files
        self.must = {}    # name of a snapshot: its round
        self.people = 0
        self.hosts = 0
        self.rotations = 0
        self.folder = stack.path("data")
        os.mkdir(self.folder)
        self.has_parity = SEED % 2 == 1
        if self.has_parity:
            stack.options["error_correction"] = "10%"
        stack.add("files", "data", paths=[self.folder])
        for i in range(FILES):
            self._write("file%d" % i, 1 << 16)
        self.change()
        if self.has_parity and \
                "without ISA-L" in stack.run("backup-create").err:
            self.has_parity = False
            del stack.options["error_correction"]
            stack.write()
        for _ in range(3):
            began = time.monotonic()
            self.note(stack.run("backup-create", "--json"))
            self.killer.took("backup", time.monotonic() - began)
            self.change()

    def _write(self, name, size):
        with open(os.path.join(self.folder, name), "wb") as out:
            out.write(self.chance.randbytes(size))

    def change(self):
        self.round += 1
        for i in self.chance.sample(range(FILES), 3):
            self._write("file%d" % i, 1 << 16)
        with open(os.path.join(self.folder, "round"), "w") as out:
            out.write("%d" % self.round)
        self.held[self.round] = _digests(self.folder)

    # ---- running and killing ----

    def note(self, result, number=None):
        """Remembers the snapshot that a command reported, killed or not."""
        for line in result.out.split("\n"):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("type") == "result" and "snapshot" in event:
                self.must[event["snapshot"]] = number or self.round
        return result

    def kill(self, what, name, *args, statuses=(COMPLETE,), number=None,
             is_reported=True):
        """True where it was killed."""
        process = self.stack.start(name, *args)
        result, is_killed = self.killer.strike(what, process)
        if is_reported:
            self.note(result, number)
        assert is_killed or result.status in statuses, str(result)
        return is_killed

    def run(self, name, *args, statuses=(COMPLETE,), number=None):
        result = self.stack.run(name, *args)
        assert result.status in statuses, str(result)
        return self.note(result, number)

    def backup(self):
        self.change()
        self.kill("backup", "backup-create", "--json")

    def prune(self):
        """What is to go may be there or not from now on."""
        rules = ("--json", "--keep-last", "4", "--grace", "0")
        dry = self.run("backup-prune", "--dry-run", *rules)
        for event in dry.of_type("decision"):
            if not event["is_kept"]:
                self.must.pop(event["snapshot"], None)
        # Nobody waits for those of this machine that were killed.
        if not self.kill("prune", "backup-prune", *rules):
            return
        self.check()
        if self.chance.random() < 0.5:
            self.run("backup-prune", *rules)

    # ---- keys ----

    def keys(self):
        """What is done to keys; killed, it is done again, and is then done or
        had been."""
        name, *args = getattr(self, "_" + self._least("key ", [
            name for name in CHANGES
            if name != "rotate" or self.rotations < ROTATIONS]))()
        if self.kill("key " + name, "backup-key", "--json",
                     "--identity-file", self.stack.identity, name, *args):
            self.check()
            again = self.stack.admin("backup-key", "--json", name, *args)
            assert again.status == COMPLETE or any(
                words in again.err for words in (
                    "exists", "already", "no administrator", "no host",
                    "nobody")), str(again)

    def _least(self, prefix, names):
        """One of those that died least often."""
        deaths = [self.killer.killed.get(prefix + name, 0) for name in names]
        return self.chance.choice([name for name, count in zip(names, deaths)
                                   if count == min(deaths)])

    def _change_key(self, name, *args):
        result = self.stack.admin("backup-key", "--json", name, *args)
        assert result.status == COMPLETE, str(result)

    def _shown(self, kind):
        return self.run("backup-key", "--json", "show").of_type(kind)

    def _rotate(self):
        self.rotations += 1
        return ("rotate",)

    def _add(self):
        self.people += 1
        return ("add", "--new-identity",
                self.stack.path("person%d.txt" % self.people), "--label",
                "person %d" % self.people)

    def _remove(self):
        def labels():
            return [event["label"] for event in self._shown("administrator")
                    if event["label"]]
        if not labels():
            self._change_key(*self._add())
        return ("remove", self.chance.choice(labels()))

    def _host(self):
        self.hosts += 1
        return ("host", "host%d" % self.hosts, "--key-file",
                self.stack.path("host%d.key" % self.hosts))

    def _revoke(self):
        # Those that are made here; it is another one that backs up.
        def names():
            return [event["name"] for event in self._shown("host")
                    if event["revoked"] is None and event["name"] in {
                        "host%d" % n for n in range(1, self.hosts + 1)}]
        if not names():
            self._change_key(*self._host())
        return ("revoke", self.chance.choice(names()))

    def _sheet(self):
        return ("sheet", self.stack.path("sheet%d" % self.number))

    # ---- archives ----

    def archive(self):
        """A file is written, and taken in: of a snapshot that is there, or of
        a night that the repository knows nothing of."""
        path = self.stack.path("night%d.age" % self.number)
        what = self._least("", ARCHIVES[:2])
        if what == "archive of a snapshot":
            name = self.chance.choice(sorted(self.must))
            number = self.must[name]
            command = ("backup-archive", "--json", "--identity-file",
                       self.stack.identity, "-o", path, name)
        else:
            self.change()
            number = self.round
            command = ("backup-create", "--json", "--archive", path,
                       "--recipient", self._recipient())
        if self.kill(what, *command, is_reported=False) and \
                not os.path.exists(path):
            result = self.stack.run(*command)
            assert result.status == COMPLETE, str(result)
        self._prove(path)
        self._take_in(path, number)
        for left in glob.glob(self.stack.path(".night*")) + [path]:
            os.unlink(left)

    def _recipient(self):
        return subprocess.run(
            ["age-keygen", "-y", self.stack.identity], check=True, text=True,
            stdout=subprocess.PIPE).stdout.strip()

    def _prove(self, path):
        """There is the whole of it under its name, or nothing."""
        result = self.stack.commands.run(
            "backup-verify", "--json", "--repository", path,
            "--identity-file", self.stack.identity)
        assert result.status == COMPLETE, str(result)
        assert result.result["is_proven"], str(result)

    def _take_in(self, path, number):
        command = ("backup-archive", "--json", "--identity-file",
                   self.stack.identity, "--import", path)
        if self.kill("import", *command, number=number):
            self.check()
        again = self.run(*command, number=number).result
        assert again["snapshot"] in self.stack.snapshots()

    # ---- repairs ----

    def repair(self):
        """Something is damaged, and the repair of it is killed. Where only
        the medium itself could give back what is gone, it does so later."""
        folder, damage, *args = self.chance.choice((
            ("packs", _flip), ("packs", os.unlink), ("packs", _cut),
            ("index", _flip), ("index", os.unlink),
            ("keys", _flip), ("keys", os.unlink), ("copies/keys", _flip),
            ("roster", _flip), ("copies/roster", os.unlink),
            ("checkpoints", _flip, "--accept-loss"),
            ("checkpoints", _cut, "--accept-loss")))
        path = self._choose(folder)
        if path is None:
            return
        with open(path, "rb") as content:
            before = content.read()
        os.chmod(path, 0o600)
        damage(path)
        args = ("--json", "--identity-file", self.stack.identity,
                "--read-data", "--repair", *args)
        self.kill("repair " + folder, "backup-check", *args,
                  statuses=(COMPLETE, DEGRADED, FAILED))
        self.run("backup-check", *args, statuses=(
            COMPLETE, FAILED) if folder == "packs" else (COMPLETE,))
        if folder == "packs":
            with open(path, "wb") as content:
                content.write(before)
            self.run("backup-check", *args)

    def _choose(self, folder):
        found = [os.path.join(where, name) for where, _, names in os.walk(
            os.path.join(self.stack.repository, folder)) for name in names]
        return self.chance.choice(sorted(found)) if found else None

    # ---- what is left ----

    def check(self, *args):
        """Whoever was killed may not have come to the error correction of what
        he stored last, and what he left behind may be what was damaged."""
        result = self.stack.admin("backup-check", "--json", *args)
        assert result.status == COMPLETE or (
            self.has_parity and result.status == DEGRADED and all(
                event["kind"] == "parity-missing"
                or (event["kind"] == "pack-damaged"
                    and event["hurt_total"] == 0
                    and "no index object names it" in event["text"])
                for event in result.of_type("finding")
                if event["level"] != "note")), str(result)
        assert result.result["is_clean"], str(result)
        lost = set(self.must) - set(self.stack.snapshots())
        assert not lost, "reported and lost: %s" % lost

    def check_bytes(self):
        """Everything is read, and each snapshot holds its own round."""
        self.check("--read-data=100%")
        for name, number in self.must.items():
            path = "files/data" + os.path.join(self.folder, "round")
            result = self.stack.admin("backup-cat", name, path)
            assert (result.status, result.out) == (COMPLETE, str(number)), \
                str(result)

    def restore_one(self):
        """What one of those comes back as is what was there."""
        name = self.chance.choice(sorted(self.must))
        to = self.stack.path("restored%d" % self.number)
        self.stack.restore(name, "--to", to)
        where, = [where for where, _, names in os.walk(to) if "round" in names]
        assert _digests(where) == self.held[self.must[name]], name

    def turn(self):
        self.number += 1
        getattr(self, TURNS[self.number % len(TURNS)])()
        self.check()
        if self.number % SAMPLE == 0:
            self.restore_one()
        if self.number % 50 == 0:
            self.check_bytes()

    def has_ended(self):
        """So many died, and of everything that is counted apart enough."""
        killed = self.killer.killed
        return sum(killed.values()) >= KILLS and all(
            killed.get(what, 0) >= DEATHS for what in (
                *("key " + name for name in CHANGES), *ARCHIVES))

    def end(self):
        self.change()
        self.run("backup-create", "--json")
        self.check_bytes()
        self.run("backup-prune", "--json", "--keep-last", "100", "--grace",
                 "0")
        self.check_bytes()
        self.restore_one()
        if self.has_parity:
            self.run("backup-check", "--json", "--identity-file",
                     self.stack.identity, "--read-data", "--repair")
            self.run("backup-check", "--json", "--read-data")


def _flip(path):
    with open(path, "r+b") as content:
        content.seek(os.path.getsize(path) // 2)
        byte = content.read(1)[0]
        content.seek(-1, 1)
        content.write(bytes([byte ^ 0x10]))


def _cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def test_whatever_is_killed_nothing_is_lost(stack, capsys):
    night = Night(stack, random.Random(SEED))
    try:
        while not night.has_ended():
            night.turn()
            assert night.number < 4 * KILLS + 60, "some never died"
        night.end()
    except AssertionError as error:
        raise AssertionError("BACKUP_TEST_SEED=%d repeats this, at %d (%s): %s"
                             % (SEED, night.number, night.killer,
                                error)) from error
    with capsys.disabled():
        print("# killed%s: %s" % (
            ", with error correction" if night.has_parity else "",
            night.killer), flush=True)
