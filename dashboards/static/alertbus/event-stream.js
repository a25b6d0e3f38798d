import {MonitoringError} from "./monitoring-error.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;
/** The daemon says something each 15 s at least: after this long the connection is dead, whatever the socket says. */
const SILENCE_MS = 40_000;

/**
 * What the stream says of itself: `live`, or why not and when it is tried again (milliseconds of the browser's clock).
 * @typedef {{state: "connecting" | "live" | "reconnecting" | "refused" | "unauthorized",
 *   retryAt: number | null, error: MonitoringError | null}} StreamState
 */

/**
 * Server-sent events of the daemon by fetch(), which can send a token, where EventSource can't. Connects again by
 * itself, with the cursor of the last event that had one.
 */
export class EventStream {
  #wait = FIRST_WAIT_MS;
  #timer = 0;
  #abort = null;
  #ended = false;
  #cursor;
  #id = null;

  /**
   * @param {(after: string | null, signal: AbortSignal) => Promise<Response>} open Opens it; throws a MonitoringError.
   * @param {object} listeners
   * @param {(type: string, data: any) => void} listeners.onEvent Each event with its data.
   * @param {(state: StreamState) => void} [listeners.onState] Whenever the connection changes.
   * @param {string | null} [listeners.after] The cursor to go on from.
   */
  constructor(open, {onEvent, onState = () => {}, after = null}) {
    this.open = open;
    this.onEvent = onEvent;
    this.onState = onState;
    this.#cursor = after;
    this.#run();
  }

  /** End it for good. */
  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  /** Let go of the connection until `wake`; what comes meanwhile is told then, from the cursor on. */
  rest() {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    const abort = this.#abort;
    this.#abort = null;
    abort?.abort();
    this.onState({state: "connecting", retryAt: null, error: null});
  }

  /** Try again at once, if it waits or rests. */
  wake() {
    if (this.#ended || this.#abort) return;
    clearTimeout(this.#timer);
    this.#run();
  }

  async #run() {
    const abort = (this.#abort = new AbortController());
    this.onState({state: "connecting", retryAt: null, error: null});
    let error;
    try {
      const answer = await this.#guarded(abort, this.open(this.#cursor, abort.signal));
      await this.#read(answer, abort);
      error = new MonitoringError("The daemon closed the connection.", {code: "unreachable"});
    } catch (problem) {
      error = problem instanceof MonitoringError ? problem
        : new MonitoringError("The connection to the daemon is lost.", {code: "unreachable"});
    }
    abort.abort();
    if (this.#abort !== abort) return; // it rests, or was opened anew since
    this.#abort = null;
    if (!this.#ended) this.#again(error);
  }

  #again(error) {
    const asked = error.retryAfterSeconds === null ? 0 : error.retryAfterSeconds * 1000;
    const wait = Math.max(asked, this.#wait * (0.5 + Math.random() / 2));
    this.#wait = Math.min(LONGEST_WAIT_MS, this.#wait * 2);
    if (error.status === 401) {
      this.onState({state: "unauthorized", retryAt: null, error});
      return; // nothing gets better by itself: whoever has a token opens anew
    }
    const state = error.status > 0 && error.status !== 502 && error.status !== 504 ? "refused" : "reconnecting";
    this.#timer = setTimeout(() => this.#run(), wait);
    this.onState({state, retryAt: Date.now() + wait, error});
  }

  async #read(answer, abort) {
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    this.#event = {type: "", data: []}; // what the last connection left unfinished is told again by this one
    this.#id = null;
    this.onState({state: "live", retryAt: null, error: null});
    for (;;) {
      const {done, value} = await this.#guarded(abort, reader.read());
      if (done || abort.signal.aborted) return;
      rest += decoder.decode(value, {stream: true});
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (abort.signal.aborted) return;
        this.#line(line);
      }
    }
  }

  #event = {type: "", data: []};

  #line(line) {
    if (line === "") {
      const {type, data} = this.#event;
      this.#event = {type: "", data: []};
      if (this.#id !== null) this.#cursor = this.#id;
      if (data.length && !this.#ended) this.#tell(type || "message", data.join("\n"));
      return;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "event") this.#event.type = value;
    else if (field === "data") this.#event.data.push(value);
    else if (field === "id") this.#id = value;
  }

  #tell(type, text) {
    let data;
    try {
      data = JSON.parse(text);
    } catch {
      return; // a newer daemon's event that is no JSON is none of ours
    }
    this.#wait = FIRST_WAIT_MS; // whoever is only let in, and cut off, comes less and less often
    this.onEvent(type, data);
  }

  /** Wait for the daemon's next word, but not for ever. */
  async #guarded(abort, promise) {
    const timer = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }
}
