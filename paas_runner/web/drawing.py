"""Small drawings as SVG: the bar of a job's phases, and how full something is.

The policy for content allows no style in a page, so that widths are attributes of SVG and colours are
classes. What a drawing shows is said in words, too, for whoever does not see it.
"""

from collections.abc import Sequence

from markupsafe import Markup

from paas_runner.job.tracked import Phase
from paas_runner.plain_text import span
from paas_runner.status.course import Stretch
from paas_runner.status.report import Use

_WIDTH = 1000
_SMALLEST = 8
"""Of a phase that took next to no time: it can still be seen."""

_HEIGHT = 14


def bar(stretches: Sequence[Stretch]) -> Markup:
    """A job's phases, as wide as they lasted."""
    total = sum(stretch.seconds for stretch in stretches) or 1.0
    shares = [max(stretch.seconds / total * _WIDTH, _SMALLEST) for stretch in stretches]
    scale = _WIDTH / (sum(shares) or 1)
    parts, at = [], 0.0
    for stretch, share in zip(stretches, shares, strict=True):
        parts.append(
            f'<rect class="phase-{stretch.phase}" x="{at * scale:.1f}" width="{share * scale:.1f}" '
            f'height="{_HEIGHT}"><title>{_said(stretch)}</title></rect>'
        )
        at += share
    said = ", ".join(map(_said, stretches)) or "nothing is known of its phases"
    return Markup(  # noqa: S704 - numbers and names of phases alone, and there may be thousands of them
        f'<svg class="bar" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{said}">{"".join(parts)}</svg>'
    )


def meter(use: Use) -> Markup:
    """How much is taken of how much; without a limit nothing is drawn."""
    if not use.limit:
        return Markup("")
    share = min(use.used / use.limit, 1.0)
    full = "full" if share >= 1 else "much" if share >= 0.8 else "some"
    return Markup(
        '<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="empty" width="100" height="6"/><rect class="{}" width="{}" height="6"/></svg>'
    ).format(full, round(share * 100, 1))


def _said(stretch: Stretch) -> str:
    return f"{stretch.phase} {span(stretch.seconds)}"


LEGEND = tuple(phase for phase in Phase if phase is not Phase.GONE)
"""All phases that a bar may show, in the order of a job's life."""
