// What all parts use. Text from the data reaches the page through `el` and `say` alone, as text.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { passages, questions, systems, measures, depths } = data;

const state = {
  before: data.pair[0], after: data.pair[1], measure: 0, outcome: null, cell: null,
  sort: "given", words: [], view: [], opened: null, unfolded: false, all: false,
};

const NAMED = { won: "\u25b2 won", lost: "\u25bc lost", tied: "= tied" };

// controls that turn the direction of the text are named, not obeyed
const visible = (text) => String(text).replace(/[\u202a-\u202e\u2066-\u2069]/g,
  (c) => `[U+${c.codePointAt(0).toString(16).toUpperCase()}]`);

function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : visible(child))));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const say = (node, text) => { node.textContent = visible(text); };
const count = (number) => number.toLocaleString("en");
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
const show = (number) => (number === null || number === undefined ? "-" : String(Math.round(number * 1000) / 1000));

// Numbers of a question

const number = (question, system, name = measures[state.measure]) => {
  const found = question.numbers?.[system]?.[measures.indexOf(name)];
  return found === undefined ? null : found;
};

// how many passages the chosen measure looks at
function depth() {
  const given = /@(\d+)$/.exec(measures[state.measure]);
  return given ? Number(given[1]) : depths.at(-1) ?? 5;
}

function outcome(question) {
  const before = number(question, state.before), after = number(question, state.after);
  if (before === null || after === null || Math.abs(after - before) < 1e-9) return "tied";
  return (after > before) !== data.lower.includes(measures[state.measure]) ? "won" : "lost";
}

const order = (question, system) => question.orders?.[system] ?? [];
const gold = (question) => new Set(question.gold ?? []);

// a measure of the generator; one that reads to one depth does not name it
function said(question, system, name, k) {
  const bare = `${data.prefix}${name}`;
  return number(question, system, measures.includes(`${bare}@${k}`) ? `${bare}@${k}` : bare);
}

// whether the answer is right, true, false or null where nobody answered
function right(question, system, k = depth()) {
  const value = said(question, system, "em", k) ?? said(question, system, "accuracy", k);
  return value === null ? null : value >= 1;
}

// whether the passages that are read hold what is needed; null where nothing says so
function hit(question, system) {
  const value = said(question, system, "answer_in_context", depth());
  if (value !== null) return value >= 1;
  const wanted = gold(question);
  return wanted.size ? order(question, system).slice(0, depth()).some((p) => wanted.has(p)) : null;
}

// mean way that the first passages of either order have gone, in ranks
function movement(question) {
  const one = order(question, state.before), other = order(question, state.after), k = depth();
  const moved = new Set([...one.slice(0, k), ...other.slice(0, k)]);
  let way = 0;
  for (const passage of moved) {
    const from = one.indexOf(passage), to = other.indexOf(passage);
    way += Math.abs((from < 0 ? one.length : from) - (to < 0 ? other.length : to));
  }
  return moved.size ? way / moved.size : 0;
}

// The prompt that was sent with a system's passages, put together from its parts; null where it is not known

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const CUT = /\[\.\.\. [\d,]+ more characters\]$/;

function delimited(place, rank) {
  const title = passages.titles[place] ? `Title: ${escaped(passages.titles[place])}\n` : "";
  return `<passage number="${rank + 1}">\n${title}${escaped(passages.texts[place] ?? "[text left out]")}\n</passage>`;
}

function prompt(question, system, k) {
  const shown = question.sent?.[system]?.[depths.indexOf(k)];
  if (!data.prompt || shown === null || shown === undefined) return null;
  const read = order(question, system).slice(0, shown), texts = read.map((place) => passages.texts[place]);
  const values = { question: question.question, ...question.filled, passages: read.map(delimited).join("\n") };
  const user = data.prompt.user.map(([text, field]) => text + (field ? values[field] : "")).join("");
  return { shown, system: data.prompt.system, user, whole: texts.every((text) => text !== null && !CUT.test(text)) };
}

// Golden answers in a text: whole words, in any case

function pattern(answers) {
  const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;
  const word = (c) => /[\p{L}\p{N}\p{M}]/u.test(c) && !unspaced.test(c);
  const parts = answers.map((a) => a.trim()).filter(Boolean).sort((a, b) => b.length - a.length).map((answer) => {
    const letters = [...answer];
    const plain = answer.split(/\s+/).map((w) => w.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("\\s+");
    return (word(letters[0]) ? "(?<![\\p{L}\\p{N}\\p{M}])" : "") + plain + (word(letters.at(-1)) ? "(?![\\p{L}\\p{N}\\p{M}])" : "");
  });
  return parts.length ? new RegExp(parts.join("|"), "giu") : null;
}

// The text as nodes: answers marked, and the sentences that hold them
function marked(text, found) {
  if (!found) return [visible(text)];
  const nodes = [];
  for (const sentence of text.split(/(?<=[.!?])\s+(?=[\p{Lu}\p{N}"'(])/u)) {
    const part = [];
    let end = 0;
    for (const match of sentence.matchAll(found)) {
      if (!match[0]) continue;
      part.push(visible(sentence.slice(end, match.index)), el("mark", {}, match[0]));
      end = match.index + match[0].length;
    }
    part.push(visible(sentence.slice(end)));
    if (nodes.length) nodes.push(" ");
    nodes.push(...(end ? [el("span", { className: "support" }, ...part)] : part));
  }
  return nodes;
}
