"use strict";
// The page of items: a table (DataTables), its filters, and one item opened by the address's #id. All data lie in the
// block `data`: texts once in `strings`, everything else as places in it. Texts are set as text, never as HTML.
(async () => {
const $ = (id) => document.getElementById(id);
const element = (tag, text = "", attributes = {}) =>
  Object.assign(document.createElement(tag), { textContent: text }, attributes);

async function unpacked() {
  const packed = atob($("data").textContent.trim());
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const data = await unpacked();
const { strings, columns, people, groups } = data;
const said = (column, i) => strings[columns[column][i]];
const person = (i) => people[columns.person[i]];
const who = (i) => strings[person(i).brief] || strings[person(i).id];
const texts = (i) => data.texts ? data.texts[i] : [];  // [[place of the name in strings, place of the text], ...]
const places = new Map(columns.id.map((id, i) => [strings[id], i]));
const rows = columns.id.map((_, i) => ({ i }));

// Full-text search: each string is looked at once, then each item for a string that was hit.
let searched = null;
function prepare() {
  searched = rows.map(({ i }) => [
    ...["prompt", "condition", "model", "judge", "verdict", "failure", "persona_id"].map((column) => columns[column][i]),
    person(i).brief, columns.profile[i] || person(i).profile, ...texts(i).map(([, text]) => text),
  ]);
}
let hits = null;
function search(query) {
  const wanted = query.trim().toLowerCase();
  hits = null;
  if (!wanted) return;
  if (!searched) prepare();
  hits = new Int8Array(strings.length);  // 0: not looked at yet, 1: hit, -1: none
  for (const own of searched) for (const s of own) hits[s] ||= strings[s].toLowerCase().includes(wanted) ? 1 : -1;
}

const filters = [...document.querySelectorAll("select[data-column]")].map((select) => {
  const at = groups.indexOf(select.dataset.group);
  const column = columns[select.dataset.column];
  // `value` gives the place of an item's value, `wanted` is that of the chosen one, or null.
  return { select, value: at < 0 ? (i) => column[i] : (i) => person(i).groups[at], wanted: null };
});
const wants = (filter, i) => filter.wanted === null || filter.value(i) === filter.wanted;
const scopes = filters.filter(({ select }) => ["notebook", "table"].includes(select.dataset.column));

// The choices of the other filters are those of the chosen notebook and table.
function offer(filter) {
  const counts = new Map();
  for (const { i } of rows) {
    if (scopes.every((scope) => scope === filter || wants(scope, i))) {
      counts.set(filter.value(i), (counts.get(filter.value(i)) || 0) + 1);
    }
  }
  const name = (place) => strings[place] || "none";
  const shown = [...counts].sort(([one], [other]) => name(one).localeCompare(name(other), undefined, { numeric: true }));
  const option = ([place, n]) => element("option", `${name(place).slice(0, 80)} (${n.toLocaleString()})`, { value: place });
  filter.select.replaceChildren(element("option", "all", { value: "" }), ...shown.map(option));
  if (!counts.has(filter.wanted)) filter.wanted = null;
  filter.select.value = filter.wanted ?? "";
}

function choose(filter, wanted) {
  filter.wanted = wanted;
  if (scopes.includes(filter)) filters.filter((other) => other !== filter).forEach(offer);
  filter.select.value = filter.wanted ?? "";
}

const link = (i) => element("a", who(i), { href: `#${said("id", i)}` });
const plain = (title, column) => ({ title, data: ({ i }) => said(column, i), render: DataTable.render.text() });
const table = new DataTable("#items", {
  data: rows,
  columns: [
    { title: "person", data: ({ i }) => who(i), render: (text, kind, { i }) => kind === "display" ? link(i) : text },
    plain("question", "prompt"),
    {
      title: "notebook", data: ({ i }) => `${said("notebook", i).slice(0, 2)} ${said("table", i).replaceAll("_", " ")}`,
      render: DataTable.render.text(),
    },
    plain("condition", "condition"),
    plain("model", "model"),
    plain("judge", "judge"),
    plain("verdict", "verdict"),
    {
      title: "p", type: "num", data: ({ i }) => data.p[i] === null ? -1 : data.p[i],
      render: (p, kind) => kind !== "display" ? p : p < 0 ? "" : p.toFixed(2),
    },
    plain("failure", "failure"),
  ].map((column) => ({ ...column, createdCell: (cell) => { cell.dataset.label = column.title; } })),
  deferRender: true,
  order: [],
  pageLength: 50,
  autoWidth: false,
  layout: { topStart: "info", topEnd: null, bottomStart: "info", bottomEnd: "paging" },
  language: { info: "_TOTAL_ items", infoFiltered: "of _MAX_", infoEmpty: "No item", zeroRecords: "No item fits" },
});
table.search.fixed("filters", (_text, { i }) =>
  filters.every((filter) => wants(filter, i)) && (!hits || searched[i].some((s) => hits[s] > 0)));

let waiting;
$("search").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { search($("search").value); table.draw(); }, 150);
});
for (const filter of filters) {
  offer(filter);
  filter.select.addEventListener("change", () => {
    choose(filter, filter.select.value === "" ? null : Number(filter.select.value));
    table.draw();
  });
}
function clear() {
  $("search").value = "";
  search("");
  filters.forEach((filter) => { filter.wanted = null; });
  filters.forEach(offer);
}
$("clear").addEventListener("click", () => { clear(); table.draw(); });

