"""What a dispatch shows of itself, made up."""

from paas_runner.dispatch.view import DispatchView


def dispatch_view(*, load, jobs=(), **more):
    """One of a service in which nothing else is worth a word."""
    values = {
        "runners": {},
        "leaving": {},
        "policies": {},
        "backoffs": {},
        "answered": frozenset(),
        "refused": {},
        "looks": {},
        "draining": False,
        "stopping": False,
    }
    return DispatchView(load=load, jobs=jobs, **(values | more))
