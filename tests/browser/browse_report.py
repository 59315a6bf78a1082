"""The HTML report in a real Chromium: what is seen, heard, pressed and pointed at.

Run by ``nox -s browser``, and not among the tests that pytest finds by itself. It needs Chromium
and its driver (Debian: ``apt install chromium chromium-driver``), which are found on PATH or named
in CTXTRACE_CHROMIUM and CTXTRACE_CHROMEDRIVER, and fails without. Selenium comes with the group
``browser`` of pyproject.toml.

With CTXTRACE_SCREENSHOTS=FOLDER it leaves its pictures there, as they stand in docs/measured.
"""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import timelines
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

if TYPE_CHECKING:
    from browser.reader import Reader

# No conftest.py, which every run of pytest over all tests would import, without Selenium too.
pytest_plugins = ["browser.reader"]

FIRST_PAINT = 1_000  # ms
FRAME = 50  # ms: what still feels like moving

# Of each element that shows text of its own, the contrast of that with what lies behind it;
# and the same for the colours that the canvas is drawn with.
CONTRASTS = """
const parts = (color) => color.match(/[\\d.]+/g).map(Number);
const light = (color) => {
  const [r, g, b] = parts(color).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
};
const behind = (element) => {
  for (let at = element; at !== null; at = at.parentElement) {
    const { backgroundColor } = getComputedStyle(at);
    if ((parts(backgroundColor)[3] ?? 1) === 1) return backgroundColor;
  }
  return "rgb(255, 255, 255)";
};
const found = {};
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || element.closest("script, noscript")) continue;
  const name = `${element.tagName} ${element.className} ${element.textContent.slice(0, 30)}`;
  found[name] = contrast(getComputedStyle(element).color, behind(element));
}
const probe = document.body.appendChild(document.createElement("p"));
const color = (name) => {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
};
for (const [ink, ground] of [
  ["langsmith-ink", "langsmith"], ["otel-ink", "otel"], ["lost-ink", "bad-soft"],
  ["ink", "stripe"], ["soft", "paper"], ["soft", "stripe"], ["bad", "paper"],
  ["paper", "bad"],
]) found[`canvas: ${ink} on ${ground}`] = contrast(color(ink), color(ground));
probe.remove();
return found;
"""

# What is drawn, to be read as often as one likes: reading it from the page's own canvas makes
# Chromium complain, and draw it in another way.
PIXELS = """
paint();
const copy = new OffscreenCanvas(canvas.width, canvas.height);
const pixels = copy.getContext("2d", { willReadFrequently: true });
pixels.drawImage(canvas, 0, 0);
const pixel = (x, y) =>
  [...pixels.getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data];
"""

# Of each losing and of each sound arrow, the share of its length that is red.
RED = """
const red = colors.bad.match(/[0-9a-f]{2}/g).map((part) => parseInt(part, 16));
const isRed = (x, y) => {
  const [r, g, b] = pixel(x, y).map((part, at) => part - red[at]);
  return Math.hypot(r, g, b) < 60;
};
const share = (arrow) => {
  const found = [];
  for (let part = 0.05; part < 0.95; part += 0.002) {
    const [x, y] = pointOn(arrow, part);
    if (y > AXIS && y < size.height) found.push(isRed(x, y));
  }
  return found.filter(Boolean).length / found.length;
};
return [true, false].map((losing) =>
  arrows.filter(({ crossing }) => (crossing.loss !== null) === losing).map(share));
"""


@pytest.fixture
def service(reader: Reader) -> Reader:
    reader.opens(timelines.service())
    return reader


# --- What is there to be read.


def test_a_loss_says_who_was_lost_where_and_what_to_write(service: Reader) -> None:
    assert service.says("h1") == "shop/service.py"
    assert "✗ 3 losses" in service.says("#summary")
    said = service.says("#losses li")
    for text in (
        "rerank",
        "started a trace of its own",
        "LangSmith, 2 runs",
        "lost at nodes/rank.py:42 in rank_documents",
        "ThreadPoolExecutor.submit MainThread, request-1 → ThreadPoolExecutor-0_1",
        "its caller was in answer > retrieve",
        "from ctxtrace import ThreadPoolExecutor",
    ):
        assert text in said
    leak = service.says("#losses li:nth-child(3)")
    assert "held at nodes/stream.py:8 in tokens" in leak
    assert "its generator is stepped at service.py:61" in leak


