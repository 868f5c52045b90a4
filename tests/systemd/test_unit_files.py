"""The units as systemd reads them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

from paas_runner.config.model import Config
from paas_runner.config.packaged import USER, unit_of
from paas_runner.errors import Exit

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = ["heptapod-paas-runner.service", "heptapod-paas-runner@.service"]
EXPIRE = ["paas-runner-expire.service", "paas-runner-expire@.service"]
TIMERS = ["paas-runner-expire.timer", "paas-runner-expire@.timer"]
MOST_EXPOSURE = 2.0


@pytest.fixture(scope="module")
def analyze():
    program = shutil.which("systemd-analyze")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("systemd-analyze is not installed")

    def run(*arguments):
        done = subprocess.run([program, *arguments], text=True, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def installed(tmp_path):
    """The units, for a machine on which the program is wherever its file is here."""
    program = tmp_path / "program"
    program.touch(mode=0o755)
    for name in UNITS + EXPIRE + TIMERS:
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(re.sub(r"/usr/bin/\S*paas-runner", str(program), text))
    return tmp_path


@pytest.mark.parametrize("unit", UNITS + EXPIRE + TIMERS)
def test_systemd_finds_nothing_wrong_with_it(analyze, installed, unit):
    assert analyze("verify", "--man=no", str(installed / unit.replace("@", "@one"))) == (0, "")


@pytest.mark.parametrize("unit", UNITS + EXPIRE)
def test_it_can_do_little_harm(analyze, installed, unit):
    code, told = analyze(
        "security", "--offline=true", f"--threshold={MOST_EXPOSURE * 10:.0f}", str(installed / unit)
    )
    assert code == 0, told
    assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", told)[1]) <= MOST_EXPOSURE


def test_with_the_engine_of_local_docker_it_is_valid_and_hardly_weaker(analyze, installed):
    (drop_ins := installed / f"{UNITS[0]}.d").mkdir()
    shutil.copy(FOLDER / "local-docker.conf", drop_ins)
    assert analyze("verify", "--man=no", str(installed / UNITS[0])) == (0, "")
    code, told = analyze("security", "--offline=true", "--threshold=20", str(installed / UNITS[0]))
    assert code == 0, told


def test_the_template_differs_in_nothing_but_its_instance():
    single, template = ((FOLDER / name).read_text().split("[Unit]")[1] for name in UNITS)
    assert "%i" not in single
    expected = (
        single.replace("PaaS Runner:", "PaaS Runner %i:")
        .replace("config.toml", "%i.toml")
        .replace("StateDirectory=paas-runner\n", "StateDirectory=paas-runner/%i\n")
        .replace("/run/heptapod-paas-runner/", "/run/heptapod-paas-runner-%i/")
        .replace("RuntimeDirectory=heptapod-paas-runner\n", "RuntimeDirectory=heptapod-paas-runner-%i\n")
    )
    assert template == expected


def test_hosts_are_looked_for_with_the_services_configuration_and_folders_but_without_it():
    """Nothing of it waits for the service, or ends with it; its hardening is the same."""
    for name, service in zip(EXPIRE, UNITS, strict=True):
        text, of_service = (FOLDER / name).read_text(), (FOLDER / service).read_text()
        assert "heptapod-paas-runner" not in text
        [config] = re.findall(r"^ExecStart=/usr/bin/paas-runner expire (\S+)$", text, re.MULTILINE)
        assert f"ExecStart=/usr/bin/heptapod-paas-runner {config}\n" in of_service
        for key in ("User", "StateDirectory", "ConfigurationDirectory"):
            assert re.findall(rf"^{key}=.*$", text, re.MULTILINE) == re.findall(
                rf"^{key}=.*$", of_service, re.MULTILINE
            )
        begin = "CapabilityBoundingSet="
        assert text.partition(begin)[2] + "\n" == of_service.partition(begin)[2].partition("[Install]")[0]


def test_the_timer_goes_on_whatever_becomes_of_one_call():
    for name in TIMERS:
        text = (FOLDER / name).read_text()
        assert "OnBootSec=2min\nOnUnitInactiveSec=5min\n" in text
        assert "WantedBy=timers.target\n" in text


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_are_what_the_commands_take_them_for(unit):
    text = (FOLDER / unit).read_text().replace("%i", "eu")
    [config] = re.findall(r"^ExecStart=\S+ (\S+)$", text, re.MULTILINE)
    [records] = re.findall(r"^StateDirectory=(.*)$", text, re.MULTILINE)
    [user] = re.findall(r"^User=(.*)$", text, re.MULTILINE)
    found = unit_of(Path(config))
    assert (found.file, found.records, USER) == (unit, Path("/var/lib", records), user)


def test_the_folders_are_there_before_the_first_start_as_the_unit_makes_them():
    unit = (FOLDER / UNITS[0]).read_text()
    for folder, name in {
        "ConfigurationDirectory": "/etc/paas-runner",
        "StateDirectory": "/var/lib/paas-runner",
    }.items():
        [mode] = re.findall(rf"^{folder}Mode=(.*)$", unit, re.MULTILINE)
        line = f"d {name} {mode} paas-runner paas-runner\n"
        assert line in (FOLDER / "tmpfiles.d" / "paas-runner.conf").read_text()


def test_what_does_not_get_better_by_itself_is_not_restarted():
    [codes] = re.findall(r"^RestartPreventExitStatus=(.*)$", (FOLDER / UNITS[0]).read_text(), re.MULTILINE)
    assert set(codes.split()) == {str(code.value) for code in (Exit.USAGE, Exit.LEFT_OVER, Exit.CONFIG)}


def test_systemd_waits_longer_for_the_stop_than_the_service_for_its_calls():
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", (FOLDER / UNITS[0]).read_text(), re.MULTILINE)
    default = attrs.fields(Config).shutdown_timeout.default
    assert int(seconds) >= default.total_seconds() + 15


def test_memory_is_bounded_far_above_what_thousands_of_jobs_take_and_far_below_a_machine():
    figures = (FOLDER.parent / "docs" / "performance.md").read_text().partition("(`tracked-5000`)")[2]
    measured = int(re.search(r"^\| memory, MiB \|[^|]*\| (\d+) ", figures, re.MULTILINE)[1])
    [gibibytes] = re.findall(r"^MemoryMax=(\d+)G$", (FOLDER / UNITS[0]).read_text(), re.MULTILINE)
    assert 5 * measured <= int(gibibytes) * 1024 <= 20 * measured
