# SPDX-License-Identifier: Apache-2.0
"""Versions and delete markers through the S3 client, against MinIO with boto3
as the witness, and against listings that cannot be trusted."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from test_s3 import CORRUPT, NOTFOUND, Fake, answer, real, refused, tool

real = real  # the fixture


ULIDS = ["01KDVDNK8W" + digit * 16 for digit in "0123456789"]


def entry(key, version, is_latest, kind="Version", when="00:00:00",
          etag="e"):
    return ("<%s><Key>%s</Key><VersionId>%s</VersionId><IsLatest>%s</IsLatest>"
            "<LastModified>2026-01-01T%s.000Z</LastModified>%s</%s>"
            % (kind, key, version, str(is_latest).lower(), when,
               "<Size>1</Size><ETag>&quot;%s&quot;</ETag>" % etag
               if kind == "Version" else "", kind))


def marker(key, version, is_latest, when="00:00:00"):
    return entry(key, version, is_latest, "DeleteMarker", when)


def page(*entries, more=None, encoded=True):
    """more: the key and the version that the next page goes on behind."""
    return answer(200, "<ListVersionsResult xmlns=\"x\">%s%s<IsTruncated>%s"
                  "</IsTruncated>%s</ListVersionsResult>" % (
                      "".join(entries),
                      "<EncodingType>url</EncodingType>" if encoded else "",
                      "true" if more else "false",
                      "<NextKeyMarker>%s</NextKeyMarker>"
                      "<NextVersionIdMarker>%s</NextVersionIdMarker>" % more
                      if more else ""))


def listed(done):
    assert done.returncode == 0, done.stderr
    return [tuple(line.split("\t")[:3])
            for line in done.stdout.decode().splitlines()]


@pytest.mark.parametrize("pages,words", [
    ([page(entry("b", "1", True), entry("a", "1", True))], "greater key"),
    ([page(entry("a", "1", True), entry("a", "1", False))], "repeated"),
    ([page(entry("a", "1", True), more=("a", "1")),
      page(entry("a", "1", False))], "repeated"),
    ([page(entry("a", "1", False))], "not the first"),
    ([page(entry("a", "1", True), entry("a", "2", True))], "not the first"),
    ([page(entry("a", "1", True), more=("", ""))], "no marker"),
    # Replaced between the two: versitygw has forgotten what follows.
    ([page(entry("a", "null", True), more=("a", "null")),
      page(entry("a", "null", False))], "repeated"),
    # It knows no version to go on behind.
    ([page(*[entry("a", name, name == ULIDS[2])
             for name in (*ULIDS[2:0:-1], "null")], more=("a", "null"))
      for _ in range(3)], "repeats its marker"),
    ([page(entry("b", "1", True), more=("b", "1")),
      page(more=("a", "1"))], "goes back"),
    ([page(entry("a", "1", True), more=("a", "1")),
      page(entry("a", "2", False), more=("a", "2")),
      page(entry("a", "3", False), more=("a", "1"))], "repeats its marker"),
    ([page(more=("a%04d" % n, "")) for n in range(120)], "empty"),
    ([page(entry("a", "", True))], "without its id"),
    ([page(entry("a%00b", "1", True))], "NUL"),
    ([page(entry("a", "1", True, when="25:00:00"))], "no time"),
    ([answer(200, "<ListVersionsResult></ListVersionsResult>")],
     "IsTruncated"),
    ([answer(200, "<ListVersionsResult><IsTruncated>1</IsTruncated>"
             "</ListVersionsResult>")], "neither true nor false"),
], ids=lambda value: value.replace(" ", "_")
    if isinstance(value, str) else "")
def test_a_listing_of_versions_that_cannot_be_trusted_is_refused(pages, words):
    with Fake(*pages) as fake:
        message = refused(tool(fake.endpoint, "versions", "bucket"), CORRUPT)
    assert words in message


def test_what_is_not_below_the_prefix_is_refused():
    with Fake(page(entry("a", "1", True))) as fake:
        message = refused(
            tool(fake.endpoint, "versions", "bucket", "b"), CORRUPT)
    assert "prefix" in message


def test_a_listing_of_versions_goes_on_behind_a_key_and_a_version():
    with Fake(page(entry("a+b", "2", True), more=("a+b", "2")),
              page(entry("a+b", "1", False), marker("c", "1", True),
                   more=("c", "")),
              page(entry("d", "null", True))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert listed(done) == [
        ("a b", "2", "latest"), ("a b", "1", "-"), ("c", "1", "latest,marker"),
        ("d", "null", "latest")]
    assert "key-marker=a%20b" in fake.requests[1][1]
    assert "version-id-marker=2" in fake.requests[1][1]
    assert "key-marker=c" in fake.requests[2][1]
    assert "version-id-marker" not in fake.requests[2][1]
    assert all("encoding-type=url" in r[1] for r in fake.requests)


def test_a_version_that_goes_between_two_pages_is_no_disorder():
    with Fake(page(entry("a", "3", True), more=("a", "3")),
              page(entry("a", "2", True), entry("a", "1", False))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert [line[1] for line in listed(done)] == ["3", "2", "1"]


def test_delete_markers_behind_all_versions_find_their_place():
    """As versitygw and SeaweedFS write a page."""
    with Fake(page(entry("a", "v1", False, when="00:00:01"),
                   entry("b", "v3", True, when="00:00:05"),
                   entry("b", "v1", False, when="00:00:01"),
                   marker("a", "m2", True, when="00:00:02"),
                   marker("b", "m2", False, when="00:00:03"),
                   marker("c", "m1", True))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert [line[:2] for line in listed(done)] == [
        ("a", "m2"), ("a", "v1"), ("b", "v3"), ("b", "m2"), ("b", "v1"),
        ("c", "m1")]


def test_delete_markers_before_all_versions_find_their_place():
    with Fake(page(
            marker("a", "2", False, "00:00:02"),
            marker("b", "6", True, "00:00:06"),
            entry("a", "3", True, when="00:00:03"),
            entry("a", "1", False, when="00:00:01"),
            entry("b", "5", False, when="00:00:05"))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert [line[:2] for line in listed(done)] == [
        ("a", "3"), ("a", "2"), ("a", "1"), ("b", "6"), ("b", "5")]


def test_names_in_the_order_of_time_tell_more_than_dates():
    """versitygw dates versions by whole seconds, and markers finer."""
    ids = ["01M7ZSWV%dTS54V4EA5KGNHD10" % number for number in range(4)]
    with Fake(page(
            entry("a", ids[3] + "X", True, when="00:00:03"),
            entry("a", ids[2] + "X", False, when="00:00:03"),
            entry("a", ids[0] + "X", False, when="00:00:03"),
            marker("a", ids[1] + "X", False, "00:00:02"))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert [line[1][8] for line in listed(done)] == ["3", "2", "1", "0"]
    with Fake(page(
            entry("a", ids[3] + "X", True, when="00:00:03"),
            entry("a", ids[0] + "X", False, when="00:00:03"),
            marker("a", ids[2] + "X", False, "00:00:02"))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert [line[1][8] for line in listed(done)] == ["3", "2", "0"]


def test_a_name_tells_when_a_version_came_that_was_replaced_since():
    """versitygw dates it by when it was replaced, and a marker by what it
    deletes; their names are ULIDs."""
    with Fake(page(
            entry("a", "01KDVDNK8W" + "0" * 16, True, when="00:00:10"),
            entry("a", "01KDVDND1K" + "0" * 16, False, when="00:00:09"),
            entry("a", "01KDVDNCE4" + "0" * 16, False, when="00:00:02"),
            marker("a1", "01KDVDNK8W" + "0" * 16, True, when="00:00:01"),
            entry("b", "not-a-ulid", True, when="00:00:09"),
            entry("b", "0123456789", False, when="00:00:09"))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    start = 1767225600000000  # that day
    assert [int(line.split(b"\t")[5]) - start
            for line in done.stdout.splitlines()] == [
                9500999, 3123999, 2000999, 9500999, 9000999, 9000999]


@pytest.mark.parametrize("entries,expected", [
    # Its successor was put between the two.
    ([entry("a", ULIDS[1], True, etag="of both"), entry("a", ULIDS[1], False),
      entry("a", ULIDS[0], False)], [("1", "latest"), ("0", "-")]),
    # Two were put.
    ([entry("a", ULIDS[1], True), entry("a", ULIDS[2], False),
      entry("a", ULIDS[1], False)], [("2", "latest"), ("1", "-")]),
    # It is a delete marker already, which has no name of its own yet.
    ([entry("a", ULIDS[1], False), entry("a", ULIDS[0], False),
      marker("a", ULIDS[1], True)], [("1", "latest"), ("0", "-")]),
    # A delete marker, on which something was put.
    ([entry("a", ULIDS[1], True), entry("a", ULIDS[0], False),
      marker("a", ULIDS[1], False)], [("1", "latest,marker"), ("0", "-")]),
], ids=("put", "put_twice", "deleted", "put_back"))
def test_a_version_that_is_replaced_while_it_is_listed_is_one(
        entries, expected):
    """versitygw reads the newest version, and then those beside it; it writes
    markers behind all versions."""
    entries = sorted([*entries, entry("b", ULIDS[3], True)],
                     key=lambda one: one.startswith("<DeleteMarker"))
    with Fake(page(*entries)) as fake:
        found = listed(tool(fake.endpoint, "versions", "bucket"))
    assert [(line[1][-1], line[2]) for line in found] == [
        *expected, ("3", "latest")]


@pytest.mark.parametrize("name", [ULIDS[1], "null"], ids=("ulid", "null"))
def test_a_page_may_begin_with_the_last_of_the_page_before(name):
    with Fake(page(entry("a", ULIDS[0], True), entry("b", name, True),
                   more=("b", name)),
              page(entry("b", name, True), entry("b", ULIDS[0], False),
                   entry("c", ULIDS[1], True))) as fake:
        found = listed(tool(fake.endpoint, "versions", "bucket"))
    assert [line[:2] for line in found] == [
        ("a", ULIDS[0]), ("b", name), ("b", ULIDS[0]), ("c", ULIDS[1])]


@pytest.mark.parametrize("last,now", [
    # A marker that may be no more than a version that is being deleted.
    (marker("c", ULIDS[1], True), [marker("c", ULIDS[2], True),
                                   entry("c", ULIDS[1], False)]),
    # versitygw knows nothing to go on with behind an older one named so.
    (entry("b", "null", False), [entry("b", "null", False)]),
], ids=("marker", "null"))
def test_what_a_page_cannot_end_with_is_left_to_the_next(last, now):
    with Fake(page(entry("a", ULIDS[0], True), entry("b", ULIDS[1], True),
                   last, more=("z", ULIDS[1])),
              page(entry("b", ULIDS[1], True), *now,
                   entry("d", ULIDS[1], True))) as fake:
        found = listed(tool(fake.endpoint, "versions", "bucket"))
    assert "key-marker=b&" in fake.requests[1][1] + "&"
    assert "version-id-marker=" + ULIDS[1] in fake.requests[1][1]
    assert [line[0] for line in found] == [
        "a", "b", *("c" if "<Key>c" in one else "b" for one in now), "d"]


@pytest.mark.parametrize("end,more", [
    # Behind an older one named "null", be it the last or not,
    ([entry("b", "null", False), marker("c", ULIDS[1], True)],
     ("c", ULIDS[1])),
    # or a marker, which is written behind all versions,
    ([entry("b", ULIDS[0], False), marker("b", "null", False, "00:00:05")],
     ("b", "null")),
    # and behind a folder, which is always named so, it does not go on.
    ([entry("b/", "null", True), marker("c", ULIDS[1], True)],
     ("c", ULIDS[1])),
], ids=("null", "null_marker", "folder"))
def test_a_page_ends_where_the_next_finds_its_way(end, more):
    newest = entry("b", ULIDS[1], True)
    next_page = sorted([newest, *end[:-1], entry("d", ULIDS[1], True), end[-1]],
                       key=lambda one: one.startswith("<DeleteMarker"))
    with Fake(page(entry("A", ULIDS[0], True), entry("a", ULIDS[0], True),
                   newest, *end, more=more),
              page(*next_page)) as fake:
        found = listed(tool(fake.endpoint, "versions", "bucket"))
    asked = fake.requests[1][1] + "&"
    assert "key-marker=b&" in asked
    assert "version-id-marker=%s&" % ULIDS[1] in asked
    assert [line[0] for line in found[:3]] == ["A", "a", "b"]
    assert len(found) == 6 and found[5][0] == "d"


@pytest.mark.parametrize("start", ([], [entry("A", "9", True)]),
                         ids=("alone", "behind_another"))
def test_the_order_of_a_listing_stays_where_a_date_is_of_the_beginning(start):
    """AWS dates a multipart object by the beginning of its upload, and no
    other; versions and markers that happen to be apart are in order."""
    with Fake(page(*start,
                   entry("a", "4", True, when="00:00:09"),
                   entry("a", "3", False, when="00:00:01", etag="e-2"),
                   marker("a", "2", False, "00:00:05"),
                   marker("b", "1", True))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert [line[1] for line in listed(done)][len(start):] == [
        "4", "3", "2", "1"]


def test_one_key_whose_markers_are_behind_its_versions_is_put_in_order():
    with Fake(page(entry("a", "4", True, when="00:00:09"),
                   entry("a", "2", False, when="00:00:03"),
                   entry("a", "1", False, when="00:00:01", etag="e-2"),
                   marker("a", "3", False, "00:00:05"))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert [line[1] for line in listed(done)] == ["4", "3", "2", "1"]
    # Behind those of the page before.
    with Fake(page(entry("a", "5", True, when="00:00:09"), more=("a", "5")),
              page(entry("a", "2", False, when="00:00:03"),
                   marker("a", "3", False, "00:00:05"))) as fake:
        done = tool(fake.endpoint, "versions", "bucket")
    assert [line[1] for line in listed(done)] == ["5", "3", "2"]


# ---- MinIO ----

@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def witnessed(s3, bucket, **options):
    found = []
    for part in s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, **options):
        for kind, mark in (("Versions", ""), ("DeleteMarkers", ",marker")):
            for item in part.get(kind, []):
                found.append((
                    item["Key"].encode(), -item["LastModified"].timestamp(),
                    (item["Key"], item["VersionId"],
                     ("latest" if item["IsLatest"] else "-") + mark)))
    return [line for key, when, line in sorted(found)]


def test_versions_agree_with_the_witness(real, s3, versioned):
    keys = ["ctl\x01x", "e\u0301", "\u00e9", "A", "a b+&x=1?#%41"]
    for key in keys:
        s3.put_object(Bucket=versioned, Key=key, Body=b"first")
        s3.delete_object(Bucket=versioned, Key=key)
        s3.put_object(Bucket=versioned, Key=key, Body=b"second")
    s3.delete_object(Bucket=versioned, Key="A")
    s3.put_object(Bucket=versioned, Key="dir/")  # of which MinIO keeps one
    done = real("versions", versioned)
    assert listed(done) == witnessed(s3, versioned)
    assert len(listed(done)) == 3 * len(keys) + 2
    assert listed(real("versions", versioned, "e")) == \
        witnessed(s3, versioned, Prefix="e")


def test_more_versions_than_a_page_holds(real, s3, versioned):
    """One key's versions go over three pages; others lie around it."""
    def put(key):
        s3.put_object(Bucket=versioned, Key=key, Body=b"x")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, ["many"] * 2100 + ["before", "nine"]))
    found = listed(real("versions", versioned))
    assert sorted(found) == sorted(witnessed(s3, versioned))
    assert len(found) == 2102
    assert [line[2] for line in found].count("latest") == 3


