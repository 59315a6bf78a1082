// Drawing, what is to be read: the names of the lanes, the times, and at each losing arrow the
// number of its loss with file and line.

// Along the arrow, where it hides no other label and, if there is such a place, no run.
function labelOf(arrow, taken) {
  const { crossing } = arrow;
  const number = `${crossing.loss + 1}`;
  const place = placeOf(crossing).split(/[\\/]/).at(-1);
  pen.font = BOLD;
  const wide = widthOf(number) + 12;
  pen.font = SMALL;
  const full = place === "" ? wide : wide + widthOf(place) + 12;
  let second = null;
  for (const width of full === wide ? [wide] : [full, wide]) {
    for (const part of [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.9]) {
      const [along, y] = pointOn(arrow, part);
      if (y < AXIS + 10 || y > size.height - 10) continue;
      for (const start of [along - width / 2, along - wide / 2]) {
        const x = Math.min(Math.max(start, size.gutter + 4), size.width - width - 4);
        const text = width === full ? place : "";
        const box = { x, y: y - 9, width, height: 18, wide, text, number, crossing };
        if (taken.some((other) => overlaps(box, other))) continue;
        second ??= box;
        if (hidesRun(box)) continue;
        taken.push(box);
        return box;
      }
    }
    if (second !== null) break;
  }
  if (second !== null) taken.push(second);
  return second;
}

function hidesRun({ x, y, width, height }) {
  const across = [x, x + width / 2, x + width];
  return across.some((at) => runAt(at, y + 1) !== null || runAt(at, y + height - 1) !== null);
}

function overlaps(one, other) {
  return (
    one.x < other.x + other.width + 3 &&
    other.x < one.x + one.width + 3 &&
    one.y < other.y + other.height + 2 &&
    other.y < one.y + one.height + 2
  );
}

function paintLabel({ x, y, width, height, wide, text, number, crossing }) {
  const strong = crossing === view.crossing || crossing.loss === view.marked;
  pen.beginPath();
  pen.roundRect(x, y, width, height, 9);
  pen.fillStyle = colors.paper;
  pen.fill();
  pen.strokeStyle = colors.bad;
  pen.lineWidth = strong ? 2 : 1;
  pen.stroke();
  pen.beginPath();
  pen.roundRect(x, y, wide, height, 9);
  pen.fillStyle = colors.bad;
  pen.fill();
  pen.textAlign = "center";
  pen.font = BOLD;
  pen.fillStyle = colors.paper;
  pen.fillText(number, x + wide / 2, y + height / 2 + 0.5);
  pen.textAlign = "start";
  pen.font = SMALL;
  pen.fillStyle = colors.bad;
  if (text !== "") pen.fillText(text, x + wide + 5, y + height / 2 + 0.5);
}

function paintLabels(seen, scroll) {
  for (const { label, indent, top, height, lane } of seen) {
    const y = AXIS + top - scroll;
    pen.fillStyle = indent === 0 ? colors.stripe : colors.paper;
    pen.fillRect(0, y, size.gutter, height - 1);
    pen.fillStyle = colors.line;
    pen.fillRect(0, y + height - 1, size.gutter, 1);
    pen.font = indent === 0 ? BOLD : FONT;
    pen.fillStyle = indent === 0 ? colors.ink : colors.soft;
    const middle = lane === null ? height / 2 : PAD + ROW / 2;
    paintText(label, 12 + 14 * indent, y + middle, size.gutter - 20 - 14 * indent);
  }
  pen.fillStyle = colors.line;
  pen.fillRect(size.gutter - 1, AXIS, 1, size.height);
}

function paintAxis(ticks) {
  pen.fillStyle = colors.paper;
  pen.fillRect(0, 0, size.width, AXIS);
  pen.fillStyle = colors.line;
  pen.fillRect(0, AXIS - 1, size.width, 1);
  pen.fillStyle = colors.soft;
  pen.font = SMALL;
  clipped(size.gutter, 0, () => {
    for (const when of ticks) {
      const x = Math.round(xOf(when));
      pen.fillRect(x, AXIS - 6, 1, 5);
      pen.fillText(tickLabel(when, ticks), x + 4, AXIS / 2);
    }
  });
  pen.fillText("Thread, and its tasks", 12, AXIS / 2);
}

// With as many digits as tell it from the next.
function tickLabel(when, [first, second]) {
  if (when === 0) return "0";
  const units = [[1e-6, "µs"], [1e-3, "ms"], [1, "s"]];
  const [unit, name] = units.find(([most]) => view.to < most * 1e3) ?? units.at(-1);
  const step = ((second ?? first * 1.1) - first) / unit;
  const digits = Math.min(Math.max(Math.ceil(-Math.log10(step) - 1e-6), 0), 9);
  return `${(when / unit).toFixed(digits)} ${name}`;
}
