# SPDX-License-Identifier: Apache-2.0
"""The rules and the dashboard that are made of the metrics: Prometheus'
own tool understands them, each rule is seen to fire and not to, and both use
names that the code emits."""

import json
import os
import re
import subprocess

import pytest
import yaml

TOOL = os.path.join(os.environ["top_builddir"], "tests", "integration",
                    "notify_tool")
MONITORING = os.path.join(os.environ["top_srcdir"], "tools", "monitoring")


def promtool(*words):
    """What a test's name says is what went well."""
    done = subprocess.run(["promtool", *words], text=True, timeout=120,
                          capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


# What others emit and these use.
OF_OTHERS = {"node_textfile_mtime_seconds", "node_textfile_scrape_error",
             "libbackup_verify_last_proven_timestamp_seconds"}


@pytest.fixture
def emitted(tmp_path):
    """Names of all metrics that there may be: each has its type in the file,
    also where there is no value yet."""
    config = tmp_path / "backup.yaml"
    config.write_text("repository: /nowhere\nmetrics_file: x.prom\n")
    subprocess.run([TOOL, "metrics", str(config)], input="{}", text=True,
                   check=True, timeout=60)
    return set(re.findall(r"^# TYPE (\S+) ", (tmp_path / "x.prom").read_text(),
                          re.M))


def names_of(expression):
    """Names of metrics: words that are followed by no parenthesis, outside of
    braces, brackets, quotes and lists of labels."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', " ", expression)
    bare = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)"
                  r"\s*\([^)]*\)", " ", bare)
    return {word for word in re.findall(
        r"\b[a-zA-Z_][a-zA-Z0-9_:]*\b(?!\s*\()", bare)
        if word not in ("and", "or", "unless", "bool", "offset", "group_left",
                        "group_right", "d", "h", "m", "s")}


def rules():
    with open(os.path.join(MONITORING, "alerts.yml")) as file:
        return [rule for group in yaml.safe_load(file)["groups"]
                for rule in group["rules"]]


def expressions():
    with open(os.path.join(MONITORING, "dashboard.json")) as file:
        dashboard = json.load(file)
    found = []

    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "expr" or (key == "query" and
                                     node.get("type") == "query"):
                    found.append(value)
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(dashboard)
    return found


def test_promtool_accepts_the_rules():
    promtool("check", "rules", os.path.join(MONITORING, "alerts.yml"))


def test_every_rule_fires_when_it_should_and_only_then():
    promtool("test", "rules", os.path.join(MONITORING, "alerts_test.yml"))


def test_every_rule_is_seen_to_fire_and_not_to_fire():
    with open(os.path.join(MONITORING, "alerts_test.yml")) as file:
        tests = [alert for test in yaml.safe_load(file)["tests"]
                 for alert in test["alert_rule_test"]]
    wanted = {rule["alert"] for rule in rules()}
    assert {t["alertname"] for t in tests if t.get("exp_alerts")} == wanted
    assert {t["alertname"] for t in tests if not t.get("exp_alerts")} == wanted


def bare(expression):
    """Without what Grafana has around it."""
    return re.sub(r"^label_values\((.*), *\w+\)$", r"\1", expression)


def test_rules_and_dashboard_name_what_is_emitted(emitted):
    known = emitted | OF_OTHERS
    used = set()
    for expression in [rule["expr"] for rule in rules()] + expressions():
        names = names_of(bare(expression))
        assert names and names <= known, (expression, names - known)
        used |= names
    assert known - used == set(), "nobody looks at these"


def test_promtool_understands_the_dashboard(tmp_path):
    """Its expressions, as rules."""
    asked = [bare(e) for e in expressions()]
    assert len(asked) > 10
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "d", "rules": [
        {"record": "x%d" % n, "expr": e} for n, e in enumerate(asked)]}]}))
    promtool("check", "rules", str(path))


def test_the_dashboard_has_what_grafana_needs():
    with open(os.path.join(MONITORING, "dashboard.json")) as file:
        dashboard = json.load(file)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    places = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & places, panel["title"]
        places |= cells
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
    variables = {v["name"] for v in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z][a-z_]*)", json.dumps(
        dashboard["panels"])))
    assert used <= variables, used - variables
