"""Objects on an engine by their labels: found, described, removed until none is left."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from docker.errors import APIError

from paas_runner.docker.labels import Kind, format_labels, labeled, parse_labels, remove_all

MINE = {"owner": "me", "job": "7"}


@attrs.define
class MemoryEngine:
    """A client of an engine that keeps its objects in a dict; what is `stuck` is always in use."""

    objects: dict[str, tuple[Kind, dict[str, Any]]] = attrs.field(factory=dict)
    stuck: set[str] = attrs.field(factory=set)
    late: list[str] = attrs.field(factory=list)
    """Containers that appear one by one, each when the list of containers has been asked for."""

    def add(self, kind: Kind, ref: str, **entry: Any) -> None:
        named = {"Name": ref, "Id": ref, "Names": [f"/{ref}"], "Labels": MINE}
        self.objects[ref] = kind, {**named, **entry}

    def _list(self, kind: Kind, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        wanted = dict(pair.split("=") for pair in filters["label"])
        of_kind = [entry for found, entry in self.objects.values() if found is kind]
        return [entry for entry in of_kind if wanted.items() <= entry["Labels"].items()]

    def containers(self, *, all: bool, filters: dict[str, list[str]]) -> list[dict[str, Any]]:  # noqa: A002
        found = self._list(Kind.CONTAINER, filters)
        if self.late:
            self.add(Kind.CONTAINER, self.late.pop())
        return found

    def networks(self, *, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        return self._list(Kind.NETWORK, filters)

    def volumes(self, *, filters: dict[str, list[str]]) -> dict[str, Any]:
        return {"Volumes": self._list(Kind.VOLUME, filters) or None}

    def images(self, *, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        return self._list(Kind.IMAGE, filters)

    def inspect_network(self, ref: str) -> dict[str, Any]:
        return self.objects[ref][1]

    def disconnect_container_from_network(self, container: str, network: str, *, force: bool) -> None:
        self.objects[network][1]["Containers"].remove(container)

    def remove_network(self, ref: str) -> None:
        self._remove(ref, 403 if self.objects[ref][1].get("Containers") else 0)

    def _remove(self, ref: str, status: int = 0, **options: bool) -> None:
        if status or ref in self.stuck:
            raise refusal(status or 409)
        del self.objects[ref]

    remove_container = remove_volume = remove_image = _remove


def refusal(status: int) -> APIError:
    return APIError("no", response=SimpleNamespace(status_code=status))


def removed(engine: MemoryEngine, rounds: int = 5, quiet_seconds: float = 0) -> list[str]:
    return [str(each) for each in remove_all(engine, MINE, rounds=rounds, quiet_seconds=quiet_seconds)]


@pytest.fixture
def engine():
    return MemoryEngine()


def test_all_that_has_the_labels_is_removed_and_nothing_else(engine) -> None:
    for kind in Kind:
        engine.add(kind, f"my-{kind}")
        engine.add(kind, f"other-{kind}", Labels={"owner": "me", "job": "8"})
    assert removed(engine) == []
    assert set(engine.objects) == {f"other-{kind}" for kind in Kind}


def test_a_network_is_left_by_those_that_do_not_go_with_it_before_it_is_removed(engine) -> None:
    engine.add(Kind.NETWORK, "net", Containers=["runner"])
    assert removed(engine) == []
    assert not engine.objects


def test_what_appears_while_the_rest_is_removed_is_removed_too(engine) -> None:
    engine.add(Kind.CONTAINER, "first")
    engine.late = ["third", "second"]
    assert removed(engine) == []
    assert not engine.objects


def test_what_appears_a_little_later_is_waited_for_where_that_is_wanted(engine) -> None:
    engine.late = ["late"]
    assert removed(engine, quiet_seconds=0) == []
    assert set(engine.objects) == {"late"}
    engine.late = ["later"]
    assert removed(engine, quiet_seconds=0.3) == []
    assert not engine.objects


def test_what_resists_is_named(engine) -> None:
    engine.add(Kind.VOLUME, "busy")
    engine.add(Kind.CONTAINER, "0123456789abcdef", Names=["/host"])
    engine.stuck = {"busy", "0123456789abcdef"}
    assert removed(engine, rounds=2) == ["container 0123456789ab", "volume busy"]


def test_a_refusal_that_no_repetition_changes_is_raised(engine, monkeypatch) -> None:
    engine.add(Kind.NETWORK, "net")
    monkeypatch.setattr(MemoryEngine, "remove_network", lambda self, ref: self._remove(ref, 500))
    with pytest.raises(APIError):
        removed(engine)


def test_a_container_has_its_own_name_and_not_those_of_links_to_it(engine) -> None:
    engine.add(Kind.CONTAINER, "id", Names=["/other/alias", "/host"], State="paused", Created=60)
    engine.add(Kind.VOLUME, "v", CreatedAt="2026-01-02T03:04:05Z")
    container, volume = labeled(engine, MINE)
    assert (container.name, container.running) == ("host", True)
    assert container.created_at == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert (volume.ref, volume.created_at) == ("v", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_labels_for_an_inner_runner_come_back_as_they_were() -> None:
    labels = {"paas-runner.job": "hpd-job-1", "b": "c=d", "empty": ""}
    assert parse_labels(format_labels(labels)) == labels
    assert parse_labels(" a = b ,,no,=x") == {"a": " b "}
