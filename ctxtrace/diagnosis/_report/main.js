// The keys, the buttons, and the beginning.

// --- The list of losses: one stop for Tab, arrows from one to the next.

list.addEventListener("click", (event) => {
  const item = event.target.closest("li.loss");
  // Whoever selects the text of it does not choose it.
  if (item !== null && getSelection().isCollapsed) chooseLoss(Number(item.dataset.loss));
});

list.addEventListener("keydown", (event) => {
  const here = Number(event.target.dataset.loss);
  const goal = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: losses.length - 1 }[event.key];
  if (goal === undefined || Number.isNaN(here)) return;
  event.preventDefault();
  const index = Math.min(Math.max(goal, 0), losses.length - 1);
  buttons()[index].focus({ preventScroll: true });
  chooseLoss(index);
});

// --- The timeline by keyboard.

const MOVES = {
  ArrowLeft: (run) => run.lane.runs[run.lane.runs.indexOf(run) - 1],
  ArrowRight: (run) => run.lane.runs[run.lane.runs.indexOf(run) + 1],
  ArrowUp: (run) => neighbour(run, -1),
  ArrowDown: (run) => neighbour(run, 1),
  Home: () => ordered[0],
  End: () => ordered.at(-1),
  p: (run) => run.above,
  c: (run) => run.below[0],
  n: () => nextLost(1),
  N: () => nextLost(-1),
};

const ACTS = {
  "+": () => zoom(1 / 1.6),
  "=": () => zoom(1 / 1.6),
  "-": () => zoom(1.6),
  "−": () => zoom(1.6),
  0: showAll,
  Enter: () => view.run && zoomTo(view.run),
  " ": () => view.run && zoomTo(view.run),
  Escape: () => {
    view.crossing = null;
    mark(null);
    draw();
  },
};

chart.addEventListener("focus", () => {
  if (view.run === null && ordered.length > 0) chooseRun(lostRuns[0] ?? ordered[0]);
});

chart.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
    pan(event.key === "ArrowLeft" ? -0.25 : 0.25);
  } else if (event.key in ACTS) {
    ACTS[event.key]();
  } else if (event.key in MOVES) {
    const run = view.run === null ? ordered[0] : MOVES[event.key](view.run);
    if (run) chooseRun(run);
  } else {
    return;
  }
  event.preventDefault();
});

// --- Buttons.

const TOOLS = {
  "pan-left": () => pan(-0.25),
  "pan-right": () => pan(0.25),
  "zoom-in": () => zoom(1 / 1.6),
  "zoom-out": () => zoom(1.6),
  "zoom-fit": showAll,
  keys: () => {
    const keys = document.getElementById("keys-list");
    keys.hidden = !keys.hidden;
    document.getElementById("keys").setAttribute("aria-expanded", `${!keys.hidden}`);
  },
};
for (const [id, act] of Object.entries(TOOLS)) document.getElementById(id).addEventListener("click", act);

// --- And begin.

const nothing = bands.length === 0 || (runs.length === 0 && crossings.length === 0);
const parts = [chart, overview, details, document.getElementById("tools")];
for (const part of parts) part.hidden = nothing;
document.getElementById("chart-none").hidden = !nothing;

writeSummary();
writeLegend();
writeLosses();
describeNothing();
const first = losses.find((loss) => loss.crossings.length > 0);
if (first !== undefined) markCrossing(first.crossings[0]);
readColors();
aim = [view.from, view.to] = within(-margin, total + margin);
if (!nothing) {
  fitSize();
  new ResizeObserver(fitSize).observe(chart);
  chart.addEventListener("scroll", draw, { passive: true });
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    matchMedia(query).addEventListener("change", () => {
      readColors();
      draw();
    });
  }
}
performance.mark("ctxtrace-drawn");
