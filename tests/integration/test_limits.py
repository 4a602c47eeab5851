# SPDX-License-Identifier: Apache-2.0
"""No faster than was said, however many connections there are. A limit takes
at least so long; how long at the most is the machine's business."""

import os
import shutil
import time

import pytest

from harness.stack import COMPLETE, FAILED, finish, patience

KIB = 1024
RATE = 192 * KIB
PIECES, PIECE = 6, 96 * KIB

# What an idle moment may have saved up, and clocks that are read elsewhere.
LEAST = PIECES * PIECE / RATE - 0.4


def timed(call):
    began = time.monotonic()
    done = call()
    assert done.status == COMPLETE, str(done)
    return time.monotonic() - began


@pytest.fixture
def noise(stack):
    """Files that no compression makes smaller."""
    folder = stack.path("noise")
    os.mkdir(folder)
    for n in range(PIECES):
        with open(os.path.join(folder, str(n)), "wb") as out:
            out.write(os.urandom(PIECE))
    return folder


@pytest.mark.parametrize("stack", ["folder", "bucket"], indirect=True)
def test_a_repository_is_written_and_read_no_faster(stack, noise):
    stack.add("files", "noise", paths=[noise])
    stack.options["limits"] = {"upload": "%dK" % (RATE // KIB)}
    stack.write()
    assert timed(lambda: stack.run("backup-create", "-j", "4")) >= LEAST
    back = stack.path("back")
    assert timed(lambda: stack.admin(
        "backup-restore", "-j", "4", "--to", back, "--limit-download",
        str(RATE), "latest")) >= LEAST
    for n in range(PIECES):
        with open(os.path.join(noise, str(n)), "rb") as one, \
                open(back + os.path.join(noise, str(n)), "rb") as other:
            assert one.read() == other.read()


def test_buckets_are_read_and_written_no_faster(stack, noise, s3, minio,
                                                bucket):
    for n in range(PIECES):
        with open(os.path.join(noise, str(n)), "rb") as file:
            s3.put_object(Bucket=bucket, Key=str(n), Body=file.read())
    stack.add_bucket(bucket, minio)
    # The option wins over the file.
    stack.options["limits"] = {"download": "1T", "upload": "1T"}
    stack.write()
    assert timed(lambda: stack.run(
        "backup-create", "-j", "4", "--limit-download", str(RATE))) >= LEAST
    for n in range(PIECES):
        s3.delete_object(Bucket=bucket, Key=str(n))
    assert timed(lambda: stack.admin(
        "backup-restore", "-j", "4", "--limit-upload", str(RATE),
        "latest")) >= LEAST
    stack.verify("--live")


def test_who_waits_hears_that_he_is_to_stop(stack, noise):
    stack.add("files", "noise", paths=[noise])
    running = stack.start("backup-create", "--limit-upload", "16K")
    time.sleep(1)
    assert running.poll() is None
    running.terminate()
    began = time.monotonic()
    done = finish(running)
    # All of it would take half a minute.
    assert done.status == FAILED and time.monotonic() - began < 25


def bytes_in(folder):
    return sum(os.path.getsize(os.path.join(where, name))
               for where, _, names in os.walk(folder) for name in names)


def bytes_read(process):
    with open("/proc/%d/io" % process.pid) as counts:
        return int(counts.readline().split()[1])


def test_who_is_to_stop_does_not_write_the_rest_at_full_speed(stack):
    size = 40 << 20
    with open(stack.path("random"), "wb") as out:
        out.write(os.urandom(size))
    stack.add("files", "random", paths=[stack.path("random")])
    stack.options["limits"] = {"upload": "%dK" % (RATE // KIB)}
    stack.write()
    before = bytes_in(stack.repository)
    running = stack.start("backup-create")
    end = time.monotonic() + patience(120)
    # Packs of it wait for their turn.
    while bytes_read(running) < size and time.monotonic() < end:
        assert running.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    running.terminate()
    done = finish(running)
    assert done.status == FAILED, str(done)
    # Less than a pack: there is a reserve, too.
    assert bytes_in(stack.repository) - before < 4 << 20, str(done)
    # It has said that it is gone.
    assert bytes_in(os.path.join(stack.repository, "sessions")) == 0
    del stack.options["limits"]
    stack.write()
    assert stack.create()["stored_bytes"] > size


def test_rates_that_are_none_are_refused(stack):
    for rate in ("fast", "1K", "10Mbit"):
        done = stack.run("backup-create", "--limit-upload", rate)
        assert done.status == FAILED and rate in done.err
        stack.options["limits"] = {"download": rate}
        stack.write()
        done = stack.run("backup-create")
        assert done.status == FAILED and rate in done.err
        assert "backup.yaml:" in done.err
        del stack.options["limits"]
        stack.write()


def test_idle_is_idle_and_what_is_started_is_too(stack):
    if shutil.which("ionice") is None:
        pytest.fail("there is no ionice (util-linux)")
    stack.add("command", "who", run=["sh", "-c", "nice; ionice"], output="who")
    stack.create()
    stack.options["priority"] = "idle"
    stack.write()
    stack.create()

    def said(snapshot):
        return stack.admin("backup-cat", snapshot, "command/who/who").out

    before, after = stack.snapshots()
    assert said(after) == "19\nidle\n"
    assert said(before) != said(after)
    stack.options["priority"] = "normal"
    stack.write()
    assert stack.create()["snapshot"] and said("latest") == said(before)
    stack.options["priority"] = "highest"
    stack.write()
    assert "idle" in stack.run("backup-create").err