@pytest.mark.every_s3_server("versions")
def test_pages_end_and_begin_with_any_version(real, s3, minio, bucket):
    """The first ends with what was put before there were versions, the second
    with the only version of a key."""
    def put(number):
        s3.put_object(Bucket=bucket, Key="k%04d" % number, Body=b"x")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(500)))
        s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        list(pool.map(put, range(1550)))
    found = listed(real("versions", bucket))
    assert [line[0] for line in found] == sorted(
        ["k%04d" % number for number in range(1550)] +
        ["k%04d" % number for number in range(500)])
    assert [line[2] for line in found].count("latest") == 1550


def test_a_bucket_without_versioning_has_versions_named_null(
        real, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert listed(real("versions", bucket)) == [("a", "null", "latest")]


def test_versioning_is_switched_on_and_suspended(real, s3, bucket):
    assert real("bucket", "versioning", bucket).stdout == b"0\n"
    for word, status in (("version", "Enabled"), ("suspend", "Suspended")):
        assert real("bucket", word, bucket).returncode == 0
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


def test_a_version_is_read_tagged_and_removed_by_its_id(real, s3, versioned):
    first = s3.put_object(
        Bucket=versioned, Key="a", Body=b"first")["VersionId"]
    second = s3.put_object(
        Bucket=versioned, Key="a", Body=b"second!")["VersionId"]
    assert real("get", versioned, "a").stdout == b"second!"
    assert real("get", versioned, "a",
                S3_TOOL_VERSION=first).stdout == b"first"
    headers = real("head", versioned, "a", S3_TOOL_VERSION=first).stdout
    assert b"content-length: 5\n" in headers
    assert b"x-amz-version-id: " + first.encode() in headers
    done = real("tags", versioned, "a", "a=1", S3_TOOL_VERSION=first)
    assert done.returncode == 0, done.stderr
    assert real("tags", versioned, "a",
                S3_TOOL_VERSION=first).stdout == b"a=1\n"
    assert real("tags", versioned, "a").stdout == b""
    found = real("versions", versioned, S3_TOOL_METADATA="1")
    assert [line.split(b"\t")[-1] for line in found.stdout.splitlines()] == \
        [b"", b"a=1"]
    assert real("remove", versioned, "a",
                S3_TOOL_VERSION=second).returncode == 0
    assert real("get", versioned, "a").stdout == b"first"


def test_a_delete_marker_is_not_found_and_can_be_removed(real, s3, versioned):
    s3.put_object(Bucket=versioned, Key="a", Body=b"x")
    assert real("remove", versioned, "a").returncode == 0
    (key, version, kind), old = listed(real("versions", versioned))
    assert kind == "latest,marker" and old[2] == "-"
    refused(real("head", versioned, "a"), NOTFOUND)
    for word in ("head", "get"):
        refused(real(word, versioned, "a", S3_TOOL_VERSION=version), NOTFOUND)
    assert real("remove", versioned, "a",
                S3_TOOL_VERSION=version).returncode == 0
    assert real("get", versioned, "a").stdout == b"x"
    refused(real("get", versioned, "a", S3_TOOL_VERSION=version), NOTFOUND)
