// Which questions are shown, and the list of them: only the rows in sight are in the document.

const ROW = 84;
const CELLS = { hr: "hit, right", hw: "hit, wrong", mr: "miss, right", mw: "miss, wrong" };

// what is searched of a question: made when the first search is
const haystacks = [];
function haystack(index) {
  const q = questions[index];
  haystacks[index] ??= [q.id, q.question, ...(q.answers ?? []), ...(q.replies ?? []).flat(2)]
    .filter(Boolean).join("\n").toLocaleLowerCase();
  return haystacks[index];
}

function cell(question) {
  const found = hit(question, state.after), is = right(question, state.after);
  return found === null || is === null ? null : `${found ? "h" : "m"}${is ? "r" : "w"}`;
}

function choose() {
  const { words, sort } = state;
  const matching = [...questions.keys()].filter((i) => words.every((word) => haystack(i).includes(word)));
  const of = (index) => outcome(questions[index]);
  const inCell = (index) => !state.cell || cell(questions[index]) === state.cell;
  const inOutcome = (index) => !state.outcome || of(index) === state.outcome;
  showOutcomes(matching.filter(inCell));
  showGrid(matching.filter(inOutcome));
  state.view = matching.filter((index) => inCell(index) && inOutcome(index));
  if (sort !== "given") {
    const sign = data.lower.includes(measures[state.measure]) ? -1 : 1;
    const gain = (q) => sign * ((number(q, state.after) ?? 0) - (number(q, state.before) ?? 0));
    const keys = { movement, gain, loss: (q) => -gain(q) };
    const key = new Map(state.view.map((index) => [index, keys[sort](questions[index])]));
    state.view.sort((a, b) => key.get(b) - key.get(a) || a - b);
  }
  const all = state.view.length === questions.length;
  say($("count"), all ? plural(questions.length, "question") : `${count(state.view.length)} of ${plural(questions.length, "question")}`);
  $("rows").style.height = `${Math.max(1, state.view.length) * ROW}px`;
  showRows();
}

function toggle(key, value) {
  state[key] = state[key] === value ? null : value;
  choose();
  $("list").scrollTop = 0;
  showRows();
}

function showOutcomes(indexes) {
  const tally = { won: 0, tied: 0, lost: 0 };
  for (const index of indexes) tally[outcome(questions[index])] += 1;
  fill($("outcomes"), Object.keys(tally).map((name) => [name, `${NAMED[name]} ${count(tally[name])}`, state.outcome === name]), "outcome");
}

function showGrid(indexes) {
  const tally = { hr: 0, hw: 0, mr: 0, mw: 0 };
  let known = 0;
  for (const index of indexes) {
    const found = cell(questions[index]);
    if (found) { tally[found] += 1; known += 1; }
  }
  $("grid").hidden = !known && !state.cell;
  fill($("grid"), Object.keys(tally).map((name) => [name, `${CELLS[name]} ${count(tally[name])}`, state.cell === name]), "cell");
}

// Buttons that choose: made once, so that the focus stays where it is
function fill(node, entries, key) {
  if (!node.children.length) {
    node.append(...entries.map(([name]) => {
      const button = el("button", { type: "button", className: name });
      button.addEventListener("click", () => toggle(key, name));
      return button;
    }));
  }
  entries.forEach(([, label, pressed], place) => {
    say(node.children[place], label);
    node.children[place].setAttribute("aria-pressed", String(pressed));
  });
}

function showRows() {
  const list = $("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 3);
  const last = Math.min(state.view.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 3);
  const shown = [];
  for (let place = first; place < last; place += 1) shown.push(row(place));
  if (!state.view.length) shown.push(el("p", { className: "nothing", role: "option", "aria-disabled": "true" }, "No question is like this."));
  $("rows").replaceChildren(...shown);
  const place = state.view.indexOf(state.opened);
  if (place >= first && place < last) list.setAttribute("aria-activedescendant", `row-${state.opened}`);
  else list.removeAttribute("aria-activedescendant");
}

function row(place) {
  const index = state.view[place], question = questions[index], is = outcome(question);
  const before = show(number(question, state.before)), after = show(number(question, state.after));
  const node = el("div", {
    id: `row-${index}`, className: `row ${is}`, role: "option", "aria-selected": String(index === state.opened),
    "aria-setsize": String(state.view.length), "aria-posinset": String(place + 1),
  },
  el("p", { className: "text", dir: "auto" }, question.question ?? question.id),
  el("p", { className: "facts" }, el("b", {}, NAMED[is]), ` ${before} \u2192 ${after}`,
    el("span", {}, `moved ${movement(question).toFixed(1)}`)));
  node.style.top = `${place * ROW}px`;
  node.addEventListener("click", () => open(index, true));
  return node;
}

// Bring the opened question into sight, and nothing else
function reveal() {
  const place = state.view.indexOf(state.opened), list = $("list");
  if (place < 0) return;
  if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
  else if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * ROW - list.clientHeight;
}

function step(by) {
  if (!state.view.length) return;
  const place = state.view.indexOf(state.opened);
  const next = place < 0 ? (by > 0 ? 0 : state.view.length - 1) : Math.min(state.view.length - 1, Math.max(0, place + by));
  open(state.view[next]);
}
