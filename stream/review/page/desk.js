// The desk: what is listed, what is said of it, and the keys. What counts as said is what the server has kept.

import { ask, Player } from "./player.js";
import { Timeline, onGround } from "./timeline.js";
import { EventList } from "./list.js";

const AROUND_S = 0.7;
const NEW_S = [0.15, 0.2];
const SPEEDS = [1, 0.5, 0.25];
const LARGE_VIEWS = ["", "face", "picture", "arrows", "magnified"];
const USUAL_UNITS = [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25];
const SIDES = ["", "L", "R"];
const byId = (id) => document.getElementById(id);

let material = 0, told = null, lastLabel = null;
// What is looked at: the event, or a place on the timeline.
let view = { fromS: 0, toS: 1, onsetS: 0 };
let sending = Promise.resolve();

if (location.search) history.replaceState(null, "", location.pathname);

const player = new Player(byId("tiles"), showPlace, showStretch);
const timeline = new Timeline(byId("chart"), byId("whole"), byId("legend"), {
  moved: (name, timeS) => set({ [name]: rounded(timeS) }, `${name.replace("_s", "")} moved to ${timeS.toFixed(3)} s`),
  pointed: (timeS) => {
    player.play(false);
    player.showAt(timeS);
    showPlaying();
  },
  travelled: (timeS) => lookAt(timeS - 1, timeS + 1, timeS),
});
const list = new EventList(byId("events"), byId("counts"), (event) => choose(event));

function say(words, wrong = false) {
  byId("said").textContent = words;
  byId("said").toggleAttribute("data-wrong", wrong);
}

function rounded(timeS) {
  return Math.round(timeS * 1e4) / 1e4;
}

const current = () => list.current;

// One action after the other; each is shown once it is kept.
function send(path, body, done) {
  sending = sending.then(async () => {
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ material, ...body }),
      });
      const found = await answer.json().catch(() => null);
      if (!answer.ok) throw new Error(found?.error ?? answer.statusText);
      done(found);
    } catch (error) {
      say(error instanceof TypeError ? "Not kept: the desk does not answer. Is the program still running?" : `Not kept: ${error.message}`, true);
      if (current()) showEvent(current());
    }
  });
}

function set(fields, words) {
  const event = current();
  if (event === null) return say("Choose an event first.", true);
  if (fields.label) lastLabel = fields.label;
  send("act", { event: event.name, set: fields }, (found) => {
    take(found);
    say(`${event.name} ${words} (kept, line ${found.n})`);
  });
}

// An event as the server has it now; null: it is not there any more.
function take(found) {
  const chosen = current()?.name;
  list.take(found.name, found.event);
  if (found.event !== null && found.event.label) addClass(found.event.label);
  if (current() === null) return showNothing();
  timeline.events = list.all;
  if (current().name !== chosen) return choose(current());
  if (found.name !== chosen) return timeline.draw();
  showEvent(current());
  if (current().onset_s !== view.onsetS) look();
}

function addMissed() {
  const timeS = player.timeS ?? (view.fromS + view.toS) / 2;
  const label = lastLabel ?? told.classes[0].name;
  const fields = {
    onset_s: rounded(timeS - NEW_S[0]), apex_s: rounded(timeS), offset_s: rounded(timeS + NEW_S[1]),
    label, verdict: "accepted", action_units: [], track: current()?.track ?? 1,
  };
  send("act", { event: null, set: fields }, (found) => {
    list.take(found.name, found.event);
    timeline.events = list.all;
    choose(found.event);
    say(`${found.name} added as ${label} (kept, line ${found.n}): set its class and times`);
  });
}

function undo() {
  send("undo", {}, (found) => {
    take(found);
    if (found.event !== null && current()?.name !== found.name) choose(found.event);
    say(`taken back: the last action on ${found.name} (kept, line ${found.n})`);
  });
}

function write() {
  send("export", { format: byId("format").value }, (found) => say(`Written: ${found.path}`));
}

function choose(event) {
  list.choose(event.name);
  showEvent(event);
  lookAt(event.onset_s - AROUND_S, event.offset_s + AROUND_S, event.onset_s);
}

function lookAt(fromS, toS, onsetS) {
  view = { fromS: rounded(fromS), toS: rounded(Math.min(toS, fromS + 60)), onsetS };
  look();
}

