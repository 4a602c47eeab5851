# SPDX-License-Identifier: Apache-2.0
"""Samples: each reads other places than those before it, whatever snapshot they
are taken of, and after eleven of one snapshot all of it was read; none tells
pieces as read that came to a place after it."""

import os
import random
import re

import pytest
from harness.faults import Faults
from harness.stack import COMPLETE, FAILED

FILES = 60
ROUND = 11
SAMPLE = re.compile(r"(\d+) of (\d+) pieces read back, \d+ bytes(, as far as the"
                    r" budget went)?; with the samples of this snapshot before"
                    r" it (\d+ of|all of) them(?:; samples of any have been in"
                    r" (\d+) of the (\d+) places)?")


def _write(folder, number, seed=0):
    with open(os.path.join(folder, "f%d" % number), "wb") as file:
        file.write(random.Random(seed + number).randbytes(20000 + number))


@pytest.fixture
def host(stack):
    stack.files = stack.path("data")
    os.mkdir(stack.files)
    for number in range(FILES):
        _write(stack.files, number)
    stack.add("files", "data", paths=[stack.files])
    stack.create()
    return stack


class Sample:
    def __init__(self, result):
        check, = [check for check in result.of_type("check")
                  if check["name"] == "files/data/sample"]
        self.text = check["what"]
        read, there, cut, before, places, all_places = SAMPLE.match(
            self.text).groups()
        self.read, self.there = int(read), int(there)
        self.is_cut = cut is not None
        self.covered = (self.there if before == "all of"
                        else int(before.split()[0]))
        # Of these there are nearly as many as pieces.
        self.all_places = int(all_places or self.there)
        self.places = int(places or self.there)


def _sample(host, *args):
    return Sample(host.verify("--level", "sample", *args))


def test_eleven_samples_have_read_everything(host):
    read, covered = 0, []
    while not covered or covered[-1] < FILES:
        sample = _sample(host)
        read += sample.read
        covered.append(sample.covered)
        assert sample.there == FILES
        # None twice before all were read once.
        assert sample.covered == read, covered
    assert len(covered) <= ROUND, covered
    # It goes on with those that were not read for longest.
    assert _sample(host).covered == FILES
    # None is a proof of the snapshot, and only the last one is kept.
    snapshot, = host.run("backup-list", "--json").of_type("snapshot")
    assert not snapshot.get("proven"), snapshot
    assert len(os.listdir(host.path("repository", "proofs"))) == 1


def test_what_was_read_is_known_in_the_next_snapshot_and_what_is_new_is_read(
        host):
    for _ in range(4):
        before = _sample(host)
    os.unlink(os.path.join(host.files, "f0"))
    _write(host.files, FILES)
    host.create()
    after = _sample(host)
    assert after.there == FILES
    assert after.covered == after.read, after.text
    # The one that is gone may have been alone in its place.
    assert after.places > before.places, (before.text, after.text)
    count = 1
    while after.places < after.all_places:
        after = _sample(host)
        count += 1
    assert count <= ROUND - 4 + 1
    while after.covered < FILES:
        after = _sample(host)
        count += 1
    assert count <= ROUND


def test_what_came_to_places_that_were_read_is_not_told_as_read(host):
    while _sample(host).covered < FILES:
        pass
    for number in range(FILES):
        _write(host.files, number, seed=7000)
    host.create()
    newer = _sample(host)
    assert newer.read < FILES
    assert newer.covered == newer.read and "all of them" not in newer.text
    # Nor of the older one is told what was read of the newer one.
    while newer.covered < FILES:
        newer = _sample(host)
    older = min(host.run("backup-list", "--json").of_type("snapshot"),
                key=lambda snapshot: snapshot["time"])
    again = _sample(host, older["name"])
    assert again.covered == again.read, again.text


def _packs(host):
    """Those of the files, the largest one last."""
    paths = [os.path.join(where, name) for where, _, names in
             os.walk(host.path("repository", "packs")) for name in names]
    for path in paths:
        os.chmod(path, 0o600)
    paths = sorted((os.path.getsize(path), path) for path in paths)
    return [path for size, path in paths if size > paths[-1][0] / 8]


