"""What was made without any installation goes by its written end, whichever service finds it."""

from datetime import UTC, datetime, timedelta

from executors.local_docker.expiry import overdue_hosts, remove_host
from paas_runner.docker.labels import ENDS_AT, INSTALLATION, JOB, NO_INSTALLATION

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Engine:
    """Containers alone, as the SDK's client tells of them."""

    def __init__(self, **owners):
        labels = {ENDS_AT: (NOW - timedelta(hours=1)).isoformat()}
        self._kept = {
            name: {"Id": name, "Names": [f"/{name}"], "Labels": {**labels, JOB: name, INSTALLATION: owner}}
            for name, owner in owners.items()
        }

    def containers(self, filters, **_):
        wanted = dict(each.split("=", 1) for each in filters["label"])
        return [each for each in self._kept.values() if wanted.items() <= each["Labels"].items()]

    def networks(self, filters):
        return []

    def volumes(self, filters):
        return {}

    def images(self, filters):
        return []

    def inspect_container(self, ref):
        return {"Created": "2025-12-31T20:00:00Z", "State": {"StartedAt": "2025-12-31T20:00:01Z"}}

    def remove_container(self, ref, **_):
        del self._kept[ref]


def test_a_container_of_nobodys_is_found_and_removed_and_another_installations_is_not():
    engine = Engine(ours="me", nobodys=NO_INSTALLATION, theirs="them")
    found = overdue_hosts(engine, "me", NOW)
    assert {host.name for host in found} == {"ours", "nobodys"}
    for host in found:
        assert not remove_host(engine, "me", host.name, rounds=2)
    assert [each["Id"] for each in engine.containers({"label": [f"{JOB}=theirs"]})] == ["theirs"]
