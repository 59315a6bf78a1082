// What is said in words: the summary, the legend, and the list of the losses. Whatever comes from
// the program that was watched gets into the page here, by textContent alone.

const list = document.getElementById("losses");

const SAID = {
  split: "started a trace of its own",
  missing: "was never recorded, though tracing was on where it was called from",
  leak: "took a parent that it should not have",
};

const saidOf = ({ how }) => SAID[how] ?? how;

function make(tag, style, ...inside) {
  const made = document.createElement(tag);
  if (style !== "") made.className = style;
  made.append(...inside.filter((part) => part !== null)); // texts become text, never markup
  return made;
}

function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

// Two tasks of one thread are told apart by their own names alone.
function sideNames(left, arrived) {
  const same = left.thread === arrived.thread && left.task !== null && arrived.task !== null;
  return [left, arrived].map(({ thread, task }) =>
    (same ? [task] : [thread, task]).filter((name) => name !== null).join(", "),
  );
}

function writeSummary() {
  document.title = `${data.title} · ctxtrace`;
  document.getElementById("title").textContent = data.title;
  const lost = losses.length;
  const verdict =
    lost > 0 ? make("li", "verdict bad", `✗ ${counted(lost, "loss", "losses")}`) : null;
  const whole =
    lost === 0 && runs.length > 0 ? make("li", "verdict good", "✓ nothing was lost") : null;
  const facts = [counted(runs.length, "run"), counted(crossings.length, "crossing")];
  facts.push(counted(lanes.length, "lane"));
  if (runs.length > 0) facts.push(duration(total));
  if (data.runs_not_kept > 0) facts.push(`${counted(data.runs_not_kept, "run")} before these not kept`);
  document
    .getElementById("summary")
    .replaceChildren(...[verdict, whole].filter(Boolean), ...facts.map((fact) => make("li", "", fact)));
}

function writeLegend() {
  const signs = [];
  for (const source of Object.keys(SOURCES)) {
    if (runs.some((run) => run.source === source)) signs.push([source, sourceName(source)]);
  }
  if (crossings.some(({ loss }) => loss === null)) signs.push(["crossing", "crossing"]);
  if (lostRuns.length > 0) signs.push(["lost", "lost run"]);
  if (crossings.some(({ loss }) => loss !== null)) signs.push(["losing", "where it was lost"]);
  const entry = ([style, text]) => {
    const sign = make("span", `sign ${style}`);
    sign.setAttribute("aria-hidden", "true");
    return make("li", "", sign, text);
  };
  document.getElementById("legend").replaceChildren(...signs.map(entry));
}

function writeLosses() {
  list.hidden = losses.length === 0;
  if (losses.length > 0) {
    list.replaceChildren(...losses.map(lossItem));
    buttons()[0].tabIndex = 0;
    return;
  }
  const none = document.getElementById("losses-none");
  none.hidden = false;
  none.textContent =
    runs.length > 0
      ? "Nothing was lost: every run is where it belongs."
      : "Nothing was lost, and no run was recorded. Was tracing on?";
}

const buttons = () => list.querySelectorAll("button.loss-name");

function lossItem(loss) {
  const name = make("button", "loss-name", make("span", "badge", `${loss.number}`));
  name.append(make("bdi", "name", loss.run || "?"));
  name.type = "button";
  name.tabIndex = -1;
  name.dataset.loss = loss.number - 1;
  const by = [sourceName(loss.source)];
  if (loss.times > 1) by.push(counted(loss.times, "run"));
  const head = make("p", "head", name, make("bdi", "soft", by.join(", ")));
  const what = make("div", "what", head, make("p", "said", saidOf(loss)));

  const where = make("div", "where");
  const place = placeOf(loss);
  if (place !== "") {
    const at = make("p", "", loss.how === "leak" ? "held at " : "lost at ");
    at.append(make("code", "place", place));
    if (loss.function) at.append(" in ", make("code", "", loss.function));
    at.title = `${loss.file}:${loss.line}`;
    where.append(at);
  }
  const kind = make("p", "", make("code", "", loss.kind));
  if (loss.package) kind.append(" inside ", make("bdi", "", loss.package));
  const [left, arrived] = sideNames(loss.left, loss.arrived);
  if (left !== arrived) {
    const way = [make("bdi", "", left), " → ", make("bdi", "", arrived || "never arrived")];
    kind.append(" ", make("span", "soft way", ...way));
  }
  where.append(kind);
  if (loss.consumer !== null) {
    const by = make("bdi", "", placeOf(loss.consumer));
    where.append(make("p", "soft", "its generator is stepped at ", by));
  }

  const write = make("p", "", make("span", "soft", "write "), make("code", "write", loss.fix.text));
  const fix = make("div", "fix", write);
  if (loss.caller.length > 0) {
    const path = loss.caller.flatMap((caller) => [" > ", make("bdi", "", caller)]).slice(1);
    fix.append(make("p", "soft", "its caller was in ", ...path));
  }
  const item = make("li", "loss", what, where, fix);
  item.dataset.loss = loss.number - 1;
  return item;
}

// Of the list, the marked one is where Tab stops; with none marked, the last that was.
function markLoss(index) {
  const old = list.querySelector("button[aria-current]");
  old?.removeAttribute("aria-current");
  old?.closest("li").classList.remove("marked");
  if (index === null) return;
  const marked = buttons()[index];
  marked.setAttribute("aria-current", "true");
  marked.closest("li").classList.add("marked");
  list.querySelector("button[tabindex='0']").tabIndex = -1;
  marked.tabIndex = 0;
}

function spoken(run) {
  const parts = [run.name || "?", sourceName(run.source), laneName(run.lane)];
  parts.push(run.open ? "has not ended" : duration(run.to - run.from));
  if (run.error) parts.push("error");
  if (run.loss !== null) parts.push(`lost: ${saidOf(losses[run.loss])}, loss ${run.loss + 1}`);
  return parts.join(", ");
}
