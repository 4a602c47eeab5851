# SPDX-License-Identifier: Apache-2.0
"""The dashboard asks a real Prometheus for what real runs have left, and each
of its questions has an answer."""

import http.server
import json
import os
import re
import threading
import urllib.parse
import urllib.request

import pytest
from harness.process import Server, free_port
from harness.stack import COMPLETE
from test_alerts import bare, expressions

MONITORING = os.path.join(os.environ["top_srcdir"], "tools", "monitoring")


@pytest.fixture
def runs(stack):
    """A job that has run, one that never did, and one that runs: the files
    that a monitor finds then."""
    stack.add("files", "data", paths=[stack.config])
    stack.options["metrics_file"] = stack.path("libbackup.prom")
    stack.options["identity_file"] = stack.identity
    stack.options["retention"] = {"keep_last": "1"}
    stack.options["jobs"] = {
        "nightly": {"prune": "after", "verification": {"every": "7d"},
                    "hooks": {"before": [{"run": [
                        "cp", stack.path("libbackup.prom"),
                        stack.path("begun.prom")]}]}},
        "yearly": {}}
    stack.write()
    for _ in range(2):
        result = stack.run("backup-run", "--job", "nightly")
        assert result.status == COMPLETE, str(result)
    files = []
    for name in ("begun", "libbackup"):
        with open(stack.path(name + ".prom")) as file:
            files.append(file.read())
    return files


@pytest.fixture
def exporters(runs):
    """Each as a node exporter has it; their ports."""
    def handler(text):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = (text + 'node_textfile_mtime_seconds'
                        '{file="/x/libbackup.prom"} 1.79e9\n').encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        return Handler

    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(text))
               for text in runs]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=[0.02],
                         daemon=True).start()
    yield [server.server_address[1] for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def ask(exporters, tmp_path):
    """What Prometheus answers to an expression: its samples."""
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "node", "static_configs": [
            {"targets": ["127.0.0.1:%d" % port for port in exporters]}]}]}))
    port = free_port()

    def ask(expression):
        with urllib.request.urlopen(
                "http://127.0.0.1:%d/api/v1/query?%s" % (
                    port, urllib.parse.urlencode({"query": expression})),
                timeout=30) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]["result"]

    def is_ready():
        try:
            return len(ask("node_textfile_mtime_seconds")) == len(exporters)
        except OSError:
            return False

    server = Server(
        ["prometheus", "--config.file=%s" % config,
         "--storage.tsdb.path=%s" % (tmp_path / "data"),
         "--web.listen-address=127.0.0.1:%d" % port],
        str(tmp_path / "log"), env={"PATH": os.environ["PATH"]})
    server.wait_until(is_ready)
    yield ask
    server.stop()


def targets():
    with open(os.path.join(MONITORING, "dashboard.json")) as file:
        panels = json.load(file)["panels"]
    return [(target, target["expr"].replace("$instance", ".*").replace(
        "$backup_job", ".*")) for panel in panels
        for target in panel.get("targets", [])]


def test_every_question_of_the_dashboard_has_an_answer(ask, exporters):
    instance = "127.0.0.1:%d" % exporters[0]
    asked = expressions()
    assert len(asked) > 15
    for expression in asked:
        # As Grafana fills in "All", and one that was chosen.
        for host, job in ((".*", ".*"),
                          (re.escape(instance), "nightly|yearly")):
            whole = bare(expression).replace("$instance", host.replace(
                "\\", "\\\\")).replace("$backup_job", job)
            assert "$" not in whole, whole
            samples = ask(whole)
            assert samples, whole
            for sample in samples:
                assert float(sample["value"][1]) >= 0, (whole, sample)
                if host != ".*" and "$instance" in expression:
                    assert sample["metric"]["instance"] == instance
    for target, expression in targets():
        named = set(re.findall(r"{{ *(\w+) *}}", target["legendFormat"]))
        for sample in ask(expression):
            assert named and named <= set(sample["metric"]), (target, sample)
