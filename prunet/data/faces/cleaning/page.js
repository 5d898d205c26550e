// The cleaning page. All text from lists is set as text, never as HTML; pictures are named by number.
"use strict";

const REASONS = ["wrong person", "blurred", "too dark or bright", "several people", "not a face"];
// What a doubt suggests as the reason to leave a face out; any other doubt suggests the first reason.
const SUGGESTIONS = [
  [/^blurred|^unusually small/, "blurred"],
  [/^dark|^very bright/, "too dark or bright"],
  [/^perhaps no face/, "not a face"],
];
const AGAIN = "Run `python -m stages.clean` again; all earlier decisions are saved.";
const OTHERS = 10; // faces of the same person beside the selected one

const find = (id) => document.getElementById(id);
let faces = []; // by number: label, name, url, score, reasons, similar
let decided = {}; // by number: reason, move_to
let list = ""; // path of the exclude list
let revision = 0;
let cells = []; // in the order of the page; a doubtful face has two
let current = 0; // number of the selected cell
let ended = false;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const named = (label) => make("bdi", {}, label);

// Showing the faces

function show(state) {
  ({ faces, list } = state);
  const numbers = faces.map((_, number) => number).sort((a, b) => faces[b].score - faces[a].score);
  const people = [...new Set(faces.map((face) => face.label))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const doubtful = numbers.filter((number) => faces[number].score > 0);
  const sections = doubtful.length ? [section(doubtful, "Look at these first", "doubtful")] : [];
  for (const label of people) {
    sections.push(section(numbers.filter((number) => faces[number].label === label), named(label), "person"));
  }
  find("faces").replaceChildren(...sections);
  cells = [...document.querySelectorAll(".face")];
  find("people").replaceChildren(...people.map((label) => make("option", { value: label, dir: "auto" }, label)));
  apply(state);
  select(0);
}

function section(numbers, title, className) {
  const heading = make("h2", {}, title, make("span", {}, ` · ${numbers.length}`));
  return make("section", { className }, heading, make("div", { className: "grid" }, ...numbers.map(cell)));
}

function cell(number) {
  const image = make("img", { loading: "lazy", decoding: "async", alt: "", src: `face/${number}` });
  const who = make("span", { className: "who" }, named(faces[number].label));
  const pick = make("button", { className: "pick", tabIndex: -1 }, image, who, make("span", { className: "why" }));
  const leave = make("button", { className: "leave", tabIndex: -1 }, "✕");
  const element = make("div", { className: "face" }, pick, leave);
  element.dataset.number = number;
  image.onerror = () => element.classList.add("missing");
  pick.onclick = () => select(cells.indexOf(element));
  pick.ondblclick = openPhoto;
  leave.onclick = () => {
    select(cells.indexOf(element));
    toggle();
  };
  return element;
}

function apply(answer) {
  ({ decided, revision } = answer);
  for (const element of cells) refresh(element);
  const moved = Object.values(decided).filter((line) => line.move_to).length;
  const out = Object.keys(decided).length - moved;
  const counts = `${out} left out and ${moved} moved of ${faces.length} faces`;
  find("counts").textContent = counts;
  find("summary").textContent = `${counts}. All of it is saved in ${list}.`;
  notice("problems", answer.problems.length ? `${list}: ${answer.problems.join(" ")}` : "");
  panel();
}

const personOf = (number) => decided[number]?.move_to || faces[number].label;

function verdict(number) {
  const line = decided[number];
  if (!line) return "";
  return line.move_to ? `moved to ${line.move_to}` : `left out: ${line.reason || "no reason"}`;
}

function refresh(element) {
  const number = element.dataset.number;
  const line = decided[number];
  element.classList.toggle("out", Boolean(line && !line.move_to));
  element.classList.toggle("moved", Boolean(line && line.move_to));
  const short = line && (line.move_to ? `→ ${line.move_to}` : `✕ ${line.reason}`);
  element.querySelector(".why").textContent = short || faces[number].reasons[0] || "";
  element.title = [verdict(number), ...faces[number].reasons].filter(Boolean).join("\n");
  element.querySelector(".leave").textContent = line ? "↺" : "✕";
  element.querySelector(".leave").title = line ? "Keep this face" : `Leave out: ${suggestion(number)}`;
  const label = [`${faces[number].label}, face ${faces[number].name}`, verdict(number), ...faces[number].reasons];
  element.querySelector(".pick").setAttribute("aria-label", label.filter(Boolean).join(". "));
}

function panel() {
  const number = selected();
  const face = faces[number];
  const picture = (n) => make("img", { src: `face/${n}`, alt: "" });
  const large = make("button", { className: "large", title: "See the photo", onclick: openPhoto }, picture(number));
  const text = make("div", {}, make("h2", {}, named(face.label)));
  text.append(make("p", { className: "source", title: face.url }, named(face.url || `row ${face.row}`)));
  const color = decided[number]?.move_to ? "state to" : "state";
  if (decided[number]) text.append(make("p", { className: color }, verdict(number)));
  if (face.reasons.length) text.append(make("ul", {}, ...face.reasons.map((reason) => make("li", {}, reason))));
  const action = (key, words, run, className = "") =>
    make("button", { className, onclick: run, title: words }, make("kbd", {}, key), " ", words);
  const actions = make("div", { className: "actions" },
    action("x", decided[number] ? "Keep it" : `Leave out: ${suggestion(number)}`, toggle, decided[number] ? "" : "out"),
    action("m", "Move to another person", openMove),
    action("Enter", "See the photo", openPhoto));
  const reasons = REASONS.map((reason, i) => action(`${i + 1}`, reason, () => leaveOut(reason)));
  const why = make("div", { className: "reasons" }, make("h3", {}, "Leave out for another reason"), ...reasons);
  const parts = [make("div", { className: "head" }, large, text), actions, why];
  if (face.reasons.some((reason) => reason.startsWith("looks like"))) {
    parts.push(strip("Looks like ", personOf(face.similar), number));
  }
  parts.push(strip("Other faces of ", face.label, number));
  find("panel").replaceChildren(...parts);
}

// Faces of a person, the least doubtful first, without the face `number` and those left out.
function strip(title, person, number) {
  const kept = (n) => personOf(n) === person && n !== number && (!decided[n] || decided[n].move_to);
  const shown = faces.map((_, n) => n).filter(kept).sort((a, b) => faces[a].score - faces[b].score);
  const images = shown.slice(0, OTHERS).map((n) => make("img", { src: `face/${n}`, alt: "" }));
  return make("div", {}, make("h3", {}, title, named(person)), make("div", { className: "strip" }, ...images));
}

// Moving between faces

const selected = () => Number(cells[current].dataset.number);

function select(index) {
  cells[current]?.classList.remove("current");
  cells[current]?.firstChild.setAttribute("tabindex", "-1");
  current = Math.max(0, Math.min(cells.length - 1, index));
  cells[current].classList.add("current");
  cells[current].firstChild.setAttribute("tabindex", "0");
  cells[current].firstChild.focus({ preventScroll: true });
  cells[current].scrollIntoView({ block: "nearest" });
  panel();
  if (find("photo-dialog").open) openPhoto();
}

// The nearest face in the row below (`step` 1) or above (-1).
function vertical(step) {
  const from = cells[current].getBoundingClientRect();
  let best = current;
  let distance = Infinity;
  let row = null;
  for (let i = current + step; i >= 0 && i < cells.length; i += step) {
    const to = cells[i].getBoundingClientRect();
    if (Math.abs(to.top - from.top) < 2) continue;
    row ??= to.top;
    if (Math.abs(to.top - row) > 2) break;
    if (Math.abs(to.left - from.left) < distance) [best, distance] = [i, Math.abs(to.left - from.left)];
  }
  return best;
}

// Decisions

async function post(action, body = {}) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(action, request);
  } catch {
    notice("lost", `Not saved: the page's program has ended. ${AGAIN}`);
    return null;
  }
  const answer = await response.json();
  notice("error", response.ok ? "" : `Not saved: ${answer.error}`);
  if (!response.ok) return null;
  if (answer.decided) apply(answer);
  return answer;
}

