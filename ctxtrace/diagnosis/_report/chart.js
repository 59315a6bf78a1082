// Moving in the timeline: zoom, pan, and which run has the focus.

const sheet = document.getElementById("sheet");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const LEAST = 1e-6; // seconds in view at the closest

let waiting = false;
let moving = 0;
// The time that is moved to: a key pressed again meanwhile goes on from there.
let aim = [0, total];

// At most one drawing a frame, whatever happens in it.
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    paint();
    paintOverview();
    placeRing();
  });
}

function fitSize() {
  size.width = chart.clientWidth;
  size.height = chart.clientHeight;
  size.gutter = Math.round(Math.min(190, size.width * 0.3));
  canvas.width = Math.round(size.width * devicePixelRatio);
  canvas.height = Math.round(size.height * devicePixelRatio);
  canvas.style.width = `${size.width}px`;
  canvas.style.height = `${size.height}px`;
  sheet.style.height = `${Math.max(AXIS + depth, size.height)}px`;
  // Setting its size has emptied the canvas: draw before the browser shows that.
  paint();
  paintOverview();
  placeRing();
}

const margin = total * 0.02;

function within(from, to) {
  const span = Math.min(Math.max(to - from, LEAST), total + 2 * margin);
  const start = Math.min(Math.max((from + to - span) / 2, -margin), total + margin - span);
  return [start, start + span];
}

// Show this time, and this height at the middle unless it is in view.
function show(from, to, height = null) {
  aim = within(from, to);
  const goal = [...aim];
  const room = size.height - AXIS;
  const start = [view.from, view.to, chart.scrollTop];
  const inView = height === null || (height > start[2] + ROW && height < start[2] + room - 2 * ROW);
  goal.push(inView ? start[2] : Math.min(Math.max(height - room / 2, 0), depth + AXIS));
  cancelAnimationFrame(moving);
  const set = (part) => {
    const [left, right, top] = goal.map((end, at) => start[at] + (end - start[at]) * part);
    view.from = left;
    view.to = right;
    if (!inView) chart.scrollTop = top;
    draw();
  };
  if (calm.matches) {
    set(1);
    return;
  }
  const began = performance.now();
  const step = (now) => {
    const part = Math.min(Math.max((now - began) / 180, 0), 1);
    set(1 - (1 - part) ** 3);
    if (part < 1) moving = requestAnimationFrame(step);
  };
  moving = requestAnimationFrame(step);
}

function jump(from, to) {
  cancelAnimationFrame(moving);
  aim = [view.from, view.to] = within(from, to);
  draw();
}

const showAll = () => show(-margin, total + margin);

function zoom(factor, around = null) {
  const [from, to] = around === null ? aim : [view.from, view.to];
  const run = view.run;
  const shown = run !== null && run.to > from && run.from < to;
  const center = around ?? (shown ? (run.from + run.to) / 2 : (from + to) / 2);
  const middle = Math.min(Math.max(center, from), to);
  const goal = [middle - (middle - from) * factor, middle + (to - middle) * factor];
  if (around === null) show(...goal);
  else jump(...goal);
}

function pan(part) {
  const shift = (aim[1] - aim[0]) * part;
  show(aim[0] + shift, aim[1] + shift);
}

function zoomTo(run) {
  const room = Math.max(run.to - run.from, LEAST) * 0.15;
  show(run.from - room, run.to + room, topOf(run));
}

// So far that a run can be seen, with as much around it as is in view now.
function reveal(run) {
  let [from, to] = aim;
  const [first, last] = [run.from, Math.min(run.to, run.from + (to - from) * 0.8)];
  if (first < from) [from, to] = [first - (to - from) * 0.1, first + (to - from) * 0.9];
  else if (last > to) [from, to] = [last - (to - from) * 0.9, last + (to - from) * 0.1];
  show(from, to, topOf(run));
}

// One after the other, so that a screen reader hears of a change: the option that is named by
// aria-activedescendant is another each time.
const rings = [document.getElementById("run-a"), document.getElementById("run-b")];

function focusRun(run, { revealed = true } = {}) {
  view.run = run;
  view.crossing = null;
  rings.reverse();
  const [ring, old] = rings;
  ring.hidden = false;
  old.hidden = true;
  old.setAttribute("aria-selected", "false");
  ring.setAttribute("aria-selected", "true");
  ring.setAttribute("aria-setsize", ordered.length);
  ring.setAttribute("aria-posinset", run.number + 1);
  ring.setAttribute("aria-label", spoken(run));
  chart.setAttribute("aria-activedescendant", ring.id);
  describeRun(run);
  if (revealed) reveal(run);
  draw();
}

// The ring is an element of its own, so that the focus can be seen with forced colours as well.
function placeRing() {
  const run = view.run;
  if (run === null) return;
  const left = Math.max(xOf(run.from), size.gutter);
  const right = Math.min(Math.max(xOf(run.to), left + 4), size.width);
  const [{ style }] = rings;
  style.opacity = xOf(run.from) > size.width || xOf(run.to) < size.gutter ? "0" : "1";
  style.left = `${left - 2}px`;
  style.width = `${Math.max(right - left, 4) + 4}px`;
  style.top = `${AXIS + topOf(run) - 2}px`;
  style.height = `${BAR + 4}px`;
}

// What lies above or below, nearest in time: for the arrow keys.
function neighbour(run, step) {
  const rows = ordered.rows ?? (ordered.rows = bands.flatMap(({ lane }) => lane?.rows ?? []));
  const row = rows[rows.indexOf(run.lane.rows[run.row]) + step];
  if (row === undefined) return null;
  const after = firstFrom(row, run.from);
  const before = row[after - 1];
  return before !== undefined && (before.to > run.from || row[after] === undefined)
    ? before
    : row[after];
}

function nextLost(step) {
  if (lostRuns.length === 0) return null;
  const here = view.run?.number ?? -1;
  const found =
    step > 0
      ? lostRuns.find(({ number }) => number > here)
      : lostRuns.findLast(({ number }) => number < here);
  return found ?? lostRuns.at(step > 0 ? 0 : -1);
}

function runAt(x, y) {
  if (x < size.gutter || y < AXIS) return null;
  const height = y - AXIS + chart.scrollTop;
  const band = bands[lowest(bands.length, (at) => bands[at].top + bands[at].height > height)];
  const row = band?.lane?.rows[Math.floor((height - band.top - PAD) / ROW)];
  if (row === undefined) return null;
  const [left, right] = [timeAt(x - 3), timeAt(x + 3)];
  const run = row[lowest(row.length, (at) => row[at].to >= left)];
  return run !== undefined && run.from <= right ? run : null;
}

function crossingAt(x, y) {
  let nearest = 6;
  let found = null;
  for (const arrow of arrows) {
    const { crossing, x0, y0, x1, y1, bend } = arrow;
    if (y < Math.min(y0, y1) - 6 || y > Math.max(y0, y1) + 6) continue;
    if (x < Math.min(x0, x1) - bend || x > Math.max(x0, x1) + bend) continue;
    for (let part = 0; part <= 1; part += 1 / 32) {
      const [atX, atY] = pointOn(arrow, part);
      const far = Math.hypot(atX - x, atY - y);
      if (far < nearest || (far < 6 && crossing.loss !== null && found?.loss === null)) {
        [nearest, found] = [far, crossing];
      }
    }
  }
  return found;
}
