// Puts what the program tells into the page. Words and reasons are the program's; none are made up here.

import { Chart, onGround } from "./chart.js";
import { Link } from "./link.js";

const MOST_EVENTS = 200;
const byId = (id) => document.getElementById(id);
const chart = new Chart(byId("chart"));
let classes = [];
// What this page has of the run's movements, the newest last, and from which step of the sensitivity on they count.
let events = [], step = 0, own = 0, stepWords = [], runCounts = null;
const counts = (event) => event.first !== null && event.first <= step;
chart.counts = counts;

// The token has become a cookie: it need not stay in the address, the history and on screenshots.
if (location.search) history.replaceState(null, "", location.pathname);

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function greet(hello) {
  classes = hello.classes;
  put(byId("source"), hello.source);
  put(byId("model"), hello.model);
  put(byId("disclaimer"), hello.disclaimer);
  put(byId("span"), String(hello.span_s));
  byId("events-part").hidden = !hello.with_events;
  events = [];
  byId("events").replaceChildren();
  offerSensitivity(hello.sensitivity);
  byId("bars").replaceChildren(...classes.map((one) => {
    const row = element("li", ""), bar = element("span", "bar"), fill = element("span", "fill mark");
    bar.setAttribute("aria-hidden", "true");
    fill.style.setProperty("--class", one.colour);
    bar.append(fill);
    row.append(element("span", "name", one.name), bar, element("span", "share", "–"));
    return row;
  }));
  chart.begin(classes, hello.span_s);
}

// A page that has chosen one keeps it when the line breaks off and comes back.
function offerSensitivity(sensitivity) {
  const words = sensitivity?.steps ?? [];
  if (words.join() !== stepWords.join() || sensitivity?.own !== own) step = own = sensitivity?.own ?? 0;
  stepWords = words;
  byId("choice").hidden = words.length < 2;
  byId("step").max = Math.max(0, words.length - 1);
  byId("step").value = step;
  showSensitivity();
}

function showSensitivity() {
  const words = stepWords.length ? stepWords[step] + (step === own ? " (the run's own)" : "") : "";
  put(byId("step-words"), words);
  byId("step").setAttribute("aria-valuetext", words);
}

function showBars(shares) {
  const most = shares ? Math.max(...shares) : 2;
  [...byId("bars").children].forEach((row, place) => {
    const share = shares ? shares[place] : 0;
    row.toggleAttribute("data-leads", share === most);
    row.querySelector(".fill").style.width = `${100 * share}%`;
    put(row.querySelector(".share"), shares ? `${Math.round(100 * share)} %` : "–");
  });
}

function showStatement(state) {
  const headline = byId("headline");
  headline.dataset.tone = state.tone;
  const named = classes.find((one) => one.name === state.label);
  byId("said").style.color = state.tone === "event" && named ? onGround(named.colour, 0.5) : "";
  put(byId("said"), state.headline);
  put(byId("beside"), state.beside);
  const progress = byId("progress");
  progress.hidden = state.progress === null;
  if (state.progress !== null) progress.value = state.progress;
  const lines = byId("lines");
  while (lines.children.length < state.lines.length) lines.append(element("li", ""));
  [...lines.children].forEach((line, place) => put(line, state.lines[place] ?? ""));
}

function eventRow(event) {
  const row = element("li", ""), accepted = counts(event);
  row.dataset.kind = event.kind;
  row.dataset.accepted = accepted;
  const mark = element("span", "mark");
  const named = classes.find((one) => one.name === event.label);
  if (accepted && named) mark.style.setProperty("--class", named.colour);
  row.append(mark);
  const about = [`${event.kind}, face ${event.track}`, event.likely].filter(Boolean).join(" · ");
  if (accepted) row.append(element("strong", "name", event.name), element("span", "kind", about));
  const against = [`rejected: ${event.against}`, event.likely].filter(Boolean).join(" · ");
  row.append(element("span", "text", accepted ? event.text : against));
  return row;
}

function addEvents(news) {
  events = events.concat(news).slice(-MOST_EVENTS);
  const list = byId("events");
  for (const event of news) list.prepend(eventRow(event));
  while (list.children.length > MOST_EVENTS) list.lastChild.remove();
}

// The run counts at its own sensitivity, since its beginning; at another one this page counts what it has.
function showCounts() {
  if (runCounts === null) return;
  const here = { micro: 0, macro: 0, rejected: 0 };
  for (const event of events) here[counts(event) ? event.kind : "rejected"] += 1;
  const { micro, macro, rejected } = step === own ? runCounts : here;
  const of = step === own ? "" : `of the last ${events.length}: `;
  put(byId("counts"), `${of}${micro} micro · ${macro} macro · ${rejected} rejected`);
}

function showHealth(facts) {
  const list = byId("health");
  while (list.children.length > facts.length) list.lastChild.remove();
  while (list.children.length < facts.length) {
    const row = document.createElement("div");
    row.append(document.createElement("dt"), document.createElement("dd"));
    list.append(row);
  }
  facts.forEach((fact, place) => {
    const [name, value] = list.children[place].children;
    put(name, fact.name);
    put(value, fact.value);
    value.classList.toggle("warns", fact.warns);
  });
}

function showPicture(picture) {
  const canvas = byId("picture");
  if (canvas.width !== picture.width) canvas.width = picture.width;
  if (canvas.height !== picture.height) canvas.height = picture.height;
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
}

function show(state, picture) {
  if (state.kind === "hello") return greet(state);
  if (picture) showPicture(picture);
  document.body.classList.toggle("lost", state.lost);
  const news = state.events ?? [];
  showHealth(state.health);
  addEvents(news);
  runCounts = state.counts ?? runCounts;
  showCounts();
  if (state.from_s !== undefined) chart.add(state.samples, state.from_s, news, state.marks);
  chart.draw();
  if (state.headline !== undefined) showStatement(state);
  if (state.frame === undefined) return;
  showBars(state.shares);
  byId("units").hidden = state.units === null;
  put(byId("units"), state.units ?? "");
  put(byId("face"), state.face);
  put(byId("watch"), state.watch.words);
  byId("watch").dataset.watchable = state.watch.watchable;
  const [markS, mark] = state.marks?.at(-1) ?? [];
  const marked = mark === undefined ? "" : ` · mark “${mark}” at ${markS.toFixed(2)} s`;
  put(byId("clock"), `frame ${state.frame} at ${state.time_s.toFixed(2)} s${marked}`);
}

function told(state, words) {
  line = { state, words };
  const shown = paused && state === "live" ? "view paused" : words;
  byId("link").dataset.state = paused && state === "live" ? "waiting" : state;
  put(byId("link"), shown);
  document.body.classList.toggle("stale", state !== "live");
}

let paused = false, line = { state: "waiting", words: "" };
const link = new Link(show, told);
const holdWhereUnseen = () => link.hold(paused || document.hidden);
document.addEventListener("visibilitychange", holdWhereUnseen);
holdWhereUnseen();

byId("pause").addEventListener("click", (event) => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", String(paused));
  holdWhereUnseen();
  told(line.state, line.words);
});
byId("rejected").addEventListener("change", (event) => byId("events").classList.toggle("with-rejected", event.target.checked));
byId("step").addEventListener("input", (event) => {
  step = Number(event.target.value);
  showSensitivity();
  byId("events").replaceChildren(...events.map(eventRow).reverse());
  showCounts();
  chart.draw();
});
byId("full").hidden = !document.fullscreenEnabled;
byId("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else byId("stage").requestFullscreen();
});
