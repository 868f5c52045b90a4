"""How much is done for something, exactly: calls of functions, of those in C and turns of generators, too."""

import gc
import sys


def calls(work) -> int:
    """How many calls are made while `work` is; what a collection of garbage happens to end is not work."""
    count = 0

    def counted(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    gc.disable()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count