function look() {
  const event = current();
  if (event !== null && event.onset_s >= view.fromS && event.onset_s <= view.toS) view.onsetS = event.onset_s;
  const track = event?.track ?? 1;
  const later = list.beside(1);
  const next = later === null ? null : {
    material, fromS: rounded(later.onset_s - AROUND_S), toS: rounded(later.offset_s + AROUND_S), onsetS: later.onset_s, track: later.track,
  };
  timeline.set(event, othersNear(), view.fromS, view.toS);
  player.look({ material, ...view, track }, next);
}

function othersNear() {
  return told.others.filter((one) => one.onset_s < view.toS && one.offset_s > view.fromS);
}

function showStretch(stretch) {
  byId("missing").hidden = !stretch.missing;
  byId("missing").textContent = stretch.missing;
  if (stretch.span_s) timeline.spanS = stretch.span_s;
  timeline.load(stretch);
  const event = current(), sheet = byId("sheet");
  const kept = !stretch.times_s.length && event?.program && event.program.rejected === null && !told.blind;
  sheet.hidden = !kept;
  if (kept) sheet.src = `sheet?material=${material}&event=${event.name}`;
  byId("tiles").toggleAttribute("data-none", !stretch.times_s.length);
  showPlaying();
}

function showPlace(place) {
  timeline.now(player.timeS);
  const of = player.timesS.length;
  const every = player.stretch?.every > 1 ? `, every ${player.stretch.every}th` : "";
  byId("clock").textContent = of ? `frame ${place + 1} of ${of}${every} · ${player.timeS.toFixed(3)} s` : "";
}

function showPlaying() {
  byId("play").setAttribute("aria-pressed", String(player.playing));
  byId("play").textContent = player.playing ? "Pause" : "Play";
  for (const button of byId("speeds").children) button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === player.speed));
}

