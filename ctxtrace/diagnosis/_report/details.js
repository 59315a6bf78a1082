// The panel beside the timeline: what is known of the run or the crossing that has the focus.

const details = document.getElementById("details");
const MOST = 12; // of its children, and of its crossings

function describeNothing() {
  const hint = "Choose a run or an arrow to see more of it.";
  details.replaceChildren(make("p", "soft", runs.length > 0 ? hint : "Nothing to show."));
}

// `goTo` is a run, a crossing or a loss: following a link does what choosing it there would.
function link(text, goTo, style = "") {
  const made = make("button", `link ${style}`, make("bdi", "", text));
  made.type = "button";
  made.addEventListener("click", goTo);
  return made;
}

function facts(pairs) {
  const made = make("dl", "facts");
  for (const [term, ...what] of pairs) {
    const shown = what.filter((part) => part !== null && part !== "");
    if (shown.length > 0) made.append(make("div", "", make("dt", "", term), make("dd", "", ...shown)));
  }
  return made;
}

const runLink = (run) => link(run.name || "?", () => chooseRun(run));

function some(heading, those, entry) {
  if (those.length === 0) return null;
  const shown = those.slice(0, MOST).map((one) => make("li", "", ...entry(one)));
  if (those.length > MOST) shown.push(make("li", "soft", `and ${those.length - MOST} more`));
  return make("section", "", make("h4", "", heading), make("ul", "", ...shown));
}

function lossNote(index) {
  if (index === null) return null;
  const loss = losses[index];
  const note = make("div", "lost-note", make("p", "", `✗ ${saidOf(loss)}`));
  const place = placeOf(loss);
  if (place !== "") note.append(make("p", "", make("code", "", place)));
  note.append(make("p", "", make("code", "write", loss.fix.text)));
  note.append(link(`Loss ${loss.number} in the list`, () => toList(index)));
  return note;
}

function describeRun(run) {
  const marks = [run.open ? "has not ended" : null, run.error ? "⚠ error" : null].filter(Boolean);
  details.replaceChildren(
    make("h3", "name", make("bdi", "", run.name || "?")),
    facts([
      ["Recorded by", sourceName(run.source)],
      ["Thread", run.lane.thread],
      ["Task", run.lane.task],
      ["Began at", duration(run.from)],
      ["Took", run.open ? `more than ${duration(run.to - run.from)}` : duration(run.to - run.from)],
      ["State", marks.join(", ")],
      ["Parent", ...parentOf(run)],
    ]),
    ...[
      lossNote(run.loss),
      some("Children", run.below, (child) => [runLink(child), ` ${duration(child.to - child.from)}`]),
      some("Crossings made in it", run.crossings, (crossing) => [
        link(`${crossing.loss === null ? "" : "✗ "}${crossing.kind}`, () => chooseCrossing(crossing)),
        ` ${placeOf(crossing)}`,
      ]),
    ].filter(Boolean),
  );
}

function parentOf(run) {
  if (run.above !== null) return [runLink(run.above)];
  return [run.parent === null ? "none: it is a root" : "not in this report"];
}

function describeCrossing(crossing) {
  const { laneThere, inside, started } = crossing;
  const waited = laneThere === null ? "" : duration(Math.max(crossing.there - crossing.at, 0));
  details.replaceChildren(
    make("h3", "name", make("bdi", "", crossing.kind)),
    facts([
      ["At", crossing.file === null ? "" : make("code", "place", placeOf(crossing))],
      ["In", crossing.function === "" ? "" : make("code", "", crossing.function)],
      ["From", laneName(crossing.lane)],
      ["To", laneThere === null ? "never arrived" : laneName(laneThere)],
      ["Left at", duration(crossing.at)],
      ["Arrived", waited === "" ? "" : `${waited} later`],
      ["Made in", inside === null ? "" : runLink(inside)],
      ["Began", started === null ? "" : runLink(started)],
    ]),
    ...[lossNote(crossing.loss), among(crossing)].filter(Boolean),
  );
}

// Of a loss that happened many times, the way from one arrow to the next.
function among(crossing) {
  if (crossing.loss === null || losses[crossing.loss].crossings.length < 2) return null;
  const all = losses[crossing.loss].crossings;
  const here = all.indexOf(crossing);
  const to = (step) => () => chooseCrossing(all.at((here + step + all.length) % all.length));
  return make(
    "p",
    "among",
    link("‹ before", to(-1)),
    ` ${here + 1} of ${all.length} such crossings `,
    link("after ›", to(1)),
  );
}
