/**
 * The daemon's HTTP API for a browser, usable alone:
 *
 *     import {getNotificationStatus, sendNotificationTest} from "./monitoring-api.js";
 *     const {channels} = await getNotificationStatus();
 *     await sendNotificationTest({channel: "telegram"});
 *
 * Every function returns the `data` of the daemon's envelope, or throws a MonitoringError.
 */
import {EventStream} from "./alertbus/event-stream.js";
import {MonitoringError} from "./alertbus/monitoring-error.js";

export {MonitoringError};

const PREFIX = "/api/monitoring/notifications";
const TIMEOUT_MS = 15_000;
/** A test answers after ten seconds at the latest; its request may have waited for others. */
const TEST_TIMEOUT_MS = 30_000;

/**
 * @typedef {object} MonitoringOptions
 * @property {string} [base] Where the daemon, or a proxy of it, is: `""` is the page's own origin. Without the API's path.
 * @property {string | null} [token] The bearer token.
 * @property {typeof fetch} [fetch] In place of the browser's.
 * @property {number} [timeoutMs] After which a question is given up.
 */

/**
 * @param {MonitoringOptions} [options] Where to ask, and how.
 * @returns The API; see the methods.
 */
export function createMonitoringApi({base = "", token = null, fetch: given, timeoutMs = TIMEOUT_MS} = {}) {
  const root = base.replace(/\/+$/, "") + PREFIX;
  const fetcher = (...asked) => (given ?? globalThis.fetch)(...asked);

  const headers = (more = {}) => ({...(token ? {Authorization: `Bearer ${token}`} : {}), ...more});

  async function reach(path, {method = "GET", body, signal, accept = "application/json"}) {
    try {
      return await fetcher(root + path, {
        method,
        signal,
        cache: "no-store",
        headers: headers({Accept: accept, ...(body === undefined ? {} : {"Content-Type": "application/json"})}),
        ...(body === undefined ? {} : {body: JSON.stringify(body)}),
      });
    } catch (error) {
      throw signal?.aborted ? error : new MonitoringError(
        "The daemon can't be reached: it may be stopped, restarting, or behind a connection that is down.",
        {code: "unreachable"});
    }
  }

  async function within(ms, act) {
    const abort = new AbortController();
    let late = false;
    const timer = setTimeout(() => { late = true; abort.abort(); }, ms);
    try {
      return await act(abort.signal);
    } catch (error) {
      if (error instanceof MonitoringError) throw error;
      throw late
        ? new MonitoringError(`The daemon did not answer within ${Math.round(ms / 1000)} s.`, {code: "timeout"})
        : new MonitoringError("The answer of the daemon broke off.", {code: "unreachable"});
    } finally {
      clearTimeout(timer);
    }
  }

  function ask(path, options = {}) {
    return within(options.timeoutMs ?? timeoutMs, async (signal) => opened(await reach(path, {...options, signal})));
  }

  const id = encodeURIComponent;
  const post = (path, body, more = {}) => ask(path, {method: "POST", body, ...more});
  const by = (author = "") => ({author, via: "page"});

  return {
    /** @returns {Promise<object>} How every channel and publisher stands. */
    getNotificationStatus: () => ask("/status"),

    /**
     * @param {{channel?: string, text?: string, alert?: object}} [payload] One channel; or an alert, sent where its
     *   routes say; or neither: every channel.
     * @returns {Promise<object>} What each provider answered.
     */
    sendNotificationTest: (payload = {}) => post("/test", payload, {timeoutMs: Math.max(timeoutMs, TEST_TIMEOUT_MS)}),

    /** Switch a channel on or off, over restarts. */
    setChannelEnabled: (name, enabled, {author} = {}) =>
      ask(`/channels/${id(name)}`, {method: "PATCH", body: {enabled, ...by(author)}}),

    /** Let a paused channel send again. */
    resumeChannel: (name, {author = ""} = {}) => post(`/channels/${id(name)}/resume`, by(author)),

    /** @param {object} [filters] Query of GET /history. @returns {Promise<object[]>} The newest first. */
    getHistory: (filters = {}) => ask(`/history${query(filters)}`),

    /** @param {string} alertId Its id. @returns {Promise<object>} One alert's whole story. */
    getAlert: (alertId) => ask(`/alerts/${id(alertId)}`),

    /** Say that a person knows of an alert. */
    acknowledge: (alertId, {author, note = ""} = {}) => post(`/alerts/${id(alertId)}/ack`, {...by(author), note}),

    /** @param {number} number Its number. @returns {Promise<object>} What a digest told, and of which alerts. */
    getDigest: (number) => ask(`/digests/${id(number)}`),

    /** @param {{limit?: number, before?: number, channel?: string}} [filters] Which. @returns {Promise<object>} Them. */
    getDeadLetters: (filters = {}) => ask(`/dead-letters${query(filters)}`),

    /** @param {number} letter Its id. @returns {Promise<object>} What a retry would say. */
    previewDeadLetter: (letter) => ask(`/dead-letters/${id(letter)}`),

    /** @param {{ids?: number[], all?: true, channel?: string | null}} which Some, or all. @returns What was sent again. */
    retryDeadLetters: (which, {author} = {}) => post("/dead-letters/retry", {...which, ...by(author)}),

    /** @param {{ended?: boolean}} [which] With those that have ended. @returns {Promise<object[]>} The newest first. */
    getSilences: (which = {}) => ask(`/silences${query(which)}`),

    /** @param {object} silence Body of POST /silences. @returns {Promise<object>} It, with what it holds. */
    addSilence: (silence) => post("/silences", {...silence, via: "page"}),

    /** End a silence now. */
    endSilence: (number, {author = ""} = {}) => ask(`/silences/${id(number)}${query(by(author))}`, {method: "DELETE"}),

    /** @returns {Promise<object>} What is in force, since when, and what was refused since. */
    getRoutes: () => ask("/routes"),

    /** @param {object} alert What might come. @returns {Promise<object>} Where it would go now, and why. */
    explainRoute: (alert) => post("/routes/explain", alert),

    /** Read the configuration again. */
    reload: ({author = ""} = {}) => post("/reload", {author}),

    /** @param {object} [filters] Query of GET /changes. @returns {Promise<object[]>} What people changed. */
    getChanges: (filters = {}) => ask(`/changes${query(filters)}`),

    /** @param {object} filters Query of GET /export. @returns {Promise<Blob>} A file. */
    exportRecords: (filters) => within(10 * timeoutMs, async (signal) => {
      const answer = await reach(`/export${query(filters)}`, {signal, accept: "*/*"});
      return answer.ok ? answer.blob() : opened(answer);
    }),

    /**
     * Listen to what happens. Connects again by itself.
     * @param {object} listeners
     * @param {(type: string, data: any) => void} listeners.onEvent Each event.
     * @param {(state: import("./alertbus/event-stream.js").StreamState) => void} [listeners.onState] The connection.
     * @param {string | null} [listeners.after] The cursor to go on from.
     * @param {AbortSignal} [listeners.signal] Ends it.
     * @returns {{close(): void, rest(): void, wake(): void}} `rest` lets go of the connection until `wake`, which tries
     *   again at once, too.
     */
    openEvents({onEvent, onState, after = null, signal}) {
      const stream = new EventStream(async (cursor, ending) => {
        const answer = await reach(`/events${query({after: cursor})}`, {signal: ending, accept: "text/event-stream"});
        if (!answer.ok) await opened(answer);
        if (!/^text\/event-stream/.test(answer.headers.get("content-type") ?? "") || !answer.body) throw noEnvelope(answer);
        return answer;
      }, {onEvent, onState, after});
      if (signal?.aborted) stream.close();
      signal?.addEventListener("abort", () => stream.close(), {once: true});
      return stream;
    },
  };
}

