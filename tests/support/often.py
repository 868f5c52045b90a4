"""How often what is random is tried."""

import os


def often(times: int) -> int:
    """So many times where somebody has the time; two fifths where each change is judged, by the same ones."""
    return max(1, times * 2 // 5) if os.environ.get("CI") == "true" else times
