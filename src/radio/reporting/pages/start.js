// Controls, keys, the address and the colours.

function options(select, names, chosen) {
  select.replaceChildren(...names.map((name, place) => el("option", { value: String(place), selected: place === chosen }, name)));
}

function wire() {
  options($("before"), systems.map(({ name }) => name), state.before);
  options($("after"), systems.map(({ name }) => name), state.after);
  options($("measure"), measures, 0);
  for (const key of ["before", "after", "measure"]) {
    $(key).addEventListener("change", () => { state[key] = Number($(key).value); choose(); showQuestion(); });
  }
  $("sort").addEventListener("change", () => { state.sort = $("sort").value; $("list").scrollTop = 0; choose(); });
  let waiting = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      state.words = $("search").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      $("list").scrollTop = 0;
      choose();
    }, 80);
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  let drawing = false;
  $("list").addEventListener("scroll", () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => { drawing = false; showRows(); });
  });
  $("list").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    if (Math.abs(by) === 1) step(by);
    else if (state.view.length) open(state.view[by < 0 ? 0 : state.view.length - 1]);
  });
  $("list").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && state.opened !== null) open(state.opened, true);
  });
  addEventListener("resize", () => { showRows(); join(); });
  matchMedia("print").addEventListener("change", join);
  addEventListener("hashchange", follow);
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => $("search").focus(),
  "?": () => $("help").showModal(),
  w: () => toggle("outcome", "won"),
  l: () => toggle("outcome", "lost"),
  t: () => toggle("outcome", "tied"),
  x: () => { if (state.opened !== null) unfold(); },
  c: () => { if (state.opened !== null) copyQuestion(); },
  Escape: () => { if ($("panes").classList.contains("opened")) close(); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const typing = event.target.closest("input, select, textarea");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  if (!KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

// The question that the address names; whether there is one
function follow() {
  const match = /^#question=(.*)$/s.exec(location.hash);
  if (!match) return false;
  let wanted = match[1];
  try { wanted = decodeURIComponent(wanted); } catch { /* taken as it stands */ }
  const index = questions.findIndex(({ id }) => id === wanted);
  if (index < 0) return false;
  if (index !== state.opened) open(index, true);
  return true;
}

// Light, dark, or as the system has it

const THEMES = { auto: "light dark", light: "light", dark: "dark" };

function remembered() {
  try { return localStorage.getItem("radio-theme"); } catch { return null; }
}

function dress(theme) {
  document.documentElement.style.colorScheme = THEMES[theme];
  $("theme").replaceChildren(el("span", {}, "Theme: "), theme);
  $("theme").setAttribute("aria-label", `Theme: ${theme}`);
  $("theme").dataset.theme = theme;
  try { localStorage.setItem("radio-theme", theme); } catch { /* it is asked again next time */ }
}

$("theme").hidden = false;
dress(remembered() in THEMES ? remembered() : "auto");
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  dress(names[(names.indexOf($("theme").dataset.theme) + 1) % names.length]);
});

$("explorer").hidden = false;
wire();
choose();
if (follow()) $("panes").scrollIntoView();
else {
  if (matchMedia("(min-width: 900px)").matches) state.opened = Math.max(0, questions.findIndex((question) => outcome(question) === "won"));
  showQuestion();
  reveal();
  showRows();
}
