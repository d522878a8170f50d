// Two orders side by side, with a line for each passage from where it was to where it is.

const FEW = 10;

function shownOf(question, system) {
  const ids = order(question, system);
  return state.all ? ids : ids.slice(0, Math.max(FEW, Math.min(depth(), 20)));
}

// What entered and what left the passages that are read
function movers(question) {
  const k = depth(), one = order(question, state.before).slice(0, k), other = order(question, state.after).slice(0, k);
  if (!one.length || !other.length) return null;
  const came = other.filter((p) => !one.includes(p)), went = one.filter((p) => !other.includes(p));
  // several passages of one article have its title
  const titles = [...came, ...went].map(nameOf), several = new Set(titles).size < titles.length;
  const names = (list) => list.map((p) => el("bdi", { className: "chip" }, several ? `${nameOf(p)} (${passages.ids[p]})` : nameOf(p)));
  return el("p", { className: "movers" }, el("span", { className: "label" }, `top ${k}`),
    ...(came.length ? [el("b", { className: "better" }, "entered"), ...names(came)] : []),
    ...(went.length ? [el("b", { className: "worse" }, "left"), ...names(went)] : []),
    ...(came.length || went.length ? [] : ["the same passages", one.every((p, place) => p === other[place]) ? " in the same order" : " in another order"]));
}

const nameOf = (place) => passages.titles[place] || passages.ids[place];

function orders(question, found) {
  const longest = Math.max(order(question, state.before).length, order(question, state.after).length);
  if (!longest) return el("p", { className: "about" }, "The run folder has no order of passages for this question.");
  const more = el("button", { type: "button" }, state.all ? `First ${FEW} alone` : `All ${longest}`);
  more.addEventListener("click", () => { state.all = !state.all; again(); });
  const fold = el("button", { type: "button", "aria-pressed": String(state.unfolded) }, "Whole texts");
  fold.addEventListener("click", unfold);
  return el("section", { className: "orders", "aria-label": "Passages" },
    el("div", { className: "tools" }, fold, longest > FEW ? more : null,
      el("span", { className: "about" }, "\u2605 annotated as supporting; answers are marked, their sentences underlined")),
    el("div", { className: "columns" },
      column(question, state.before, state.after, found, "before"),
      svg("svg", { class: "links", "aria-hidden": "true" }),
      column(question, state.after, state.before, found, "after")));
}

// Draw the opened question again where one is looking
function again() {
  const top = $("detail").scrollTop;
  showQuestion();
  $("detail").scrollTop = top;
  join();
}

function unfold() {
  state.unfolded = !state.unfolded;
  again();
}

function column(question, system, against, found, side) {
  const wanted = gold(question), taught = new Map(question.teacher ?? []), others = order(question, against), k = depth();
  const list = el("ol", { className: "passages" });
  shownOf(question, system).forEach((place, rank) => {
    list.append(entry(place, rank, {
      side, found, annotated: wanted.has(place), score: question.scores?.[system]?.[rank], taught: taught.get(place),
      from: others.indexOf(place), known: others.length > 0, entered: (rank < k) !== (others.slice(0, k).includes(place)),
    }));
    if (rank === k - 1) list.append(el("li", { className: "cut" }, `top ${k}`));
  });
  return el("div", { className: `column ${side}` }, el("h4", {}, el("bdi", {}, systems[system].name)), list);
}

function entry(place, rank, facts) {
  const text = passages.texts[place], title = passages.titles[place];
  const body = text === null ? el("p", { className: "about" }, passages.titles[place] === null ? "text unknown" : "text left out")
    : el("p", { className: "text", dir: "auto" }, ...marked(state.unfolded ? text : excerpt(text, facts.found), facts.found));
  const scores = [facts.score === null || facts.score === undefined ? null : `score ${facts.score}`, facts.taught === undefined ? null : `teacher ${show(facts.taught)}`];
  const node = el("li", { className: `entry${facts.annotated ? " gold" : ""}`, "data-passage": String(place) },
    el("div", { className: "line" }, el("span", { className: "rank" }, String(rank + 1)),
      facts.annotated ? el("span", { className: "star", title: "annotated as supporting" }, "\u2605", el("span", { className: "unseen" }, " annotated")) : null,
      el("bdi", { className: "title" }, title || passages.ids[place]), facts.known ? moved(rank, facts) : null),
    body, el("p", { className: "about" }, [passages.ids[place], ...scores].filter(Boolean).join(" \u00b7 ")));
  node.addEventListener("pointerenter", () => light(place, true));
  node.addEventListener("pointerleave", () => light(place, false));
  return node;
}

// How far a passage has moved: told where it is, and where it was
function moved(rank, { from, side, entered }) {
  const sign = side === "after" ? 1 : -1;
  if (from < 0) return el("span", { className: `move ${side === "after" ? "up" : "down"}` }, side === "after" ? "new" : "gone");
  const by = sign * (from - rank);
  const label = by === 0 ? "=" : `${by > 0 ? "\u25b2" : "\u25bc"}${Math.abs(by)}`;
  const title = side === "after" ? `was ${from + 1}` : `is now ${from + 1}`;
  return el("span", { className: `move ${by > 0 ? "up" : by < 0 ? "down" : "same"}${entered ? " crossed" : ""}`, title },
    label, el("span", { className: "unseen" }, ` (${title})`));
}

// So much of a text as stands around the first answer
function excerpt(text, found) {
  const LENGTH = 190;
  if (text.length <= LENGTH) return text;
  const first = found ? text.search(found) : -1;
  const earliest = Math.min(first - 60, text.length - LENGTH);
  const start = first < 110 ? 0 : text.indexOf(" ", earliest) + 1;
  const end = start + LENGTH < text.length ? text.lastIndexOf(" ", start + LENGTH) : text.length;
  const cut = text.slice(start, end > start ? end : start + LENGTH);
  return `${start ? "\u2026 " : ""}${cut}${end < text.length ? " \u2026" : ""}`;
}

// Lines between the two columns, from where the entries stand
function join() {
  const links = $("detail").querySelector(".links");
  if (!links) return;
  const frame = links.getBoundingClientRect();
  links.replaceChildren();
  if (!frame.width) return;
  links.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  const middles = (side) => new Map([...$("detail").querySelectorAll(`.${side} .entry`)].map((node) => {
    const line = node.querySelector(".line").getBoundingClientRect();
    return [node.dataset.passage, line.top + line.height / 2 - frame.top];
  }));
  const before = [...middles("before")], after = [...middles("after")];
  const places = new Map(after.map(([passage], rank) => [passage, rank]));
  before.forEach(([passage, from], rank) => {
    if (!places.has(passage)) return;
    const to = after[places.get(passage)][1], by = rank - places.get(passage), half = frame.width / 2, end = frame.width - 7;
    const kind = by > 0 ? "up" : by < 0 ? "down" : "same";
    links.append(svg("g", { class: kind, "data-passage": passage },
      svg("path", { d: `M0 ${from}C${half} ${from} ${half} ${to} ${end} ${to}` }),
      svg("path", { class: "tip", d: `M${end} ${to - 4}L${frame.width} ${to}L${end} ${to + 4}Z` })));
  });
}

function light(place, on) {
  for (const node of $("detail").querySelectorAll(`[data-passage="${Number(place)}"]`)) node.classList.toggle("lit", on);
}
