"""The line in which a host says what its job used, and the word to an author whose host was far too large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.use import (
    FlavorSize,
    HostFlavors,
    Use,
    as_line,
    flavors_as_text,
    flavors_in,
    last_in,
    memory,
)

GIB = 2**30
S, M, XL = (
    FlavorSize(name="S", memory_bytes=2 * GIB, cpus=2.0),
    FlavorSize(name="M", memory_bytes=8 * GIB, cpus=4.0),
    FlavorSize(name="XL", memory_bytes=32 * GIB, cpus=16.0),
)
KNOWN = HostFlavors(variable="CI_CLEVER_CLOUD_FLAVOR", own=M, smaller=[S])

seconds = st.integers(0, 10**9).map(lambda thousandths: thousandths / 1000)
uses = st.builds(Use, memory_bytes=st.integers(0, 10**14), cpu_seconds=seconds, wall_seconds=seconds)
odd_lines = st.text() | st.text(alphabet="paas_runner_use memory_bytes=0123456789.\n e+")


def use(mib, cpu_seconds=10.0, wall_seconds=100.0):
    return Use(memory_bytes=mib * 2**20, cpu_seconds=cpu_seconds, wall_seconds=wall_seconds)


@given(uses, st.lists(odd_lines))
def test_what_is_written_is_read_whatever_the_job_wrote_before(written, lines):
    assert last_in([*lines, as_line(written)]) == written


@pytest.mark.parametrize(
    "line",
    [
        "",
        "paas_runner_use memory_bytes=1 cpu_seconds=1.000",
        "paas_runner_use memory_bytes=-1 cpu_seconds=1.000 wall_seconds=1.000",
        "paas_runner_use memory_bytes=1e9 cpu_seconds=1.000 wall_seconds=1.000",
        "paas_runner_use memory_bytes=1 cpu_seconds=inf wall_seconds=1.000",
        "paas_runner_use memory_bytes=1 cpu_seconds=nan wall_seconds=1.000",
        "paas_runner_use memory_bytes=1 cpu_seconds=1.000 wall_seconds=1.000; rm -rf /",
        "paas_runner_use memory_bytes=١ cpu_seconds=1.000 wall_seconds=1.000",
        f"paas_runner_use memory_bytes={'9' * 16} cpu_seconds=1.000 wall_seconds=1.000",
    ],
)
def test_nothing_is_believed_that_is_more_than_three_numbers(line):
    assert last_in([line]) is None


def test_the_last_word_counts():
    assert last_in([as_line(use(100)), "something else", as_line(use(200)), "the end"]) == use(200)


def test_the_author_of_a_job_whose_host_was_four_times_too_large_is_told_of_the_smallest_that_would_do():
    known = HostFlavors(variable="CI_CLEVER_CLOUD_FLAVOR", own=XL, smaller=[M, S])
    assert known.hint(use(300, cpu_seconds=150.0)) == (
        "The job used at most 300 MiB of its host's 32 GiB of memory and 1.5 of 16 CPUs on average. "
        "A smaller host costs less: CI_CLEVER_CLOUD_FLAVOR=S would do."
    )
    assert "=M would do" in known.hint(use(300, cpu_seconds=350.0))


@pytest.mark.parametrize(
    ("known", "used"),
    [
        (KNOWN, use(2049)),  # more than a quarter of the memory
        (KNOWN, use(300, cpu_seconds=101.0)),  # more than a quarter of the CPUs
        (HostFlavors(variable="V", own=M, smaller=[]), use(1)),
        (HostFlavors(variable="V", own=XL, smaller=[S]), use(1800)),  # the only smaller one is too small
    ],
)
def test_no_author_is_told_of_a_host_that_was_not_far_too_large_or_has_no_smaller_one(known, used):
    assert known.hint(used) == ""


@given(uses, st.floats(0, 64) | st.none())
def test_a_flavor_that_an_author_is_told_of_holds_the_job(used, cpus):
    small = FlavorSize(name="S", memory_bytes=2 * GIB, cpus=cpus)
    if HostFlavors(variable="V", own=M, smaller=[small]).hint(used):
        assert small.memory_bytes >= 1.25 * used.memory_bytes
        assert cpus is None or cpus >= used.cpus
        assert M.memory_bytes >= 4 * used.memory_bytes


def test_flavors_come_through_the_environment_of_a_host():
    assert flavors_in(flavors_as_text(KNOWN)) == KNOWN


@given(st.text() | st.lists(st.none() | st.integers() | st.text()).map(str))
def test_an_environment_that_says_nothing_of_flavors_is_no_error(text):
    assert flavors_in(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"flavors":[]}',
        '{"variable":"V","flavors":[["M","much",1]]}',
        '{"variable":"V","flavors":[["M",1e400,1]]}',
        '{"flavors":{"a":1}}',
    ],
)
def test_half_of_what_is_needed_is_not_enough(text):
    assert flavors_in(text) is None


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 MiB"), (300 * 2**20, "300 MiB"), (8 * GIB, "8 GiB"), (1.5 * GIB, "1.5 GiB")]
)
def test_memory_is_shown_in_three_digits(size, shown):
    assert memory(size) == shown