function suggestion(number) {
  const doubt = faces[number].reasons[0] ?? "";
  return SUGGESTIONS.find(([pattern]) => pattern.test(doubt))?.[1] ?? REASONS[0];
}

// Quick keys are answered in turn: each acts on what the one before has decided.
let last = Promise.resolve();
const inTurn = (run) => (last = last.then(run, run));

const send = (face, reason, moveTo) => post("decide", { face, reason, move_to: moveTo });

function leaveOut(reason) {
  const number = selected();
  inTurn(() => send(number, reason, ""));
}

function toggle() {
  const number = selected();
  inTurn(() => send(number, decided[number] ? "" : suggestion(number), ""));
}

const undo = () => inTurn(takeBack);

async function takeBack() {
  const answer = await post("undo");
  if (answer && answer.face === null) notice("error", "There is nothing to undo.");
  const shown = answer && selected() === answer.face;
  if (answer && answer.face !== null && !shown) {
    select(cells.findIndex((element) => Number(element.dataset.number) === answer.face));
  }
}

async function reload() {
  if (await post("reload")) notice("changed", "");
}

async function end() {
  const summary = find("summary").textContent;
  find("finish-dialog").close();
  if (!(await post("done"))) return;
  ended = true;
  const next = make("p", {}, "Next: run ", make("code", {}, "dvc repro"), ". You can close this window.");
  const words = [make("h1", {}, "Done"), make("p", {}, summary), next];
  document.body.replaceChildren(make("div", { className: "end" }, ...words));
}

