// The pictures of a stretch of time: fetched when they are needed, kept for the last few stretches, played in a loop.

const MOST_KEPT = 4;
const HURRY_MS = 60;
const VIEWS = ["face", "picture", "arrows", "magnified"];

export async function ask(path, given) {
  for (;;) {
    const answer = await fetch(`${path}?${new URLSearchParams(given)}`);
    if (answer.status === 503) {
      await new Promise((go) => setTimeout(go, 200));
      continue;
    }
    if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error ?? answer.statusText);
    return answer;
  }
}

// JSON and JPEGs, each after its length in four bytes.
async function unpacked(answer) {
  const data = await answer.arrayBuffer(), view = new DataView(data), parts = [];
  for (let at = 0; at < data.byteLength; ) {
    const length = view.getUint32(at);
    parts.push(new Uint8Array(data, at + 4, length));
    at += 4 + length;
  }
  const told = JSON.parse(new TextDecoder().decode(parts.shift()));
  const pictures = await Promise.all(parts.map((part) => (part.length ? createImageBitmap(new Blob([part], { type: "image/jpeg" })) : null)));
  return { told, pictures };
}

export class Player {
  #kept = new Map();
  #wanted = null;
  #place = -1;
  #timeS = 0;
  #lastMs = null;
  #turn = 0;
  #busy = null;

