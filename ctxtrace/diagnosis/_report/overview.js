// The whole time in one strip: how much goes on, where it was lost, and what is in view.

const overview = document.getElementById("overview");
const overviewPen = overview.getContext("2d");
let busy = [];

// Of each pixel, how many runs go on there at once.
function countBusy(width) {
  busy = new Array(width + 1).fill(0);
  for (const { from, to } of runs) {
    busy[Math.floor((from / total) * (width - 1))] += 1;
    busy[Math.floor((to / total) * (width - 1)) + 1] -= 1;
  }
  for (let at = 1; at < busy.length; at += 1) busy[at] += busy[at - 1];
}

function paintOverview() {
  const { width, height } = overview.getBoundingClientRect();
  const scale = devicePixelRatio;
  if (overview.width !== Math.round(width * scale)) {
    overview.width = Math.round(width * scale);
    overview.height = Math.round(height * scale);
    countBusy(Math.max(1, Math.floor(width - size.gutter)));
  }
  const wide = width - size.gutter;
  overviewPen.setTransform(scale, 0, 0, scale, 0, 0);
  overviewPen.fillStyle = colors.stripe;
  overviewPen.fillRect(0, 0, width, height);
  const most = busy.reduce((one, other) => Math.max(one, other), 1);
  overviewPen.fillStyle = colors["langsmith-edge"];
  overviewPen.globalAlpha = 0.55;
  busy.forEach((count, at) => {
    const high = Math.sqrt(count / most) * (height - 8);
    if (count > 0) overviewPen.fillRect(size.gutter + at, height - high, 1, high);
  });
  overviewPen.globalAlpha = 1;
  const x = (when) => size.gutter + (when / total) * wide;
  const [left, right] = [x(Math.max(view.from, 0)), x(Math.min(view.to, total))];
  overviewPen.fillStyle = colors.paper;
  overviewPen.globalAlpha = 0.7;
  overviewPen.fillRect(size.gutter, 0, left - size.gutter, height);
  overviewPen.fillRect(right, 0, width - right, height);
  overviewPen.globalAlpha = 1;
  overviewPen.fillStyle = colors.bad;
  for (const loss of losses) {
    const marked = loss.number - 1 === view.marked;
    for (const { at } of loss.crossings) {
      overviewPen.fillRect(x(at) - (marked ? 1.5 : 0.75), 0, marked ? 3 : 1.5, marked ? height : 9);
    }
  }
  overviewPen.strokeStyle = colors.accent;
  overviewPen.lineWidth = 1.5;
  overviewPen.strokeRect(left + 0.75, 0.75, Math.max(right - left - 1.5, 2), height - 1.5);
  overviewPen.fillStyle = colors.soft;
  overviewPen.font = SMALL;
  overviewPen.textBaseline = "middle";
  overviewPen.fillText(`${duration(total)} in all`, 12, height / 2);
}
