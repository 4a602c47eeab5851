# SPDX-License-Identifier: Apache-2.0
"""Backups and restores of buckets once more: what is the same is not sent or
fetched again, and nothing is deleted but on request."""

import json
import os
import time

import pytest
from harness import peak
from harness.shelf import Numbered, Shelf, make
from harness.stack import COMPLETE, DEGRADED, FAILED, USAGE, patience

COUNT = int(os.environ.get("BACKUP_TEST_OBJECTS", "3000"))
PAGES = -(-COUNT // 1000)


@pytest.fixture
def shelf():
    with Shelf() as server:
        yield server


@pytest.fixture
def few(stack, shelf):
    """Some objects, backed up."""
    for name in "abcdef":
        shelf.put("bucket", name.encode(), name.encode() * 9,
                  {"content-type": "text/x", "x-amz-meta-m": name},
                  {"tag": name})
    shelf.put("bucket", b"below/a", b"below")
    stack.add_bucket("up", shelf, bucket_name="bucket")
    stack.create()
    shelf.asked()
    return shelf


def create(stack):
    """A backup in little memory, however many objects there are."""
    lines, most = peak.run(
        stack.commands.argv("backup-create", "--config", stack.config,
                            "--json"), env=stack.commands.env)
    print("%d objects: %d KiB resident" % (COUNT, most))
    # A sanitizer keeps what was freed; it is also what makes tests patient.
    assert 1024 < most < 256 * 1024 * patience(1)
    return json.loads(lines[-1])


def test_an_unchanged_bucket_costs_one_listing(stack, shelf):
    """BACKUP_TEST_OBJECTS: how many objects (1,000,000 take ten minutes)."""
    objects = shelf.buckets["bucket"] = Numbered(COUNT)
    shelf.sorted["bucket"] = objects.keys
    stack.add_bucket("up", shelf, bucket_name="bucket")
    first = create(stack)
    assert first["objects"] == COUNT
    assert shelf.asked()["GET", "object"] == COUNT
    second = create(stack)
    counts = shelf.asked()
    assert counts.pop(("GET", "list-type")) == PAGES
    assert sum(counts.values()) <= 4, counts
    assert second["objects"] == COUNT
    assert second["new_chunks"] == 0
    # The snapshot itself is some hundred bytes, however few the objects.
    assert second["stored_bytes"] < max(first["stored_bytes"] // 1000, 8000)


@pytest.mark.parametrize("begins_behind, breaks_off", [
    (True, None), (False, None), (True, b"1700-0500")])
def test_a_bucket_that_changed_a_lot_is_listed_as_it_is(
        stack, shelf, begins_behind, breaks_off):
    """A listing is asked for in pieces, cut by what was there before."""
    shelf.begins_behind, shelf.breaks_off = begins_behind, breaks_off
    objects = shelf.buckets["bucket"] = {
        b"%04d" % number: make(b"old") for number in range(3200)}
    stack.add_bucket("up", shelf, bucket_name="bucket")
    stack.create()
    # More than a piece is gone, and where pieces end; more than a page came
    # in one place, and some before and behind all.
    for number in (*range(100, 1500), 1999, 2999, 3199):
        del objects[b"%04d" % number]
    objects.update((b"1700-%04d" % number, make(b"new"))
                   for number in range(1100))
    objects.update({b"!": make(b"first"), b"9": make(b"last")})
    shelf.sorted.clear()
    stack.create()
    shelf.asked()
    assert list(stack.entries()) == [
        "bucket/up/" + key.decode() for key in sorted(objects)]
    stack.create()
    counts = shelf.asked()
    assert not counts["GET", "object"]
    if begins_behind and breaks_off is None:
        assert counts["GET", "list-type"] == -(-len(objects) // 1000)
    assert len(stack.entries()) == len(objects)


class Moving(Shelf):
    """Does something once, when a listing has passed all keys."""

    def __init__(self):
        super().__init__()
        self.behind = None

    def _list(self, bucket, query):
        answer = super()._list(bucket, query)
        behind, self.behind = self.behind, None
        if behind is not None:
            behind()
        return answer


@pytest.fixture
def moving(stack):
    with Moving() as server:
        for name in "abcd":
            server.put("bucket", name.encode(), b"old " + name.encode())
        stack.add_bucket("up", server, bucket_name="bucket")
        stack.create()
        server.asked()
        yield server


def move(shelf):
    shelf.put("bucket", b"+", b"new")
    shelf.put("bucket", b"b", b"other")
    del shelf.buckets["bucket"][b"c"]
    shelf.sorted.clear()


def bodies(objects):
    return {key: item.body for key, item in objects.items()}


def meanwhile(done):
    return [(event["path"], event["text"].split()[0])
            for event in done.of_type("message") if "while" in event["text"]]


def test_what_is_done_behind_an_unchanged_listing_is_in_the_next_backup(
        stack, moving):
    before = bodies(moving.buckets["bucket"])
    moving.behind = lambda: move(moving)
    done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    assert moving.behind is None and not meanwhile(done)
    counts = moving.asked()
    assert counts["GET", "list-type"] == 1 and not counts["GET", "object"]
    stack.restore("latest", "bucket/up", "--to", "then")
    assert bodies(moving.buckets["then"]) == before
    after = bodies(moving.buckets["bucket"])
    assert after != before
    moving.asked()
    stack.create()
    counts = moving.asked()
    assert counts["GET", "list-type"] == 2 and counts["GET", "object"] == 2
    stack.restore("latest", "bucket/up", "--to", "now")
    assert bodies(moving.buckets["now"]) == after


@pytest.mark.parametrize("before", [
    lambda shelf: shelf.put("bucket", b"a", b"changed"),
    lambda shelf: shelf.put("bucket", b"!", b"first"),
    lambda shelf: shelf.put("bucket", b"z", b"last"),
    lambda shelf: shelf._drop("bucket", b"a"),
    lambda shelf: shelf._drop("bucket", b"d")],
    ids=["changed", "first", "last", "first gone", "last gone"])
def test_a_bucket_with_one_change_is_still_listed_at_the_end(
        stack, moving, before):
    before(moving)
    moving.behind = lambda: move(moving)
    done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    assert moving.asked()["GET", "list-type"] == 2
    assert meanwhile(done)[:3] == [
        ("bucket/up/+", "appeared"), ("bucket/up/b", "changed"),
        ("bucket/up/c", "vanished")]


def test_what_is_seen_by_asking_each_is_a_change(stack, moving):
    stack.add_bucket("up", moving, bucket_name="bucket", ask_each=True)
    stack.create()
    assert moving.asked()["GET", "list-type"] == 1
    objects = moving.buckets["bucket"]
    objects[b"b"] = objects[b"b"]._replace(tags={"tag": "new"})
    moving.behind = lambda: moving.put("bucket", b"+", b"new")
    done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    assert moving.asked()["GET", "list-type"] == 2
    assert meanwhile(done)[:1] == [("bucket/up/+", "appeared")]


def test_without_the_object_that_is_refused_nothing_is_unchanged(
        stack, moving):
    moving.refuse = lambda method, key: (
        (403, "AccessDenied") if key == b"e" else None)
    moving.put("bucket", b"e", b"secret")
    for _ in range(2):
        done = stack.run("backup-create", "--json")
        assert done.status == DEGRADED, str(done)
        assert moving.asked()["GET", "list-type"] == 2


def test_an_empty_bucket_is_listed_as_any_other(stack, moving):
    moving.buckets["bucket"].clear()
    moving.sorted.clear()
    stack.create()
    moving.asked()
    moving.behind = lambda: moving.put("bucket", b"a", b"1")
    assert stack.create()["objects"] == 0
    assert moving.asked()["GET", "list-type"] == 1
    assert stack.create()["objects"] == 1


@pytest.fixture
def cut(stack, shelf):
    """A bucket that was backed up, and is listed in pieces from now on."""
    shelf.buckets["bucket"] = {
        b"%04d" % number: make(b"old") for number in range(3200)}
    stack.add_bucket("up", shelf, bucket_name="bucket")
    stack.create()
    shelf.asked()
    return shelf


def test_a_list_that_ends_before_a_key_that_is_there_fails(stack, cut):
    cut.breaks_off, cut.always_breaks = b"1500", True
    done = stack.run("backup-create")
    assert done.status == FAILED, str(done)
    # The first key of the piece behind, which is in no list of all.
    assert '"2000"' in done.err and "ends the list before" in done.err
    # It is deleted before anybody can look whether it is there.
    cut.refuse = lambda method, key: (
        (404, "NoSuchKey") if (method, key) == ("HEAD", b"2000") else None)
    stack.create()
    assert len(stack.entries()) == 1501


@pytest.mark.parametrize("first, fewer", [(b"0999", ()), (b"1999", ()),
                                          (b"0999", (999,))])
def test_more_that_was_promised_is_asked_for_again(stack, cut, first, fewer):
    """The server tells that there is more, or shows it, behind a piece, and
    nothing in any of those behind it."""
    for number in fewer:
        del cut.buckets["bucket"][b"%04d" % number]
    cut.sorted.clear()
    cut.empty_behind = first
    stack.create()
    assert len(stack.entries()) == 3200 - len(fewer)


def test_renames_and_copies_are_stored_once(stack, few):
    content = os.urandom(3 << 20)
    few.put("bucket", b"old name", content)
    stack.create()
    objects = few.buckets["bucket"]
    few.put("bucket", b"new name", content)
    few.put("bucket", b"copy/of it", content)
    del objects[b"old name"]
    few.sorted.clear()
    result = stack.create()
    assert few.asked()["GET", "object"] == 3
    assert result["stored_bytes"] < 20000


@pytest.mark.parametrize("change", [
    lambda old: {"etag": "0" * 32},
    lambda old: {"body": old.body + b"more"},
    lambda old: {"modified": old.modified + 60}],
    ids=["etag", "size", "date"])
def test_an_object_of_which_one_thing_is_another_is_fetched_again(
        stack, few, change):
    objects = few.buckets["bucket"]
    item = objects[b"b"]
    objects[b"b"] = item._replace(**change(item))
    few.sorted.clear()
    stack.create(statuses=(COMPLETE, DEGRADED))
    assert few.asked()["GET", "object"] >= 1
    few.asked()


def test_tags_that_no_listing_tells_are_seen_by_asking_each(stack, few):
    objects = few.buckets["bucket"]
    stack.add_bucket("up", few, bucket_name="bucket", ask_each=True)
    objects[b"b"] = objects[b"b"]._replace(tags={"tag": "another"})
    objects[b"c"] = objects[b"c"]._replace(tags={})
    objects[b"below/a"] = objects[b"below/a"]._replace(tags={"n": "1"})
    objects[b"d"] = objects[b"d"]._replace(
        headers={**objects[b"d"].headers, "x-amz-meta-m": "other"})
    stack.create()
    counts = few.asked()
    assert counts["GET", "object"] == 4
    assert counts["HEAD", "object"] == 7
    stack.create()
    assert few.asked()["GET", "object"] == 0
    stack.restore("latest", "bucket/up", "--to", "other")
    assert {key: (item.tags, item.headers)
            for key, item in few.buckets["other"].items()} == {
        key: (item.tags, item.headers) for key, item in objects.items()}


def test_without_asking_tags_are_what_they_were(stack, few):
    objects = few.buckets["bucket"]
    objects[b"b"] = objects[b"b"]._replace(tags={"tag": "another"})
    stack.create()
    counts = few.asked()
    assert not counts["GET", "object"] and not counts["HEAD", "object"]


def test_a_second_restore_sends_only_what_is_missing_or_different(
        stack, few):
    stack.restore("latest", "bucket/up", "--to", "other")
    few.asked()
    other = few.buckets["other"]
    del other[b"a"]
    few.put("other", b"b", b"other bytes")
    other[b"c"] = other[b"c"]._replace(tags={"tag": "another"})
    other[b"d"] = other[b"d"]._replace(headers={})
    stack.restore("latest", "bucket/up", "--to", "other", "--overwrite")
    assert few.asked()["PUT", "object"] == 4
    before = few.buckets["bucket"]
    assert {key: (item.body, item.tags, item.headers)
            for key, item in few.buckets["other"].items()} == {
        key: (item.body, item.tags, item.headers)
        for key, item in before.items()}


def test_a_restore_that_was_stopped_goes_on(stack, few):
    few.refuse = lambda method, key: (
        (507, "XMinioStorageFull") if method == "PUT" and key == b"d"
        else None)
    done = stack.admin("backup-restore", "--to", "other", "latest",
                       "bucket/up")
    assert done.status == FAILED, str(done)
    put = set(few.buckets["other"])
    assert put and b"d" not in put
    few.refuse = lambda method, key: None
    few.asked()
    done = stack.admin("backup-restore", "--json", "--to", "other", "latest",
                       "bucket/up")
    assert done.status == COMPLETE, str(done)
    assert few.asked()["PUT", "object"] == 7 - len(put)
    assert any("%d of 7 objects were there already" % len(put)
               in event["text"] for event in done.of_type("message"))
    assert set(few.buckets["other"]) == set(few.buckets["bucket"])


def test_other_metadata_is_not_replaced_unless_asked(stack, few):
    objects = few.buckets["bucket"]
    objects[b"c"] = objects[b"c"]._replace(tags={"tag": "another"})
    done = stack.admin("backup-restore", "--json", "latest")
    assert done.status == DEGRADED, str(done)
    assert [event["path"] for event in done.of_type("omission")] == [
        "bucket/up/c"]
    assert objects[b"c"].tags == {"tag": "another"}
    assert not few.asked()["PUT", "object"]


def test_uploads_that_nobody_finished_are_told_and_aborted_on_request(
        stack, few):
    today = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for name, date in (("old", "2020-01-02T03:04:05.000Z"),
                       ("older", "2019-01-02T03:04:05.000Z"),
                       ("new", today)):
        few.uploads[name] = ({}, {})
        few.begun[name] = ("half", date)
    done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    told = [event["text"] for event in done.of_type("message")
            if "nobody finished" in event["text"]]
    assert len(told) == 1 and told[0].startswith("2 uploads"), told
    assert "2019-01-02T03:04:05" in told[0] and "abort_uploads" in told[0]
    assert set(few.uploads) == {"old", "older", "new"}
    stack.add_bucket("up", few, bucket_name="bucket", abort_uploads="1d")
    stack.create()
    assert set(few.uploads) == {"new"}


def test_uploads_are_as_old_as_the_server_says(stack, few):
    few.ahead = -7 * 86400
    few.uploads["new"] = ({}, {})
    few.begun["new"] = ("half", time.strftime(
        "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + few.ahead)))
    stack.add_bucket("up", few, bucket_name="bucket", abort_uploads="1d")
    stack.create()
    assert set(few.uploads) == {"new"}
    few.ahead = 2 * 86400
    stack.create()
    assert not few.uploads


def test_parts_that_are_not_the_whole_object_are_not_believed(stack, few):
    few.put("bucket", b"cut", bytes(30))
    objects = few.buckets["bucket"]
    objects[b"cut"] = objects[b"cut"]._replace(etag="0" * 32 + "-3")
    few.parts[b"cut"] = [10, 12, 7]
    stack.create()
    entry = stack.entries("latest", "bucket/up/cut")["bucket/up/cut"]
    assert "etag_opaque" in entry["attributes"]
    assert "part_sizes" not in entry["attributes"]
    stack.restore("latest", "bucket/up", "--to", "other")
    assert few.buckets["other"][b"cut"].body == bytes(30)


def test_an_object_that_breaks_off_unseen_is_left_out_by_name(stack, few):
    few.put("bucket", b"g", b"123456789")
    few.breaks = {b"g": 5}
    done = stack.run("backup-create", "--json")
    assert done.status == DEGRADED, str(done)
    assert [event["path"] for event in done.of_type("omission")] == [
        "bucket/up/g"]
    few.breaks = {b"g": 9}
    stack.create()
    assert "bucket/up/g" in stack.entries()


def keys(shelf, bucket="bucket"):
    return {key.decode() for key in shelf.buckets[bucket]}


def test_nothing_is_deleted_unless_asked(stack, few):
    few.put("bucket", b"z", b"new")
    stack.restore("latest", "--overwrite")
    assert "z" in keys(few)
    stack.restore("latest", "--overwrite", "--delete")
    assert keys(few) == {"a", "b", "c", "d", "e", "f", "below/a"}


def test_only_what_was_chosen_is_deleted(stack, few):
    for key in (b"below/z", b"below2", b"z", b"below/"):
        few.put("bucket", key, b"new")
    stack.restore("latest", "bucket/up/below", "--delete")
    assert keys(few) == {"a", "b", "c", "d", "e", "f", "below/a", "below2",
                         "z"}


def test_nothing_is_deleted_outside_the_prefix_that_was_backed_up(
        stack, few):
    stack.add_bucket("up", few, bucket_name="bucket", prefix="below/")
    stack.create()
    stack.add_bucket("up", few, bucket_name="bucket")
    few.put("bucket", b"below/z", b"new")
    stack.restore("latest", "--delete")
    assert keys(few) == {"a", "b", "c", "d", "e", "f", "below/a"}


def test_an_empty_snapshot_deletes_nothing(stack, shelf):
    shelf.buckets["bucket"] = {}
    stack.add_bucket("up", shelf, bucket_name="bucket")
    stack.create()
    shelf.put("bucket", b"a", b"a")
    done = stack.admin("backup-restore", "--json", "--delete", "latest")
    assert done.status in (DEGRADED, FAILED), str(done)
    assert "nothing was deleted" in str(done)
    assert keys(shelf) == {"a"}


def test_a_snapshot_that_lacks_something_deletes_nothing(stack, few):
    few.refuse = lambda method, key: (
        (403, "AccessDenied") if key == b"z" else None)
    few.put("bucket", b"z", b"new")
    stack.create(statuses=(DEGRADED,))
    few.refuse = lambda method, key: None
    done = stack.admin("backup-restore", "--delete", "latest")
    assert done.status == FAILED, str(done)
    assert "bucket/up/z" in done.err and "--delete" in done.err
    assert "z" in keys(few)


def test_an_archive_of_a_part_deletes_nothing_beside_the_part(stack, few):
    before = keys(few)
    part = stack.path("part.tar")
    done = stack.admin("backup-archive", "-o", part, "latest",
                       "bucket/up/below")
    assert done.status == COMPLETE, str(done)
    again = stack.path("again.tar")
    done = stack.admin("backup-archive", "-r", part, "-o", again, "latest",
                       "bucket/up")
    assert done.status == COMPLETE, str(done)
    for archive in (part, again):
        few.put("bucket", b"below/z", b"new")
        for path in ("bucket/up", "bucket/up/a"):
            done = stack.admin("backup-restore", "-r", archive,
                               "--overwrite", "--delete", "latest", path)
            assert done.status == FAILED, str(done)
            assert keys(few) == before | {"below/z"}
        assert "bucket/up/below alone" in done.err, str(done)
        stack.restore("-r", archive, "--delete", "latest", "bucket/up/below")
        assert keys(few) == before


def test_a_part_that_was_taken_in_deletes_nothing(stack, few):
    few.put("bucket", b"below/b/c", b"new")
    stack.create()
    before = keys(few)
    part = stack.path("part.tar")
    done = stack.admin("backup-archive", "-o", part, "latest",
                       "bucket/up/below/b")
    assert done.status == COMPLETE, str(done)
    done = stack.admin("backup-archive", "--json", "--import", part)
    assert done.status == DEGRADED, str(done)
    snapshot = done.result["snapshot"]
    for path in ("bucket/up", "bucket/up/below", "bucket/up/below/b"):
        done = stack.admin("backup-restore", "--overwrite", "--delete",
                           snapshot, path)
        assert done.status == FAILED and "--delete" in done.err, str(done)
    assert keys(few) == before


@pytest.mark.parametrize("refusal", [
    (403, "AccessDenied"),
    (403, "AccessDenied", "Object is WORM protected and cannot be changed")],
    ids=["forbidden", "locked"])
def test_what_the_server_keeps_is_named(stack, few, refusal):
    few.refuse = lambda method, key: (
        refusal if method == "DELETE" and key == b"y\x01" else None)
    for key in (b"x", b"y\x01", b"z"):
        few.put("bucket", key, b"new")
    done = stack.admin("backup-restore", "--json", "--delete", "latest")
    assert done.status == DEGRADED, str(done)
    assert [event["path"] for event in done.of_type("omission")] == [
        "bucket/up/y%01"]
    assert keys(few) == {"a", "b", "c", "d", "e", "f", "below/a", "y\x01"}


def test_nothing_is_deleted_while_something_is_not_back(stack, few):
    few.put("bucket", b"b", b"others")
    few.put("bucket", b"z", b"new")
    few.refuse = lambda method, key: (
        (403, "AccessDenied") if method == "PUT" and key == b"b" else None)
    done = stack.admin("backup-restore", "--json", "--overwrite", "--delete",
                       "latest")
    assert done.status == DEGRADED, str(done)
    assert "nothing was deleted" in str(done) and "z" in keys(few)
    few.refuse = lambda method, key: None
    stack.restore("latest", "--overwrite", "--delete")
    assert keys(few) == {"a", "b", "c", "d", "e", "f", "below/a"}


def test_only_in_buckets_is_anything_deleted(stack, few):
    folder = stack.path("folder")
    os.mkdir(folder)
    stack.add("files", "some", paths=[folder])
    stack.create()
    done = stack.admin("backup-restore", "--delete", "latest")
    assert done.status in (FAILED, USAGE), str(done)
    assert "bucket/uploads" in done.err
