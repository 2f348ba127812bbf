// The line to the program: a WebSocket that comes back by itself.
//
// A message is the length of a JSON text in four bytes, the text, and a JPEG. Each one is answered when it has been shown;
// while nothing is answered (a hidden or paused page) the program sends nothing more, and makes no pictures for this page.

const RETRY_FIRST_MS = 500, RETRY_LONGEST_MS = 8000;
const SILENT_MS = 10000;
const ENDED = 1001;

export class Link {
  #socket = null;
  #retryMs = RETRY_FIRST_MS;
  #owed = 0;
  #held = false;
  #ended = false;
  #heardMs = 0;
  #shown = Promise.resolve();

  // show(state, picture) shows a message, picture null where it is the one before; told(state, words) tells how the line is:
  // "live", "waiting" or "ended".
  constructor(show, told) {
    this.show = show;
    this.told = told;
    setInterval(() => this.#check(), 1000);
    this.#open();
  }

  // Held: what comes is still shown, but nothing more is asked for.
  hold(held) {
    this.#held = held;
    this.#heardMs = performance.now();
    if (!held) while (this.#owed > 0) this.#answer();
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#owed = 0;
    let greeted = false;
    socket.onmessage = (event) => {
      greeted = true;
      this.#heardMs = performance.now();
      this.#retryMs = RETRY_FIRST_MS;
      // A message that cannot be shown must not hold up those after it: the line is made anew.
      this.#shown = this.#shown.then(() => this.#take(socket, event.data)).catch(() => socket.close());
    };
    socket.onclose = (event) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#ended = event.code === ENDED || (this.#ended && !greeted);
      if (this.#ended) this.told("ended", "the run has ended");
      else this.told("waiting", greeted ? "connection lost, trying again" : "no connection, trying again");
      setTimeout(() => this.#open(), this.#retryMs);
      this.#retryMs = Math.min(2 * this.#retryMs, RETRY_LONGEST_MS);
    };
  }

  async #take(socket, data) {
    const length = new DataView(data).getUint32(0);
    const state = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const jpeg = new Uint8Array(data, 4 + length);
    const picture = jpeg.length ? await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })) : null;
    if (socket !== this.#socket) return;
    this.show(state, picture);
    this.told("live", "live");
    if (state.kind === "hello") return;
    this.#owed += 1;
    if (!this.#held) this.#answer();
  }

  #answer() {
    this.#owed -= 1;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send("");
  }

  // Even without new pictures there is word every second.
  #check() {
    if (this.#held || this.#socket?.readyState !== WebSocket.OPEN) return;
    const silentMs = performance.now() - this.#heardMs;
    if (silentMs > SILENT_MS) this.#socket.close();
    else if (silentMs > 2500) this.told("waiting", `no word for ${Math.floor(silentMs / 1000)} s`);
  }
}
