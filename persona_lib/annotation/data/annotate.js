"use strict";
// One assignment: consent, task, one question at a time, completion code. Everything shown goes through textContent.
const study = JSON.parse(document.getElementById("study").textContent);
const find = (id) => document.getElementById(id);
const place = `persona-annotation ${study.assignment}`;
const last = study.questions.length - 1;
const wide = window.matchMedia("(min-width: 60rem)");

/* What was answered so far, kept in the browser if it lets us. */
const fresh = () => ({
  agreed: 0, answers: study.questions.map(() => ({ at: 0, choice: "", ms: 0, reason: "" })), finished: 0, page: "consent",
  at: 0, session: token(), shortcuts: true, started: Date.now(),
});
const token = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (n) => n.toString(16).padStart(2, "0")).join("");

function kept() {
  try { return read(localStorage.getItem(place)); } catch { return null; }
}

function read(text) {
  try {
    const state = JSON.parse(text);
    const fits = state.answers.length === last + 1 && state.answers.every((a) => typeof a.reason === "string")
      && pages.includes(state.page) && study.questions[state.at] && typeof state.session === "string";
    return fits ? state : null;
  } catch { return null; }
}

function keep() {
  if (!state.agreed) return keeps(); // a tab in which nothing is begun may not have got yet what another has kept
  try {
    localStorage.setItem(place, JSON.stringify(state));
    return true;
  } catch { return false; }
}

// Nothing is written when the page opens: what another tab has just kept may not have arrived here.
function keeps() {
  try {
    localStorage.setItem(`${place} works`, "");
    return true;
  } catch { return false; }
}

/* Time counts while a question is in sight; the clock used cannot be set back. */
let since = null;
function count() {
  const now = performance.now();
  if (since !== null) state.answers[state.at].ms += Math.round(now - since);
  since = state.page === "question" && !document.hidden ? now : null;
}

/* Pages */
const pages = ["consent", "task", "question", "end"];
function show(page) {
  count();
  state.page = page;
  draw();
  find("unkept").hidden = keep() || page === "end";
  since = null;
  count();
}

function draw() { // what the state says, without a change to it
  for (const name of pages) find(name).hidden = name !== state.page;
  find("progress").hidden = state.page !== "question";
  find("agree").checked = state.agreed > 0;
  find("shortcuts").checked = state.shortcuts;
  if (state.page === "question") showQuestion();
  if (state.page === "end") showEnd();
}

function turn(page) { // go to a page, its top in sight and its heading read out
  show(page);
  window.scrollTo(0, 0);
  find(page).querySelector("h1").focus({ preventScroll: true });
}

function showQuestion() {
  const question = study.questions[state.at], answer = state.answers[state.at];
  find("prompt").textContent = question.prompt;
  find("text-a").textContent = question.a;
  find("text-b").textContent = question.b;
  for (const radio of radios) radio.checked = radio.value === answer.choice;
  find("reason").value = answer.reason;
  find("problem").textContent = "";
  find("count").textContent = `Question ${state.at + 1} of ${last + 1}`;
  find("bar").value = state.at / (last + 1);
  find("next").textContent = state.at === last ? "Finish" : "Next";
  find("person").open = wide.matches;
  document.title = `${state.at + 1} of ${last + 1} · ${study.title}`;
}

/* A question */
const radios = document.querySelectorAll("input[name=choice]");
const state = kept() ?? fresh();

function choose(letter) {
  for (const radio of radios) radio.checked = radio.value === letter;
  note();
}

function note() {
  const chosen = [...radios].find((radio) => radio.checked);
  Object.assign(state.answers[state.at], {
    at: Date.now(), choice: chosen ? chosen.value : "", reason: wellFormed(find("reason").value),
  });
  find("problem").textContent = "";
  count();
  keep();
}

// Half of a character pair, as a broken paste leaves it, has no place in a file.
const wellFormed = (text) => text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (c) => c.length > 1 ? c : "\ufffd");

function missing(answer) {
  if (!answer.choice) return ["Please choose answer A or answer B.", radios[0]];
  return answer.reason.trim() ? null : ["Please say in a few words why.", find("reason")];
}

function next() {
  const lack = missing(state.answers[state.at]);
  if (lack) {
    find("problem").textContent = lack[0];
    lack[1].focus();
  } else if (state.at < last) {
    move(1);
  } else {
    const open = state.answers.findIndex(missing);
    if (open >= 0) return move(open - state.at);
    count();
    state.finished = Date.now();
    turn("end");
    send();
  }
}

function move(step) {
  count();
  since = null;
  state.at += step;
  turn("question");
}

/* The end: a code over all that was answered, a file, and the way to the study's address if it has one. */
function result() {
  const answers = state.answers.map(({ at, choice, ms, reason }) => ({ at, choice, ms, reason }));
  const content = { // names in alphabetical order: the code is taken over this very text
    agreed: state.agreed, answers, assignment: study.assignment, finished: state.finished, format: study.format,
    participant: participant(), session: state.session, started: state.started,
  };
  const code = sha256(`${study.key}\n${JSON.stringify(content)}`).slice(0, 12).toUpperCase();
  return { code: code.match(/.{4}/g).join("-"), ...content };
}