// Which words of a text are not in another one, in order: the longest common subsequence of words.
function differing(base, text) {
  const [a, b] = [base, text].map((one) => one.match(/\S+/g) || []);
  if (a.length * b.length > 4e6) return null;
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) {
    longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1] + 1
      : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
  }
  const differs = b.map(() => true);
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) { differs[j] = false; i++; j++; }
    else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
    else j++;
  }
  return differs;
}

function marked(base, text) {
  const shown = element("p", "", { className: "text" });
  const differs = base === text ? [] : differing(base, text) || [];
  let word = 0;
  for (const part of text.match(/\s+|\S+/g) || []) {
    const differ = /\S/.test(part) && differs[word++];
    shown.append(differ ? element("mark", part) : part);
  }
  return shown;
}

// The answers to compare an item with: its own pair, or those of all conditions to this person and question.
const ANSWER = "answer";
let together;
function answers(i) {
  const own = texts(i).map(([name, text]) => [strings[name], strings[text]]);
  const pair = own.filter(([name]) => ["rejected", "chosen"].includes(name));
  if (pair.length) return pair.map(([name, text]) => ({ name, text, own: true }));
  const key = (k) => [columns.notebook[k], columns.persona_id[k], columns.prompt_id[k]].join();
  if (!together) {
    together = new Map();
    for (const { i: k } of rows) {
      const answer = texts(k).find(([name]) => strings[name] === ANSWER);
      if (answer) together.set(key(k), [...(together.get(key(k)) || []), [k, strings[answer[1]]]]);
    }
  }
  const all = together.get(key(i)) || [];
  const here = all.filter(([k]) => columns.table[k] === columns.table[i]);
  const models = new Set(all.map(([k]) => columns.model[k]));
  return (here.length ? here : all).map(([k, text]) => ({
    name: said("condition", k) + (models.size > 1 ? `, ${said("model", k)}` : ""), text, verdict: said("verdict", k),
    own: k === i || (!here.length && columns.condition[k] === columns.condition[i] && columns.model[k] === columns.model[i]),
  }));
}

const MOST = 6;  // answers beside each other; the others are folded
function compared(i) {
  const all = answers(i);
  if (!all.length) return [];
  const base = element("select", "", { id: "base" });
  all.forEach(({ name }, k) => base.append(element("option", name, { value: k })));
  base.value = Math.max(0, all.findIndex(({ name }) => ["baseline", "rejected", "direct, hidden: nothing"].includes(name)));
  const label = element("label", "marked: words that are not in ");
  label.append(base);
  const shown = element("div");
  const draw = () => {
    const from = Number(base.value);
    const order = all.map((one, k) => ({ ...one, k })).sort((a, b) => (b.k === from) - (a.k === from) || b.own - a.own || a.k - b.k);
    const cards = order.map(({ name, text, verdict, own, k }) => {
      const card = element("article", "", { className: own ? "answer own" : "answer" });
      card.append(element("h4", [name, verdict].filter(Boolean).join(": ")), marked(all[from].text, k === from ? all[from].text : text));
      return card;
    });
    const grid = (some) => { const box = element("div", "", { className: "side" }); box.append(...some); return box; };
    shown.replaceChildren(grid(cards.slice(0, MOST)));
    if (cards.length > MOST) shown.append(folded(`${cards.length - MOST} more`, grid(cards.slice(MOST))));
  };
  base.addEventListener("change", draw);
  draw();
  return [element("h3", "Answers"), label, shown];
}

function folded(title, ...content) {
  const box = element("details");
  box.append(element("summary", title), ...content);
  return box;
}

