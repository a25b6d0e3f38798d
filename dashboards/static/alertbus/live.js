import {msOf} from "./format.js";
import {listenTogether} from "./shared-stream.js";

const LOOK_EACH_MS = 5000;
/** The daemon tells its status each 10 s at least; older than this, it is asked for, whatever the stream does. */
const STALE_MS = 15_000;
/** A status that is older than this is shown as old. */
export const OLD_MS = 25_000;

/** What is known of the daemon now: its status, whether it is heard, and what it says that happens. */
export class Live {
  #stream = null;
  #timer = 0;
  #asked = 0;
  #answered = 0;
  #told = 0;
  #startedAt = null;
  #heardBefore = false;

  /**
   * @param {ReturnType<import("../monitoring-api.js").createMonitoringApi>} api Asks the daemon.
   * @param {string} key Where it is, and as whom it is asked: those with the same key share one stream.
   * @param {object} listeners
   * @param {() => void} listeners.changed Anything below changed.
   * @param {(type: string, data: any) => void} listeners.heard Each event but the status.
   * @param {() => void} listeners.reconnected The daemon is there again, or another run of it: read everything anew.
   * @param {(state: string) => void} listeners.connection The state of the connection changed.
   */
  constructor(api, key, listeners) {
    this.api = api;
    this.key = key;
    this.listeners = listeners;
    /** The newest status, or null before the first. */
    this.status = null;
    /** When it came, in milliseconds of the browser's clock. */
    this.statusAt = null;
    /** The daemon's clock minus the browser's, in milliseconds. */
    this.skewMs = 0;
    /** When its first status came, in milliseconds of the daemon's clock, or null before. */
    this.beganAt = null;
    /** The error of the newest question or connection, until something comes again. */
    this.error = null;
    /** @type {import("./event-stream.js").StreamState} */
    this.connection = {state: "connecting", retryAt: null, error: null};
  }

  /** Begin to listen. */
  start() {
    this.#listen();
    this.read();
    this.#timer = setInterval(() => this.#look(), LOOK_EACH_MS);
  }

  /** Stop, and forget nothing. */
  stop() {
    clearInterval(this.#timer);
    this.#stream?.close();
    this.#stream = null;
    this.#asked += 1; // an answer that is still under way tells a page that is gone
    this.#answered = this.#asked;
  }

  /** Be fresh at once: the reader has come back, or asks for it. */
  refresh() {
    if (!this.#stream) return;
    if (this.connection.state === "unauthorized") this.#listen();
    else this.#stream.wake();
    this.read();
  }

  #listen() {
    this.#stream?.close();
    this.#stream = listenTogether(this.api, this.key, {
      onEvent: (type, data) => this.#onEvent(type, data),
      onState: (state) => this.#onState(state),
    });
  }

  /** @returns {number} The daemon's time now, in milliseconds. */
  now() {
    return Date.now() + this.skewMs;
  }

  /** @returns {boolean} Whether what is shown is too old to be taken for now. */
  get old() {
    return this.statusAt !== null && Date.now() - this.statusAt > OLD_MS;
  }

  /** @returns {boolean} Whether what is shown is of the past, because the daemon is not heard. */
  get past() {
    return this.status !== null && (this.old || (this.error !== null && this.connection.state !== "live"));
  }

  /** Ask for the status; an answer that something newer overtook is dropped. */
  async read() {
    const mine = ++this.#asked;
    const toldBefore = this.#told;
    try {
      const status = await this.api.getNotificationStatus();
      if (mine <= this.#answered) return;
      this.#answered = mine;
      if (this.#told === toldBefore) this.#take(status);
    } catch (error) {
      if (mine <= this.#answered) return;
      this.#answered = mine;
      if (this.#told !== toldBefore) return;
      this.error = error;
      if (error.status === 401) this.#unauthorized(error);
      this.listeners.changed();
    }
  }

  #look() {
    const {state} = this.connection;
    const stale = Date.now() - (this.statusAt ?? 0) > STALE_MS;
    // A hidden page has no stream after a while; its title is seen all the same.
    const wanted = document.hidden ? stale && state !== "unauthorized" : state === "refused" || (state === "live" && stale);
    if (wanted) this.read();
  }

  #unauthorized(error) {
    this.#stream?.close();
    this.#onState({state: "unauthorized", retryAt: null, error});
  }

  #onState(state) {
    const before = this.connection.state;
    this.connection = state;
    if (state.error && state.state !== "live") this.error = state.error;
    if (state.state !== before) this.listeners.connection(state.state);
    if (state.state === "refused" && before !== "refused") this.read();
    this.listeners.changed();
  }

  #onEvent(type, data) {
    if (type === "status") {
      this.#told += 1;
      this.#take(data);
    } else if (type === "hello") {
      this.#greeted(data.started_at);
    } else {
      this.listeners.heard(type, data);
    }
  }

  #greeted(startedAt) {
    const again = this.#heardBefore;
    this.#heardBefore = true;
    this.#startedAt = startedAt;
    if (again) this.listeners.reconnected();
  }

  #take(status) {
    const restarted = this.#startedAt !== null && status.started_at !== this.#startedAt;
    this.#startedAt = status.started_at;
    this.status = status;
    this.statusAt = Date.now();
    this.error = null;
    const daemons = msOf(status.now_at);
    if (daemons !== null) this.skewMs = daemons - this.statusAt;
    this.beganAt ??= this.now();
    this.listeners.changed();
    if (restarted) this.listeners.reconnected();
  }
}
