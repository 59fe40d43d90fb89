"""What is deployed is pinned, unprivileged, observed and in step with the code."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from stream.settings import PREFIX, Settings
from stream.shell.process.metrics import Metrics

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DASHBOARD = load_module(ROOT / "monitoring" / "dashboard.py")


def declared_metrics() -> set[str]:
    """Names of all series that a worker may show, labelled ones without a value included."""
    names = set()
    for family in Metrics().registry.collect():
        suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}
        names |= {family.name + suffix for suffix in suffixes[family.type]}
    return names


@pytest.mark.parametrize("panel", DASHBOARD.PANELS, ids=lambda panel: panel.title)
def test_every_metric_on_the_dashboard_is_declared_by_the_worker(panel: Any) -> None:
    used = {name for query in panel.queries.values() for name in re.findall(r"\ballocator_\w+", query)}
    assert used <= declared_metrics()
    assert used or panel.title == "Workers"  # `up` is Prometheus' own


def test_the_dashboard_is_what_its_generator_writes() -> None:
    assert DASHBOARD.TARGET.read_text() == DASHBOARD.rendered()


def test_panels_do_not_overlap() -> None:
    taken = [
        (position["x"] + dx, position["y"] + dy)
        for position in (panel["gridPos"] for panel in DASHBOARD.dashboard()["panels"])
        for dx in range(position["w"])
        for dy in range(position["h"])
    ]
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_unprivileged_and_reachable_from_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/]+:(v?\d+\.\d+\.\d+|local)", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    # the Kafka image writes its configuration beside its program when it starts
    assert service.get("read_only") is True or name == "kafka"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"topics"}))
def test_a_service_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_no_secret_is_written_down() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), f"{name}: {variable}"
    example = (ROOT / ".env.example").read_text()
    assert re.search(r"^GRAFANA_ADMIN_PASSWORD=$", example, re.MULTILINE)


def test_every_setting_given_to_a_container_exists() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.__struct_fields__}
    dockerfile = (ROOT / "Dockerfile").read_text()
    given = set(re.findall(rf"\b({PREFIX}\w+)=", dockerfile))
    for service in SERVICES.values():
        given |= {name for name in service.get("environment", {}) if name.startswith(PREFIX)}
    assert given
    assert given <= known


def test_prometheus_finds_every_worker_where_it_listens() -> None:
    (job,) = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text())["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert found["names"] == ["worker"]
    assert str(found["port"]) in SERVICES["worker"]["expose"]
    assert found["port"] == Settings().web_port


def test_the_broker_in_the_compose_file_is_the_one_the_tests_run_on() -> None:
    lock = (ROOT / "stream" / "local" / "kafka-jars.lock").read_text()
    version = re.search(r"^org\.apache\.kafka:kafka_2\.13:(\S+)", lock, re.MULTILINE)
    assert version is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version[1]}"


def locked(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE))


def test_the_locks_agree_and_hold_every_dependency_with_a_hash() -> None:
    runtime, dev, bench = locked("runtime"), locked("dev"), locked("bench")
    assert runtime.items() <= dev.items()
    assert dev.items() <= bench.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for lock, wanted in (
        (runtime, project["dependencies"]),
        (dev, extras["local"] + extras["test"] + extras["check"]),
        (bench, extras["bench"]),
    ):
        assert {re.split(r"[<>=;\[ ]", requirement)[0] for requirement in wanted} <= set(lock)
    for name in ("runtime", "dev", "bench"):
        text = (ROOT / "requirements" / f"{name}.lock").read_text()
        assert "://" not in text
        entries = re.split(r"\n(?=\S)", text)[1:]
        assert all("--hash=sha256:" in entry for entry in entries)
