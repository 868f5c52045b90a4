"""The list of changes that tests have to notice fits the code, so that `make mutants` can be run any time."""

import pytest

from tests.mutants.run import PROJECT, mutants


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_each_change_has_its_place_in_the_code_and_a_test(mutant):
    assert mutant.fits, "change the entry with the code, or take it out where the promise is gone"
    assert (PROJECT / mutant.noticed_by).exists()
    assert mutant.before != mutant.after
