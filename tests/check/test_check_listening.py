"""What `paas-runner check` finds out about `listen_address`: whether a start could open the site."""

import socket

import pytest

from paas_runner.executor.checks import Grade
from tests.support.missing_packages import take_away


def checked_at(world, address, more=""):
    world.write(world.runner(), top=f'listen_address = "{address}"\n{more}')
    return world.checked(offline=True)


async def test_an_address_that_is_free_is_fine_and_left_free(world, tmp_path):
    for address in ("127.0.0.1:0", f"unix:{tmp_path}/web.sock"):
        checked = await checked_at(world, address, "paas_page = true\n")
        assert checked.grades("listen_address") == [Grade.FINE]
    assert not (tmp_path / "web.sock").exists()


async def test_one_that_another_program_has_is_a_fault(world):
    with socket.create_server(("127.0.0.1", 0)) as other:
        checked = await checked_at(world, f"127.0.0.1:{other.getsockname()[1]}")
    [result] = checked.of("listen_address", Grade.FAULT)
    assert "another program listens there" in result.text


async def test_a_folder_that_is_not_there_may_be_one_that_the_unit_makes(world):
    checked = await checked_at(world, "unix:/run/heptapod-paas-runner-not-there/web.sock")
    [result] = checked.of("listen_address", Grade.WARNING)
    assert "is not there yet" in result.text


@pytest.mark.parametrize(("package", "more"), [("prometheus_client", ""), ("jinja2", "paas_page = true\n")])
async def test_packages_that_are_not_there_are_a_fault(world, monkeypatch, package, more):
    take_away(monkeypatch, package, "paas_runner.web", "paas_runner.metrics")
    checked = await checked_at(world, "127.0.0.1:0", more)
    [result] = checked.of("listen_address", Grade.FAULT)
    assert "pip install '.[web]'" in result.text


async def test_where_a_service_runs_nothing_is_tried_since_it_may_listen_there(world, monkeypatch):
    monkeypatch.setattr("paas_runner.check.machine.holder_of", lambda store: "17")
    with socket.create_server(("127.0.0.1", 0)) as own:
        checked = await checked_at(world, f"127.0.0.1:{own.getsockname()[1]}")
    [result] = checked.of("listen_address", Grade.FINE)
    assert "the service runs (process 17)" in result.text


async def test_nothing_is_said_where_nothing_is_to_be_served(world):
    world.write(world.runner())
    assert (await world.checked(offline=True)).of("listen_address") == []
