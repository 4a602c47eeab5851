# SPDX-License-Identifier: Apache-2.0
"""The file for a monitor, read by Prometheus' own tools."""

import json
import os
import stat
import subprocess
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

TOOL = os.path.join(os.environ["top_builddir"], "tests", "integration",
                    "notify_tool")
SECOND = 1000000
BEGAN = 1795000000
JOB = "libbackup_job_"
BACKUP = "libbackup_backup_"


def at(seconds):
    return (BEGAN + seconds) * SECOND


def report(job="default", state="complete", repository=None, **more):
    return dict({"job": job, "host": "db1", "state": state,
                 "exit_status": {"failed": 1, "degraded": 3}.get(state, 0),
                 "began_us": at(0), "ended_us": at(65),
                 "repositories": [dict(
                     {"name": "default", "location": "/srv", "state": state},
                     **(repository or {}))]}, **more)


GOOD = {"snapshot": "3f2a", "bytes": 5000, "stored_bytes": 700,
        "entries": 12, "omissions": 0, "last_success_us": at(60),
        "last_complete_us": at(60)}


class Monitor:
    def __init__(self, folder, name="backup.yaml", jobs=None):
        self.file = str(folder / "libbackup.prom")
        self.config = str(folder / name)
        self.configure(jobs)

    def configure(self, jobs=None, repositories=("default",)):
        """`jobs` is {name: names of its repositories, or None: all}."""
        text = {"metrics_file": self.file,
                "sources": [{"files": "etc", "paths": ["/etc"]}],
                "repositories": {name: {"location": "/nowhere/" + name}
                                 for name in repositories}}
        if jobs:
            text["jobs"] = {name: {"repositories": list(listed)}
                            if listed else {} for name, listed in jobs.items()}
        with open(self.config, "w") as out:
            json.dump(text, out)

    def run(self, told, umask=0o077):
        return subprocess.run(
            [TOOL, "metrics", self.config], input=json.dumps(told), umask=umask,
            capture_output=True, text=True, timeout=60)

    def save(self, told=None):
        done = self.run(told or {})
        assert done.returncode == 0 and done.stderr == "", done.stderr

    def text(self):
        with open(self.file) as file:
            return file.read()

    def values(self):
        """{(name, job, repository): value}, by Prometheus' own parser; every
        family has its help and its type, and stands there once."""
        values, names = {}, []
        for family in text_string_to_metric_families(self.text()):
            assert family.type == "gauge", family
            assert family.documentation, family
            names.append(family.name)
            for sample in family.samples:
                key = (sample.name, sample.labels["backup_job"],
                       sample.labels.get("repository"))
                assert key not in values, key
                values[key] = sample.value
        assert len(names) == len(set(names))
        return values

    def jobs(self):
        return {job for name, job, _ in self.values()
                if name == JOB + "info"}


@pytest.fixture
def monitor(tmp_path):
    return Monitor(tmp_path)


def promtool(*words, given=None):
    return subprocess.run(["promtool", *words], input=given, text=True,
                          capture_output=True, timeout=120)


# ---- the file ----

def test_a_job_that_never_ran_is_there(monitor):
    monitor.save()
    values = monitor.values()
    for name in ("start", "end", "success"):
        assert values[JOB + "last_%s_timestamp_seconds" % name,
                      "default", None] == 0
    assert values[BACKUP + "last_success_timestamp_seconds",
                  "default", "default"] == 0
    assert values["libbackup_proof_last_success_timestamp_seconds",
                  "default", "default"] == 0
    assert (JOB + "last_exit_status", "default", None) not in values


