"""Alerts speak of metrics that exist and lead to a paragraph of the runbook."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.test_deployment import COMPOSE, declared_metrics

ROOT = Path(__file__).parents[2]
GROUPS = yaml.safe_load((ROOT / "monitoring" / "alerts.yml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_about_metrics_that_a_worker_shows(rule: dict[str, Any]) -> None:
    used = set(re.findall(r"\ballocator_\w+", rule["expr"]))
    assert used and used <= declared_metrics()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_a_paragraph_of_the_runbook(rule: dict[str, Any]) -> None:
    document, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in anchors(ROOT / document)


def test_prometheus_reads_the_alerts() -> None:
    files = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text())["rule_files"]
    mounted = COMPOSE["services"]["prometheus"]["volumes"]
    assert files == ["alerts.yml"]
    assert "./monitoring/alerts.yml:/etc/prometheus/alerts.yml:ro" in mounted
