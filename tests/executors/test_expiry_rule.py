"""Which hosts on an engine are over their time, by what is written on them."""

from datetime import UTC, datetime, timedelta

import pytest

from executors.local_docker.expiry import overdue_among
from paas_runner.docker.labels import ENDS_AT, INSTALLATION, JOB, EngineObject, Kind

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAME = "hpd-job-abc-7"


def made(kind=Kind.CONTAINER, *, name=NAME, ends_at=NOON, host=NAME):
    end = (
        {}
        if ends_at is None
        else {ENDS_AT: ends_at.isoformat() if isinstance(ends_at, datetime) else ends_at}
    )
    labels = {INSTALLATION: "ours", **({JOB: host} if host else {}), **end}
    return EngineObject(
        kind=kind, ref=f"ref of {name}", name=name, labels=labels, created_at=None, running=True
    )


def over(*found, now=NOON, created="2026-05-01T11:00:00.123456789Z", started="0001-01-01T00:00:00Z"):
    facts = {"Created": created, "State": {"StartedAt": started}}
    return [(each.name, each.ends_at) for each in overdue_among(found, now, lambda _: facts)]


def test_a_host_is_over_when_its_end_is():
    assert over(made()) == [(NAME, NOON)]
    assert over(made(), now=NOON - timedelta(seconds=1)) == []


def test_what_lay_before_its_launch_is_on_top():
    late = {"started": "2026-05-01T11:20:00.123456789Z"}
    assert over(made(), now=NOON + timedelta(minutes=19), **late) == []
    assert over(made(), now=NOON + timedelta(minutes=20), **late) == [(NAME, NOON + timedelta(minutes=20))]


def test_who_starts_it_again_and_again_gains_no_more_than_its_time_once_more():
    again = {"started": "2026-05-09T00:00:00Z"}
    [(_, end)] = over(made(), now=NOON + 300 * HOUR, **again)
    assert NOON + HOUR - timedelta(seconds=1) < end <= NOON + HOUR


@pytest.mark.parametrize("ends_at", [None, "", "soon", "-"])
def test_without_an_end_that_can_be_read_it_is_left(ends_at):
    assert over(made(ends_at=ends_at), now=NOON + 9000 * HOUR) == []


def test_what_belongs_to_no_host_is_left():
    assert over(made(host="")) == []


def test_the_container_speaks_for_all_that_is_its_hosts():
    inner = made(name="build", ends_at=NOON - HOUR)
    assert over(made(ends_at=NOON + HOUR), inner) == []
    assert over(inner, made(Kind.IMAGE, name="sha256:1", ends_at=NOON + HOUR), made()) == [(NAME, NOON)]


def test_what_is_left_without_its_container_is_over_with_the_last_of_it():
    left = [made(Kind.VOLUME, name="v"), made(Kind.IMAGE, name="i", ends_at=NOON + HOUR)]
    assert over(*left) == []
    assert over(*left, now=NOON + HOUR) == [(NAME, NOON + HOUR)]
    assert over(*left, made(Kind.NETWORK, name="n", ends_at=None), now=NOON + HOUR) == []


def test_each_host_for_itself():
    other = made(name="hpd-job-abc-8", host="hpd-job-abc-8", ends_at=NOON + HOUR)
    assert over(other, made()) == [(NAME, NOON)]
