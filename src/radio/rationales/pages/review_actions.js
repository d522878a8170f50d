// What a person does

const firstUnmarked = () => Math.max(0, mine.findIndex((mark) => !mark));

/** The first of the shown questions after this one that passes the test, from the start again if there is none. */
function following(test) {
  const here = item ? item.index : -1;
  return view.find((n) => n > here && test(n)) ?? view.find((n) => n !== here && test(n));
}

function move(step) {
  const here = item ? item.index : -1;
  open(step > 0 ? view.find((n) => n > here) : view.findLast((n) => n < here));
}

function toUnmarked() {
  const next = following((n) => !mine[n]);
  if (next === undefined) say("No other question here is unmarked.");
  return open(next);
}

async function put(mark) {
  if (!item || busy) return;
  const id = item.id;
  save(mark, $("note").value.trim());
  const left = mine.filter((m) => !m).length;
  if (mark === null) return say(`Mark of question ${id} taken away`);
  let next = following((n) => !mine[n]);
  // within a filter on marks a person goes through marked ones
  if (next === undefined && $("filter").value !== "all") next = following(() => true);
  await open(next);
  say(`Question ${id}: ${mark}. ${left ? `${left} unmarked.` : "All are marked."}`);
}

async function undo() {
  await sending;
  if (queue.length) {  // the server never had it
    const op = queue.pop();
    keep();
    showSaved();
    mine[op.index] = op.before.mark;
    if (item.index === op.index) { item.note = op.before.note; showItem(); } else await open(op.index);
    showCounts();
    return say("Undone");
  }
  try {
    const back = await call("/api/undo", {});
    if (back.index === null) return say("Nothing to undo");
    mine[back.index] = back.mark;
    showCounts();
    await open(back.index);
    say(`Undone: question ${back.id} is ${back.mark || "unmarked"} again`);
  } catch (error) { reach(error); }
}

function saveNote() {
  const note = $("note").value.trim();
  if (item && note !== item.note) save(mine[item.index], note);
}

