"""The weight quota: whether it is known, and which sizes fit into it."""

from collections.abc import Iterator

import attrs

from paas_runner.check_result import CheckResult, fault, fine, warning
from paas_runner.config import Config
from paas_runner.job.capacity import Load, jobs_that_fit

SUBJECT = "quota"


def fits(config: Config, load: Load) -> Iterator[CheckResult]:
    """What the quota means for each runner whose sizes are known; `load` has no job, and no empty sizes."""
    for runner in config.runners:
        if runner.short_token in load.sizes:
            for result in _of_runner(runner.short_token, load):
                yield attrs.evolve(result, runner=runner.title)


def _of_runner(key: str, load: Load) -> Iterator[CheckResult]:
    rule = load.limits.quota
    if rule is None or rule.reference_runner not in load.sizes:
        return
    if obstacle := load.obstacle(key):
        yield fault(SUBJECT, obstacle.text, "this runner would never ask for a job")
        return
    allowed, heaviest = load.allowance(key) or 0.0, load.heaviest(key)
    sizes = load.sizes[key]
    counts = jobs_that_fit(sizes.granted, allowed)
    fitting = ", ".join(f"{size} {count}" for size, count in counts.items() if count)
    yield fine(SUBJECT, f"may use {allowed:.1f} of {load.quota or 0.0:.1f}; jobs at once: {fitting}")
    too_heavy = [size for size, weight in sizes.granted.items() if weight > heaviest]
    if too_heavy:
        said = f"too small for {', '.join(too_heavy)}: jobs that ask for one of them are failed"
        yield warning(SUBJECT, said, "raise the quota, or set the largest size that a job may ask for")
