// What is shown

function highlighter(answers) {
  const ignore = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;  // no spaces between words
  const word = (c) => /[\p{L}\p{N}\p{M}]/u.test(c) && !ignore.test(c);
  const parts = answers.map((a) => a.trim()).filter(Boolean).sort((a, b) => b.length - a.length).map((answer) => {
    const plain = answer.split(/\s+/).map((w) => w.replace(/[\\^$.*+?()[\]{}|\/]/g, "\\$&")).join("\\s+");
    const letters = [...answer];
    return (word(letters[0]) ? "(?<![\\p{L}\\p{N}\\p{M}])" : "") + plain + (word(letters.at(-1)) ? "(?![\\p{L}\\p{N}\\p{M}])" : "");
  });
  const pattern = parts.length ? new RegExp(parts.join("|"), "giu") : null;
  return (node, text) => {
    let end = 0;
    node.replaceChildren();
    for (const hit of pattern ? text.matchAll(pattern) : []) {
      if (!hit[0]) continue;
      node.append(text.slice(end, hit.index), el("mark", {}, hit[0]));
      end = hit.index + hit[0].length;
    }
    node.append(text.slice(end));
    return end > 0;
  };
}

function showItem() {
  const highlight = highlighter(item.golden_answers);
  $("about").textContent = `Question ${item.id}`;
  $("question").textContent = item.question;
  $("answers").replaceChildren(...item.golden_answers.map((a) => el("li", { className: "chip answer", dir: "auto" }, a)));
  $("choices").hidden = !item.choices.length;
  $("choices").replaceChildren(...item.choices.map((c) => { const li = el("li", { dir: "auto" }); highlight(li, c); return li; }));
  $("written").textContent = `Rationale by ${item.model}`;
  highlight($("rationale"), item.rationale);
  $("flags").replaceChildren(...item.failed.map((name) => el("li", { className: "chip flag" }, `fails the check ${name}`)));
  const n = item.candidates.length;
  $("found").textContent = n ? `Top ${n} candidates` : "No candidates";
  $("fold").hidden = !n;
  $("candidates").replaceChildren(...item.candidates.map((candidate, place) => showCandidate(candidate, place, highlight)));
  $("note").value = item.note;
  $("left").scrollTop = $("right").scrollTop = 0;
  scrollTo(0, 0);
  showMark();
  showPosition();
}

function showCandidate(candidate, place, highlight) {
  const text = el("p", { className: "text", dir: "auto" });
  const hit = highlight(text, candidate.text);
  const scores = el("span", { className: "scores" }, el("span", {}, "retrieval"), el("b", {}, candidate.score.toPrecision(4)), el("span"));
  if (candidate.teacher !== null) {
    const fill = el("div");
    fill.style.width = `${100 * candidate.teacher}%`;
    scores.append(el("span", {}, "teacher"), el("b", {}, candidate.teacher.toFixed(3)), el("span", { className: "meter" }, fill));
  }
  return el("details", { className: "card", open: !folded },
    el("summary", {}, el("span", { className: "place" }, String(place + 1)),
      el("span", { className: "title", dir: "auto" }, candidate.title || "(no title)"), scores),
    text,
    el("div", { className: "foot" }, `${candidate.id}${hit ? " · holds an answer" : ""}`));
}

function showMark() {
  for (const button of $("marks").children) {
    button.setAttribute("aria-pressed", String(mine[item.index] === button.dataset.mark));
  }
  const said = apart.get(item.index);
  $("others").hidden = !(said && $("filter").value === "apart");
  $("others").textContent = said ? Object.entries(said).map(([name, mark]) => `${name}: ${mark}`).join(" · ") : "";
}

function showCounts() {
  const tally = Object.fromEntries(NAMES.map((name) => [name, 0]));
  for (const mark of mine) if (mark) tally[mark] += 1;
  const marked = NAMES.reduce((sum, name) => sum + tally[name], 0);
  const all = ids.length;
  NAMES.forEach((name, n) => { $("bar").children[n].style.width = `${all ? 100 * tally[name] / all : 0}%`; });
  $("bar").setAttribute("aria-valuemax", String(all));
  $("bar").setAttribute("aria-valuenow", String(marked));
  $("bar").setAttribute("aria-valuetext", `${marked} of ${all} marked`);
  const share = all ? Math.floor(100 * marked / all) : 0;
  $("counts").replaceChildren(el("b", {}, `${count(marked)} of ${count(all)} marked (${share} %)`), ...NAMES.map((name) => {
    const dot = el("span", { className: "dot" });
    dot.dataset.mark = name;
    return el("span", {}, dot, `${count(tally[name])} ${name}`);
  }));
  document.title = `${marked}/${all} · Rationale review`;
  choose();
}

function showPosition() {
  if (document.activeElement !== $("goto")) $("goto").value = item ? String(item.index + 1) : "";
  const place = item ? view.indexOf(item.index) : -1;
  const shown = $("filter").value === "all" ? "" : ` (${place < 0 ? "–" : count(place + 1)} of ${count(view.length)} shown)`;
  $("position").textContent = `of ${count(ids.length)}${shown}`;
  $("previous").disabled = $("next").disabled = !view.length;
}

function fillFilter() {
  const group = (label, entries) => {
    const node = el("optgroup", { label });
    node.append(...entries.map(([value, text]) => el("option", { value }, text)));
    return node;
  };
  const checks = [...new Set(flags.flat())].sort();
  const number = (test) => count(flags.filter(test).length);
  $("filter").replaceChildren(
    el("option", { value: "all" }, "all questions"),
    el("option", { value: "unmarked" }, "unmarked"),
    group("My marks", NAMES.map((name) => [`mark ${name}`, name])),
    group("Checks", [["flagged", `fails a check (${number((f) => f.length)})`],
      ...checks.map((name) => [`check ${name}`, `fails ${name} (${number((f) => f.includes(name))})`])]),
    el("option", { value: "apart" }, "disagreements"),
  );
}

function choose() {
  const [kind, name] = $("filter").value.split(" ");
  const shown = {
    all: () => true, unmarked: (n) => !mine[n], mark: (n) => mine[n] === name, flagged: (n) => flags[n].length > 0,
    check: (n) => flags[n].includes(name), apart: (n) => apart.has(n),
  }[kind];
  view = [...ids.keys()].filter(shown);
  showPosition();
}
