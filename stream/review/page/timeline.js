// What happens around the event: probabilities above, how far the face's regions have moved below, and the three handles;
// under it the whole recording.

const HANDLES = ["onset_s", "apex_s", "offset_s"];
const SHOWN_REGIONS = 3;
const REGION_COLOURS = ["#1f9bd1", "#d1691f", "#8a63d2"];

// A class's colour on this page's ground: the colours are made for a dark one.
export function onGround(colour) {
  if (matchMedia("(prefers-color-scheme: dark)").matches) return colour;
  const parts = [1, 3, 5].map((place) => Math.round(0.65 * parseInt(colour.slice(place, place + 2), 16)));
  return `rgb(${parts.join(" ")})`;
}

function prepared(canvas) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = "12px system-ui, sans-serif";
  return { g, width, height };
}

function line(g, colour, points, width = 1.6) {
  g.strokeStyle = colour;
  g.lineWidth = width;
  g.beginPath();
  let drawing = false;
  for (const [x, y] of points) {
    if (y === null) drawing = false;
    else if (drawing) g.lineTo(x, y);
    else {
      g.moveTo(x, y);
      drawing = true;
    }
  }
  g.stroke();
}

export class Timeline {
  #event = null;
  #others = [];
  #stretch = null;
  #fromS = 0;
  #toS = 1;
  #nowS = null;
  #moved = null;