def test_a_program_that_lost_nothing_is_told_so(reader: Reader) -> None:
    reader.opens(timelines.whole())
    assert reader.says("#losses-none") == "Nothing was lost: every run is where it belongs."
    assert "✓ nothing was lost" in reader.says("#summary")


def test_a_report_without_runs_says_so_and_offers_no_tools(reader: Reader) -> None:
    reader.opens(timelines.empty())
    assert "no run was recorded" in reader.says("#losses-none")
    assert reader.says("#chart-none") == "No run was recorded."
    assert not reader.browser.find_element(By.ID, "tools").is_displayed()


def test_runs_that_were_not_kept_are_counted(reader: Reader) -> None:
    reader.opens({**timelines.whole(), "runs_not_kept": 7_000})
    assert "7,000 runs before these not kept" in reader.says("#summary")


def test_runs_that_overlap_in_a_lane_do_not_hide_each_other(reader: Reader) -> None:
    made = timelines.Timeline("overlaps.py")
    lane = made.lane("MainThread")
    for number in range(4):
        made.run(f"stream {number}", lane, number, 10 - number)
    reader.opens(made.data)
    assert reader.sees("runs.map(({ row }) => row)") == [0, 1, 2, 3]


# --- Names that would do harm.


def test_names_that_are_markup_are_shown_as_text_and_make_no_element(reader: Reader) -> None:
    reader.opens(timelines.hostile())
    ActionChains(reader.browser).pause(0).perform()  # would fail if a dialog were open
    for index, name in enumerate(timelines.HOSTILE):
        chosen = f"li:nth-child({index + 1}) .loss-name"
        reader.browser.find_element(By.CSS_SELECTOR, chosen).click()
        # Compared there: an unpaired surrogate does not come through the driver.
        shown = f"document.querySelector('#losses {chosen} .name').textContent"
        assert reader.sees(f"{shown} === {json.dumps(name)}")
        assert reader.sees(f"details.textContent.includes({json.dumps(name)})")
    assert reader.sees("document.title").startswith("</script><img")
    assert reader.sees("document.querySelectorAll('img, svg, iframe, script').length") == 2


def test_what_a_page_asks_for_all_the_same_is_refused(reader: Reader) -> None:
    reader.opens(timelines.whole())
    refused = reader.browser.execute_async_script("""
        const done = arguments[0];
        const refused = [];
        document.addEventListener("securitypolicyviolation", (event) => {
          refused.push(event.effectiveDirective);
          if (refused.length === 4) done(refused.sort());
        });
        document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
        fetch("http://127.0.0.1:9/").catch(() => {});
        const script = document.createElement("script");
        script.textContent = "document.title = 'harmed'";
        document.body.append(script);
        document.body.setAttribute("style", "color: red");
    """)
    assert refused == ["connect-src", "img-src", "script-src-elem", "style-src-attr"]
    assert reader.sees("document.title") == "whole.py · ctxtrace"
    # Asked for, and stopped before it left: which shows that the other tests would notice.
    assert reader.fetched() == ["http://127.0.0.1:9/x.png"]
    assert len(reader.console()) >= 4


# --- By keyboard.


