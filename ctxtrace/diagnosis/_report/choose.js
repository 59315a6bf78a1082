// What comes of choosing a loss, a run or a crossing, wherever that is done: the other two follow.

const status = document.getElementById("status");

function chooseLoss(index) {
  const loss = losses[index];
  const crossing = loss.crossings[0] ?? null;
  const found = `Loss ${loss.number} of ${losses.length}: ${loss.run}`;
  if (crossing !== null) {
    chooseCrossing(crossing);
    status.textContent = `${found}, its arrow is in view`;
    return;
  }
  mark(index);
  view.crossing = null;
  if (loss.runs.length > 0) focusRun(loss.runs[0]);
  draw();
  status.textContent = `${found}, its crossing is not in the timeline`;
}

function chooseRun(run, how) {
  mark(run.loss);
  focusRun(run, how);
}

function chooseCrossing(crossing) {
  markCrossing(crossing);
  const { at, there, lane, laneThere, inside, started } = crossing;
  const [first, last] = [Math.min(at, there), Math.max(at, there, started?.to ?? 0)];
  const [from, to] = aim;
  const inView = first > from && last < to && last - first > (to - from) / 50;
  const room = Math.max(last - first, total / 1000, LEAST);
  const middle = (heightIn(lane, inside) + heightIn(laneThere ?? lane, started)) / 2;
  show(...(inView ? aim : [first - room, last + room]), middle);
}

function markCrossing(crossing) {
  mark(crossing.loss);
  // The lost run, for the arrow keys to go on from.
  const run = crossing.started ?? crossing.inside;
  if (run !== null) focusRun(run, { revealed: false });
  view.crossing = crossing;
  describeCrossing(crossing);
}

function mark(index) {
  view.marked = index;
  markLoss(index);
  if (index === null) return;
  const item = list.children[index];
  // Within the list alone: the page stays where it is.
  const top = item.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  const below = top + item.offsetHeight - list.clientHeight;
  if (below > list.scrollTop) list.scrollTop = below;
}

function toList(index) {
  mark(index);
  draw();
  buttons()[index].focus();
}
