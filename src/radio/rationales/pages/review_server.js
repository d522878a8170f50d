"use strict";
// Questions, rationales and passages come from models and web pages: they enter the page as text nodes only.
const MARKS = {
  correct: { key: "c", means: "right, and leads to an answer" },
  partly: { key: "p", means: "right in part, or with a gap" },
  wrong: { key: "w", means: "false, or supports no answer" },
  leaks: { key: "l", means: "gives the answer away without a reason" },
};
const NAMES = Object.keys(MARKS);
const RETRY_MS = 2000;
const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token") || "";

let ids = [], mine = [], flags = [];  // of each question: id, own mark or null, failed checks
let apart = new Map();                // index -> marks by name, where reviewers disagree
let view = [];                        // indices that the filter shows
let item = null, busy = false;        // the question on the page; whether another one is on its way
let queue = [], sending = null;       // marks that the server has not confirmed, in order
let lost = "", ended = false;         // why the server cannot be reached; whether another one answers
let notice = "", timer = 0;           // another message; the next try to reach the server
let store = "";                       // where the browser keeps the queue if the page is closed
let folded = false;

function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
const say = (text) => { $("live").textContent = text; };
const count = (n) => n.toLocaleString("en");

// Server

async function call(path, body) {
  const options = { headers: { "X-Token": token }, cache: "no-store", signal: AbortSignal.timeout(30000) };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  let reply;
  try {
    reply = await fetch(path, options);
    if (reply.ok) return await (path === "/api/export" ? reply.blob() : reply.json());
  } catch (error) {
    const again = `start radio rationales review again with --port ${location.port} and open the address that it prints`;
    throw Object.assign(new Error(`The server does not answer. If it has ended, ${again}.`), { status: 0 });
  }
  const told = await reply.json().catch(() => ({}));
  throw Object.assign(new Error(told.error || `The server answered ${reply.status}.`), { status: reply.status });
}

/** Says that the server cannot be reached and tries again, unless another one answers there now. */
function reach(error) {
  ended = error.status === 403;
  lost = error.message.replace(/[^.]$/, "$&.");
  showSaved();
  if (!ended && !timer) timer = setTimeout(() => { timer = 0; if (queue.length) flush(); else recover(); }, RETRY_MS);
}

async function recover() {
  try {
    await refresh();
    lost = "";
    showSaved();
    if (!item) await open(firstUnmarked());
  } catch (error) { reach(error); }
}

function alertUser(text) {
  notice = text;
  showSaved();
  setTimeout(() => { if (notice === text) { notice = ""; showSaved(); } }, 8000);
}

function showSaved() {
  const n = queue.length;
  $("saved").textContent = n && (lost || !sending) ? `${n} not saved` : n ? "Saving…" : "All saved";
  $("saved").classList.toggle("waiting", n > 0 && Boolean(lost));
  const kept = n === 1 ? " One change is not saved yet; this browser keeps it."
    : n ? ` ${n} changes are not saved yet; this browser keeps them.` : "";
  const text = ended ? `The server was started again: open the address that it printed.${kept}`
    : lost ? `${lost} Trying again every ${RETRY_MS / 1000} seconds.${kept}` : notice;
  $("gone").hidden = !text;
  // the same text again would be read out again
  if ($("gone").textContent !== text) $("gone").textContent = text;
}

function keep() {
  try {
    if (queue.length) localStorage.setItem(store, JSON.stringify(queue));
    else localStorage.removeItem(store);
  } catch { /* no storage: the page itself still holds them */ }
}

function save(mark, note) {
  const op = { id: item.id, rationale: item.fingerprint, mark, note, index: item.index,
               before: { mark: mine[item.index], note: item.note } };
  queue.push(op);
  item.note = note;
  mine[item.index] = mark;
  keep();
  flush();
  showCounts();
  showMark();
}

function flush() {
  if (!sending) {
    sending = send().finally(() => { sending = null; showSaved(); });
    showSaved();
  }
  return sending;
}

async function send() {
  while (queue.length) {
    const { id, rationale, mark, note } = queue[0];
    try {
      await call("/api/mark", { id, rationale, mark, note });
      queue.shift();
    } catch (error) {
      if (![400, 404, 409, 413].includes(error.status)) return reach(error);
      const refused = queue.shift();
      mine[refused.index] = refused.before.mark;
      showCounts();
      alertUser(`Not saved: ${error.message}`);
    }
    keep();
  }
  if (lost) await recover();
}

async function refresh() {
  const state = await call("/api/state");
  ids = state.items.map((row) => row[0]);
  mine = state.items.map((row) => row[1]);
  flags = state.items.map((row) => row[2]);
  for (const op of queue) mine[op.index] = op.mark;
  showCounts();
  if (item) showMark();
  return state;
}

async function open(index) {
  if (busy || index === undefined || index < 0) return;
  busy = true;
  try {
    const found = await call(`/api/item/${index}`);
    const waiting = queue.findLast((op) => op.id === found.id);
    item = found;
    if (waiting) item.note = waiting.note; else mine[index] = found.mark;
    showItem();
  } catch (error) {
    reach(error);
  } finally {
    busy = false;
  }
}
