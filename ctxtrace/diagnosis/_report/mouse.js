// The timeline by mouse or finger: drag, wheel, click and what lies under the pointer.

const tip = document.getElementById("tip");
let drag = null;

function pointAt(event) {
  const { left, top } = chart.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
}

sheet.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  const { clientX: x, clientY: y } = event;
  drag = { x, y, from: view.from, to: view.to, top: chart.scrollTop, moved: false };
  sheet.setPointerCapture(event.pointerId);
});

sheet.addEventListener("pointermove", (event) => {
  if (drag === null) {
    hover(event);
    return;
  }
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  if (!drag.moved && Math.hypot(dx, dy) < 4) return;
  drag.moved = true;
  tip.hidden = true;
  chart.classList.add("dragged");
  const shift = (dx / (size.width - size.gutter)) * (drag.to - drag.from);
  chart.scrollTop = drag.top - dy;
  jump(drag.from - shift, drag.to - shift);
});

sheet.addEventListener("pointerup", (event) => {
  if (drag !== null && !drag.moved) choose(event);
  drag = null;
  chart.classList.remove("dragged");
});

sheet.addEventListener("pointercancel", () => {
  drag = null;
  chart.classList.remove("dragged");
});

function choose(event) {
  const [x, y] = pointAt(event);
  const crossing = crossingAt(x, y);
  const run = runAt(x, y);
  // An arrow that is a loss, over a bar; a bar, over an arrow like thousands of others.
  if (crossing !== null && (crossing.loss !== null || run === null)) {
    chooseCrossing(crossing);
  } else if (run !== null) {
    chooseRun(run, { revealed: false });
  }
}

sheet.addEventListener("dblclick", (event) => {
  const run = runAt(...pointAt(event));
  if (run !== null) zoomTo(run);
});

chart.addEventListener(
  "wheel",
  (event) => {
    const [x] = pointAt(event);
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(Math.min(Math.max(event.deltaY, -60), 60) / 120), timeAt(Math.max(x, size.gutter)));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      const shift = ((event.deltaX || event.deltaY) / size.width) * (view.to - view.from);
      jump(view.from + shift, view.to + shift);
    }
  },
  { passive: false },
);

function hover(event) {
  const [x, y] = pointAt(event);
  const crossing = crossingAt(x, y);
  const run = crossing?.loss != null ? null : runAt(x, y);
  if (view.hover !== run) {
    view.hover = run;
    draw();
  }
  chart.classList.toggle("over", run !== null || crossing !== null);
  tip.hidden = run === null && crossing === null;
  if (tip.hidden) return;
  const texts =
    run !== null
      ? [run.name || "?", run.open ? "has not ended" : duration(run.to - run.from)]
      : [crossing.kind, placeOf(crossing)];
  tip.replaceChildren(make("bdi", "name", texts[0]), make("span", "soft", ` ${texts[1]}`));
  tip.style.left = `${Math.max(4, Math.min(x + 12, size.width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${chart.offsetTop + y + 18}px`;
}

sheet.addEventListener("pointerleave", () => {
  tip.hidden = true;
  view.hover = null;
  draw();
});

// In the strip above: a click goes there, and dragging chooses a time.

let chosen = null;

const overviewTime = (event) => {
  const { left, width } = overview.getBoundingClientRect();
  return ((event.clientX - left - size.gutter) / (width - size.gutter)) * total;
};

overview.addEventListener("pointerdown", (event) => {
  chosen = overviewTime(event);
  overview.setPointerCapture(event.pointerId);
});

overview.addEventListener("pointermove", (event) => {
  const now = overviewTime(event);
  if (chosen !== null && Math.abs(now - chosen) > total / 200) {
    jump(Math.min(chosen, now), Math.max(chosen, now));
  }
});

overview.addEventListener("pointerup", (event) => {
  const half = (view.to - view.from) / 2;
  const now = overviewTime(event);
  if (chosen !== null && Math.abs(now - chosen) <= total / 200) show(now - half, now + half);
  chosen = null;
});

overview.addEventListener("pointercancel", () => {
  chosen = null;
});
