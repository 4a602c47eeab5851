# SPDX-License-Identifier: Apache-2.0
"""Reports a pytest run as TAP on standard output, so that automake counts
every test. An error in setting a test up is that test's failure.

BACKUP_TEST_AGAIN=N lets N cases that fail run once more, for machines on which
anything may take any time. One that passes then is reported as unsteady, with
what was wrong the first time in the log: it is to be mended, as a failure is.

BACKUP_TEST_UNTIL=SECONDS, since 1970, lets no case begin after that time: the
others are reported as skipped, with that reason."""

import os
import sys
import time

import pytest
from _pytest.runner import runtestprotocol

SLOW = 5

_reported = 0
_again = int(os.environ.get("BACKUP_TEST_AGAIN", "0"))
_until = int(os.environ.get("BACKUP_TEST_UNTIL", "0"))
_unsteady = set()


def _emit(line):
    print(line, file=sys.__stdout__, flush=True)


def _comment(text):
    for line in str(text).splitlines():
        _emit("# " + line)


def _name(nodeid):
    """tests/test_restore.py::test_comes_back -> restore: comes back"""
    where, _, name = nodeid.partition("::")
    where = where.rpartition("/")[2].removeprefix("test_")
    name = name.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    return "%s: %s" % (where.removesuffix(".py"), name.replace("#", "\\#"))


def _result(verdict, nodeid, remark=""):
    global _reported
    _reported += 1
    _emit("%s %d - %s%s" % (verdict, _reported, _name(nodeid), remark))


def pytest_addoption(parser):
    # Its own reporter is off, but explaining an assertion asks for this.
    parser.addoption("--verbose", action="count", default=0, dest="verbose")


def pytest_collection_finish(session):
    _emit("1..%d" % len(session.items))


def pytest_collectreport(report):
    if report.failed:
        _comment(report.longreprtext)
        _emit("Bail out! %s cannot be loaded" % report.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    global _again
    if _again <= 0:
        return None
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    wrong = [report for report in reports if report.failed]
    if wrong:
        _again -= 1
        _comment("the first time, " + _name(item.nodeid))
        for report in wrong:
            _comment(report.longreprtext)
        _unsteady.add(item.nodeid)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if _until > 0 and time.time() > _until:
        pytest.skip("no time is left")


def pytest_runtest_logreport(report):
    if report.failed:
        if report.when == "teardown":
            # The test has its line already; this one is beyond the plan,
            # which makes the whole run a failure.
            _result("not ok", report.nodeid, " (in tidying up)")
        else:
            _result("not ok", report.nodeid)
        _comment(report.longreprtext)
    elif report.skipped:
        _result("ok", report.nodeid, " # SKIP " + report.longrepr[2].removeprefix(
            "Skipped: "))
    elif report.when == "call":
        _result("ok", report.nodeid,
                " (unsteady)" if report.nodeid in _unsteady else "")
        if report.duration > SLOW:
            _comment("took %.0f s" % report.duration)


def pytest_sessionfinish(session, exitstatus):
    if exitstatus not in (0, 1):
        _emit("Bail out! pytest ended with %d" % exitstatus)
