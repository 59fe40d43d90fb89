"""The doctor names what a newcomer suffers from, with the command that helps."""

from typing import Any

import msgspec

from stream.settings import Settings
from stream.shell.commands.doctor_pools import check_names, check_pool
from stream.shell.commands.finding import Finding
from stream.shell.commands.state import Known
from tests.core.histories import MARKET, PARTITION, PARTITIONS
from tests.core.test_erasure import POOL, Play, said

NOW = 1000.0


def task(name: str, **fields: Any) -> dict[str, Any]:
    return said("task_created", task=name, project="j", **({"skill": "birds", "classes": 2} | fields))


def person(name: str, *skills: str, **fields: Any) -> dict[str, Any]:
    return said("annotator_set", annotator=name, skills=list(skills), **fields)


def there(name: str) -> dict[str, Any]:
    return said("annotator_online", annotator=name)


def findings(*events: dict[str, Any]) -> list[Finding]:
    play = Play()
    play.round(*events)
    settings = msgspec.structs.replace(Settings(), partitions=PARTITIONS, market=MARKET)
    return check_pool(Known(settings, {PARTITION: play.shard}), POOL, NOW)


def words(*events: dict[str, Any]) -> list[str]:
    return [finding.found for finding in findings(*events)]


def test_a_pool_in_which_work_goes_on_has_no_finding() -> None:
    assert findings(task("t"), person("ana", "birds"), there("ana")) == []


def test_work_of_a_skill_that_nobody_has() -> None:
    fine = [person("ana", "trees"), there("ana")]
    (finding,) = findings(task("t1"), task("t2"), task("t3", skill="trees"), *fine)
    assert (finding.verdict, finding.found) == ("wrong", "2 open tasks need the skill birds, which nobody has")
    assert finding.remedy == f"give it to people: allocator import people.csv --pool {POOL} --skill birds"
    assert words(task("t", requires=["german"]), person("ana", "birds"), there("ana")) == [
        "1 open task needs the skill birds and the attributes german together, which nobody has"
    ]
    assert words(task("t"), person("ana", "*"), there("ana")) == []


def test_a_skill_with_another_capital_is_named_as_a_slip() -> None:
    said_ = words(task("t", skill="Tiere"), person("ana", "tiere"), there("ana"))
    assert said_ == [
        "Tiere and tiere differ only in capitals, spaces or hyphens, and are different",
        "1 open task needs the skill Tiere, which nobody has; people have tiere: one of both is perhaps a slip",
    ]
    assert not list(check_names("pools", ["a", "b"]))


def test_people_without_a_skill() -> None:
    (finding,) = findings(task("t"), person("ana", "birds"), there("ana"), person("bo"), there("cy"))
    assert finding.found == "2 people have no skill, so they get no offers: bo, cy"
    assert f"--pool {POOL} --skill NAME" in finding.remedy


def test_a_proven_skill_that_nobody_can_prove() -> None:
    asks = task("t", min_skill=0.9)
    people = [person("ana", "birds"), there("ana")]
    (finding,) = findings(asks, *people)
    assert finding.found == (
        "1 open task asks for a proven accuracy of 0.9 in birds, and nobody can prove it: there is no gold and nobody "
        "is granted it"
    )
    assert words(asks, task("g", purpose="gold", label=1), *people) == []
    assert words(asks, person("ana", "birds", grants=["birds"]), there("ana")) == []


def test_nobody_there_and_what_is_paused() -> None:
    skill = "1 open task needs the skill birds, which nobody has"
    assert words(task("t")) == [skill, "1 open task and nobody to do them"]
    assert words(task("t"), person("ana", "birds")) == ["1 open task, 1 person, none of them present"]
    fine = [task("t"), person("ana", "birds"), there("ana")]
    paused = findings(*fine, said("pool_paused"))
    assert [(f.found, f.remedy) for f in paused] == [("paused, with 1 open task", f"allocator pool resume {POOL}")]
    (finding,) = findings(*fine, said("project_set", project="j", state="paused"))
    assert finding.found == "the project j is paused, with 1 open task"
    assert finding.remedy == f"allocator project resume {POOL} j"