function showNothing() {
  byId("decide-title").textContent = "No event";
  byId("program").textContent = "";
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function showEvent(event) {
  const words = `${event.name} · ${event.onset_s.toFixed(2)} s · ${event.kind}, ${(event.offset_s - event.onset_s).toFixed(2)} s`;
  byId("decide-title").textContent = words;
  const program = event.program;
  const units = program?.action_units.length ? `, AU ${program.action_units.join(" ")}` : "";
  const sure = program?.probability == null ? "" : `, probability ${percent(program.probability)}`;
  byId("program").textContent = program === null ? (told.blind && event.name.startsWith("e") ? "You are blind to what the program makes of it." : "Added by you.")
    : `Program: ${program.label}${units}${sure}, ${program.rejected === null ? "accepted" : `rejected: ${program.rejected}`}`;
  for (const button of byId("verdicts").children) button.setAttribute("aria-pressed", String((event.verdict ?? "") === button.dataset.verdict));
  for (const button of byId("classes").children) button.setAttribute("aria-pressed", String(button.dataset.label === event.label));
  if (document.activeElement !== byId("units")) byId("units").value = event.action_units.join(" ");
  if (document.activeElement !== byId("note")) byId("note").value = event.note;
  for (const button of byId("unit-buttons").children) {
    const side = SIDES.find((one) => event.action_units.includes(`${one}${button.dataset.unit}`));
    button.textContent = `${side ?? ""}${button.dataset.unit}`;
    button.setAttribute("aria-pressed", String(side !== undefined));
    button.setAttribute("aria-label", `action unit ${button.dataset.unit}, ${{ "": "both sides", L: "left", R: "right" }[side] ?? "none"}`);
  }
  const near = told.others.filter((one) => one.onset_s < event.offset_s && one.offset_s > event.onset_s);
  byId("others").textContent = near.map((one) => `${one.coder}: ${one.verdict}, ${one.label}${one.action_units.length ? ` AU ${one.action_units.join(" ")}` : ""}`).join(" · ");
  timeline.set(event, othersNear(), view.fromS, view.toS);
}

function addClass(name) {
  if (told.classes.some((one) => one.name === name)) return;
  told.classes.push({ name, colour: "#9a9a9a" });
  showClasses();
}

function showClasses() {
  byId("classes").replaceChildren(...told.classes.map((one, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.label = one.name;
    button.style.setProperty("--class", onGround(one.colour));
    button.append(one.name, " ");
    if (place < 9) {
      const key = document.createElement("kbd");
      key.textContent = String(place + 1);
      button.append(key);
    }
    button.addEventListener("click", () => set({ label: one.name }, `is ${one.name}`));
    return button;
  }));
}

function readUnits(text) {
  const units = text.toUpperCase().replaceAll("AU", "").split(/[\s,;+]+/).filter(Boolean);
  const wrong = units.find((unit) => !/^[LR]?[0-9]{1,2}$/.test(unit));
  if (wrong !== undefined) {
    say(`“${wrong}” is no action unit: expected numbers, with L or R before those of one side`, true);
    return null;
  }
  return [...new Set(units)];
}

function keepUnits(units) {
  set({ action_units: units }, units.length ? `has action units ${units.join(" ")}` : "has no action units");
}

// Both sides, left, right, none.
function turnUnit(number) {
  const event = current();
  if (event === null) return;
  const place = SIDES.findIndex((side) => event.action_units.includes(`${side}${number}`));
  const rest = event.action_units.filter((unit) => unit.replace(/^[LR]/, "") !== number);
  keepUnits(place === SIDES.length - 1 ? rest : [...rest, `${SIDES[place + 1]}${number}`]);
}

function toShown(name, words) {
  if (player.timeS === null) return say("No frame is shown: use the handles.", true);
  set({ [name]: rounded(player.timeS) }, `${words} at ${player.timeS.toFixed(3)} s`);
}

function speed(to) {
  player.speed = to;
  player.play(true);
  showPlaying();
  say(`speed ${to}`);
}

function gain(to) {
  player.gain = Math.min(Math.max(to, 1), 30);
  byId("gain").value = player.gain;
  byId("gain-words").textContent = `${player.gain}×`;
  look();
}

function enlarge() {
  const tiles = byId("tiles"), place = LARGE_VIEWS.indexOf(tiles.dataset.large ?? "");
  tiles.dataset.large = LARGE_VIEWS[(place + 1) % LARGE_VIEWS.length];
  say(tiles.dataset.large ? `${tiles.dataset.large} alone` : "all views");
}

function go(event, otherwise) {
  if (event === null) return say(otherwise);
  choose(event);
  say(`${event.name}, ${list.placeWords()}`);
}

function focus(id) {
  byId(id).focus();
  byId(id).select();
}

const turnSelect = (id) => () => {
  const select = byId(id);
  select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
  select.dispatchEvent(new Event("change"));
  say(`${select.options[select.selectedIndex].textContent}: ${byId("counts").textContent}`);
};

const KEYS = [
  [["j", "ArrowDown"], "next event", () => go(list.beside(1), "this is the last one")],
  [["k", "ArrowUp"], "event before", () => go(list.beside(-1), "this is the first one")],
  [["d"], "next one that is not decided", () => go(list.undecided(), "all are decided")],
  [["a"], "accept", () => set({ verdict: "accepted" }, "accepted")],
  [["r"], "reject", () => set({ verdict: "rejected" }, "rejected")],
  [["x"], "open again: not decided", () => set({ verdict: null }, "is open again")],
  [["1", "2", "3", "4", "5", "6", "7", "8", "9"], "class", (key) => byId("classes").children[Number(key) - 1]?.click()],
  [["u"], "action units: type them, Enter keeps them, Escape leaves", () => focus("units")],
  [["n"], "note", () => focus("note")],
  [["o"], "onset to the shown frame", () => toShown("onset_s", "has its onset")],
  [["p"], "apex to the shown frame", () => toShown("apex_s", "has its apex")],
  [["f"], "offset to the shown frame", () => toShown("offset_s", "has its offset")],
  [["m"], "add a missed event, its apex at the shown frame", addMissed],
  [["z"], "undo the last action", undo],
  [[" "], "play or pause", () => {
    player.play();
    showPlaying();
  }],
  [["ArrowLeft"], "a frame back", () => {
    player.step(-1);
    showPlaying();
  }],
  [["ArrowRight"], "a frame on", () => {
    player.step(1);
    showPlaying();
  }],
  [["s"], "speed: 1, ½, ¼", () => speed(SPEEDS[(SPEEDS.indexOf(player.speed) + 1) % SPEEDS.length])],
  [["+"], "magnify more", () => gain(player.gain + 2)],
  [["-"], "magnify less", () => gain(player.gain - 2)],
  [["v"], "one view large, or all of them", enlarge],
  [["PageUp"], "a second back on the timeline", () => lookAt(view.fromS - 1, view.toS - 1, view.onsetS)],
  [["PageDown"], "a second on along the timeline", () => lookAt(view.fromS + 1, view.toS + 1, view.onsetS)],
  [["h"], "back to the event", () => current() && choose(current())],
  [["l"], "order: by time or by probability", turnSelect("order")],
  [["c"], "which events are shown", turnSelect("which")],
  [["e"], "export in the chosen format (ELAN)", write],
  [["?"], "these keys", () => byId("help").showModal()],
];
const NAMES = { " ": "Space", ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", PageUp: "Page ↑", PageDown: "Page ↓" };

function press(key) {
  const found = KEYS.find(([keys]) => keys.includes(key));
  if (found) found[2](key);
  return found !== undefined;
}

document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (event.defaultPrevented || event.altKey || event.metaKey || byId("help").open) return;
  if (event.ctrlKey) {
    if (event.key === "z" && !at.matches("input:not([type=range])")) event.preventDefault(), undo();
    return;
  }
  if (at.matches("input:not([type=range]), select, textarea")) {
    if (event.key === "Escape") {
      if (current()) byId("units").value = current().action_units.join(" "), (byId("note").value = current().note);
      at.blur();
    } else if (event.key === "Enter" && at.id === "units") {
      const units = readUnits(at.value);
      if (units !== null) at.blur(), keepUnits(units);
    } else if (event.key === "Enter" && at.id === "note") {
      at.blur();
      set({ note: at.value }, "has a note");
    }
    return;
  }
  // A focused button, slider or handle keeps the keys that are its own.
  if (at.matches("button, summary") && (event.key === " " || event.key === "Enter")) return;
  if (at.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
  if (press(event.key)) event.preventDefault();
});

for (const button of document.querySelectorAll("[data-key]")) button.addEventListener("click", () => press(button.dataset.key));
for (const button of byId("speeds").children) button.addEventListener("click", () => speed(Number(button.dataset.speed)));
byId("gain").addEventListener("change", (event) => gain(Number(event.target.value)));
byId("gain").addEventListener("input", (event) => (byId("gain-words").textContent = `${event.target.value}×`));
byId("order").addEventListener("change", (event) => list.order(event.target.value));
byId("which").addEventListener("change", (event) => list.which(event.target.value));
byId("step").addEventListener("input", (event) => {
  list.counting(Number(event.target.value));
  showStep();
});
byId("material").addEventListener("change", (event) => open(Number(event.target.value)));
byId("sheet").addEventListener("error", (event) => (event.target.hidden = true));

byId("keys").append(...KEYS.flatMap(([keys, words]) => {
  const name = document.createElement("dt"), what = document.createElement("dd");
  name.textContent = keys.length > 2 ? `${keys[0]} – ${keys.at(-1)}` : keys.map((key) => NAMES[key] ?? key).join(" or ");
  what.textContent = words;
  return [name, what];
}));
byId("unit-buttons").append(...USUAL_UNITS.map((number) => {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.unit = String(number);
  button.textContent = String(number);
  button.addEventListener("click", () => turnUnit(String(number)));
  return button;
}));

function showStep() {
  const words = told.steps.length ? told.steps[list.step] + (list.step === told.own_step ? " (the run's own)" : "") : "";
  byId("step-words").textContent = words;
  byId("step").setAttribute("aria-valuetext", words);
}

async function open(place) {
  material = place;
  player.forget();
  told = await (await ask("material", { material })).json();
  byId("who").textContent = `${told.name} · coder ${told.coder}${told.blind ? ", blind" : ""}`;
  const times = told.events.flatMap((event) => [event.onset_s, event.offset_s]);
  timeline.spanS = times.length ? [Math.min(...times) - 1, Math.max(...times) + 1] : [0, 10];
  timeline.classes = told.classes;
  if (told.unreadable.length) say(`Another coder's labels are not shown: ${told.unreadable.join("; ")}`, true);
  byId("sensitivity").hidden = told.steps.length < 2;
  byId("step").max = Math.max(0, told.steps.length - 1);
  byId("step").value = told.own_step;
  byId("order").disabled = told.blind;
  showClasses();
  list.open(told);
  timeline.events = list.all;
  showStep();
  const first = list.undecided() ?? list.first();
  if (first === null) {
    showNothing();
    lookAt(timeline.spanS[0], timeline.spanS[0] + 2, timeline.spanS[0]);
  } else choose(first);
  say(`${told.events.length} events`);
  document.body.dataset.open = String(place);
}

try {
  const desk = await (await ask("desk", {})).json();
  byId("material").append(...desk.materials.map((name, place) => new Option(name, place)));
  byId("choose").hidden = desk.materials.length < 2;
  await open(0);
} catch (error) {
  say(`The desk cannot be opened: ${error.message}`, true);
}
