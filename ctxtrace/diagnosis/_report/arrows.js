// Drawing the crossings: an arrow from where one left its lane to where it arrived.

// The arrows of the last drawing, for the mouse to find.
let arrows = [];
const MOST_LABELS = 200; // more are not tried: there is no room

function paintArrows(scroll) {
  arrows = [];
  const drawn = new Set();
  for (const crossing of crossings) {
    const { at, there, lane, laneThere, inside, started } = crossing;
    if (Math.max(at, there) < view.from || Math.min(at, there) > view.to) continue;
    const y0 = AXIS + heightIn(lane, inside) - scroll;
    const y1 = laneThere === null ? y0 : AXIS + heightIn(laneThere, started) - scroll;
    if (Math.max(y0, y1) < 0 || Math.min(y0, y1) > size.height) continue;
    const x0 = xOf(at);
    const x1 = laneThere === null ? x0 + 26 : xOf(there);
    const key = `${crossing.loss} ${Math.round(x0 / 2)} ${y0} ${Math.round(x1 / 2)} ${y1}`;
    if (drawn.has(key) && crossing !== view.crossing) continue;
    drawn.add(key);
    arrows.push({ crossing, x0, y0, x1, y1, bend: Math.max(16, (x1 - x0) * 0.4) });
  }
  const crowded = arrows.length > 600;
  pen.globalAlpha = crowded ? 0.25 : view.marked === null ? 0.75 : 0.4;
  pen.strokeStyle = pen.fillStyle = colors.arrow;
  pen.lineWidth = 1.25;
  pen.beginPath();
  const sound = arrows.filter(({ crossing }) => crossing.loss === null);
  sound.forEach(trace);
  pen.stroke();
  if (!crowded) {
    sound.forEach(head);
    sound.forEach(tail);
  }
  pen.globalAlpha = 1;
  for (const arrow of sound) if (arrow.crossing === view.crossing) paintStrong(arrow, colors.accent);
  // The marked one last: it lies over the others, and its label gets its place first.
  const losing = arrows.filter(({ crossing }) => crossing.loss !== null);
  losing.sort((one, other) => rank(other) - rank(one));
  const taken = [];
  const labels = losing.slice(0, MOST_LABELS).map((arrow) => labelOf(arrow, taken));
  for (const arrow of losing.slice().reverse()) {
    pen.globalAlpha = losing.length > MOST_LABELS && rank(arrow) === 0 ? 0.35 : 1;
    paintStrong(arrow, colors.bad);
  }
  pen.globalAlpha = 1;
  labels.forEach((label) => label && paintLabel(label));
}

function rank({ crossing }) {
  const marked = crossing.loss !== null && crossing.loss === view.marked;
  return (crossing === view.crossing ? 2 : 0) + (marked ? 1 : 0);
}

// Only the part in view: closely zoomed in, or among many lanes, an arrow is millions of pixels
// long, and to dash all of one took a browser half a second.
function trace(arrow) {
  const [from, to] = partInView(arrow);
  if (from >= to) return;
  const at = (...parts) => blossom(arrow, ...parts);
  pen.moveTo(...at(from, from, from));
  pen.bezierCurveTo(...at(from, from, to), ...at(from, to, to), ...at(to, to, to));
}

function partInView(arrow) {
  const { x0, y0, x1, y1 } = arrow;
  const parts = [[0, 1]];
  if (y0 !== y1) parts.push([AXIS - 30, size.height + 30].map((y) => partAtY((y - y0) / (y1 - y0))));
  // Of a shorter one, the bends could lie outside of its ends.
  if (Math.abs(x1 - x0) > 2 * size.width) {
    parts.push([size.gutter - 30, size.width + 30].map((x) => partAtX(arrow, x)));
  }
  return [
    Math.max(...parts.map((part) => Math.min(...part))),
    Math.min(...parts.map((part) => Math.max(...part))),
  ];
}

// The curve rises as 3t² - 2t³, of which this is the inverse.
function partAtY(share) {
  return 0.5 - Math.sin(Math.asin(1 - 2 * Math.min(Math.max(share, 0), 1)) / 3);
}

function partAtX(arrow, x) {
  let [low, high] = [0, 1];
  for (let round = 0; round < 50; round += 1) {
    const middle = (low + high) / 2;
    if ((pointOn(arrow, middle)[0] > x) === (arrow.x1 > arrow.x0)) high = middle;
    else low = middle;
  }
  return low;
}

// Three times the same part give a point of the curve; others, the controls of a part of it.
function blossom({ x0, y0, x1, y1, bend }, u, v, w) {
  const [a, b, c] = [1 - u, 1 - v, 1 - w];
  const weights = [a * b * c, u * b * c + a * v * c + a * b * w, u * v * c + u * b * w + a * v * w];
  weights.push(u * v * w);
  const sum = (...values) => values.reduce((all, value, at) => all + value * weights[at], 0);
  return [sum(x0, x0 + bend, x1 - bend, x1), sum(y0, y0, y1, y1)];
}

const pointOn = (arrow, part) => blossom(arrow, part, part, part);

function head({ x1, y1, crossing }) {
  pen.beginPath();
  if (crossing.laneThere === null) {
    // It never arrived.
    for (const [dx, dy] of [[4, 4], [4, -4]]) {
      pen.moveTo(x1 - dx, y1 - dy);
      pen.lineTo(x1 + dx, y1 + dy);
    }
    pen.stroke();
    return;
  }
  pen.moveTo(x1 + 1, y1);
  pen.lineTo(x1 - 7, y1 - 4);
  pen.lineTo(x1 - 7, y1 + 4);
  pen.fill();
}

function tail({ x0, y0 }) {
  pen.beginPath();
  pen.arc(x0, y0, 2, 0, 7);
  pen.fill();
}

function paintStrong(arrow, color) {
  const strong = rank(arrow) > 0;
  pen.beginPath();
  trace(arrow);
  pen.strokeStyle = colors.paper; // so that it stands off from what it crosses
  pen.lineWidth = strong ? 6 : 4;
  pen.stroke();
  pen.strokeStyle = pen.fillStyle = color;
  pen.lineWidth = strong ? 3 : 1.75;
  pen.setLineDash(arrow.crossing.loss === null ? [] : [6, 3]);
  pen.stroke();
  pen.setLineDash([]);
  head(arrow);
  pen.beginPath();
  pen.arc(arrow.x0, arrow.y0, 3.5, 0, 7);
  pen.fill();
}
