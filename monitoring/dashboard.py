"""The Grafana dashboard, generated: ``python monitoring/dashboard.py`` rewrites dashboards/allocator.json.

A panel is a question an operator asks, a unit and its queries. Layout and ids follow from the order of the
list, so that a change of a panel is a change of a line. A test compares the file with this list and each
metric with those the worker declares.
"""

import json
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).with_name("grafana") / "dashboards" / "allocator.json"
COLUMNS, WIDTH, HEIGHT = 3, 8, 7


class Panel(NamedTuple):
    """A time series: the question it answers, its unit in Grafana's words, and queries with their legends."""

    title: str
    question: str
    unit: str
    queries: dict[str, str]


def quantiles(metric: str) -> dict[str, str]:
    """Return the queries for the median and the 99 % quantile of a histogram, over a minute."""
    return {
        f"p{percent}": f"histogram_quantile({percent / 100}, sum by (le) (rate({metric}_bucket[1m])))"
        for percent in (50, 99)
    }


PANELS = [
    Panel(
        "Partitions",
        "Is every partition owned and ready? Both lines equal ALLOCATOR_PARTITIONS.",
        "short",
        {"owned": "sum(allocator_owned_partitions)", "ready": "sum(allocator_ready_partitions)"},
    ),
    Panel(
        "Workers",
        "How many workers does Prometheus reach?",
        "short",
        {"up": 'sum(up{job="allocator"})', "known": 'count(up{job="allocator"})'},
    ),
    Panel(
        "Position lag",
        "How many input offsets wait to be applied? It returns to nought between bursts.",
        "short",
        {"{{topic}}": "sum by (topic) (allocator_position_lag)"},
    ),
    Panel(
        "Events",
        "How much input comes in?",
        "ops",
        {"{{topic}}": "sum by (topic) (rate(allocator_events_total[1m]))"},
    ),
    Panel(
        "Dead letters",
        "Is unusable input arriving, and why is it unusable?",
        "ops",
        {"{{reason}}": "sum by (reason) (rate(allocator_dead_letters_total[1m]))"},
    ),
    Panel(
        "Odd fields",
        "Which fields hold what they may not, so that they count as left out? allocator doctor shows an example.",
        "ops",
        {"{{field}}": "sum by (field) (rate(allocator_odd_fields_total[1m]))"},
    ),
    Panel(
        "Event to commit",
        "How long from an event's arrival to the decision it led to?",
        "s",
        quantiles("allocator_event_to_commit_seconds"),
    ),
    Panel(
        "Offers",
        "How many assignments are offered?",
        "ops",
        {"offers": "sum(rate(allocator_offers_total[1m]))"},
    ),
    Panel(
        "Market",
        "Who waits for whom: open tasks, or annotators with free capacity? Whose leases are at risk?",
        "short",
        {
            "open tasks": "sum(allocator_open_tasks)",
            "free annotators": "sum(allocator_free_annotators)",
            "leases at risk": "sum(allocator_at_risk_leases)",
        },
    ),
    Panel(
        "Gap",
        "How far from the best may the last matchings be at most, and how much of their value does no bound speak of?",
        "percentunit",
        {"largest gap": "max(allocator_gap)", "largest unproven share": "max(allocator_unproven_share)"},
    ),
    Panel(
        "Rounds",
        "How often does the market clear?",
        "ops",
        {"rounds": "sum(rate(allocator_rounds_total[1m]))"},
    ),
    Panel(
        "Round",
        "Where does a round spend its time (99 % quantile)?",
        "s",
        {
            "round": quantiles("allocator_round_seconds")["p99"],
            "apply and match": quantiles("allocator_apply_seconds")["p99"],
            "commit": quantiles("allocator_commit_seconds")["p99"],
        },
    ),
    Panel(
        "Takeovers",
        "Are partitions changing hands?",
        "short",
        {"takeovers": "sum(increase(allocator_takeovers_total[5m]))"},
    ),
]


def dashboard() -> dict[str, object]:
    """Return the dashboard as Grafana reads it."""
    source = {"type": "prometheus", "uid": "prometheus"}
    panels = [
        {
            "id": number + 1,
            "type": "timeseries",
            "title": panel.title,
            "description": panel.question,
            "datasource": source,
            "gridPos": {
                "x": number % COLUMNS * WIDTH,
                "y": number // COLUMNS * HEIGHT,
                "w": WIDTH,
                "h": HEIGHT,
            },
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "targets": [
                {"refId": chr(ord("A") + index), "datasource": source, "expr": query, "legendFormat": legend}
                for index, (legend, query) in enumerate(panel.queries.items())
            ],
        }
        for number, panel in enumerate(PANELS)
    ]
    return {
        "uid": "allocator",
        "title": "Allocator",
        "schemaVersion": 41,
        "editable": False,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "panels": panels,
    }


def rendered() -> str:
    """Return the text of the dashboard's file."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(rendered())
    print(f"wrote {TARGET}")
