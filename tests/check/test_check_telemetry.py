"""What `paas-runner check` finds out about the receivers of traces and of the log."""

import pytest

from paas_runner.executor.checks import Grade
from tests.support.missing_packages import take_away
from tests.support.syslog_server import SyslogServer
from tests.support.trace_receiver import listening_receiver

CLOSED = "127.0.0.1:9"


@pytest.fixture
async def receiver():
    async with listening_receiver() as receiver:
        yield receiver


def traces(url):
    return f'[traces]\nendpoint = "{url}"\nheaders = "x-key=canary-of-the-receiver"\n'


async def test_a_receiver_of_traces_is_asked_with_an_export_of_no_spans(world, receiver):
    world.write(world.runner(), top=traces(receiver.url))
    checked = await world.checked()
    assert checked.grades("traces") == [Grade.FINE]
    assert receiver.exports == [0]
    assert receiver.headers[0]["x-key"] == "canary-of-the-receiver"


async def test_one_that_refuses_or_is_not_there_is_a_warning_since_jobs_run_without_it(world, receiver):
    receiver.answers = [401]
    world.write(world.runner(), top=traces(receiver.url))
    checked = await world.checked()
    assert checked.grades("traces") == [Grade.WARNING]
    assert "401" in checked.all_told
    world.write(world.runner(), top=traces(f"http://{CLOSED}"))
    checked = await world.checked()
    assert "refused" in checked.all_told
    assert not checked.faults
    assert "canary" not in checked.all_told


async def test_packages_that_are_not_there_are_a_fault_offline_too(world, monkeypatch):
    take_away(monkeypatch, "opentelemetry", "paas_runner.tracing")
    world.write(world.runner(), top=traces(f"http://{CLOSED}"))
    checked = await world.checked(offline=True)
    [result] = checked.of("traces", Grade.FAULT)
    assert "pip install '.[otel]'" in result.text


async def test_a_receiver_of_the_log_is_connected_to(world):
    server = SyslogServer()
    server.start()
    world.write(world.runner(), top=f'[log_remote]\naddress = "127.0.0.1:{server.port}"\ntls = false\n')
    checked = await world.checked()
    server.stop()
    [result] = checked.of("log_remote", Grade.FINE)
    assert result.text.endswith("can be reached, without TLS")
    checked = await world.checked()
    [result] = checked.of("log_remote", Grade.WARNING)
    assert "refused" in result.text.lower()


async def test_certificates_that_are_none_are_a_fault(world):
    (world.folder / "ca.pem").write_text("none")
    top = f'[log_remote]\naddress = "{CLOSED}"\ntls-ca-file = "ca.pem"\n{traces(f"https://{CLOSED}")}'
    world.write(world.runner(), top=f'{top}tls-ca-file = "ca.pem"\n')
    checked = await world.checked(offline=True)
    assert checked.grades("log_remote") == checked.grades("traces") == [Grade.FAULT]