def test_tab_goes_through_losses_tools_timeline_and_details_and_is_seen_everywhere(
    service: Reader,
) -> None:
    stops = []
    for _ in range(13):
        ActionChains(service.browser).send_keys(Keys.TAB).perform()
        stops.append(service.sees("document.activeElement.id || document.activeElement.className"))
        assert service.sees("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert (
            service.sees("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2
        )
    tools = ["pan-left", "pan-right", "zoom-out", "zoom-in", "zoom-fit", "keys"]
    assert stops == ["skip", "loss-name", *tools, "chart", *["link "] * 4]


def test_the_first_stop_of_tab_leads_past_the_losses(service: Reader) -> None:
    service.tabs_to(".skip")
    service.presses(Keys.ENTER)
    assert service.sees("document.activeElement.id") == "chart"


def test_arrows_go_from_loss_to_loss_and_show_each_in_the_timeline(service: Reader) -> None:
    service.tabs_to(".loss-name")
    service.presses(Keys.ARROW_DOWN)
    assert service.sees("document.activeElement.innerText").split() == ["2", "send_receipt"]
    assert service.says("li.marked .place") == "mail.py:17"
    assert service.says("#details h3") == "Thread.start"
    assert service.sees("view.crossing === losses[1].crossings[0]")
    # It has come close, as the crossing takes 2 ms of 280.
    assert service.sees("view.to - view.from") < 0.02
    service.presses(Keys.END)
    assert service.says("li.marked .place") == "nodes/stream.py:8"
    service.presses(Keys.HOME)
    assert service.says("li.marked .place") == "nodes/rank.py:42"
    assert service.says("#status") == "Loss 1 of 3: rerank, its arrow is in view"


def test_arrows_and_letters_go_from_run_to_run_and_each_is_said(service: Reader) -> None:
    service.tabs_to("#chart")
    assert service.focused().startswith("rerank, LangSmith, ThreadPoolExecutor-0_1, 28.5 ms, lost")
    for key, name in [
        (Keys.HOME, "load index"),
        (Keys.ARROW_RIGHT, "open collection"),
        ("p", "load index"),
        ("c", "open collection"),
        (Keys.ARROW_DOWN, "answer"),
        (Keys.ARROW_DOWN, "plan"),
        (Keys.ARROW_UP, "answer"),
        ("n", "score answer"),
        ("n", "rerank"),
        ("N", "score answer"),
        (Keys.END, "score pairs"),
        (Keys.ARROW_RIGHT, "score pairs"),
    ]:
        service.presses(key)
        assert service.focused().split(",")[0] == name
        assert service.says("#details h3") == name
    option = service.browser.find_element(By.CSS_SELECTOR, "[role=option][aria-selected=true]")
    assert option.get_attribute("aria-setsize") == option.get_attribute("aria-posinset") == "26"
    assert option.is_displayed()


def test_the_run_that_has_the_focus_comes_into_view(reader: Reader) -> None:
    reader.opens(timelines.crowd(2_000, 0))
    reader.tabs_to("#chart")
    reader.presses("+", "+", "+", Keys.END)
    assert reader.sees("xOf(view.run.from) >= size.gutter && xOf(view.run.from) <= size.width")
    assert reader.sees("topOf(view.run) - chart.scrollTop") > 0
    assert reader.sees("topOf(view.run) + BAR - chart.scrollTop + AXIS <= size.height")


def test_keys_zoom_and_pan(service: Reader) -> None:
    service.tabs_to("#chart")
    whole = service.sees("view.to - view.from")
    service.presses("+")
    closer = service.sees("[view.from, view.to]")
    assert closer[1] - closer[0] == pytest.approx(whole / 1.6)
    service.presses(Keys.SHIFT + Keys.ARROW_RIGHT)
    assert service.sees("view.from") > closer[0]
    service.presses("0")
    assert service.sees("view.to - view.from") == pytest.approx(whole)
    service.presses(Keys.ENTER)
    assert service.sees("view.to - view.from") == pytest.approx(0.0285 * 1.3, rel=1e-3)
    service.presses(Keys.ESCAPE)
    assert service.sees("document.querySelectorAll('.marked').length") == 0


def test_a_link_in_the_details_goes_to_its_run(service: Reader) -> None:
    service.tabs_to(".details .link")
    service.presses(Keys.ENTER)
    assert service.says("#details h3") == "retrieve"


# --- By mouse.


def point(reader: Reader, x: str, y: str) -> ActionChains:
    """Return actions that begin with the mouse at a place of the timeline."""
    chart = reader.browser.find_element(By.ID, "chart")
    # Selenium counts from the middle.
    across, down = reader.sees(
        f"[Math.round({x} - size.width / 2), Math.round({y} - size.height / 2)]"
    )
    return ActionChains(reader.browser).move_to_element_with_offset(chart, across, down)


def test_a_click_chooses_a_run_and_a_double_click_goes_there(service: Reader) -> None:
    run = "ordered.find(({ name }) => name === 'write')"
    at = point(service, f"xOf({run}.from) + 30", f"AXIS + topOf({run}) + BAR / 2")
    at.click().perform()
    assert service.says("#details h3") == "write"
    at.double_click().perform()
    assert service.sees("view.to - view.from") == pytest.approx(0.072 * 1.3, rel=1e-3)


def test_a_click_chooses_an_arrow_and_marks_its_loss(service: Reader) -> None:
    service.sees("paint()")
    arrow = "pointOn(arrows.find(({ crossing }) => crossing.loss === 2), 0.9)"
    point(service, f"{arrow}[0]", f"{arrow}[1]").click().perform()
    assert service.says("li.marked .place") == "nodes/stream.py:8"
    assert service.says("#details h3") == "a span held over a yield"


def test_pointing_at_a_run_names_it(service: Reader) -> None:
    run = "ordered.find(({ name }) => name === 'answer')"
    point(service, f"xOf({run}.from) + 40", f"AXIS + topOf({run}) + BAR / 2").perform()
    assert service.says("#tip") == "answer 206 ms"


def test_dragging_pans_and_the_wheel_with_ctrl_zooms(service: Reader) -> None:
    service.browser.find_element(By.ID, "zoom-in").click()
    before = service.sees("[view.from, view.to]")
    point(service, "size.width / 2", "60").click_and_hold().move_by_offset(
        -80, 0
    ).release().perform()
    after = service.sees("[view.from, view.to]")
    assert after[0] > before[0]
    assert after[1] - after[0] == pytest.approx(before[1] - before[0])
    service.browser.execute_script("""
        chart.dispatchEvent(new WheelEvent("wheel", { ctrlKey: true, deltaY: -60, clientX: 600 }))
    """)
    assert service.sees("view.to - view.from") < after[1] - after[0]


def test_dragging_over_the_strip_chooses_a_time(service: Reader) -> None:
    strip = service.browser.find_element(By.ID, "overview")
    hold = ActionChains(service.browser).move_to_element_with_offset(strip, 0, 0).click_and_hold()
    hold.move_by_offset(90, 0).release().perform()
    across = service.sees("(view.to - view.from) / total * (size.width - size.gutter)")
    assert across == pytest.approx(90, abs=2)


# --- To the eye.


def test_a_losing_arrow_is_red_and_dashed_and_a_sound_one_is_not(service: Reader) -> None:
    losing, sound = service.browser.execute_script(PIXELS + RED)
    assert len(losing) == 4
    assert all(0.3 < part < 0.95 for part in losing)
    assert len(sound) == 4
    assert all(part < 0.1 for part in sound)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["service", "whole", "empty"])
