"""A section has no more jobs at once than its executor has hosts, whatever the configuration says."""

import attrs
import pytest

from paas_runner.job.limits import Limits
from paas_runner.service.assembly import _with_few_hosts


@attrs.define
class Few:
    hosts_at_once: int


@attrs.define
class Any:
    pass


@attrs.define
class Served:
    executor: object


@pytest.mark.parametrize(("limit", "most"), [(0, 1), (1, 1), (5, 1)])
def test_a_limit_above_it_or_none_is_lowered_to_it(limit, most):
    limits = Limits(concurrent=9, provisioning=9, per_runner={"few": limit, "any": 7})
    served = {"few": Served(Few(1)), "any": Served(Any())}
    assert _with_few_hosts(limits, served).per_runner == {"few": most, "any": 7}
    assert _with_few_hosts(attrs.evolve(limits, per_runner={}), served).per_runner == {"few": 1}
