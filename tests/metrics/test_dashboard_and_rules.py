"""The dashboard and the alerts are about metrics that the service has; promtool plays each alert."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.metrics.test_cardinality import made, tell_everything, tracked
from tests.metrics.test_metrics_document import ROW
from tests.support.requirements import need

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "packaging/grafana/paas-runner.json"
RULES = ROOT / "packaging/prometheus/paas-runner.rules.yml"
RULES_TEST = RULES.with_name("paas-runner.rules.test.yml")
NAME = re.compile(r"\b(?:gitlab_runner|paas_runner|process)_\w+")


@pytest.fixture(scope="module")
def series():
    """Every name that a query may have."""
    names = set()
    for name, kind, _ in ROW.findall((ROOT / "docs/metrics.md").read_text()):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def queries():
    return [
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", ())
    ]


def alerts():
    return yaml.safe_load(RULES.read_text())["groups"][0]["rules"]


def test_the_dashboard_asks_for_what_there_is_and_for_nearly_all_of_it(series):
    named = {name for query in queries() for name in NAME.findall(query)}
    assert named <= series
    assert len(named) >= 25


def test_each_panel_has_a_place_of_its_own_and_a_title():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        assert panel["title"]
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_each_alert_asks_for_what_there_is_and_says_what_to_do(series):
    operations = (ROOT / "docs/operations.md").read_text()
    for alert in alerts():
        assert set(NAME.findall(alert["expr"])) <= series, alert["alert"]
        assert alert["annotations"].keys() == {"summary", "description"}
        assert f"| `{alert['alert']}` |" in operations


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    cases = [
        (case["alertname"], bool(case["exp_alerts"]))
        for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    assert {(alert["alert"], fires) for alert in alerts() for fires in (True, False)} <= set(cases)


@pytest.mark.long
def test_promtool_finds_nothing_wrong_with_the_alerts_and_plays_them():
    need("promtool")
    for command in (["check", "rules", RULES], ["test", "rules", RULES_TEST]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_the_cases_notice_an_alert_that_never_fires(tmp_path, alert):
    need("promtool")
    rules = yaml.safe_load(RULES.read_text())
    for each in rules["groups"][0]["rules"]:
        if each["alert"] == alert["alert"]:
            each["expr"] = f"({each['expr']}) and on () vector(1) == 2"
    (tmp_path / RULES.name).write_text(yaml.safe_dump(rules))
    (tmp_path / RULES_TEST.name).write_text(RULES_TEST.read_text())
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / RULES_TEST.name],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert alert["alert"] in done.stdout + done.stderr


@pytest.mark.long
def test_promtool_finds_nothing_wrong_with_the_metrics():
    need("promtool")

    async def exposed():
        jobs = [tracked(number) for number in range(10)]
        metrics = made(jobs)
        tell_everything(metrics, jobs)
        return metrics.exposition("").body

    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=asyncio.run(exposed()),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