function participant() {
  const given = study.participant ? new URLSearchParams(location.search).get(study.participant) : null;
  state.participant = given?.trim() ? wellFormed(given).slice(0, 100) : state.participant ?? null;
  return state.participant;
}

function showEnd() {
  find("code").textContent = result().code;
  find("to-do").textContent = study.post_to
    ? "That was the last question. Please copy the code to where you were asked for it."
    : "That was the last question. Please download your answers, hand in the file, and copy the code to where you were asked for it.";
  document.title = `Thank you · ${study.title}`;
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(result(), null, 1)], { type: "application/json" }));
  link.download = `answers-${study.assignment}-${state.session}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function send() {
  if (!study.post_to) return;
  find("again").hidden = true;
  find("sent").textContent = "Sending your answers …";
  try { // as plain text, which other sites may be sent without asking them first
    const options = { method: "POST", headers: { "Content-Type": "text/plain" }, body: JSON.stringify(result()) };
    const reply = await fetch(study.post_to, options);
    if (!reply.ok) throw new Error(reply.status);
    state.sent = true;
    keep();
    find("sent").textContent = "Your answers have arrived.";
  } catch {
    find("sent").textContent = "Your answers could not be sent. Please try again, or download them and hand in the file.";
    find("again").hidden = false;
  }
}

/* SHA-256 (FIPS 180-4): the browser's own is missing on pages that come over plain http. */
function sha256(text) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (x) => Math.floor((x - Math.floor(x)) * 2 ** 32) >>> 0;
  const k = primes.map((p) => fraction(Math.cbrt(p)));
  const hash = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
  const bytes = new TextEncoder().encode(text);
  const padded = new DataView(new ArrayBuffer(((bytes.length + 8 >> 6) + 1) * 64));
  bytes.forEach((byte, i) => padded.setUint8(i, byte));
  padded.setUint8(bytes.length, 0x80);
  padded.setUint32(padded.byteLength - 8, Math.floor(bytes.length / 2 ** 29));
  padded.setUint32(padded.byteLength - 4, bytes.length << 3);
  const turned = (x, n) => x >>> n | x << 32 - n;
  for (let block = 0; block < padded.byteLength; block += 64) {
    const w = [];
    let [a, b, c, d, e, f, g, h] = hash;
    for (let t = 0; t < 64; t++) {
      const x = w[t - 15], y = w[t - 2];
      w[t] = t < 16 ? padded.getUint32(block + 4 * t) : (turned(y, 17) ^ turned(y, 19) ^ y >>> 10) + w[t - 7]
        + (turned(x, 7) ^ turned(x, 18) ^ x >>> 3) + w[t - 16] | 0;
      const one = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + (e & f ^ ~e & g) + k[t] + w[t] | 0;
      const two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + (a & b ^ a & c ^ b & c) | 0;
      [a, b, c, d, e, f, g, h] = [one + two | 0, a, b, c, d + one | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, h].forEach((x, i) => { hash[i] = hash[i] + x | 0; });
  }
  return hash.map((x) => (x >>> 0).toString(16).padStart(8, "0")).join("");
}

/* What is pressed */
find("consent").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!find("agree").checked) {
    find("consent-problem").textContent = "Please tick the box if you agree; otherwise just close this page.";
    return find("agree").focus();
  }
  state.agreed ||= Date.now();
  turn("task");
});
find("agree").addEventListener("change", () => { find("consent-problem").textContent = ""; });
find("task").querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); turn("question"); });
find("task").querySelector(".back").addEventListener("click", () => turn("consent"));
find("asked").addEventListener("submit", (event) => { event.preventDefault(); next(); });
find("asked").querySelector(".back").addEventListener("click", () => { state.at ? move(-1) : turn("task"); });
for (const radio of radios) radio.addEventListener("change", note);
find("reason").addEventListener("input", note);
find("download").addEventListener("click", download);
find("again").addEventListener("click", send);
find("shortcuts").addEventListener("change", () => { state.shortcuts = find("shortcuts").checked; keep(); });

document.addEventListener("keydown", (event) => {
  const typing = event.target === find("reason");
  if (state.page !== "question" || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey && !event.repeat && (typing || !event.target.closest("button, summary, input[type=checkbox]"))) {
    event.preventDefault();
    return next();
  }
  const letter = { 1: "A", a: "A", 2: "B", b: "B" }[event.key.toLowerCase()];
  if (!letter || typing || !state.shortcuts) return;
  event.preventDefault();
  choose(letter);
});
document.addEventListener("visibilitychange", () => { count(); keep(); });
window.addEventListener("pagehide", () => { count(); keep(); });
window.addEventListener("storage", (event) => { // another tab went on with this assignment: follow it
  const newer = event.key === place && read(event.newValue);
  if (!newer) return;
  Object.assign(state, newer);
  draw();
  since = null;
  count();
});
window.addEventListener("beforeunload", (event) => { if (!keep() && state.page === "question") event.preventDefault(); });

for (const list of document.querySelectorAll(".profile")) {
  for (const [name, value] of study.profile) {
    const row = document.createElement("div"), term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    text.dir = "auto";
    row.append(term, text);
    list.append(row);
  }
}
participant();
draw();
find("unkept").hidden = keeps() || state.page === "end";
count();
if (state.page === "end" && !state.sent) send();