  // `moved` is called with a handle's name and time when it is let go, `pointed` with a time of the chart, `travelled` with
  // one of the whole recording.
  constructor(box, whole, legend, { moved, pointed, travelled }) {
    this.box = box;
    this.canvas = box.querySelector("canvas");
    this.whole = whole;
    this.legend = legend;
    this.handles = Object.fromEntries(HANDLES.map((name) => [name, box.querySelector(`[data-handle=${name}]`)]));
    this.classes = [];
    this.events = [];
    this.spanS = [0, 1];
    this.moved = moved;
    for (const name of HANDLES) this.#listen(name, this.handles[name]);
    this.canvas.addEventListener("pointerdown", (press) => pointed(this.#timeAt(press.clientX)));
    whole.addEventListener("pointerdown", (press) => {
      const { left, width } = whole.getBoundingClientRect();
      travelled(this.spanS[0] + ((press.clientX - left) / width) * (this.spanS[1] - this.spanS[0]));
    });
    new ResizeObserver(() => this.draw()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  set(event, others, fromS, toS) {
    this.#event = event;
    this.#others = others;
    if (this.#fromS !== fromS || this.#toS !== toS) this.#stretch = null;
    this.#fromS = fromS;
    this.#toS = toS;
    this.draw();
  }

  load(stretch) {
    this.#stretch = stretch;
    this.draw();
  }

  now(timeS) {
    this.#nowS = timeS;
    this.draw();
  }

  draw() {
    const { g, width, height } = prepared(this.canvas);
    if (!width || !height) return;
    const style = getComputedStyle(document.documentElement), ink = (name) => style.getPropertyValue(name).trim();
    const middle = Math.round(height * 0.5);
    const x = (s) => ((s - this.#fromS) / (this.#toS - this.#fromS)) * width;
    if (this.#event) {
      g.fillStyle = ink("--trough");
      g.fillRect(x(this.#event.onset_s), 0, x(this.#event.offset_s) - x(this.#event.onset_s), height - 16);
    }
    g.strokeStyle = ink("--rule");
    g.lineWidth = 1;
    for (const y of [8, middle - 4, height - 18]) line(g, ink("--rule"), [[0, Math.round(y) + 0.5], [width, Math.round(y) + 0.5]], 1);
    const words = this.#shares(g, x, 8, middle - 4);
    words.push(...this.#motion(g, x, middle + 4, height - 18, ink));
    this.#others.forEach((other, place) => {
      g.fillStyle = ink("--dim");
      g.fillRect(x(other.onset_s), 2 + 4 * place, Math.max(2, x(other.offset_s) - x(other.onset_s)), 2);
    });
    g.fillStyle = ink("--dim");
    g.textBaseline = "bottom";
    g.textAlign = "center";
    const stepS = this.#toS - this.#fromS > 4 ? 1 : 0.2;
    for (let s = Math.ceil(this.#fromS / stepS) * stepS; s < this.#toS; s += stepS) {
      if (x(s) > 12 && x(s) < width - 12) g.fillText(s.toFixed(1), x(s), height);
    }
    g.textAlign = "left";
    if (this.#nowS !== null) line(g, ink("--ink"), [[x(this.#nowS), 0], [x(this.#nowS), height - 16]], 1);
    this.#tell(words);
    this.#placeHandles();
    this.#drawWhole(ink);
  }

  #shares(g, x, top, bottom) {
    const shares = this.#stretch?.shares;
    if (!shares?.rows.length) return [];
    return shares.names.map((name, place) => {
      const colour = onGround(this.classes.find((one) => one.name === name)?.colour ?? "#9a9a9a");
      line(g, colour, shares.times_s.map((s, row) => {
        const share = shares.rows[row][place];
        return [x(s), share === null ? null : bottom - share * (bottom - top)];
      }));
      return [name, colour];
    });
  }

  #motion(g, x, top, bottom, ink) {
    const { times_s: timesS = [], motion = [], regions = [] } = this.#stretch ?? {};
    const known = motion.filter((row) => row !== null);
    if (!known.length) return [];
    const peaks = regions.map((_, place) => Math.max(...known.map((row) => row[place])));
    const most = Math.max(0.5, ...peaks);
    const leading = regions.map((_, place) => place).sort((a, b) => peaks[b] - peaks[a]).slice(0, SHOWN_REGIONS);
    const points = (place) => timesS.map((s, at) => [x(s), motion[at] === null ? null : bottom - (motion[at][place] / most) * (bottom - top)]);
    regions.forEach((_, place) => leading.includes(place) || line(g, ink("--rule"), points(place), 1));
    leading.forEach((place, rank) => line(g, REGION_COLOURS[rank], points(place)));
    g.fillStyle = ink("--dim");
    g.textBaseline = "top";
    g.fillText(`${most.toFixed(1)} px`, 2, top);
    return leading.map((place, rank) => [regions[place], REGION_COLOURS[rank]]);
  }

  #tell(words) {
    const text = words.join();
    if (this.legend.dataset.text === text) return;
    this.legend.dataset.text = text;
    this.legend.replaceChildren(...words.map(([name, colour]) => {
      const one = document.createElement("span");
      one.textContent = name;
      one.style.setProperty("--class", colour);
      return one;
    }));
  }

  #placeHandles() {
    for (const name of HANDLES) {
      const handle = this.handles[name], timeS = this.#timeOf(name);
      handle.hidden = timeS === null;
      if (timeS === null) continue;
      handle.style.left = `${100 * Math.min(Math.max((timeS - this.#fromS) / (this.#toS - this.#fromS), 0), 1)}%`;
      handle.setAttribute("aria-valuemin", this.#fromS.toFixed(3));
      handle.setAttribute("aria-valuemax", this.#toS.toFixed(3));
      handle.setAttribute("aria-valuenow", timeS.toFixed(3));
      handle.setAttribute("aria-valuetext", `${timeS.toFixed(3)} seconds`);
    }
  }

  #timeOf(name) {
    if (this.#event === null) return null;
    return this.#moved?.name === name ? this.#moved.timeS : this.#event[name];
  }

  // Never past its neighbours.
  #within(name, timeS) {
    const place = HANDLES.indexOf(name);
    const least = place ? this.#event[HANDLES[place - 1]] : this.#fromS;
    const most = place < 2 ? this.#event[HANDLES[place + 1]] : this.#toS;
    return Math.min(Math.max(timeS, least), most);
  }

  #listen(name, handle) {
    handle.addEventListener("pointerdown", (press) => {
      handle.setPointerCapture(press.pointerId);
      this.#moved = { name, timeS: this.#event[name] };
    });
    handle.addEventListener("pointermove", (move) => {
      if (this.#moved?.name !== name) return;
      this.#moved.timeS = this.#within(name, this.#onFrame(this.#timeAt(move.clientX)));
      this.draw();
    });
    const end = (keep) => () => {
      const moved = this.#moved;
      this.#moved = null;
      if (keep && moved?.name === name && moved.timeS !== this.#event[name]) this.moved(name, moved.timeS);
      this.draw();
    };
    handle.addEventListener("pointerup", end(true));
    handle.addEventListener("pointercancel", end(false));
    handle.addEventListener("keydown", (press) => {
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[press.key];
      if (by === undefined || this.#event === null) return;
      press.preventDefault();
      press.stopPropagation();
      this.moved(name, this.#within(name, this.#frameBeside(this.#event[name], by)));
    });
  }

  #onFrame(timeS) {
    const timesS = this.#stretch?.times_s ?? [];
    return timesS.reduce((best, one) => (Math.abs(one - timeS) < Math.abs(best - timeS) ? one : best), timesS[0] ?? timeS);
  }

  #frameBeside(timeS, by) {
    const timesS = this.#stretch?.times_s ?? [];
    if (by > 0) return timesS.find((one) => one > timeS + 1e-4) ?? timeS + (timesS.length ? 0 : 1 / 30);
    return timesS.findLast((one) => one < timeS - 1e-4) ?? timeS - (timesS.length ? 0 : 1 / 30);
  }

  #timeAt(clientX) {
    const { left, width } = this.canvas.getBoundingClientRect();
    return this.#fromS + ((clientX - left) / width) * (this.#toS - this.#fromS);
  }

  #drawWhole(ink) {
    const { g, width, height } = prepared(this.whole);
    const [first, last] = this.spanS, x = (s) => ((s - first) / Math.max(last - first, 1e-6)) * width;
    g.fillStyle = ink("--trough");
    g.fillRect(x(this.#fromS), 0, Math.max(3, x(this.#toS) - x(this.#fromS)), height);
    for (const event of this.events) {
      const colour = event.verdict === "rejected" || !event.label ? ink("--dim") : onGround(this.classes.find((one) => one.name === event.label)?.colour ?? "#888888");
      g.fillStyle = colour;
      const tall = event.verdict === "accepted" ? height - 4 : event.verdict === "rejected" ? 4 : height / 2;
      g.fillRect(x(event.onset_s), height - 2 - tall, Math.max(2, x(event.offset_s) - x(event.onset_s)), tall);
    }
    if (this.#nowS !== null) line(g, ink("--ink"), [[x(this.#nowS), 0], [x(this.#nowS), height]], 1);
  }
}
