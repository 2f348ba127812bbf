// The last seconds: a line for every class, a block for every event.

const LONGEST_GAP_S = 0.5;

// A class's colour on this page's ground: the colours are made for a dark one. Letters need more contrast than lines.
export function onGround(colour, light = 0.65) {
  if (matchMedia("(prefers-color-scheme: dark)").matches) return colour;
  const parts = [1, 3, 5].map((place) => Math.round(light * parseInt(colour.slice(place, place + 2), 16)));
  return `rgb(${parts.join(" ")})`;
}

export class Chart {
  #samples = [];
  #events = [];
  #marks = [];

  constructor(canvas) {
    this.canvas = canvas;
    this.classes = [];
    this.spanS = 10;
    this.counts = () => true;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  begin(classes, spanS) {
    this.classes = classes;
    this.spanS = spanS;
    this.#samples = [];
    this.#events = [];
    this.#marks = [];
  }

  // Samples are [time, probability...], null for what is not known; none before fromS belong to the chart any more. Marks are
  // [time, text], all there are in that time.
  add(samples, fromS, events, marks) {
    this.#marks = marks;
    const nextS = samples.length ? samples[0][0] : Infinity;
    this.#samples = this.#samples.filter((row) => row[0] >= fromS && row[0] < nextS).concat(samples);
    this.#events = this.#events.concat(events).filter((event) => event.offset_s >= fromS);
  }

  draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const style = getComputedStyle(document.documentElement);
    const ink = (name) => style.getPropertyValue(name).trim();
    // The texts of marks stand above the lines.
    const plot = { left: 34, right: width - 4, top: this.#marks.length ? 24 : 12, bottom: height - 34 };
    const strip = { top: plot.bottom + 4, bottom: plot.bottom + 14 };
    this.#axes(g, plot, height, ink);
    if (!this.#samples.length) return;
    const nowS = this.#samples[this.#samples.length - 1][0];
    const x = (s) => plot.right - ((nowS - s) / this.spanS) * (plot.right - plot.left);
    const y = (share) => plot.bottom - share * (plot.bottom - plot.top);
    g.save();
    g.beginPath();
    g.rect(plot.left, 0, plot.right - plot.left, height);
    g.clip();
    g.fillStyle = ink("--trough");
    g.fillRect(plot.left, strip.top, plot.right - plot.left, strip.bottom - strip.top);
    for (const event of this.#events) this.#mark(g, event, x, plot, strip, ink);
    this.classes.forEach((one, place) => this.#line(g, onGround(one.colour), place + 1, x, y));
    this.#experiment(g, x, plot, ink);
    g.restore();
  }

  #axes(g, plot, height, ink) {
    g.font = "12px system-ui, sans-serif";
    g.fillStyle = ink("--dim");
    g.strokeStyle = ink("--rule");
    g.lineWidth = 1;
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      const level = Math.round(plot.bottom - share * (plot.bottom - plot.top)) + 0.5;
      g.beginPath();
      g.moveTo(plot.left, level);
      g.lineTo(plot.right, level);
      g.stroke();
      g.fillText(`${100 * share}`, plot.left - 6, level);
    }
    g.textBaseline = "bottom";
    g.fillText("now", plot.right, height);
    g.textAlign = "left";
    g.fillText(`−${this.spanS} s`, plot.left, height);
    g.textAlign = "center";
    g.fillText("percent; below, events", (plot.left + plot.right) / 2, height);
  }

  #line(g, colour, place, x, y) {
    g.strokeStyle = colour;
    g.lineWidth = 1.6;
    g.beginPath();
    let before = null;
    for (const row of this.#samples) {
      if (row[place] === null) {
        before = null;
        continue;
      }
      if (before === null || row[0] - before > LONGEST_GAP_S) g.moveTo(x(row[0]), y(row[place]));
      else g.lineTo(x(row[0]), y(row[place]));
      before = row[0];
    }
    g.stroke();
  }

  // An experiment's time marks: dashed, with their text as far as there is room until the next one.
  #experiment(g, x, plot, ink) {
    g.strokeStyle = g.fillStyle = ink("--dim");
    g.lineWidth = 1;
    g.textAlign = "left";
    g.textBaseline = "bottom";
    this.#marks.forEach(([timeS, text], place) => {
      const left = x(timeS);
      g.setLineDash([4, 3]);
      g.beginPath();
      g.moveTo(left, plot.top - 5);
      g.lineTo(left, plot.bottom);
      g.stroke();
      g.setLineDash([]);
      const room = (place + 1 < this.#marks.length ? x(this.#marks[place + 1][0]) : plot.right) - left - 8;
      if (room >= g.measureText(text.slice(0, 2) + "…").width) g.fillText(fitting(g, text, room), left, plot.top - 6);
    });
  }

  #mark(g, event, x, plot, strip, ink) {
    const apex = x(event.apex_s);
    if (!this.counts(event)) {
      g.fillStyle = ink("--dim");
      g.fillRect(apex - 1, strip.top + 5, 2, strip.bottom - strip.top - 5);
      return;
    }
    const left = x(event.onset_s), width = Math.max(3, x(event.offset_s) - left);
    const colour = onGround(this.classes.find((one) => one.name === event.label)?.colour ?? "#888888");
    g.fillStyle = g.strokeStyle = colour;
    g.lineWidth = 2;
    if (event.kind === "macro") g.strokeRect(left + 1, strip.top + 1, Math.max(1, width - 2), strip.bottom - strip.top - 2);
    else g.fillRect(left, strip.top, width, strip.bottom - strip.top);
    g.globalAlpha = event.kind === "macro" ? 0.1 : 0.3;
    g.fillRect(left, plot.top, width, plot.bottom - plot.top);
    g.globalAlpha = 1;
    g.fillRect(apex - 0.75, plot.top, 1.5, plot.bottom - plot.top);
  }
}

function fitting(g, text, room) {
  let letters = text.length;
  while (letters > 1 && g.measureText(text.slice(0, letters) + (letters < text.length ? "…" : "")).width > room) letters -= 1;
  return letters < text.length ? text.slice(0, letters) + "…" : text;
}