// Dialogs

function openDialog(name) {
  if (!find(name).open) find(name).showModal();
}

function openPhoto() {
  const face = faces[selected()];
  find("photo").src = `photo/${selected()}`;
  find("photo").alt = `Photo of ${face.label}`;
  const caption = [named(face.label), " · ", named(face.url)];
  find("photo-caption").replaceChildren(...caption, verdict(selected()) && ` · ${verdict(selected())}`);
  openDialog("photo-dialog");
}

function openMove() {
  const face = faces[selected()];
  const likely = face.similar === null ? "" : personOf(face.similar);
  for (const option of find("people").options) option.disabled = option.value === face.label;
  find("people").value = decided[selected()]?.move_to || likely;
  openDialog("move-dialog");
  find("people").selectedOptions[0]?.scrollIntoView({ block: "center" });
  find("people").focus();
}

function move() {
  const number = selected();
  const person = find("people").value;
  if (!person) return;
  find("move-dialog").close();
  inTurn(() => send(number, "", person));
}

// A notice by name; an empty text removes it.
function notice(name, text, ...buttons) {
  const old = find(`notice-${name}`);
  if (old?.firstChild.textContent === text) return;
  old?.remove();
  if (text) find("notices").append(make("div", { id: `notice-${name}` }, text, ...buttons));
}

// Keys

const KEYS = {
  ArrowLeft: () => select(current - 1),
  ArrowRight: () => select(current + 1),
  ArrowUp: () => select(vertical(-1)),
  ArrowDown: () => select(vertical(1)),
  Home: () => select(0),
  End: () => select(cells.length - 1),
  Enter: openPhoto,
  x: toggle,
  m: openMove,
  u: undo,
  d: () => openDialog("finish-dialog"),
  "?": () => openDialog("help-dialog"),
};
REASONS.forEach((reason, i) => (KEYS[i + 1] = () => leaveOut(reason)));
const IN_PHOTO = ["ArrowLeft", "ArrowRight", "x", "u", ...REASONS.map((_, i) => `${i + 1}`)];

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !cells.length || ended) return;
  const dialog = document.querySelector("dialog[open]");
  const onButton = event.target.closest("button") && !event.target.closest(".face");
  let run = KEYS[event.key];
  if (dialog?.id === "photo-dialog") {
    run = event.key === "Enter" ? () => dialog.close() : IN_PHOTO.includes(event.key) ? run : null;
  } else if (dialog?.id === "move-dialog") {
    run = event.key === "Enter" && !onButton ? move : null;
  } else if (dialog || (event.key === "Enter" && onButton)) {
    run = null;
  }
  if (!run) return;
  event.preventDefault();
  run();
});

for (const button of document.querySelectorAll("[data-close]")) {
  button.onclick = () => button.closest("dialog").close();
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.onclose = () => cells[current]?.firstChild.focus({ preventScroll: true });
  dialog.onclick = (event) => event.target === dialog && dialog.close();
}
find("undo").onclick = undo;
find("help").onclick = KEYS["?"];
find("finish").onclick = KEYS.d;
find("end").onclick = end;
find("move").onclick = move;
find("people").ondblclick = move;
find("photo").onerror = () => {
  find("photo-caption").append(" · This photo is missing or damaged: run dvc repro to fetch it again.");
};

// What happens elsewhere: another window decides, somebody edits the list, the program ends.

async function listen() {
  const live = new EventSource("live");
  live.onmessage = async (event) => {
    const news = JSON.parse(event.data);
    notice("lost", "");
    notice("windows", news.windows < 2 ? "" :
      `This page is open in ${news.windows} windows. Each shows what the others decide, and nothing is lost.`);
    notice("changed", news.changed ? `${list} was changed outside this page, so nothing more is saved here. ` : "",
      make("button", { onclick: reload }, "Read it again"));
    if (news.revision !== revision) apply(await (await fetch("state")).json());
  };
  live.onerror = () => {
    if (!ended) notice("lost", `The page's program does not answer. ${AGAIN}`);
  };
}

fetch("state").then((response) => response.json()).then(show).then(listen);
