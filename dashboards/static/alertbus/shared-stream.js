/** A page that is hidden for so long lets go of its connection, of which a browser has six for one daemon. */
const HIDDEN_MS = 10_000;

/** The streams that are open in this page, by where they are, and as whom. */
const streams = new Map();

/**
 * One stream of the daemon's events for all elements of a page that ask the same daemon with the same token. It rests
 * while the page is hidden, and goes on from where it was when it is seen again.
 */
class SharedStream {
  #listeners = new Set();
  #hello = null;
  #state = {state: "connecting", retryAt: null, error: null};
  #timer = 0;
  #stream;

  constructor(api) {
    this.#stream = api.openEvents({
      onEvent: (type, data) => {
        if (type === "hello") this.#hello = data;
        for (const {onEvent} of [...this.#listeners]) onEvent(type, data);
      },
      onState: (state) => {
        this.#state = state;
        if (state.state !== "live") this.#hello = null;
        for (const {onState} of [...this.#listeners]) onState(state);
      },
    });
    document.addEventListener("visibilitychange", this.#seen);
    if (document.hidden) this.#stream.rest();
  }

  add(listener) {
    queueMicrotask(() => { // as from the network: never before whoever asks has what it asked for
      if (!this.#listeners.has(listener)) return;
      listener.onState(this.#state);
      if (this.#hello) listener.onEvent("hello", this.#hello);
    });
    this.#listeners.add(listener);
    if (this.#state.state === "unauthorized") this.wake();
  }

  /** @returns {boolean} Whether somebody still listens; the stream is closed where nobody does. */
  remove(listener) {
    this.#listeners.delete(listener);
    if (this.#listeners.size) return true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#seen);
    this.#stream.close();
    return false;
  }

  wake() {
    if (!document.hidden) this.#stream.wake();
  }

  #seen = () => {
    clearTimeout(this.#timer);
    if (document.hidden) this.#timer = setTimeout(() => this.#stream.rest(), HIDDEN_MS);
    else this.#stream.wake();
  };
}

/**
 * Listen to the daemon, together with all others of this page that ask it with the same key.
 * @param {ReturnType<import("../monitoring-api.js").createMonitoringApi>} api Opens the stream.
 * @param {string} key Where the daemon is, and as whom it is asked.
 * @param {object} listener
 * @param {(type: string, data: any) => void} listener.onEvent Each event with its data; whoever comes later is told the
 *   greeting alone of what was before.
 * @param {(state: import("./event-stream.js").StreamState) => void} listener.onState The connection, at once and then.
 * @returns {{close(): void, wake(): void}} `wake` tries again at once.
 */
export function listenTogether(api, key, listener) {
  if (!streams.has(key)) streams.set(key, new SharedStream(api));
  const stream = streams.get(key);
  const mine = {...listener};
  stream.add(mine);
  return {
    close() {
      if (streams.get(key) === stream && !stream.remove(mine)) streams.delete(key);
    },
    wake: () => stream.wake(),
  };
}