async function opened(answer) {
  let envelope;
  try {
    envelope = JSON.parse(await answer.text());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (answer.ok && envelope?.status === "success") return envelope.data;
  if (typeof envelope?.error !== "string") throw noEnvelope(answer);
  const wait = Number.parseFloat(answer.headers.get("retry-after") ?? "");
  throw new MonitoringError(envelope.error, {
    status: answer.status,
    code: envelope.code ?? "internal",
    data: envelope.data ?? null,
    retryAfterSeconds: Number.isFinite(wait) ? wait : null,
  });
}

function noEnvelope(answer) {
  return new MonitoringError(
    `What answered is not the daemon: HTTP ${answer.status}. Is something else at this address, or a proxy whose daemon is away?`,
    {status: answer.status, code: "bad_answer"});
}

function query(filters) {
  const given = Object.entries(filters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

let standard = createMonitoringApi();

/** Say where the functions of this module ask. @param {MonitoringOptions} options As of `createMonitoringApi`. */
export function configure(options) {
  standard = createMonitoringApi(options);
}

/** @returns {Promise<object>} How every channel and publisher stands. */
export const getNotificationStatus = () => standard.getNotificationStatus();

/** @param {object} [payload] As of the API's method. @returns {Promise<object>} What each provider answered. */
export const sendNotificationTest = (payload) => standard.sendNotificationTest(payload);