def test_every_text_has_enough_contrast(reader: Reader, scheme: str, name: str) -> None:
    reader.prefers(color_scheme=scheme, reduced_motion="reduce")
    reader.opens(getattr(timelines, name)())
    if name == "service":
        reader.browser.find_element(By.ID, "keys").click()
    found: dict[str, float] = reader.browser.execute_script(CONTRASTS)
    assert len(found) > 8
    assert {what: is_ for what, is_ in found.items() if is_ < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_and_its_timeline_follow_the_colours_that_the_user_prefers(
    reader: Reader, scheme: str, tmp_path: Path
) -> None:
    reader.opens(timelines.service())
    # Preferred while the report is open: what was drawn is drawn again.
    reader.prefers(color_scheme=scheme, reduced_motion="reduce")
    bright = reader.browser.execute_async_script(
        f"""
        const [light, done] = arguments;
        const began = performance.now();
        const look = () => {{
          {PIXELS.replace("paint();", "")}
          const [behind] = getComputedStyle(document.body).backgroundColor.match(/[0-9]+/);
          const bright = [pixel(size.width - 4, size.height - 4)[0], Number(behind)];
          const followed = bright.every((part) => (part > 200) === light);
          // The browser tells the page in one of the next frames.
          if (followed || performance.now() > began + 5000) done(bright);
          else requestAnimationFrame(look);
        }};
        look();
    """,
        scheme == "light",
    )
    assert all((part > 200) == (scheme == "light") for part in bright)
    folder = Path(os.environ.get("CTXTRACE_SCREENSHOTS", tmp_path))
    assert reader.browser.save_screenshot(str(folder / f"html-report-{scheme}.png"))


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_gradually_for_those_who_prefer_less_motion(
    reader: Reader, motion: str
) -> None:
    reader.prefers(color_scheme="light", reduced_motion=motion)
    reader.opens(timelines.service())
    whole, at_once = reader.browser.execute_script("""
        const whole = view.to - view.from;
        document.getElementById("zoom-in").click();
        return [whole, view.to - view.from];
    """)
    assert (at_once == pytest.approx(whole / 1.6)) is (motion == "reduce")


def test_a_narrow_window_holds_all_of_it(reader: Reader) -> None:
    reader.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 420, "height": 800, "deviceScaleFactor": 2, "mobile": False},
    )
    try:
        reader.opens(timelines.service())
        assert reader.sees("document.documentElement.scrollWidth") <= 420
        assert reader.sees("size.height") > 200
        assert reader.sees("canvas.width") == 2 * reader.sees("size.width")
    finally:
        reader.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


