// An opened question: answers before and after, why, and both orders.

function open(index, chosen = false) {
  state.opened = index;
  state.all = false;
  const question = questions[index];
  try {
    history.replaceState(null, "", `#question=${encodeURIComponent(question.id)}`);
  } catch { /* where a page may not change its address, there is no deep link */ }
  showQuestion();
  reveal();
  showRows();
  if (chosen) {
    $("panes").classList.add("opened");
    if (getComputedStyle($("list")).display === "none") { scrollTo(0, $("panes").offsetTop - 60); $("detail").focus({ preventScroll: true }); }
  }
}

function close() {
  $("panes").classList.remove("opened");
  $("list").focus();
}

function showQuestion() {
  const question = questions[state.opened];
  if (!question) {
    $("detail").replaceChildren(el("p", { className: "nothing" }, "Choose a question, or press j."));
    return;
  }
  const found = pattern(question.answers ?? []);
  $("detail").replaceChildren(...[
    head(question), el("h3", { className: "asked", dir: "auto" }, question.question ?? "(the text of this question is not in the run folder)"),
    golden(question), choices(question, found), replies(question), why(question, found), movers(question), orders(question, found), absent(question),
  ].filter(Boolean));
  $("detail").scrollTop = 0;
  join();
}

function head(question) {
  const is = outcome(question);
  const back = el("button", { type: "button", className: "back" }, "\u2190 List");
  back.addEventListener("click", close);
  const copy = el("button", { type: "button", id: "copy" }, "Copy as JSON");
  copy.addEventListener("click", copyQuestion);
  const name = measures[state.measure];
  return el("header", {}, back, el("span", { className: `tag ${is}` }, NAMED[is]),
    el("span", { className: "about" }, `${name} ${show(number(question, state.before))} \u2192 ${show(number(question, state.after))}`),
    el("code", { className: "id" }, question.id), copy);
}

function golden(question) {
  const answers = question.answers ?? [];
  if (!answers.length) return el("p", { className: "about" }, "No golden answers are known.");
  return el("p", { className: "golden" }, el("span", { className: "label" }, "golden"),
    ...answers.map((answer) => el("bdi", { className: "chip" }, answer)));
}

function choices(question, found) {
  if (!question.choices?.length) return null;
  return el("ol", { className: "choices", type: "A" }, ...question.choices.map((choice) => el("li", { dir: "auto" }, ...marked(choice, found))));
}

// What the generator said before and after, at the depth that is judged, and at the others
function replies(question) {
  const given = (system) => question.replies?.[system] ?? [];
  if (!given(state.before).length && !given(state.after).length && !question.closed) {
    return el("p", { className: "about" }, depths.length ? "No reply to this question is in the run folder." : "No generator was asked.");
  }
  const k = depths.includes(depth()) ? depth() : depths[0];
  const columns = [state.before, state.after].map((system) => {
    const others = depths.map((d, place) => [d, given(system)[place]]).filter(([d, one]) => d !== k && one);
    return el("div", { className: "reply" },
      el("p", { className: "label" }, el("bdi", {}, systems[system].name), ` read ${plural(k, "passage")}`),
      answered(given(system)[depths.indexOf(k)], right(question, system, k), true), prompted(question, system, k),
      ...others.map(([d, one]) => el("div", { className: "other" }, el("span", { className: "label" }, String(d)), answered(one, right(question, system, d)))));
  });
  const closed = question.closed
    ? el("p", { className: "about whole" }, "without any passage: ", el("bdi", {}, question.closed[0] || "(no answer)")) : null;
  return el("section", { className: "replies", "aria-label": "Replies" }, ...columns, closed);
}

function answered(one, isRight, large = false) {
  if (!one) return el("p", {}, "(not asked)");
  const mark = isRight === null ? "" : isRight ? "\u2713 " : "\u2717 ";
  const told = isRight === null ? "" : isRight ? "right" : "wrong";
  const answer = el("p", { className: `answer ${told}${large ? " large" : ""}`, dir: "auto" },
    el("span", { "aria-hidden": "true" }, mark), el("span", { className: "unseen" }, told ? `${told}: ` : ""),
    one[0] === null || one[0] === "" ? "(no answer)" : one[0]);
  if (one.length < 2) return answer;
  return el("div", {}, answer, el("details", { open: large }, el("summary", {}, "raw reply"), el("pre", { dir: "auto" }, one[1])));
}

// What the generator was sent, as the report has found it to be the same: made when it is looked at
function prompted(question, system, k) {
  const sent = prompt(question, system, k);
  if (sent === null) return null;
  const inside = el("div", {});
  const node = el("details", { className: "prompt" }, el("summary", {}, `prompt, ${plural(sent.shown, "passage")}`), inside);
  node.addEventListener("toggle", () => {
    if (inside.children.length) return;
    const { system: told, user, whole: all } = prompt(question, system, k);
    inside.append(...[all ? null : el("p", { className: "about" }, "Long texts are cut on this page; they were not in the prompt."),
      told ? el("pre", { dir: "auto" }, told) : null, el("pre", { dir: "auto" }, user)].filter(Boolean));
  });
  return node;
}

function why(question, found) {
  if (!question.rationale) return null;
  return el("section", { className: "why", "aria-label": "Rationale" }, el("span", { className: "label" }, "rationale"),
    el("p", { dir: "auto" }, ...marked(question.rationale, found)));
}

// What one would like to see and the run folder does not have
function absent(question) {
  const facts = { "the generator's prompt": depths.length > 0 && data.prompt !== null && !question.sent, "the rationale": !question.rationale, "the teacher's scores": !question.teacher };
  const names = Object.keys(facts).filter((name) => facts[name]);
  return names.length ? el("p", { className: "about absent" }, `Not known of this question: ${names.join(", ")}.`) : null;
}

function copyQuestion() {
  const text = JSON.stringify(whole(questions[state.opened]), null, 2);
  const done = () => say($("copy"), "Copied");
  const byHand = () => {
    const field = el("textarea", { value: text, "aria-label": "The question as JSON" });
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    say($("copy"), copied ? "Copied" : "Could not copy");
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand);
  else byHand();
}

// A question with the texts of its passages, and names instead of places
function whole(question) {
  const { orders: given, scores, numbers, replies: said, gold: annotated, teacher, sent, filled, ...facts } = question;
  const passage = (place) => ({ id: passages.ids[place], title: passages.titles[place], text: passages.texts[place] });
  const taught = new Map(teacher ?? []);
  const bySystem = systems.map(({ name, run }, s) => [name, {
    run,
    measures: Object.fromEntries(measures.map((measure, m) => [measure, numbers?.[s]?.[m] ?? null])),
    prompt: prompt(question, s, depth()),
    replies: Object.fromEntries(depths.map((d, place) => [d, said?.[s]?.[place] ?? null])),
    passages: (given?.[s] ?? []).map((place, rank) => ({ ...passage(place), score: scores?.[s]?.[rank] ?? null, teacher: taught.get(place) ?? null })),
  }]);
  return { ...facts, split: data.split, gold_ids: (annotated ?? []).map((place) => passages.ids[place]), systems: Object.fromEntries(bySystem) };
}