function jump() {
  const text = $("goto").value.trim().replace(/^#/, "");
  const named = ids.indexOf(text);
  const number = /^[\d,]+$/.test(text) ? Number(text.replaceAll(",", "")) - 1 : -1;
  const index = number >= 0 && number < ids.length ? number : named;
  $("goto").blur();
  if (index < 0) { alertUser(`No question has the number or id ${text}.`); showPosition(); } else open(index);
}

async function compare() {
  const result = await call("/api/agreement");
  apart = new Map(result.disagreements.map((row) => [row.index, row.marks]));
  choose();
  if (item) showMark();
  return result;
}

async function showAgreement() {
  $("agreementbody").replaceChildren(el("p", { className: "soft" }, "Comparing…"));
  $("agreement").showModal();
  let result;
  try { result = await compare(); } catch (error) {
    $("agreementbody").replaceChildren(el("p", {}, error.message));
    return;
  }
  const head = (...names) => el("tr", {}, ...names.map((n, i) => el("th", { scope: "col", className: i > 0 && n !== "marks" && n !== "question" ? "number" : "" }, n)));
  const number = (text) => el("td", { className: "number" }, text);
  const people = Object.entries(result.marked);
  const parts = [el("table", { id: "pairs" }, head("reviewers", "in common", "agree", "Cohen's kappa"),
    ...result.pairs.map((pair) => el("tr", {}, el("td", {}, pair.annotators.join(" and ")), number(count(pair.common)),
      number(`${(100 * pair.agree).toFixed(1)} %`), number(pair.kappa === null ? "-" : pair.kappa.toFixed(3)))))];
  if (!result.pairs.length) {
    parts.splice(0, 1, el("p", {}, "No two people have marked the same question yet. Another person starts radio rationales review with the same folder and a name of their own."));
  } else {
    parts.push(el("p", { className: "soft" }, "Kappa: 1 is full agreement, 0 what chance gives; - where both gave one and the same mark only."));
  }
  parts.push(el("p", { className: "soft" }, `Marked: ${people.map(([name, n]) => `${name} ${count(n)}`).join(", ")}`));
  const shown = result.disagreements.slice(0, 200);
  if (shown.length) {
    parts.push(el("h3", {}, `${count(result.disagreements.length)} disagreements`));
    parts.push(el("table", { id: "apart" }, head("question", "marks", ""), ...shown.map((row) => {
      const button = el("button", { type: "button", onclick: () => openApart(row.index) }, "Open");
      button.setAttribute("aria-label", `Open question ${row.id}`);
      const marks = Object.entries(row.marks).map(([name, mark]) => {
        const state = el("span", { className: "state" }, mark);
        state.dataset.mark = mark;
        return el("div", {}, `${name}: `, state);
      });
      return el("tr", {}, el("td", { dir: "auto" }, row.question), el("td", {}, ...marks), el("td", {}, button));
    })));
    if (shown.length < result.disagreements.length) parts.push(el("p", { className: "soft" }, "The filter “disagreements” shows them all."));
  }
  $("agreementbody").replaceChildren(...parts);
}

function openApart(index) {
  $("agreement").close();
  $("filter").value = "apart";
  choose();
  open(index);
}

async function download() {
  try {
    const url = URL.createObjectURL(await call("/api/export"));
    el("a", { href: url, download: "rationale-marks.jsonl" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    say("Exported");
  } catch (error) { alertUser(error.message); }
}

async function filterChanged() {
  if ($("filter").value === "apart") await compare().catch((error) => alertUser(error.message));
  choose();
  if (item) showMark();
  if (!view.length) say("No question is shown by this filter.");
  else if (!item || !view.includes(item.index)) await open(following(() => true));
}

function fold() {
  folded = !folded;
  for (const node of $("candidates").children) node.open = !folded;
  $("fold").firstChild.textContent = folded ? "Expand all " : "Collapse all ";
}

const KEYS = [
  ...NAMES.map((name, n) => ({ keys: [String(n + 1), MARKS[name].key], means: `${name}: ${MARKS[name].means}`, run: () => put(name), once: true })),
  { keys: ["0"], means: "take the mark away", run: () => put(null), once: true },
  { keys: ["u"], means: "undo", run: undo, once: true },
  { keys: ["n"], means: "next unmarked", run: toUnmarked, once: true },
  { keys: ["ArrowRight", "j"], means: "next", run: () => move(1) },
  { keys: ["ArrowLeft", "k"], means: "previous", run: () => move(-1) },
  { keys: ["e"], means: "write a note; Esc leaves it", run: () => $("note").focus() },
  { keys: ["x"], means: "collapse or expand the candidates", run: fold, once: true },
  { keys: ["g"], means: "go to a number or id", run: () => { $("goto").focus(); $("goto").select(); } },
  { keys: ["a"], means: "agreement", run: showAgreement, once: true },
  { keys: ["?"], means: "these keys", run: () => $("keys").showModal(), once: true },
];

addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const found = KEYS.find((entry) => entry.keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
  if (!found) return;
  event.preventDefault();
  // a key held down must not mark one question after the other
  if (!(found.once && event.repeat)) found.run();
});
addEventListener("beforeunload", (event) => {
  saveNote();
  if (queue.length) event.preventDefault();
});

async function start() {
  for (const name of NAMES) {
    const part = el("div");
    part.dataset.mark = name;
    $("bar").append(part);
    const button = el("button", { type: "button", title: `${name}: ${MARKS[name].means}`, onclick: () => put(name) },
      `${name} `, el("kbd", {}, String(NAMES.indexOf(name) + 1)));
    button.dataset.mark = name;
    $("marks").append(button);
  }
  const shown = { ArrowRight: "→", ArrowLeft: "←" };
  for (const { keys, means } of KEYS) {
    $("keylist").append(el("dt", {}, ...keys.map((key) => el("kbd", {}, shown[key] || key))), el("dd", {}, means));
  }
  const actions = { agree: showAgreement, export: download, help: () => $("keys").showModal(), previous: () => move(-1),
                    next: () => move(1), unmarked: toUnmarked, undo, fold };
  for (const [id, run] of Object.entries(actions)) $(id).addEventListener("click", run);
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  $("note").addEventListener("change", saveNote);
  $("filter").addEventListener("change", () => { filterChanged(); $("filter").blur(); });
  $("goto").addEventListener("keydown", (event) => { if (event.key === "Enter") jump(); });
  $("filter").append(el("option", { value: "all" }, "all questions"));
  try {
    const state = await refresh();
    $("who").textContent = `as ${state.annotator}`;
    $("who").title = state.file;
    fillFilter();
    store = `radio-review ${state.file}`;
    try { queue = JSON.parse(localStorage.getItem(store)) || []; } catch { queue = []; }
    for (const op of queue) op.index = ids.indexOf(op.id);
    queue = queue.filter((op) => op.index >= 0);
    for (const op of queue) mine[op.index] = op.mark;
    if (queue.length) await flush();
    choose();
    showSaved();
    await open(firstUnmarked());
  } catch (error) { reach(error); }
}
start();
