# SPDX-License-Identifier: Apache-2.0
"""Reports of a verification: what a CI server, a program, a monitor and a
person are given, and that it is never better than what is so."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
import xml.etree.ElementTree as ElementTree

import pytest
from harness.stack import COMPLETE, DEGRADED, FAILED, Stack, finish, patience
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.join(os.environ.get("top_builddir", "."), "tools")

HOSTILE = "<img src=x onerror=alert(1)>\x01\x1b[31m\n&\"'%41"


class Reports:
    """The four of one run, below one name."""

    def __init__(self, folder, name):
        self.base = os.path.join(folder, name)
        self.junit = self.base + ".xml"
        self.json = self.base + ".json"
        self.html = self.base + ".html"
        self.prometheus = self.base + ".prom"
        self.args = ["--junit", self.junit, "--json-report", self.json,
                     "--html", self.html, "--prometheus", self.prometheus]

    def document(self):
        with open(self.json) as file:
            return json.load(file)

    def page(self):
        with open(self.html, encoding="utf-8") as file:
            return file.read()

    def suites(self):
        """The parsed file, which is as the schema has it."""
        done = subprocess.run(
            ["xmllint", "--noout", "--schema",
             os.path.join(HERE, "junit.xsd"), self.junit],
            capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        root = ElementTree.parse(self.junit).getroot()
        for found, said in (("testcase", "tests"), ("failure", "failures"),
                            ("error", "errors"), ("skipped", "skipped")):
            assert len(root.findall(".//" + found)) == int(root.get(said))
        return root

    def metrics(self):
        with open(self.prometheus) as file:
            families = list(text_string_to_metric_families(file.read()))
        assert all(family.type == "gauge" and family.documentation
                   for family in families)
        return {(sample.name[len("libbackup_verify_"):],
                 sample.labels.get("status")): sample
                for family in families for sample in family.samples}

    def value(self, name, status=None):
        return self.metrics()[name, status].value


def _verify(stack, reports, *args, statuses, **options):
    done = stack.admin("backup-verify", *reports.args, *args, **options)
    assert done.status in statuses, str(done)
    return done


@pytest.fixture(scope="module")
def host(session_folder, postgres):
    """A host with a database and files of bad names, two snapshots, of which
    the first is proven and the second has lost a pack."""
    folder = os.path.join(session_folder, "reports")
    os.mkdir(folder)
    stack = Stack(TOOLS, folder)
    stack.write()
    stack.init()
    postgres.create_database("reports")
    postgres.execute("reports", "CREATE TABLE good AS SELECT n FROM "
                     "generate_series(1, 1000) n")
    os.mkdir(stack.path("data"))
    with open(stack.path("data", HOSTILE.replace("/", "")), "w") as out:
        out.write("x")
    with open(os.fsencode(stack.path("data")) + b"/\xff\xfe", "w") as out:
        out.write("y")
    with open(stack.path("data", "plain"), "w") as out:
        out.write("z")
    stack.add_postgres("app", postgres, "reports")
    stack.add("files", "data", paths=[stack.path("data")])
    stack.add("command", "dump", run=["echo", "hello"], output="dump.txt")
    stack.first = stack.create()["snapshot"]
    yield stack
    postgres.drop_database("reports")


@pytest.fixture(scope="module")
def proven(host):
    reports = Reports(host.folder, "proven")
    reports.began = time.time()
    reports.done = _verify(host, reports, host.first, statuses=(COMPLETE,))
    return reports


def test_a_proof_is_told_in_four_forms_at_once(host, proven):
    suites = proven.suites()
    assert suites.get("failures") == "0" and suites.get("errors") == "0"
    names = {suite.get("name") for suite in suites}
    assert {"postgres/app", "files/data", "command/dump"} <= names
    cases = {(case.get("classname"), case.get("name"))
             for case in suites.iter("testcase")}
    assert ("postgres/app", "reports/data/public.good") in cases
    assert len(cases) == int(suites.get("tests"))
    properties = {item.get("name"): item.get("value")
                  for item in suites.iter("property")}
    assert properties["snapshot"] == host.first
    assert properties["outcome"] == "proven"
    assert 0 < float(properties["rto_seconds"]) <= float(suites.get("time"))
    assert float(properties["rpo_seconds"]) > 0
    document = proven.document()
    assert document["is_proven"] and document["outcome"] == "proven"
    assert document["rows"] == 1000
    assert [item["name"] for item in document["history"]] == [host.first]
    # With the verdict that was just kept.
    proof = document["history"][0]["proof"]
    assert proof["is_proven"] and proof["recovery_ms"] > 0
    assert proof["recovery_ms"] == document["recovery_ms"]
    assert "<h1>This backup restores</h1>" in proven.page()
    assert proven.done.out.count("\nPROVEN") == 1


def test_a_monitor_gets_moments_and_few_labels(host, proven):
    metrics = proven.metrics()
    assert proven.value("success") == 1 and proven.value("verdict") == 1
    assert proven.value("checks", "failed") == 0
    assert proven.value("rows") == 1000
    assert proven.began <= proven.value("last_proven_timestamp_seconds")
    assert proven.value("last_proven_timestamp_seconds") <= proven.value(
        "last_run_timestamp_seconds") <= time.time()
    assert proven.value("snapshot_timestamp_seconds") < proven.began
    assert {name for sample in metrics.values() for name in sample.labels} == {
        "repository", "status"}
    assert {sample.labels["repository"] for sample in metrics.values()} == {
        host.repository}


def test_a_bad_verdict_replaces_a_good_report(host, proven):
    """A pack of the second snapshot is lost, so it does not restore."""
    packs = os.path.join(host.repository, "packs")
    before = {os.path.join(root, name)
              for root, _, names in os.walk(packs) for name in names}
    with open(host.path("data", "new"), "wb") as out:
        out.write(os.urandom(100000))
    host.create()
    lost = max(({os.path.join(root, name)
                 for root, _, names in os.walk(packs) for name in names}
                - before), key=os.path.getsize)
    os.rename(lost, host.path("lost"))
    try:
        reports = Reports(host.folder, "bad")
        for name in ("junit", "json", "html", "prometheus"):
            os.link(getattr(proven, name), getattr(reports, name))
        _verify(host, reports, statuses=(FAILED,))
    finally:
        os.rename(host.path("lost"), lost)
    suites = reports.suites()
    assert int(suites.get("failures")) > 0
    failure = suites.find(".//failure")
    assert "files/data" in failure.text
    assert not reports.document()["is_proven"]
    assert reports.value("success") == 0 and reports.value("verdict") == 1
    assert reports.value("checks", "failed") > 0
    # The one before it stays the last that was proven.
    assert reports.value("last_proven_timestamp_seconds") == pytest.approx(
        proven.value("last_proven_timestamp_seconds"), abs=patience(5))
    page = reports.page()
    assert "<h1>This backup is not proven</h1>" in page
    assert "backup-restore %s" % host.first[:12] in page
    # It was replaced, not written over.
    assert "<h1>This backup restores</h1>" in proven.page()


def test_no_verdict_is_no_green_report(host, proven):
    reports = Reports(host.folder, "error")
    with open(proven.prometheus) as file, open(reports.prometheus,
                                               "w") as out:
        out.write(file.read())
    with open(reports.junit, "w") as out:
        out.write("<testsuites/>")
    _verify(host, reports, "0123456789", statuses=(FAILED,))
    suites = reports.suites()
    assert suites.get("errors") == "1"
    assert "there is no snapshot '0123456789'" in suites.find(
        ".//error").get("message")
    document = reports.document()
    assert document["outcome"] == "error" and not document["is_proven"]
    assert "There is no verdict" in reports.page()
    assert reports.value("success") == 0 and reports.value("verdict") == 0
    assert reports.value("last_proven_timestamp_seconds") == proven.value(
        "last_proven_timestamp_seconds")
    assert ("rows", None) not in reports.metrics()


def _fill(held, room, process):
    """Waits until the pipe is full, and answers what is in it."""
    deadline = time.monotonic() + patience(60)
    size = bytearray(4)
    while time.monotonic() < deadline and process.poll() is None:
        fcntl.ioctl(held, termios.FIONREAD, size)
        if int.from_bytes(size, sys.byteorder) == room:
            return held.read(2000)
        time.sleep(0.02)
    raise AssertionError("it never wrote so much")


@pytest.mark.parametrize("sig, outcome", [
    (signal.SIGTERM, "cancelled"), (signal.SIGKILL, "unfinished")])
def test_a_run_that_was_ended_left_no_green_report(host, sig, outcome):
    """It is held where it first writes the page, into a pipe that is too
    small for it."""
    reports = Reports(host.folder, outcome)
    pipe, page = host.path("pipe-" + outcome), host.path("page-" + outcome)
    os.mkfifo(pipe)
    os.symlink(pipe, reports.html)
    with open(page, "w"), open(pipe, opener=lambda name, flags: os.open(
            name, flags | os.O_NONBLOCK), mode="rb", buffering=0) as held:
        room = fcntl.fcntl(held, fcntl.F_SETPIPE_SZ, 4096)
        process = host.start("backup-verify", *reports.args,
                             "--identity-file", host.identity)
        first = _fill(held, room, process)
        process.send_signal(sig)
        os.symlink(page, reports.html + ".new")
        os.replace(reports.html + ".new", reports.html)
        os.set_blocking(held.fileno(), True)
        while held.read(room):
            pass
        done = finish(process)
    assert b"There is no verdict yet" in first
    assert done.status in (FAILED, -sig), str(done)
    assert int(reports.suites().get("errors")) == 1
    document = reports.document()
    assert document["outcome"] == outcome and not document["is_proven"]
    if sig == signal.SIGTERM:
        assert "The verification was stopped" in reports.page()


def test_gaps_of_a_backup_are_told(host):
    """What was taken in from an archive of a part lacks the rest."""
    part = host.path("part.age")
    done = host.admin("backup-archive", "-o", part, host.first,
                      "files/data" + host.path("data"))
    assert done.status == COMPLETE, str(done)
    done = host.admin("backup-archive", "--json", "--import", part)
    assert done.status == DEGRADED, str(done)
    name = done.result["snapshot"]
    reports = Reports(host.folder, "gaps")
    _verify(host, reports, name, statuses=(DEGRADED,))
    assert "it has gaps</h1>" in reports.page()
    assert reports.document()["outcome"] == "proven with gaps"
    assert reports.value("omissions") > 0 and reports.value("success") == 1


# ---- in a browser ----

def _chromium(folder, page, *args, width=1000, height=3000):
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu",
         "--user-data-dir=" + os.path.join(folder, "browser"),
         "--enable-logging=stderr", "--v=0", "--hide-scrollbars",
         "--window-size=%d,%d" % (width, height), *args, "file://" + page],
        capture_output=True, timeout=patience(120),
        env={"HOME": folder, "PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr.decode()
    assert b"CONSOLE" not in done.stderr, done.stderr.decode()
    return done.stdout.decode()


def _colors(folder, page, width):
    picture = os.path.join(folder, "page.png")
    _chromium(folder, page, "--screenshot=" + picture, width=width)
    with Image.open(picture) as image:
        return dict((color, count) for count, color in
                    image.convert("RGB").getcolors(1 << 24))


GREEN, RED, BLUE = (0x1a, 0x7f, 0x37), (0xc5, 0x22, 0x1f), (0x3d, 0x6d, 0xb5)


def test_a_browser_shows_the_page(host, proven):
    """What a parser of HTML makes of it, without a complaint; hostile names
    are text; nothing is run or fetched."""
    dom = _chromium(host.folder, proven.html, "--dump-dom")
    assert "<h1>This backup restores</h1>" in dom
    assert "<script" not in dom and "<img" not in dom
    assert "://" not in dom.replace("file://", "")
    assert dom.count('<svg class="chart"') == 3
    for width in (412, 1000):
        colors = _colors(host.folder, proven.html, width)
        assert colors.get(GREEN, 0) > 500, "no verdict at %d" % width
        assert colors.get(BLUE, 0) > 500, "no bar at %d" % width
        # The legend has one cross.
        assert colors.get(RED, 0) < 100, "red at %d" % width


def test_a_browser_shows_a_failure_in_red_and_in_words(host):
    page = os.path.join(host.folder, "bad.html")
    assert os.path.exists(page), "run the test before this one, too"
    dom = _chromium(host.folder, page, "--dump-dom")
    for heading in ("What failed", "What to do", "By source", "History"):
        assert "<h2>%s</h2>" % heading in dom
    assert _colors(host.folder, page, 412).get(RED, 0) > 500