  // `shown` is called with the place of every frame that is shown, `loaded` when there is more to show.
  constructor(tiles, shown, loaded) {
    this.canvases = Object.fromEntries(VIEWS.map((view) => [view, tiles.querySelector(`[data-view=${view}] canvas`)]));
    this.captions = Object.fromEntries(VIEWS.map((view) => [view, tiles.querySelector(`[data-view=${view}] figcaption`)]));
    this.shown = shown;
    this.loaded = loaded;
    this.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.speed = 1;
    this.gain = 5;
    this.stretch = null;
    requestAnimationFrame((ms) => this.#tick(ms));
  }

  get timesS() {
    return this.stretch?.times_s ?? [];
  }

  get timeS() {
    return this.timesS[this.#place] ?? null;
  }

  // What is to be looked at: { material, fromS, toS, onsetS, track }. `next`: what will be looked at after it. Who hurries
  // through the list asks for nothing on the way: one thing is asked for at a time, and only what is still wanted.
  async look(wanted, next = null) {
    const turn = ++this.#turn;
    await new Promise((go) => setTimeout(go, HURRY_MS));
    while (this.#busy !== null && turn === this.#turn) await this.#busy;
    if (turn !== this.#turn) return;
    this.#busy = this.#load(turn, wanted, next);
    await this.#busy;
    this.#busy = null;
  }

  async #load(turn, wanted, next) {
    const same = this.#wanted !== null && keyOf(this.#wanted) === keyOf(wanted);
    try {
      const stretch = await this.#stretch(wanted);
      if (turn !== this.#turn) return;
      this.#wanted = wanted;
      this.stretch = stretch;
      if (!same) this.#begin(wanted);
      this.loaded(stretch);
      for (const view of VIEWS) {
        await this.#pictures(stretch, wanted, view);
        if (turn !== this.#turn) return;
        this.draw();
      }
      if (next === null) return;
      const later = await this.#stretch(next);
      for (const view of ["face", "picture"]) if (turn === this.#turn) await this.#pictures(later, next, view);
    } catch (error) {
      if (turn === this.#turn) this.loaded({ times_s: [], motion: [], shares: null, regions: [], missing: error.message });
    }
  }

  forget() {
    for (const stretch of this.#kept.values()) close(stretch);
    this.#kept.clear();
    this.#wanted = null;
  }

  play(playing = !this.playing) {
    this.playing = playing;
    this.#lastMs = null;
  }

  step(by) {
    this.play(false);
    this.show(this.#place + by);
  }

  show(place) {
    const count = this.timesS.length;
    if (!count) return;
    this.#place = Math.min(Math.max(place, 0), count - 1);
    this.#timeS = this.timesS[this.#place];
    this.draw();
  }

  showAt(timeS) {
    this.show(nearest(this.timesS, timeS));
  }

  draw() {
    for (const view of VIEWS) {
      const canvas = this.canvases[view], picture = this.stretch?.images?.[view]?.pictures[this.#place];
      canvas.toggleAttribute("data-empty", !picture);
      if (!picture) {
        canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
        continue;
      }
      if (canvas.width !== picture.width) canvas.width = picture.width;
      if (canvas.height !== picture.height) canvas.height = picture.height;
      canvas.getContext("2d").drawImage(picture, 0, 0);
    }
    this.shown(this.#place);
  }

  #begin(wanted) {
    this.#place = Math.max(0, nearest(this.timesS, wanted.fromS));
    this.#timeS = this.timesS[this.#place] ?? 0;
    this.#lastMs = null;
    this.draw();
  }

  #tick(ms) {
    requestAnimationFrame((later) => this.#tick(later));
    const times = this.timesS;
    // Nothing runs before there is something to see.
    if (!this.playing || times.length < 2 || !this.stretch.images.face) return;
    const passedS = this.#lastMs === null ? 0 : (ms - this.#lastMs) / 1000;
    this.#lastMs = ms;
    this.#timeS += Math.min(passedS, 0.25) * this.speed;
    const stepS = (times.at(-1) - times[0]) / (times.length - 1);
    if (this.#timeS >= times.at(-1) + stepS || this.#timeS < times[0]) this.#timeS = times[0];
    let place = this.#place;
    if (place >= times.length || times[place] > this.#timeS) place = 0;
    while (place + 1 < times.length && times[place + 1] <= this.#timeS) place += 1;
    if (place === this.#place) return;
    this.#place = place;
    this.draw();
  }

  async #stretch(wanted) {
    const key = keyOf(wanted);
    let stretch = this.#kept.get(key);
    this.#kept.delete(key);
    if (stretch === undefined || stretch.onsetS !== wanted.onsetS) {
      const images = stretch?.images ?? {};
      const given = { material: wanted.material, from_s: wanted.fromS, to_s: wanted.toS, onset_s: wanted.onsetS, track: wanted.track };
      stretch = { ...(await (await ask("stretch", given)).json()), images, onsetS: wanted.onsetS };
    }
    this.#kept.set(key, stretch);
    for (const [old, one] of this.#kept) {
      if (this.#kept.size <= MOST_KEPT) break;
      if (one === this.stretch) continue;
      close(one);
      this.#kept.delete(old);
    }
    return stretch;
  }

  async #pictures(stretch, wanted, view) {
    if (!stretch.times_s.length) return;
    const given = { material: wanted.material, from_s: wanted.fromS, to_s: wanted.toS, kind: view };
    if (view !== "picture") given.onset_s = wanted.onsetS;
    if (view === "magnified") given.gain = this.gain;
    // The face and the picture are the same wherever the onset is.
    const made = view === "arrows" ? `${wanted.onsetS}` : view === "magnified" ? `${wanted.onsetS} ${this.gain}` : "";
    if (stretch.images[view]?.made !== made) {
      const found = await unpacked(await ask("pictures", given));
      closePictures(stretch.images[view]);
      stretch.images[view] = { ...found, made };
    }
    if (stretch !== this.stretch) return;
    if (view === "arrows") {
      const times = stretch.images.arrows.told.times;
      this.captions.arrows.textContent = `motion since the onset, ${times ? `enlarged ${times} times` : "too little to see"}`;
    }
    if (view === "magnified") this.captions.magnified.textContent = `motion ${this.gain} times magnified: for the eye only`;
  }
}

function keyOf(wanted) {
  return [wanted.material, wanted.fromS, wanted.toS, wanted.track].join();
}

function closePictures(images) {
  for (const picture of images?.pictures ?? []) picture?.close();
}

function close(stretch) {
  for (const view of VIEWS) closePictures(stretch.images[view]);
}

export function nearest(timesS, timeS) {
  let best = -1;
  timesS.forEach((one, place) => {
    if (best < 0 || Math.abs(one - timeS) < Math.abs(timesS[best] - timeS)) best = place;
  });
  return best;
}
