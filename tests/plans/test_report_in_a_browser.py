"""The page of a plan in a real browser, from a file: for eyes and keyboards, on a desk and a telephone."""

import pytest
from paas_plans.report import page

from tests.plans.plans_to_show import at, failed_plan, large_plan, running_plan
from tests.support.accessibility import LOOK, axe_script
from tests.support.browser import browser
from tests.support.requirements import need

pytestmark = pytest.mark.long

DESK, PHONE, NARROWEST = 1280, 360, 320
PAGES = {
    "failed": lambda: page(failed_plan(), now=at(100)),
    "running": lambda: page(running_plan(), now=at(30)),
}
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"
SHOWN = "[...document.querySelectorAll('details:not([hidden])')].map(each => each.id)"
SEEN = "[...document.querySelectorAll('details')].filter(each => each.checkVisibility()).map(each => each.id)"


@pytest.fixture
async def looking(tmp_path):
    need("chromium")
    async with browser(tmp_path / "profile") as opened:
        yield opened
        requests = [each for each in opened.requests if not each.startswith(("file:", "data:"))]
        assert (requests, opened.messages) == ([], [])


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    return axe_script(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def shown(tmp_path, looking):
    """Shows a page as a file."""

    async def show(text, **how):
        (tmp_path / "plan.html").write_text(text, "utf-8")
        await looking.look_like(**{"width": DESK, **how})
        await looking.go((tmp_path / "plan.html").as_uri())
        return looking

    return show


async def type_into_search(looking, text):
    await looking.evaluate("document.querySelector('input[type=search]').select()")
    await looking.ask("Input.insertText", text=text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_nothing_keeps_anybody_out(shown, axe, width, scheme):
    for text in PAGES.values():
        looking = await shown(text(), width=width, scheme=scheme)
        await looking.evaluate(OPEN_ALL)
        await looking.ask("Page.setBypassCSP", enabled=True)
        await looking.evaluate(axe)
        assert await looking.evaluate(LOOK) == []


@pytest.mark.parametrize("width", [NARROWEST, PHONE, DESK])
async def test_the_page_is_not_wider_than_the_screen(shown, width):
    for text in PAGES.values():
        looking = await shown(text().replace("host-3", "h" * 200), width=width)
        await looking.evaluate(OPEN_ALL)
        page_of = "document.documentElement"
        assert await looking.evaluate(f"{page_of}.scrollWidth - {page_of}.clientWidth") == 0


async def test_a_text_leaves_what_has_it_and_what_that_is_in(shown):
    looking = await shown(PAGES["failed"]())
    before = await looking.evaluate(SEEN)
    await type_into_search(looking, "NO space left")
    failed = [f"blocks[1].sequences[{n}]{action}" for n in (1, 2) for action in ("", ".actions[1]")]
    assert await looking.evaluate(SEEN) == ["plan", "blocks[1]", *failed]
    assert await looking.evaluate("document.querySelector('output').textContent") == "2 of 40 shown"
    await type_into_search(looking, "")
    await looking.press("Backspace")
    assert await looking.evaluate(SEEN) == before


async def test_a_status_that_is_not_wanted_is_left_out(shown):
    looking = await shown(PAGES["failed"]())
    offered = "document.querySelector('[role=group]').innerText.replace(/\\s+/g, ' ')"
    assert await looking.evaluate(offered) == "○ not started 8 ✓ completed 24 ✕ failed 8"
    for status in ("completed", "failed"):
        await looking.evaluate(f"document.querySelector('input[value={status}]').click()")
    found = await looking.evaluate(SHOWN)
    assert "post_checks" in found
    assert "pre_checks" not in found
    assert "blocks[1].sequences[1].actions[2]" in found
    assert "blocks[0]" not in found


async def test_a_link_to_what_failed_opens_all_that_it_is_in(shown):
    looking = await shown(page(large_plan(), now=at(4000)))
    target = "blocks[0].sequences[700].actions[1]"
    await looking.evaluate("document.querySelectorAll('details').forEach(each => each.open = false)")
    await looking.evaluate("document.querySelector('.failures a').click()")
    assert target in await looking.evaluate(SEEN)


async def test_everything_is_reached_with_the_keyboard(shown):
    looking = await shown(PAGES["failed"]())
    await looking.evaluate("document.querySelector('#plan > summary').focus()")
    await looking.press("Enter")
    assert await looking.evaluate("document.querySelector('#plan').open") is False
    await looking.press("Enter")
    await looking.press("Tab")
    focused = await looking.evaluate("document.activeElement.parentElement.id")
    assert focused == "bypass_checks"
    assert await looking.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


async def test_without_javascript_all_but_the_filters_is_there(shown):
    looking = await shown(PAGES["failed"](), scripts=False)
    assert await looking.evaluate("document.querySelector('form').checkVisibility()") is False
    await looking.evaluate("document.querySelector('#pre_checks > summary').click()")
    assert "pre_checks.actions[0]" in await looking.evaluate(SEEN)


async def test_a_large_plan_is_filtered_while_somebody_types(shown):
    looking = await shown(page(large_plan(), now=at(4000)))
    begun = await looking.evaluate("performance.now()")
    await type_into_search(looking, "host-777")
    assert await looking.evaluate(SEEN) == [
        "plan",
        "blocks[0]",
        "blocks[0].sequences[777]",
        *(f"blocks[0].sequences[777].actions[{n}]" for n in range(3)),
    ]
    assert await looking.evaluate("performance.now()") - begun < 5000


async def test_on_paper_there_is_no_form_and_ink_is_dark(shown):
    looking = await shown(PAGES["failed"](), scheme="dark")
    await looking.ask("Emulation.setEmulatedMedia", media="print")
    assert await looking.evaluate("document.querySelector('form').checkVisibility()") is False
    assert await looking.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert await looking.evaluate("getComputedStyle(document.body).color") == "rgb(28, 36, 46)"
