# SPDX-License-Identifier: Apache-2.0
"""Commands that are killed at random instants, one after the other, in one
repository: it always checks clean, and no snapshot that was reported as made is
lost. BACKUP_TEST_KILLS says how many (a thousand at night), BACKUP_TEST_SEED
repeats a run."""

import json
import os
import random
import signal
import statistics
import time

from harness.stack import COMPLETE, DEGRADED, finish

KILLS = int(os.environ.get("BACKUP_TEST_KILLS", "40"))
SEED = int(os.environ.get("BACKUP_TEST_SEED", "0")) or random.randrange(1 << 32)
FILES = 24
LEASE = 25 * 3600


class Night:
    """A host whose data change a little before each backup."""

    def __init__(self, stack, chance):
        self.stack = stack
        self.chance = chance
        self.round = 0
        self.must = {}  # name: the round whose data it holds
        self.killed = {}
        self.hosts = 0
        os.mkdir(stack.path("data"))
        stack.add("files", "data", paths=[stack.path("data")])
        for i in range(FILES):
            self._write("file%d" % i, 1 << 16)
        self.change()

    def _write(self, name, size):
        with open(self.stack.path("data", name), "wb") as out:
            out.write(self.chance.randbytes(size))

    def change(self):
        self.round += 1
        for i in self.chance.sample(range(FILES), 3):
            self._write("file%d" % i, 1 << 16)
        with open(self.stack.path("data", "round"), "w") as out:
            out.write("%d" % self.round)

    # ---- running and killing ----

    def took(self, name, *args):
        """How long a command takes that is left alone, about."""
        seconds = []
        for _ in range(3):
            began = time.monotonic()
            self.note(self.stack.run(name, "--json", *args))
            seconds.append(time.monotonic() - began)
            self.change()
        return statistics.median(seconds)

    def note(self, result):
        """Remembers the snapshot that a command reported, killed or not."""
        for line in result.out.split("\n"):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("type") == "result" and "snapshot" in event:
                self.must[event["snapshot"]] = self.round
        return result

    def kill(self, seconds, name, *args, statuses=(COMPLETE,)):
        process = self.stack.start(name, "--json", *args)
        time.sleep(self.chance.uniform(0, seconds * 1.1))
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        result = self.note(finish(process))
        if result.status == -signal.SIGKILL:
            self.killed[name] = self.killed.get(name, 0) + 1
        else:
            assert result.status in statuses, str(result)

    def prune(self, seconds):
        """What is to go may be there or not from now on."""
        rules = ("--keep-last", "4", "--grace", "0")
        dry = self.stack.run("backup-prune", "--json", "--dry-run", *rules)
        assert dry.status == COMPLETE, str(dry)
        for event in dry.of_type("decision"):
            if not event["is_kept"]:
                self.must.pop(event["snapshot"], None)
        # A prune that was killed holds up the next one for a day.
        self.age_sessions()
        self.kill(seconds, "backup-prune", *rules)

    def change_keys(self, seconds):
        """Another host is let in; the one before no longer."""
        self.hosts += 1
        name = "host%d" % self.hosts
        if self.hosts % 2 == 0:
            listed = self.stack.admin("backup-key", "show")
            if "host%d" % (self.hosts - 1) in listed.out:
                self.kill(seconds, "backup-key", "--identity-file",
                          self.stack.identity, "revoke",
                          "host%d" % (self.hosts - 1))
            return
        self.kill(seconds, "backup-key", "host", name, "--identity-file",
                  self.stack.identity, "--key-file", self.stack.path(name))

    def repair(self, seconds):
        """An index object is lost, and made again from what packs say."""
        folder = os.path.join(self.stack.repository, "index")
        names = sorted(os.listdir(folder))
        if names:
            os.unlink(os.path.join(folder, self.chance.choice(names)))
        self.age_sessions()
        self.kill(seconds, "backup-check", "--identity-file",
                  self.stack.identity, "--repair",
                  statuses=(COMPLETE, DEGRADED))
        self.age_sessions()
        result = self.stack.admin("backup-check", "--json", "--repair")
        assert result.status in (COMPLETE, DEGRADED), str(result)

    # ---- what is left ----

    def check(self, *args):
        result = self.stack.admin("backup-check", "--json", *args)
        assert result.status == COMPLETE, str(result)
        assert result.result["is_clean"], str(result)
        lost = set(self.must) - set(self.stack.snapshots())
        assert not lost, "reported and lost: %s" % lost

    def check_bytes(self):
        """Everything is read, and each snapshot holds its own round."""
        self.check("--read-data=100%")
        for name, number in self.must.items():
            path = "files/data" + self.stack.path("data", "round")
            result = self.stack.admin("backup-cat", name, path)
            assert (result.status, result.out) == (COMPLETE, str(number)), \
                str(result)

    def age_sessions(self):
        """The sessions of the dead have been silent for a day."""
        folder = os.path.join(self.stack.repository, "sessions")
        if not os.path.isdir(folder):
            return
        then = time.time() - LEASE
        for name in os.listdir(folder):
            os.utime(os.path.join(folder, name), (then, then))


def test_whatever_is_killed_nothing_is_lost(stack):
    chance = random.Random(SEED)
    night = Night(stack, chance)
    try:
        took = night.took("backup-create")
        for number in range(1, KILLS + 1):
            if number % 4 == 1:
                night.prune(took)
            elif number % 8 == 2:
                night.change_keys(took / 2)
            elif number % 8 == 6:
                night.repair(took)
            else:
                night.change()
                night.kill(took, "backup-create")
            night.check()
            if number % 50 == 0:
                night.age_sessions()
                night.check_bytes()
        night.change()
        night.note(stack.run("backup-create", "--json"))
        night.check_bytes()
        night.age_sessions()
        last = stack.run("backup-prune", "--json", "--keep-last", "100",
                         "--grace", "0")
        assert last.status == COMPLETE, str(last)
        night.check_bytes()
    except AssertionError as error:
        raise AssertionError("BACKUP_TEST_SEED=%d repeats this: %s"
                             % (SEED, error)) from error
    assert sum(night.killed.values()) >= KILLS / 4, night.killed
    print("killed: %s" % night.killed)
