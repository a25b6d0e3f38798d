import {html, nothing, repeat} from "../lit.js";
import {eventOf, lineOf} from "./alert-words.js";
import {ageText, countText, exactText, msOfUs} from "./format.js";
import {keepFocus} from "./focus.js";
import {icon} from "./icons.js";
import {Reading, soon} from "./reading.js";

const SHOWN = 3;
const DAY_US = 86_400_000_000;
/** How long news, and a reading that failed, wait until it is read again, in milliseconds. */
const PAUSE_MS = 1000;
const RETRY_MS = 5000;
/** For so long after a row went, a click is meant for the row that was there, in milliseconds. */
const SETTLED_MS = 700;
/** The most that are acknowledged at once, as many as the daemon tells in one answer. */
const MOST = 500;

/** The CRITICALs of the last day of which nobody has said that they know of them. */
export class Criticals {
  #acknowledging = new Set();
  #all = false; // whether all of them are being acknowledged
  #movedAt = -Infinity;
  #again = soon(() => this.read(), PAUSE_MS);
  #retry = soon(() => this.read(), RETRY_MS);

  /** @param {import("../alertbus-channels.js").Host} host Shows it. */
  constructor(host) {
    this.host = host;
    this.entries = [];
    /** What the status counted when `entries` were asked for; null before the first answer. */
    this.counted = null;
    this.reading = new Reading(() => host.requestUpdate());
  }

  /** Read them anew. The last day is by the daemon's clock: until its first status, nothing is asked. */
  read() {
    const {host} = this;
    this.#again.stop();
    this.#retry.stop();
    if (!host.status) this.#forget();
    if (host.compact || !host.status || !host.isConnected) return;
    const counted = host.status.unacknowledged_critical;
    this.reading.read(
      () => host.api.getHistory(this.#query(SHOWN)),
      (entries) => Object.assign(this, {entries, counted}),
    );
  }

  /** Something happened. @param {string} type The event's name. @param {object} data What it says. */
  heard(type, data) {
    if (type === "reset" || (type === "alert" && data.severity === "CRITICAL")) this.#again.ask();
  }

  #query(limit) {
    return {severity: "CRITICAL", acknowledged: false, since_us: Math.round(this.host.now() * 1000) - DAY_US, limit};
  }

  async #acknowledgeAll() {
    const {host} = this;
    const count = host.status?.unacknowledged_critical ?? 0;
    const yes = await host.ask({
      title: `Acknowledge all ${count} CRITICALs?`,
      text: "All of the last day, those that are not listed here, too. Nobody further is woken for any of them.",
      action: "Acknowledge all",
    });
    if (!yes || this.#all) return;
    this.#all = true;
    host.requestUpdate();
    let done = 0;
    try {
      for (const {alert} of await host.api.getHistory(this.#query(MOST))) {
        await host.api.acknowledge(alert.id, {author: host.author});
        host.tell("alert-acknowledged", {id: alert.id});
        done += 1;
      }
      host.done(`Acknowledged: ${countText(done, "CRITICAL")}. Nobody further is woken for them.`);
    } catch (error) {
      host.failed(error, `acknowledging all CRITICALs (${done} are)`);
    } finally {
      this.#all = false;
      host.refresh();
      this.read();
    }
  }

  #pressed(event, entry) {
    const byPointer = event.detail > 0;
    if (byPointer && performance.now() - this.#movedAt < SETTLED_MS) return;
    if (!this.#acknowledging.has(entry.alert.id)) this.#acknowledge(entry);
  }

  async #acknowledge({alert}) {
    const {host} = this;
    const at = this.entries.findIndex((entry) => entry.alert.id === alert.id);
    this.#acknowledging.add(alert.id);
    host.requestUpdate();
    try {
      await host.api.acknowledge(alert.id, {author: host.author});
      this.entries = this.entries.filter((entry) => entry.alert.id !== alert.id);
      this.#movedAt = performance.now();
      keepFocus(host, `.criticals li:nth-of-type(${Math.max(1, Math.min(at + 1, this.entries.length))}) button`);
      host.done(`Acknowledged: ${alert.event_type ?? alert.action}. Nobody further is woken for it.`);
      host.tell("alert-acknowledged", {id: alert.id});
      host.refresh();
    } catch (error) {
      host.failed(error, "acknowledging the alert");
    } finally {
      this.#acknowledging.delete(alert.id);
      this.read();
    }
  }

  /** @returns {import("../lit.js").TemplateResult | typeof nothing} What is seen. */
  render() {
    const {host} = this;
    const known = host.status?.unacknowledged_critical ?? 0;
    this.#keepUp(known);
    if (host.compact || !known) return nothing;
    const more = known - this.entries.length;
    return html`<section class="criticals error" aria-label="CRITICAL alerts that nobody acknowledged">
      <div class="row between">
        <h2 class="tone">${icon("octagon")} ${countText(known, "CRITICAL")} not acknowledged</h2>
        <span class="row">
          ${known > 1 && host.canOperate ? html`<button type="button" class="link" aria-disabled=${String(this.#all)}
            @click=${() => this.#all || this.#acknowledgeAll()}>Acknowledge all …</button>` : nothing}
          <button type="button" class="link" @click=${() => host.show("history", {unacknowledged: "true"})}
            >${more > 0 ? `Show all ${known}` : "Show in the history"}</button>
        </span>
      </div>
      <ul>${repeat(this.entries, (entry) => entry.alert.id, (entry) => this.#entry(entry))}</ul>
    </section>`;
  }

  #forget() {
    this.reading.forget();
    this.entries = [];
    this.counted = null;
  }

  #keepUp(known) {
    const {error, pending} = this.reading;
    if (pending) return;
    if (error) this.#retry.ask();
    else if (this.counted === null) this.read();
    else if (known !== this.counted) this.#again.ask();
  }

  #entry(entry) {
    const {host} = this;
    const {alert} = entry;
    const at = msOfUs(entry.published_us);
    const busy = this.#acknowledging.has(alert.id);
    const name = [eventOf(entry), alert.symbol].filter(Boolean).join(" ");
    return html`<li class="row between">
      <div class="grow"><button type="button" class="link strong" @click=${() => host.show("story", {id: alert.id})}>${name}</button>
        <span>${lineOf(alert)}</span> <span class="muted nowrap" title=${exactText(at)}>${ageText(at, host.now())}</span></div>
      <button type="button" class="button small" aria-label="Acknowledge ${name}" ?disabled=${!host.canOperate} aria-disabled=${String(busy)}
        title=${host.canOperate ? "Say that you know of it: nobody further is woken" : "Your token may only read"}
        @click=${(event) => this.#pressed(event, entry)}>${busy ? html`<span class="spinner"></span>` : icon("check")} Acknowledge</button>
    </li>`;
  }
}
