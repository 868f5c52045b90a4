"""What `paas-runner check` says of hosts that stay: what that means in money (H140)."""

from datetime import timedelta

import pytest

from paas_runner.check.runners import standby_sentence

KEPT = timedelta(minutes=2)


@pytest.mark.parametrize(
    ("most", "prices", "said"),
    [
        (None, {"S": 0.3, "XL": 3.0}, "at most; of each flavor, in the provider's unit: S 0.01, XL 0.1"),
        (
            0.05,
            {"S": 0.3, "XL": 3.0},
            "at most, or as long as that costs 0.05; of each flavor, in the provider's unit: S 0.01, XL 0.05",
        ),
        (None, {}, "at most; what that costs is not known"),
    ],
)
def test_how_long_a_host_waits_and_what_that_costs_in_vain(most, prices, said):
    assert standby_sentence(KEPT, most, prices) == f"a host waits 2 min for another job {said}"