def _damage(host, seed):
    """Changes one byte of one pack, in its middle."""
    path = _packs(host)[-1]
    with open(path, "r+b") as file:
        file.seek(random.Random(seed).randrange(
            os.path.getsize(path) // 4, os.path.getsize(path) // 2))
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("seed", range(2))
def test_damage_is_found_within_eleven_samples_and_stays_found(host, seed):
    _damage(host, seed)
    results = []
    while not results or results[-1].status == COMPLETE:
        assert len(results) < ROUND
        results.append(host.verify("--level", "sample",
                                   statuses=(COMPLETE, FAILED)))
    failed = [check["name"] for check in results[-1].of_type("check")
              if check["status"] == "fail"]
    # Pieces that are stored together may be hurt together.
    assert failed and failed[0].startswith("files/data/"), failed
    again = host.verify("--level", "sample", statuses=(FAILED,))
    assert failed[0] in [check["name"] for check in again.of_type("check")
                         if check["status"] == "fail"]


def test_what_was_well_is_known_also_where_a_check_has_failed(host):
    _damage(host, 0)
    seen, places = [], []
    for _ in range(2 * ROUND):
        result = host.verify("--level", "sample", statuses=(COMPLETE, FAILED))
        sample = Sample(result)
        places.append(sample.places)
        seen.append(result.status)
        if sample.covered + sum(
                check["status"] == "fail" and "/data" in check["name"]
                for check in result.of_type("check")) >= FILES:
            break
    assert FAILED in seen and seen[-1] == FAILED, seen
    first = seen.index(FAILED)
    # What is damaged stays found, and the rest is read all the same.
    assert seen[first:] == [FAILED] * (len(seen) - first), seen
    assert sample.covered < FILES and places[-1] > places[first], places
    snapshot, = host.run("backup-list", "--json").of_type("snapshot")
    assert snapshot["proof_failed"] and not snapshot.get("proven"), snapshot


def _hurt(host, part):
    """So much of each pack, from its beginning, with a byte changed in every
    segment that is authenticated."""
    for path in _packs(host):
        with open(path, "r+b") as file:
            for at in range(1000, int(os.path.getsize(path) * part), 30000):
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1]))


def _hurt_files(result):
    return {check["name"] for check in result.of_type("check")
            if check["status"] == "fail"
            and check["name"].startswith("files/data/")}


def test_much_damage_hides_nothing_of_the_rest(host):
    _hurt(host, 0.5)
    hurt = _hurt_files(host.verify(statuses=(FAILED,)))
    assert FILES / 4 < len(hurt) < FILES * 3 / 4, hurt
    covered, all_places = [], FILES
    # What shares its place with a damaged one is not told as read.
    while not covered or covered[-1] < all_places - len(hurt):
        assert len(covered) < 2 * ROUND, covered
        result = host.verify("--level", "sample", statuses=(COMPLETE, FAILED))
        covered.append(Sample(result).covered)
        all_places = Sample(result).all_places
    assert _hurt_files(result) <= hurt and _hurt_files(result)


def test_a_large_file_with_much_damage_is_told_once_and_hides_no_other(host):
    # A snapshot later, so that it has packs of its own.
    with open(os.path.join(host.files, "large"), "wb") as file:
        file.write(random.Random(FILES).randbytes(24 << 20))
    host.create()
    _hurt(host, 1)
    for budget in [], ["--budget", "1h"]:
        result = host.verify("--level", "sample", *budget, statuses=(FAILED,))
        failed = [check["name"] for check in result.of_type("check")
                  if check["status"] == "fail"]
        assert len(failed) == 1 and failed[0].endswith("/large"), failed
        # There is not as much that is well as it would read.
        sample = Sample(result)
        assert sample.read == FILES < sample.there, sample.text


def test_a_sample_of_which_nothing_was_well_is_not_kept_as_one_that_was(host):
    _hurt(host, 1)
    result = host.verify("--level", "sample", statuses=(FAILED,))
    assert len(_hurt_files(result)) == FILES, str(result)
    assert "no piece was read back" in result.out, str(result)
    # The verdict is.
    assert len(os.listdir(host.path("repository", "proofs"))) == 1


@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_a_budget_that_ends_in_a_sample_leaves_what_was_read(
        host, minio, repository):
    with Faults(minio, rate=0) as faults:
        host.use_bucket(faults, repository)
        for number in range(FILES):
            with open(os.path.join(host.files, "f%d" % number), "ab") as file:
                file.write(random.Random(number).randbytes(200000))
        host.create()
        faults.delayed, faults.delay = "/packs/", 0.5
        for budget in 1, 2, 4, 8, 16, 32:
            result = host.verify("--level", "sample", "--budget",
                                 "%ds" % budget, "--workers", "1")
            if "before a piece was read" not in result.out:
                break
    cut = Sample(result)
    assert cut.is_cut and 0 < cut.read == cut.covered, cut.text
    host.use_bucket(minio, repository)
    after = _sample(host)
    assert after.covered == cut.covered + after.read, after.text
    assert after.read > cut.read


def test_without_a_key_that_signs_the_clock_says_what_is_read(host):
    where = host.path("out.tar")
    result = host.admin("backup-archive", "--output", where, "latest")
    if result.status != COMPLETE:
        pytest.fail(str(result))
    result = host.admin("backup-verify", "--json", "--level", "sample",
                        "--repository", where)
    assert Sample(result).read > 0, str(result)
