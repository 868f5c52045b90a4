from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.job.known_runner import TokenLife

END = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left", "life", "notice"),
    [
        (timedelta(days=31), None, ""),
        (timedelta(days=20), None, "expires at 2026-12-31 23:30 UTC, in 20 d"),
        (timedelta(hours=3), None, "expires at 2026-12-31 23:30 UTC, within a day"),
        (timedelta(), None, "expired on 2026-12-31 23:30 UTC"),
        (-timedelta(days=1), None, "expired on 2026-12-31 23:30 UTC"),
        (timedelta(days=90), timedelta(days=365), "expires at 2026-12-31 23:30 UTC, in 90 d"),
        (timedelta(days=92), timedelta(days=365), ""),
        (timedelta(days=20), timedelta(days=40), "expires at 2026-12-31 23:30 UTC, in 20 d"),
    ],
)
def test_an_end_is_told_thirty_days_or_a_quarter_of_the_life_ahead(left, life, notice):
    obtained = END - life if life else None

    assert TokenLife(expires_at=END, obtained_at=obtained).notice(END - left) == notice
