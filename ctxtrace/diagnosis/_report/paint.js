// Drawing: the window of time and height that is in view, on one canvas. Only what can be seen is
// drawn, and of what falls on the same pixels only the first, so that 5,000 runs cost a few
// milliseconds a frame.

const chart = document.getElementById("chart");
const canvas = document.getElementById("canvas");
const pen = canvas.getContext("2d");

const AXIS = 26; // height of the times at the top
const FONT = "12px system-ui, sans-serif";
const BOLD = "600 12px system-ui, sans-serif";
const SMALL = "11px system-ui, sans-serif";

// What is in view. `from` and `to` are times, `marked` is a loss, `run` has the focus.
const view = { from: 0, to: total, marked: null, crossing: null, run: null, hover: null };
const size = { width: 0, height: 0, gutter: 180 };
let colors = {};
let hatch = null;
const widths = new Map();

function readColors() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "stripe", "ink", "soft", "line", "faint", "accent", "bad", "bad-soft"];
  names.push("arrow", "langsmith", "langsmith-edge", "langsmith-ink");
  names.push("otel", "otel-edge", "otel-ink", "lost-ink");
  colors = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`)]));
  // Lost runs are hatched, and so told from the others without colours too.
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const stroke = tile.getContext("2d");
  stroke.strokeStyle = colors.bad;
  stroke.globalAlpha = 0.28;
  stroke.lineWidth = 1.5;
  for (const shift of [-8, 0, 8]) {
    stroke.moveTo(shift - 1, 9);
    stroke.lineTo(shift + 9, -1);
  }
  stroke.stroke();
  hatch = pen.createPattern(tile, "repeat");
}

const xOf = (when) =>
  size.gutter + ((when - view.from) / (view.to - view.from)) * (size.width - size.gutter);
const timeAt = (x) =>
  view.from + ((x - size.gutter) / (size.width - size.gutter)) * (view.to - view.from);

function paint() {
  const scroll = chart.scrollTop;
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.textBaseline = "middle";
  pen.fillStyle = colors.paper;
  pen.fillRect(0, 0, size.width, size.height);
  const first = lowest(bands.length, (at) => bands[at].top + bands[at].height > scroll);
  const seen = [];
  for (let at = first; at < bands.length && bands[at].top < scroll + size.height; at += 1) {
    seen.push(bands[at]);
  }
  const ticks = steps();
  clipped(size.gutter, AXIS, () => {
    paintGrid(ticks, seen, scroll);
    for (const { lane } of seen) if (lane !== null) lane.rows.forEach((row) => paintRow(row, scroll));
    paintArrows(scroll);
  });
  clipped(0, AXIS, () => paintLabels(seen, scroll));
  paintAxis(ticks);
}

function clipped(left, top, draw) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, size.width - left, size.height - top);
  pen.clip();
  draw();
  pen.restore();
}

// Round times, about 110 pixels apart.
function steps() {
  const least = ((view.to - view.from) * 110) / Math.max(size.width - size.gutter, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((wide) => wide >= least);
  const made = [];
  for (let at = Math.max(0, Math.ceil(view.from / step)); at * step <= view.to; at += 1) {
    made.push(at * step);
  }
  return made;
}

function paintGrid(ticks, seen, scroll) {
  pen.fillStyle = colors.stripe;
  for (const { top, height, indent } of seen) {
    if (indent === 0) pen.fillRect(0, AXIS + top - scroll, size.width, height);
  }
  pen.fillStyle = colors.faint;
  for (const when of ticks) pen.fillRect(Math.round(xOf(when)), AXIS, 1, size.height);
  pen.fillStyle = colors.line;
  for (const { top, height } of seen) {
    pen.fillRect(0, AXIS + top + height - scroll - 1, size.width, 1);
  }
}

function paintRow(row, scroll) {
  if (row.length === 0) return;
  const y = AXIS + topOf(row[0]) - scroll;
  if (y > size.height || y < AXIS - ROW) return;
  let covered = -Infinity;
  for (let at = lowest(row.length, (n) => row[n].to >= view.from); at < row.length; at += 1) {
    const run = row[at];
    if (run.from > view.to) break;
    const left = Math.max(xOf(run.from), size.gutter - 4);
    const right = Math.min(Math.max(xOf(run.to), left + 2), size.width + 4);
    if (right - covered < 1 && run.loss === null) continue;
    covered = right;
    paintBar(run, left, y, right - left);
  }
}

function paintBar(run, x, y, width) {
  const source = run.source === "otel" ? "otel" : "langsmith";
  const lost = run.loss !== null;
  const edge = lost ? colors.bad : colors[`${source}-edge`];
  pen.fillStyle = lost ? colors["bad-soft"] : colors[source];
  if (width < 4) {
    pen.fillStyle = edge;
    pen.fillRect(x, y, width, BAR);
    return;
  }
  pen.beginPath();
  pen.roundRect(x + 0.5, y + 0.5, width - 1, BAR - 1, 3);
  pen.fill();
  if (lost) {
    pen.fillStyle = hatch;
    pen.fill();
  }
  pen.strokeStyle = edge;
  pen.lineWidth = run === view.hover || run === view.run ? 2 : 1;
  // A run that has not ended has no right edge: it goes on in dashes.
  pen.setLineDash(run.open ? [4, 3] : []);
  pen.stroke();
  pen.setLineDash([]);
  if (width < 24) return;
  pen.font = FONT;
  pen.fillStyle = lost ? colors["lost-ink"] : colors[`${source}-ink`];
  const from = Math.max(x, size.gutter) + 6;
  const text = `${run.error ? "⚠ " : ""}${run.name}`;
  paintText(text, from, y + BAR / 2 + 0.5, x + width - from - 4);
}

function paintText(text, x, y, room) {
  if (room < 12) return;
  const shown = shortened(text, room);
  if (shown !== "") pen.fillText(shown, x, y);
}

function shortened(text, room) {
  const short = text.slice(0, 200);
  const width = widthOf(short);
  if (width <= room) return short;
  const letters = [...short];
  let fit = Math.floor((letters.length * room) / width);
  for (; fit >= 2; fit -= 1) {
    const shown = `${letters.slice(0, fit).join("")}…`;
    if (widthOf(shown) <= room) return shown;
  }
  return "";
}

function widthOf(text) {
  const key = `${pen.font} ${text}`;
  if (!widths.has(key)) widths.set(key, pen.measureText(text).width);
  return widths.get(key);
}