def test_a_run_is_told_and_promtool_finds_nothing_wrong(monitor):
    monitor.save(report(repository=dict(
        GOOD, last_proof_us=at(64), last_prune_us=at(63)), steps=[
            {"name": "backup", "repository": "default", "state": "complete",
             "exit_status": 0, "began_us": at(1), "ended_us": at(60)}]))
    checked = promtool("check", "metrics", given=monitor.text())
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout + checked.stderr == ""
    values = monitor.values()
    assert values == {
        (JOB + "info", "default", None): 1,
        (JOB + "last_start_timestamp_seconds", "default", None): BEGAN,
        (JOB + "last_end_timestamp_seconds", "default", None): BEGAN + 65,
        (JOB + "last_success_timestamp_seconds", "default", None): BEGAN + 65,
        (JOB + "last_exit_status", "default", None): 0,
        (JOB + "duration_seconds", "default", None): 65,
        (JOB + "failures", "default", None): 0,
        (JOB + "untold_notifications", "default", None): 0,
        (BACKUP + "last_success_timestamp_seconds", "default", "default"):
            BEGAN + 60,
        (BACKUP + "last_complete_timestamp_seconds", "default", "default"):
            BEGAN + 60,
        (BACKUP + "duration_seconds", "default", "default"): 59,
        ("libbackup_proof_last_success_timestamp_seconds", "default",
         "default"): BEGAN + 64,
        ("libbackup_prune_last_success_timestamp_seconds", "default",
         "default"): BEGAN + 63,
        ("libbackup_snapshot_bytes", "default", "default"): 5000,
        ("libbackup_snapshot_stored_bytes", "default", "default"): 700,
        ("libbackup_snapshot_entries", "default", "default"): 12,
        ("libbackup_snapshot_omissions", "default", "default"): 0}


def test_a_failure_leaves_what_was_known_of_the_last_success(monitor):
    monitor.save(report(repository=GOOD))
    before = monitor.values()
    monitor.save(report(state="failed", began_us=at(1000), ended_us=at(1100),
                        failures=1, untold=2))
    after = monitor.values()
    changed = {key[0]: value for key, value in after.items()
               if before.get(key) != value}
    assert changed == {
        JOB + "last_start_timestamp_seconds": BEGAN + 1000,
        JOB + "last_end_timestamp_seconds": BEGAN + 1100,
        JOB + "last_exit_status": 1, JOB + "duration_seconds": 100,
        JOB + "failures": 1, JOB + "untold_notifications": 2}
    assert set(after) == set(before)


def test_a_proof_that_the_repository_does_not_know_of_is_none(monitor):
    name = "libbackup_proof_last_success_timestamp_seconds"
    monitor.save(report(repository=dict(GOOD, last_proof_us=at(64))))
    monitor.save(report(repository=GOOD))
    assert monitor.values()[name, "default", "default"] == BEGAN + 64
    monitor.save(report(repository=dict(GOOD, is_unproven=1)))
    assert monitor.values()[name, "default", "default"] == 0


def test_a_failure_never_looks_like_anything_else(monitor):
    for status in (0, 3, -1, 1, 137):
        monitor.save(report(state="failed", exit_status=status))
        assert monitor.values()[JOB + "last_exit_status", "default", None] == (
            137 if status == 137 else 1)
    monitor.save(report(state="degraded"))
    assert monitor.values()[JOB + "last_exit_status", "default", None] == 3


def test_a_run_that_has_not_ended_has_begun(monitor):
    monitor.save(report(repository=GOOD))
    monitor.save(report(state="running", began_us=at(5000), ended_us=0))
    values = monitor.values()
    assert values[JOB + "last_start_timestamp_seconds", "default", None] == (
        BEGAN + 5000)
    assert values[JOB + "last_end_timestamp_seconds", "default", None] == (
        BEGAN + 65)
    assert values[JOB + "last_exit_status", "default", None] == 0


def test_a_run_that_was_not_begun_changes_nothing(monitor):
    monitor.save(report(repository=GOOD))
    before = monitor.text()
    for state in ("overlapped", "outside", "not due"):
        monitor.save(report(state=state, began_us=at(9000), ended_us=at(9001)))
        assert monitor.text() == before


