import {countText} from "./format.js";

/** CRITICALs are spoken so often at most, in milliseconds. */
const PAUSE_MS = 5000;
/** Alerts of which it is remembered that they were spoken: as many as a stream tells again. */
const MOST_KNOWN = 1000;

/** Says CRITICALs aloud as they come: each once, and in a storm how many. */
export class SpokenCriticals {
  #known = new Set();
  #waiting = [];
  #timer = null;

  /** @param {import("../alertbus-channels.js").Host} host Speaks. */
  constructor(host) {
    this.host = host;
  }

  /** @param {object} entry As of GET /history: what was stored before the page began is no news, and a test is none. */
  heard(entry) {
    const {alert, severity, acknowledgement, stored_us: stored} = entry;
    const {beganAt} = this.host.live;
    if (severity !== "CRITICAL" || acknowledgement || isTest(entry)) return;
    if (beganAt === null || stored / 1000 < beganAt || this.#known.has(alert.id)) return;
    this.#known.add(alert.id);
    if (this.#known.size > MOST_KNOWN) this.#known.delete(this.#known.values().next().value);
    this.#waiting.push(alert);
    if (this.#timer === null) this.#speak();
  }

  /** Forget what waits: nobody listens any more. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting = [];
  }

  #speak() {
    this.#timer = null;
    const alerts = this.#waiting;
    if (!alerts.length) return;
    this.#waiting = [];
    this.#timer = setTimeout(() => this.#speak(), PAUSE_MS);
    const [{event_type: event, action, symbol, description}] = alerts;
    this.host.announce(alerts.length === 1 ? `CRITICAL: ${[event ?? action, symbol, description].filter(Boolean).join(", ")}`
      : countText(alerts.length, "new CRITICAL"));
  }
}

/** A test is the daemon's own: it came by no publisher's stream. */
function isTest({alert, stream}) {
  return alert.source === "alertbus" && stream === null && Boolean(alert.event_type?.startsWith("TEST_"));
}
