import {html, nothing, repeat} from "../lit.js";
import {eventOf, lineOf} from "./alert-words.js";
import {ageText, countText, exactText, msOfUs} from "./format.js";
import {icon} from "./icons.js";
import {Reading} from "./reading.js";

const SHOWN = 3;
const DAY_US = 86_400_000_000;

/** The CRITICALs of the last day of which nobody has said that they know of them. */
export class Criticals {
  #acknowledging = new Set();

  /** @param {import("../alertbus-channels.js").Host} host Shows it. */
  constructor(host) {
    this.host = host;
    this.entries = [];
    this.counted = 0;
    this.reading = new Reading(() => host.requestUpdate());
  }

  /** Read them anew. */
  read() {
    if (this.host.compact) return;
    const {host} = this;
    this.counted = host.status?.unacknowledged_critical ?? 0;
    const since_us = Math.round(host.now() * 1000) - DAY_US;
    this.reading.read(
      () => host.api.getHistory({severity: "CRITICAL", acknowledged: false, since_us, limit: SHOWN}),
      (entries) => { this.entries = entries; },
    );
  }

  /** Something happened. @param {string} type The event's name. @param {object} data What it says. */
  heard(type, data) {
    if (type === "reset" || (type === "alert" && data.severity === "CRITICAL")) this.read();
  }

  async #acknowledge({alert}) {
    const {host} = this;
    this.#acknowledging.add(alert.id);
    host.requestUpdate();
    try {
      await host.api.acknowledge(alert.id, {author: host.author});
      this.entries = this.entries.filter((entry) => entry.alert.id !== alert.id);
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
    const known = host.status?.unacknowledged_critical ?? this.entries.length;
    if (known !== this.counted && !this.reading.pending && host.status) this.read();
    if (host.compact || !known || !this.entries.length) return nothing;
    const more = known - this.entries.length;
    return html`<section class="criticals error" aria-label="CRITICAL alerts that nobody acknowledged">
      <div class="row between">
        <h2 class="tone">${icon("octagon")} ${countText(known, "CRITICAL")} not acknowledged</h2>
        <button type="button" class="link" @click=${() => host.show("history", {unacknowledged: "true"})}
          >${more > 0 ? `Show all ${known}` : "Show in the history"}</button>
      </div>
      <ul>${repeat(this.entries, (entry) => entry.alert.id, (entry) => this.#entry(entry))}</ul>
    </section>`;
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
      <button type="button" class="button small" aria-label="Acknowledge ${name}" ?disabled=${busy || !host.canOperate}
        title=${host.canOperate ? "Say that you know of it: nobody further is woken" : "Your token may only read"}
        @click=${() => this.#acknowledge(entry)}>${busy ? html`<span class="spinner"></span>` : icon("check")} Acknowledge</button>
    </li>`;
  }
}
