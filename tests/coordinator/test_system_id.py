"""The system id is kept across restarts, in GitLab Runner's form and place."""

import random
import stat

import pytest

from paas_runner.coordinator.system_id import FILE, system_id


def make(folders, machine_id, seed=1):
    return system_id(folders, random.Random(seed), machine_id=machine_id)


def test_a_known_machine_has_the_id_that_gitlab_runner_would_give_it(tmp_path):
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    made = make([tmp_path], tmp_path / "machine-id")
    assert made == "s_ee3af03959fe"
    assert (tmp_path / FILE).read_text() == made
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_an_unknown_machine_has_a_random_one_that_is_kept(tmp_path):
    first = make([tmp_path], tmp_path / "none", seed=1)
    assert first.startswith("r_")
    assert make([tmp_path], tmp_path / "none", seed=2) == first


def test_a_folder_that_cannot_be_written_leaves_it_to_the_next(tmp_path):
    first = make([tmp_path / "missing", tmp_path], tmp_path / "none")
    assert (tmp_path / FILE).read_text() == first


@pytest.mark.parametrize("content", ["", "x_0123456789ab", "r_short", "r_0123456789ab-too-long", "\xff"])
def test_a_damaged_id_is_made_anew(tmp_path, content):
    (tmp_path / FILE).write_bytes(content.encode("latin-1"))
    made = make([tmp_path], tmp_path / "none")
    assert made.startswith("r_")
    assert make([tmp_path], tmp_path / "none", seed=9) == made