function listed(pairs) {
  const list = element("dl", "", { className: "listed" });
  for (const [name, text] of pairs) {
    const one = element("div");
    one.append(element("dt", name), element("dd", text));
    list.append(one);
  }
  return list;
}

function profile(i) {
  const text = strings[columns.profile[i]] || strings[person(i).profile];
  if (!text) return [];
  const lines = text.split("\n").map((line) => line.includes(": ") ? [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)] : ["", line]);
  return [folded("Profile", listed(lines))];
}

function exchange([step, place]) {
  const name = `Request and raw reply: ${strings[step]}`;
  const one = data.requests[place];
  if (one.messages === undefined) return folded(name, element("p", `The store does not have this request (key ${one.key} …).`));
  const sent = one.messages.flatMap(([role, parts]) =>
    [element("h4", strings[role]), element("pre", parts.map((part) => strings[part]).join("\n\n"))]);
  const reply = [element("h4", "raw reply"), element("pre", strings[one.reply])];
  if (one.tokens) reply.push(element("p", `likeliest first tokens: ${strings[one.tokens]}`, { className: "soft" }));
  if (one.failure) reply.push(element("p", `kept as no answer: ${strings[one.failure]}`, { className: "bad" }));
  const settings = element("p", `${strings[one.model]} ${strings[one.settings]} key ${one.key} …`, { className: "soft" });
  return folded(name, settings, ...sent, ...reply);
}

const TOLD = { told: "What the writer was told of the person", thought: "Thought before the answer", working: "Working before the answer",
  critique: "Critique", judge_thought: "Thought before the verdict", truth: "The respondent's own answer" };

function show(i) {
  const failure = said("failure", i);
  const facts = ["notebook", "table", "condition", "model", "judge", "verdict"].map((name) => [name, said(name, i)]);
  facts.unshift(["person", `${who(i)} (${said("persona_id", i)})`]);
  if (data.p[i] !== null) facts.push(["p", data.p[i].toFixed(3)]);
  if (data.human[i] !== null) facts.push(["people keep it", data.human[i].toFixed(2)]);
  if (failure) facts.push(["failure", failure]);
  const heading = element("h2", said("prompt", i), { tabIndex: -1 });
  const body = [heading, listed(facts.filter(([, text]) => text))];
  if (failure) {
    const again = `--only ${said("notebook", i).slice(0, 2)} --retry-failed`;
    const line = element("p", "To ask again what failed in this notebook, add to the command of this run: ");
    line.append(element("code", again), ", such as ", element("code", `persona run --preset ${data.preset} ${again}`));
    body.push(line);
  }
  body.push(...profile(i), ...compared(i));
  for (const [name, text] of texts(i)) {
    if (TOLD[strings[name]]) body.push(element("h3", TOLD[strings[name]]), element("p", strings[text], { className: "text" }));
  }
  const trail = data.trail ? data.trail[i] : [];
  body.push(...trail.map(exchange));
  if (data.trail && !trail.length) body.push(element("p", "The table of this item has no key of a request.", { className: "soft" }));
  $("item-body").replaceChildren(...body);
  const order = table.rows({ search: "applied", order: "applied" }).indexes().toArray();
  const at = order.indexOf(i);
  for (const [id, k] of [["before", order[at - 1]], ["after", order[at + 1]]]) {
    $(id).hidden = at < 0 || k === undefined;
    if (k !== undefined) $(id).href = `#${said("id", k)}`;
  }
  heading.focus({ preventScroll: true });
}

let scrolled = 0;
function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!places.has(id) && document.getElementById(id)) return;  // another place of a page that has more than items
  if (id.startsWith("notebook=")) {  // a notebook's page leads to its items
    clear();
    choose(scopes[0], strings.indexOf(id.slice(9)));
    table.draw();
  }
  const i = places.get(id);
  const opened = i !== undefined;
  if (opened && $("item").hidden) scrolled = scrollY;
  $("unknown").hidden = opened || !id || id.includes("=");
  $("item").hidden = !opened;
  $("list").hidden = opened;
  if (opened) show(i);
  const top = document.querySelector(".items").getBoundingClientRect().top + scrollY;
  scrollTo(0, opened || id.includes("=") ? top : scrolled);
}
addEventListener("hashchange", route);
$("copy").addEventListener("click", async () => {
  $("copied").textContent = "";
  try {
    await navigator.clipboard.writeText(location.href);
    $("copied").textContent = "copied";
  } catch {
    $("copied").textContent = location.href;  // a page opened as a file may not copy
  }
});
$("wait").hidden = true;
$("list").hidden = false;
route();
document.body.dataset.ready = "yes";
})();