# --- Large ones.


def test_an_arrow_much_longer_than_the_window_costs_no_more_than_another(reader: Reader) -> None:
    made = timelines.Timeline("patient.py")
    main, worker = made.lane("MainThread"), made.lane("worker_0")
    loss = made.lose("late", "Timer.start", main, worker)
    made.run("outer", main, 0, 3_600_000)
    made.cross("Timer.start", main, 0, worker, 3_599_000, None, loss=loss)
    made.run("late", worker, 3_599_000, 3_600_000, loss=loss)
    reader.opens(made.data)
    drawn, frame = reader.browser.execute_script(f"""
        [view.from, view.to] = [1800, 1801];
        const began = performance.now();
        {PIXELS}
        const {{ data }} = pixels.getImageData(size.gutter, AXIS, 400, size.height - AXIS);
        const drawn = [...data].filter((part, at) => at % 4 === 0 && part - data[at + 1] > 60);
        return [drawn.length, performance.now() - began];
    """)
    assert drawn > 0
    assert frame < 4 * FRAME  # with reading what was drawn


def test_5000_runs_are_seen_within_a_second_and_move_smoothly(
    reader: Reader, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline = timelines.crowd()
    assert (len(timeline["runs"]), len(timeline["crossings"])) == (5_000, 10_000)
    painted: list[list[float]] = []
    frames: list[float] = []
    for _ in range(5):
        reader.opens(timeline)
        painted.append(
            reader.browser.execute_async_script("""
                const done = arguments[0];
                // The frame after the one in which it was drawn: then it is on the screen.
                requestAnimationFrame(() => requestAnimationFrame(() => done([
                  performance.getEntriesByName("ctxtrace-drawn")[0].startTime,
                  performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
                ])));
            """)
        )
        # All of it, a tenth and a hundredth of its time; the copy waits for the drawing.
        frames += reader.browser.execute_script("""
            const copy = new OffscreenCanvas(1, 1);
            const pixels = copy.getContext("2d", { willReadFrequently: true });
            return [1, 0.1, 0.01].map((part) => {
              [view.from, view.to] = [total * (0.5 - part / 2), total * (0.5 + part / 2)];
              const began = performance.now();
              paint();
              pixels.drawImage(canvas, 0, 0);
              pixels.getImageData(0, 0, 1, 1);
              return performance.now() - began;
            });
        """)
    drawn = statistics.median(max(times) for times in painted)
    frame = statistics.median(frames)
    with capsys.disabled():
        print(f"\n5,000 runs: drawn in {drawn:.0f} ms (each: {sorted(map(max, painted))})")
        print(f"a frame: {frame:.1f} ms (at most {max(frames):.1f})")
    assert drawn < FIRST_PAINT
    assert frame < FRAME
