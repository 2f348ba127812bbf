// The events as a list: those that are asked for, in the order that is asked for, one of them chosen.

const MARKS = { accepted: "✓", rejected: "✗" };

export class EventList {
  #byName = new Map();
  #rows = new Map();
  #shown = [];
  #chosen = null;
  #order = "time";
  #which = "all";
  #classes = [];

  constructor(box, counts, chosen) {
    this.box = box;
    this.counts = counts;
    this.step = 0;
    box.addEventListener("click", (press) => {
      const row = press.target.closest("[data-name]");
      if (row) chosen(this.#byName.get(row.dataset.name));
    });
  }

  open(told) {
    this.#byName = new Map(told.events.map((event) => [event.name, event]));
    this.#classes = told.classes;
    this.#rows.clear();
    this.#chosen = null;
    this.step = told.own_step;
    this.#show();
  }

  get all() {
    return [...this.#byName.values()];
  }

  get current() {
    return this.#byName.get(this.#chosen) ?? null;
  }

  first() {
    return this.#shown[0] ?? null;
  }

  choose(name) {
    this.#rows.get(this.#chosen)?.setAttribute("aria-selected", "false");
    this.#chosen = name;
    const row = this.#rows.get(name);
    if (!row) return;
    row.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", row.id);
    row.scrollIntoView({ block: "nearest" });
  }

  // The shown event so many places further; of one that is not shown, the next one in time.
  beside(by) {
    const place = this.#shown.indexOf(this.current);
    if (place >= 0) return this.#shown[place + by] ?? null;
    const now = this.current;
    if (now === null) return this.first();
    const later = this.#shown.filter((event) => (by > 0 ? event.onset_s > now.onset_s : event.onset_s < now.onset_s));
    return (by > 0 ? later[0] : later.at(-1)) ?? null;
  }

  undecided() {
    const place = Math.max(0, this.#shown.indexOf(this.current));
    const around = [...this.#shown.slice(place), ...this.#shown.slice(0, place)];
    return around.find((event) => event.verdict === null && event !== this.current) ?? null;
  }

  placeWords() {
    return `${this.#shown.indexOf(this.current) + 1} of ${this.#shown.length}`;
  }

  take(name, event) {
    if (event === null) {
      const next = this.beside(1) ?? this.beside(-1);
      this.#byName.delete(name);
      this.#rows.get(name)?.remove();
      this.#rows.delete(name);
      if (this.#chosen === name) this.#chosen = next?.name ?? null;
      return this.#show();
    }
    const before = this.#byName.get(name);
    this.#byName.set(name, event);
    if (before === undefined || before.onset_s !== event.onset_s) return this.#show();
    // Decided events stay where they are until the list is made anew: what one looks at does not vanish.
    const place = this.#shown.indexOf(before);
    if (place >= 0) this.#shown[place] = event;
    this.#fill(this.#rows.get(name), event);
    this.#count();
  }

  order(order) {
    this.#order = order;
    this.#show();
  }

  which(which) {
    this.#which = which;
    this.#show();
  }

  counting(step) {
    this.step = step;
    this.#show();
  }

  #counts(event) {
    return event.program === null || (event.program.first !== null && event.program.first <= this.step);
  }

  #wanted(event) {
    if (this.#which === "counting") return this.#counts(event);
    if (this.#which === "open") return event.verdict === null;
    return this.#which === "all" || event.verdict === this.#which;
  }

  #show() {
    const byTime = (a, b) => a.onset_s - b.onset_s;
    const sure = (event) => event.program?.probability ?? (event.program === null ? 2 : -1);
    this.#shown = this.all.filter((event) => this.#wanted(event)).sort(this.#order === "time" ? byTime : (a, b) => sure(b) - sure(a) || byTime(a, b));
    const rows = this.#shown.map((event) => {
      let row = this.#rows.get(event.name);
      if (row === undefined) {
        row = document.createElement("li");
        row.id = `event-${event.name}`;
        row.dataset.name = event.name;
        row.setAttribute("role", "option");
        row.append(...["mark", "when", "label", "sure"].map((name) => Object.assign(document.createElement("span"), { className: name })));
        this.#rows.set(event.name, row);
      }
      this.#fill(row, event);
      return row;
    });
    this.box.replaceChildren(...rows);
    this.choose(this.#chosen);
    this.#count();
  }

  #fill(row, event) {
    if (!row) return;
    const [mark, when, label, sure] = row.children;
    row.dataset.verdict = event.verdict ?? "open";
    row.dataset.counts = String(this.#counts(event));
    row.setAttribute("aria-selected", String(event.name === this.#chosen));
    mark.textContent = MARKS[event.verdict] ?? "·";
    mark.setAttribute("aria-label", event.verdict ?? "not decided");
    when.textContent = `${event.onset_s.toFixed(2)} s`;
    label.textContent = event.label || "–";
    const colour = this.#classes.find((one) => one.name === event.label)?.colour;
    row.style.setProperty("--class", colour ?? "transparent");
    sure.textContent = event.program === null ? (event.name.startsWith("a") ? "added" : "") : event.program.probability == null ? event.kind : `${Math.round(100 * event.program.probability)} %`;
  }

  #count() {
    const decided = this.all.filter((event) => event.verdict !== null).length;
    this.counts.textContent = `${this.#shown.length} of ${this.#byName.size} shown, ${decided} decided`;
  }
}
