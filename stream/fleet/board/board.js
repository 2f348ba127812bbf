// One question at a time, for all tiles that can be seen; the next one when the answer has been shown.
const MOST_VISIBLE = 300, PAUSE_MS = 250, RETRY_FIRST_MS = 500, RETRY_LONGEST_MS = 8000;
const by = (id) => document.getElementById(id);
const tiles = new Map();
const collator = new Intl.Collator(undefined, { numeric: true });
const inSight = new Set();
let since = 0, opened = null;

// The token has done its work: it is not to stand in the address.
if (location.search) history.replaceState(null, "", location.pathname);

const sight = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (isIntersecting) inSight.add(target.dataset.id);
    else inSight.delete(target.dataset.id);
  }
}, { rootMargin: "100px" });

function node(tag, name, attributes = {}) {
  const made = document.createElement(tag);
  made.className = name;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function moment(seconds) {
  const whole = Math.floor(seconds), part = (seconds - whole).toFixed(1).slice(1);
  const hours = Math.floor(whole / 3600), rest = String(Math.floor(whole / 60) % 60).padStart(hours ? 2 : 1, "0");
  return `${hours ? `${hours}:` : ""}${rest}:${String(whole % 60).padStart(2, "0")}${part}`;
}

function eventWords(event) {
  const sure = event.probability ?? event.confidence;
  // With a probability that it is one; of a model that makes no such decision, how sure it is of the class.
  const share = typeof sure === "number" ? `, ${event.probability === null ? "confidence " : ""}${Math.round(100 * sure)} %` : "";
  const at = typeof event.apex_s === "number" ? ` at ${moment(event.apex_s)}` : "";
  return `${event.label}, ${event.kind}${at}${share}${event.rejected ? `: rejected, ${event.rejected}` : ""}`;
}

function stateWords(tile) {
  const { facts, state, reason } = tile.told;
  if (state !== "running") return reason ? `${state}: ${reason}` : state;
  if (facts.faces === undefined) return "running";
  const who = facts.faces === 1 ? "1 face" : `${facts.faces || "no"} faces`;
  return facts.label ? `${who} · ${facts.label} ${Math.round(100 * facts.confidence)} %` : `${who} · ${String(facts.status).replaceAll("_", " ")}`;
}

function tileOf(told) {
  let tile = tiles.get(told.id);
  if (tile) return tile;
  const item = node("li", "", { "data-id": told.id });
  const button = node("button", "tile", { type: "button" });
  const parts = [node("canvas", "", { width: 4, height: 3, role: "img", "aria-label": "newest picture" }), node("span", "name"), node("span", "state"), node("span", "event")];
  button.append(...parts);
  item.append(button);
  tile = { item, button, picture: 0, told, parts };
  button.addEventListener("click", () => open(told.id));
  tiles.set(told.id, tile);
  const ids = [...tiles.keys()].sort(collator.compare);
  const next = tiles.get(ids[ids.indexOf(told.id) + 1]);
  by("tiles").insertBefore(item, next?.item ?? null);
  sight.observe(item);
  return tile;
}

function draw(canvas, bitmap) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

async function take(told, jpeg) {
  const tile = tileOf(told);
  tile.told = told;
  if (jpeg) {
    tile.picture = told.picture;
    try {
      const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      draw(tile.parts[0], bitmap);
      bitmap.close();
    } catch {
      // What is no picture is left out: the next one comes.
    }
  }
  tile.button.dataset.state = told.state;
  tile.parts[1].textContent = told.name;
  tile.parts[2].textContent = stateWords(tile);
  tile.parts[3].textContent = told.event ? eventWords(told.event) : "no event yet";
  tile.button.title = [told.address, told.reason].filter(Boolean).join("\n");
  if (opened === told.id) showOpened();
}

function open(id) {
  opened = id;
  by("events").replaceChildren();
  showOpened();
  by("one").showModal();
}

function showOpened() {
  const tile = tiles.get(opened);
  by("one-name").textContent = tile.told.name;
  by("one-words").textContent = stateWords(tile);
  draw(by("one-picture"), tile.parts[0]);
}

function showEvents(events) {
  const wanted = events.filter((event) => by("rejected").checked || !event.rejected);
  const rows = wanted.map((event) => {
    const item = node("li", "", event.rejected ? { "data-rejected": "" } : {});
    item.textContent = eventWords(event);
    return item;
  });
  if (!rows.length) rows.push(Object.assign(node("li", ""), { textContent: "none yet" }));
  by("events").replaceChildren(...rows);
}

function choose() {
  const asked = by("find").value.trim().toLowerCase();
  const counts = {};
  for (const { item, told } of tiles.values()) {
    item.hidden = Boolean(asked) && ![told.id, told.name, told.address, told.state].some((text) => text.toLowerCase().includes(asked));
    counts[told.state] = (counts[told.state] ?? 0) + 1;
  }
  by("counts").textContent = Object.entries(counts).sort().map(([state, count]) => `${count} ${state}`).join(" · ");
}

function line(state, words) {
  by("link").dataset.state = state;
  by("link").textContent = words;
  by("tiles").classList.toggle("stale", state !== "live");
}

async function look() {
  const wanted = opened ? [opened] : [...inSight].slice(0, MOST_VISIBLE);
  const visible = Object.fromEntries(wanted.map((id) => [id, tiles.get(id)?.picture ?? 0]));
  const body = JSON.stringify({ since, visible, opened });
  const answer = await fetch("look", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!answer.ok) throw new Error(await answer.text());
  const data = await answer.arrayBuffer();
  const length = new DataView(data).getUint32(0);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  let at = 4 + length;
  for (const one of told.tiles) {
    await take(one, one.bytes ? new Uint8Array(data, at, one.bytes) : null);
    at += one.bytes ?? 0;
  }
  since = told.number;
  by("failed").hidden = !told.failed;
  by("failed").textContent = told.failed ?? "";
  if (told.events && opened) showEvents(told.events);
  choose();
  line("live", "live");
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const inView = () => new Promise((done) => (document.hidden ? document.addEventListener("visibilitychange", done, { once: true }) : done()));

by("find").addEventListener("input", choose);
by("close").addEventListener("click", () => by("one").close());
by("one").addEventListener("close", () => { opened = null; });
for (let retryMs = RETRY_FIRST_MS; ;) {
  await inView();
  try {
    await look();
    retryMs = RETRY_FIRST_MS;
    await pause(PAUSE_MS);
  } catch (error) {
    // A program that was started anew counts its changes from the beginning.
    since = 0;
    for (const tile of tiles.values()) tile.picture = 0;
    line("waiting", `${error instanceof TypeError ? "no connection" : error.message.trim()}, trying again`);
    await pause(retryMs);
    retryMs = Math.min(2 * retryMs, RETRY_LONGEST_MS);
  }
}
