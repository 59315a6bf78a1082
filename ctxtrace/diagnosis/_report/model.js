"use strict";
// What is drawn, worked out once from the data: which row a run lies in, and which two points an
// arrow joins. Times are seconds since the first of them; heights are CSS pixels.

const data = JSON.parse(document.getElementById("timeline").textContent);

const ROW = 21; // a row of bars
const BAR = 17; // a bar in it
const PAD = 6; // above the first row of a lane and below the last
const HEAD = 24; // a thread that has nothing but tasks

// Files are said from the folder that they share: the rest of the path is the same everywhere.
const folder = sharedFolder([...data.losses, ...data.crossings].map(({ file }) => file));

const [begin, finish] = extent();
const total = Math.max(finish - begin, 1e-6);

const lanes = data.lanes.map(({ thread, task }) => ({
  thread: thread ?? "?",
  task,
  runs: [],
  rows: [], // of each, its runs in order, none of which overlap
  top: 0,
  height: 0,
}));

const runs = data.runs.map((run) => ({
  ...run,
  lane: lanes[run.lane],
  from: run.start - begin,
  to: Math.max(run.end ?? finish, run.start) - begin,
  open: run.end === null,
  row: 0,
  above: null,
  below: [],
  crossings: [],
}));

const runById = new Map(runs.map((run) => [run.id, run]));

// Those that start together: the outer one first, as its row is what the inner ones lie below.
runs.sort((one, other) => one.from - other.from || other.to - one.to);
for (const run of runs) {
  run.above = runById.get(run.parent) ?? null;
  run.above?.below.push(run);
  run.lane.runs.push(run);
}
lanes.forEach(stack);

// What is listed from top to bottom: the lanes by thread, and threads that have only tasks.
const bands = banded();
const depth = bands.length === 0 ? 0 : bands.at(-1).top + bands.at(-1).height;

// In the order in which the keys go through them, and a screen reader counts them.
const ordered = bands.flatMap(({ lane }) => lane?.runs ?? []);
ordered.forEach((run, number) => {
  run.number = number;
});
const lostRuns = ordered.filter(({ loss }) => loss !== null);

const crossings = data.crossings.map((crossing) => {
  const inside = runById.get(crossing.run) ?? null;
  const made = {
    ...crossing,
    lane: lanes[crossing.lane],
    laneThere: lanes[crossing.lane_there] ?? null,
    at: crossing.when - begin,
    there: (crossing.when_there ?? crossing.when) - begin,
    inside,
    started: null,
  };
  made.started = startedBy(made);
  inside?.crossings.push(made);
  return made;
});

const losses = data.losses.map((loss, index) => ({
  ...loss,
  number: index + 1,
  crossings: [],
  runs: lostRuns.filter((run) => run.loss === index),
}));
for (const crossing of crossings) losses[crossing.loss]?.crossings.push(crossing);

function extent() {
  let first = Infinity;
  let last = -Infinity;
  const see = (when) => {
    if (when === null) return;
    first = Math.min(first, when);
    last = Math.max(last, when);
  };
  for (const { start, end } of data.runs) [start, end].forEach(see);
  for (const { when, when_there: there } of data.crossings) [when, there].forEach(see);
  return first <= last ? [first, last] : [0, 0];
}

// A run lies below its parent, and below what of its lane is still going on when it starts: two
// streams that one task reads by turns are one run beside the other, and no bar hides another.
function stack(lane) {
  const busyUntil = [];
  for (const run of lane.runs) {
    run.row = run.above?.lane === lane ? run.above.row + 1 : 0;
    while (busyUntil[run.row] > run.from) run.row += 1;
    while (lane.rows.length <= run.row) lane.rows.push([]);
    busyUntil[run.row] = run.to;
    lane.rows[run.row].push(run);
  }
  lane.height = 2 * PAD + Math.max(1, lane.rows.length) * ROW;
}

function banded() {
  const threads = new Map();
  for (const lane of lanes) {
    if (!threads.has(lane.thread)) threads.set(lane.thread, []);
    threads.get(lane.thread).push(lane);
  }
  const made = [];
  let top = 0;
  const add = (label, indent, lane) => {
    const height = lane?.height ?? HEAD;
    if (lane !== null) lane.top = top;
    made.push({ label, indent, lane, top, height });
    top += height;
  };
  for (const [thread, those] of threads) {
    const own = those.filter(({ task }) => task === null);
    if (own.length === 0) add(thread, 0, null);
    for (const lane of own) add(thread, 0, lane);
    for (const lane of those) if (lane.task !== null) add(lane.task, 1, lane);
  }
  return made;
}

// The run at which an arrow ends: the first that began on the far side, if it came that way.
function startedBy({ laneThere, there, loss, inside }) {
  if (laneThere === null) return null;
  const first = firstFrom(laneThere.runs, there);
  const next = laneThere.runs.slice(first, first + 20);
  if (loss !== null) return next.find((run) => run.loss === loss) ?? null;
  return (inside && next.find(({ above }) => above === inside)) ?? null;
}

// The first of runs, in order of start, that starts no earlier.
function firstFrom(those, when) {
  return lowest(those.length, (at) => those[at].from >= when - 1e-6);
}

// The lowest of so many numbers for which it is true; it stays true from there on.
function lowest(count, isTrue) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isTrue(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function topOf(run) {
  return run.lane.top + PAD + run.row * ROW + (ROW - BAR) / 2;
}

// Where an arrow leaves a lane, or enters it: at the bar of its run, if that lies there.
function heightIn(lane, run) {
  return run?.lane === lane ? topOf(run) + BAR / 2 : lane.top + PAD + ROW / 2;
}

function sharedFolder(files) {
  const paths = [...new Set(files)].filter((file) => file !== null);
  if (paths.length === 0) return "";
  const parts = paths.map((path) => path.split(/[\\/]/).slice(0, -1));
  const shared = parts[0].findIndex((part, at) => parts.some((other) => other[at] !== part));
  const kept = shared === -1 ? parts[0] : parts[0].slice(0, shared);
  const length = kept.join("/").length;
  return length === 0 ? "" : paths[0].slice(0, length + 1);
}

function placeOf({ file, line }) {
  if (file === null) return "";
  return `${file.startsWith(folder) ? file.slice(folder.length) : file}:${line}`;
}

function laneName(lane) {
  return lane.task === null ? lane.thread : `${lane.thread}, ${lane.task}`;
}

const SOURCES = { langsmith: "LangSmith", otel: "OpenTelemetry" };
const sourceName = (source) => SOURCES[source] ?? source;

function duration(seconds) {
  if (seconds < 1e-3) return `${rounded(seconds * 1e6)} µs`;
  if (seconds < 1) return `${rounded(seconds * 1e3)} ms`;
  if (seconds < 60) return `${rounded(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

function rounded(number) {
  return Number(number.toPrecision(number < 1000 ? 3 : 4)).toString();
}