def test_jobs_of_other_configurations_stay(tmp_path):
    """Many at once: none loses what another wrote."""
    monitors = [Monitor(tmp_path, "c%d.yaml" % n, {"job%d" % n: None})
                for n in range(12)]
    told = [report(job="job%d" % n, repository=GOOD) for n in range(12)]
    threads = [threading.Thread(target=m.save, args=[t])
               for m, t in zip(monitors, told)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitors[0].jobs() == {"job%d" % n for n in range(12)}
    assert len(monitors[0].values()) == 12 * 15
    assert promtool("check", "metrics",
                    given=monitors[0].text()).returncode == 0


def test_a_job_that_is_configured_no_more_goes(tmp_path):
    one = Monitor(tmp_path, "one.yaml", {"old": None, "stays": None})
    other = Monitor(tmp_path, "other.yaml", {"others": None})
    one.save(report(job="old", repository=GOOD))
    other.save(report(job="others"))
    assert one.jobs() == {"old", "stays", "others"}
    one.configure({"stays": None, "new": None})
    one.save(report(job="new"))
    assert one.jobs() == {"stays", "new", "others"}
    assert not any(job == "old" for _, job, _ in one.values())


def test_each_job_has_its_own_repositories(monitor):
    monitor.configure({"nightly": None, "weekly": ["offsite"]},
                      ("local", "offsite"))
    monitor.save(report(job="nightly", repositories=[
        dict(GOOD, name="local", state="complete"),
        dict(GOOD, name="offsite", state="failed", snapshot=None,
             last_success_us=at(-9000))]))
    values = monitor.values()
    name = BACKUP + "last_success_timestamp_seconds"
    assert {key[1:]: value for key, value in values.items()
            if key[0] == name} == {
        ("nightly", "local"): BEGAN + 60,
        ("nightly", "offsite"): BEGAN - 9000, ("weekly", "offsite"): 0}
    name = "libbackup_snapshot_bytes"
    assert [key[1:] for key in values if key[0] == name] == [
        ("nightly", "local")]


@pytest.mark.parametrize("odd", ['a"b\\c\nd', "z\u00fcrich", '{x="y"} 1',
                                 "\\n"])
def test_names_are_escaped(tmp_path, odd):
    folder = tmp_path / odd
    folder.mkdir()
    monitor = Monitor(folder)
    told = report(repository=GOOD)
    monitor.save(told)
    before = monitor.text()
    info, = [family for family in text_string_to_metric_families(before)
             if family.name == JOB + "info"]
    assert info.samples[0].labels["config"] == monitor.config
    # What was written is understood when it is read again.
    monitor.save(dict(told, state="outside"))
    assert monitor.text() == before


def test_others_may_read_it_whatever_the_umask(monitor):
    monitor.save(report())
    assert stat.S_IMODE(os.stat(monitor.file).st_mode) == 0o644
    assert sorted(os.listdir(os.path.dirname(monitor.file))) == [
        "backup.yaml", "libbackup.prom"]


@pytest.mark.parametrize("text", [
    "node_load1 0.5\n", 'libbackup_verify_success{repository="/srv"} 1\n',
    'libbackup_job_info{backup_job="a} 1\n', 'libbackup_job_info{backup_job="a"} x\n',
    'libbackup_job_info{host="a"} 1\n', "libbackup_job_info 1\n", "\x00\n"])
def test_a_file_of_something_else_is_left_alone(monitor, text):
    with open(monitor.file, "w") as out:
        out.write("# a comment\n" + text)
    done = monitor.run(report())
    assert done.returncode == 1
    assert monitor.file in done.stderr and "remove" in done.stderr
    assert "line 2 " in done.stderr or text == "\x00\n"
    assert monitor.text() == "# a comment\n" + text


def test_a_folder_that_is_not_there_is_told(monitor):
    monitor.file = "/nowhere/x.prom"
    monitor.configure()
    done = monitor.run(report())
    assert done.returncode == 1 and "/nowhere" in done.stderr
