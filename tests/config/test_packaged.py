"""Which unit of the package serves a configuration, and what that unit may write."""

import os
from pathlib import Path

import pytest

from paas_runner.config.packaged import (
    Unit,
    WrongUserError,
    owner_of,
    refuse_root,
    refuse_root_beside,
    unit_of,
)
from paas_runner.errors import Exit

CONFIG = Path("/etc/paas-runner/config.toml")
NOBODY = 65534


@pytest.mark.parametrize(
    ("config", "name", "records"),
    [
        ("/etc/paas-runner/config.toml", "heptapod-paas-runner", "/var/lib/paas-runner"),
        ("/etc/paas-runner/eu.toml", "heptapod-paas-runner@eu", "/var/lib/paas-runner/eu"),
    ],
)
def test_a_configuration_of_the_package_has_its_unit(config, name, records):
    unit = unit_of(Path(config))
    assert (unit.name, unit.records) == (name, Path(records))
    assert unit.may_write(Path(records, "paas-runner-state.json"))
    assert not unit.may_write(Path(config).with_name("paas-runner-state.json"))


@pytest.mark.parametrize(
    "config", ["/srv/config.toml", "/etc/paas-runner/secrets", "/etc/paas-runner/a/b.toml"]
)
def test_no_unit_serves_a_file_elsewhere(config):
    assert unit_of(Path(config)) is None


@pytest.mark.parametrize("folder", ["etc/systemd/system", "lib/systemd/system"])
def test_a_unit_is_found_where_systemd_looks(tmp_path, folder):
    unit = unit_of(Path("/etc/paas-runner/eu.toml"))
    assert isinstance(unit, Unit)
    assert not unit.is_installed(tmp_path)
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "heptapod-paas-runner@.service").touch()
    assert unit.is_installed(tmp_path)


def test_root_does_not_start_what_belongs_to_the_units_user(tmp_path):
    if os.geteuid() == 0:
        os.chown(tmp_path, NOBODY, NOBODY)
    with pytest.raises(WrongUserError) as refused:
        refuse_root(CONFIG, tmp_path / "state.json", uid=0)
    assert refused.value.exit_code is Exit.CONFIG
    for command in (
        "systemctl start heptapod-paas-runner",
        f"sudo -u {owner_of(tmp_path)} heptapod-paas-runner",
    ):
        assert command in str(refused.value)
    refuse_root(CONFIG, tmp_path / "state.json", uid=NOBODY)
    refuse_root(Path("/srv/config.toml"), tmp_path / "state.json", uid=0)
    refuse_root(CONFIG, tmp_path / "missing" / "state.json", uid=0)


def test_root_leaves_nothing_in_a_folder_whose_owner_could_not_open_it(tmp_path):
    if os.geteuid() == 0:
        os.chown(tmp_path, NOBODY, NOBODY)
    owner = owner_of(tmp_path)
    with pytest.raises(WrongUserError, match=f"run this with `sudo -u {owner}`"):
        refuse_root_beside(tmp_path / "copy.db", uid=0)
    refuse_root_beside(tmp_path / "copy.db", uid=NOBODY)
    refuse_root_beside(tmp_path / "missing" / "copy.db", uid=0)
    refuse_root_beside(Path("/etc/copy.db"), uid=0)
