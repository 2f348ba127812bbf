"use strict";
// The table of sources. All of them are in the page; only the rows of one page of the table are ever made.
const ROWS = 100;
const COLUMNS = [
  ["id", "source", "text"], ["state", "state", "text"], ["reason", "reason", "text"], ["events", "events", "whole"], ["watchable", "watchable min", "number"],
  ["rate", "events a watchable min", "number"], ["rejected", "rejected", "whole"], ["frames", "frames", "whole"],
  ["fps", "frames a second", "number"], ["gaps", "gaps", "whole"], ["reconnects", "reconnects", "whole"], ["dropped", "dropped", "whole"],
  ["restarts", "restarts", "whole"],
];
const sources = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const collator = new Intl.Collator(undefined, { numeric: true });
let sorted = { name: "id", down: false }, page = 0, chosen = sources;
const opened = new Set();

function node(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== "") made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function words(source, [name, , kind]) {
  const value = source[name];
  if (value === null) return "–";
  if (kind === "number") return value.toFixed(name === "fps" ? 1 : 2);
  return kind === "whole" ? value.toLocaleString("en").replaceAll(",", "\u202f") : value;
}

// What is not known comes last, whichever way.
function before(one, two) {
  const [a, b] = [one[sorted.name], two[sorted.name]];
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "string" ? collator.compare(a, b) : a - b;
  return (sorted.down ? -order : order) || collator.compare(one.id, two.id);
}

function choose() {
  const asked = by("find").value.trim().toLowerCase(), state = by("state").value;
  chosen = sources.filter((source) => (!state || source.state === state)
    && (!asked || [source.id, source.name, source.address, source.kind, source.state, source.reason].some((text) => text.toLowerCase().includes(asked))));
  chosen.sort(before);
  page = 0;
  show();
}

function head() {
  const row = document.querySelector("#sources thead tr");
  for (const [name, title, kind] of COLUMNS) {
    const button = node("button", title, { type: "button", "data-name": name });
    button.addEventListener("click", () => {
      sorted = { name, down: sorted.name === name ? !sorted.down : kind !== "text" };
      choose();
    });
    const cell = node("th", "", { scope: "col", class: kind === "text" ? "text" : "" });
    cell.append(button);
    row.append(cell);
  }
}

function details(source) {
  const cell = node("td", "", { colspan: COLUMNS.length, class: "text more" });
  const list = node("ul", "");
  for (const [name, state, address] of source.sessions) {
    const item = node("li", "");
    item.append(node("a", name, { href: address }), ` ${state}`);
    list.append(item);
  }
  if (source.more) list.append(node("li", `and ${source.more} earlier ones`));
  for (const [why, count] of source.troubles) list.append(node("li", `${count} × ${why}`, { class: "trouble" }));
  const also = [source.name, source.address].filter((words, place, all) => words !== source.id && all.indexOf(words) === place);
  const about = [...also, source.kind, source.started && `last begun ${source.started.replace("T", " ").slice(0, 19)}`];
  cell.append(node("p", about.filter(Boolean).join(" · ")), list);
  const row = node("tr", "", { class: "details" });
  row.append(cell);
  return row;
}

function row(source) {
  const made = node("tr", "", { "data-id": source.id, "data-state": source.state });
  for (const column of COLUMNS) {
    const first = column[0] === "id";
    const cell = node(first ? "th" : "td", first ? "" : words(source, column), { class: column[2] === "text" ? "text" : "" });
    if (first) {
      cell.setAttribute("scope", "row");
      const button = node("button", opened.has(source.id) ? "▾" : "▸", {
        type: "button", class: "opens", "aria-expanded": opened.has(source.id), "aria-label": `Sessions of ${source.id}`,
      });
      button.addEventListener("click", () => {
        if (!opened.delete(source.id)) opened.add(source.id);
        show();
        document.querySelector(`tr[data-id="${CSS.escape(source.id)}"] button`).focus();
      });
      const newest = source.sessions[0];
      cell.append(button, newest ? node("a", source.id, { href: newest[2] }) : node("span", source.id));
    }
    if (column[0] === "reason") {
      cell.title = source.reason;
      cell.classList.add("reason");
    }
    made.append(cell);
  }
  return made;
}

function show() {
  const pages = Math.max(1, Math.ceil(chosen.length / ROWS));
  page = Math.min(Math.max(page, 0), pages - 1);
  const rows = [];
  for (const source of chosen.slice(page * ROWS, (page + 1) * ROWS)) {
    rows.push(row(source));
    if (opened.has(source.id)) rows.push(details(source));
  }
  document.querySelector("#sources tbody").replaceChildren(...rows);
  for (const button of document.querySelectorAll("#sources thead button")) {
    const own = button.dataset.name === sorted.name;
    button.parentElement.setAttribute("aria-sort", own ? (sorted.down ? "descending" : "ascending") : "none");
  }
  by("count").textContent = chosen.length === sources.length ? `${sources.length} sources` : `${chosen.length} of ${sources.length} sources`;
  by("pages").hidden = pages < 2;
  by("page").textContent = `page ${page + 1} of ${pages}`;
  by("back").disabled = page === 0;
  by("on").disabled = page === pages - 1;
}

head();
by("find").addEventListener("input", choose);
by("state").addEventListener("change", choose);
for (const [id, step] of [["back", -1], ["on", 1]]) {
  by(id).addEventListener("click", () => {
    page += step;
    show();
    by("h-sources").scrollIntoView();
  });
}
by("tools").hidden = false;
choose();
