import {html, nothing, repeat} from "../lit.js";
import {eventOf, lineOf} from "./alert-words.js";
import {DELIVERY_STATES, SEVERITIES, ageText, channelText, exactText, msOfUs} from "./format.js";
import {badge, icon} from "./icons.js";
import {Reading} from "./reading.js";

const SHOWN = 8;

/** The newest alerts, as they come. */
export class RecentAlerts {
  #visible = false;
  #came = new Map();

  /** @param {import("../alertbus-channels.js").Host} host Shows it. */
  constructor(host) {
    this.host = host;
    this.entries = [];
    this.reading = new Reading(() => host.requestUpdate());
  }

  /** Show it now. */
  shown() {
    this.#visible = true;
    this.reconnected();
  }

  /** It is no longer seen. */
  hidden() {
    this.#visible = false;
  }

  /** Something happened. @param {string} type The event's name. @param {object} data What it says. */
  heard(type, data) {
    if (!this.#visible || this.host.compact) return;
    if (type === "reset") this.reconnected();
    if (type !== "alert") return;
    if (this.reading.pending) this.#came.set(data.number, data);
    this.#merge([data]);
  }

  /** Read anew. What came while it was read is newer than the answer. */
  reconnected() {
    if (!this.#visible || this.host.compact) return;
    this.#came.clear();
    this.reading.read(() => this.host.api.getHistory({limit: SHOWN}), (entries) => {
      this.entries = entries;
      this.#merge([...this.#came.values()]);
    });
  }

  #merge(entries) {
    const known = new Map([...this.entries, ...entries].map((entry) => [entry.number, entry]));
    this.entries = [...known.values()].sort((one, other) => other.number - one.number).slice(0, SHOWN);
    this.host.requestUpdate();
  }

  /** @returns {import("../lit.js").TemplateResult} What is seen. */
  render() {
    const {host, entries, reading} = this;
    return html`<section class="panel stack recent" aria-labelledby="recent-title">
      <div class="row between"><h2 id="recent-title">Latest alerts</h2>
        <button type="button" class="link" @click=${() => host.show("history")}>History</button></div>
      ${entries.length ? html`<ul>${repeat(entries, ({number}) => number, (entry) => entryView(host, entry))}</ul>`
        : reading.error ? html`<p class="error tone">${reading.error.message}</p>`
        : reading.at === null ? html`<div class="skeleton tall"></div>`
        : html`<p class="muted">No alert yet. The first one appears here by itself.</p>`}
    </section>`;
  }
}

function entryView(host, entry) {
  const {alert} = entry;
  const at = msOfUs(entry.published_us);
  const name = [eventOf(entry), alert.symbol].filter(Boolean).join(" ");
  const text = lineOf(alert);
  return html`<li>
    <span class="muted small nowrap when" title=${exactText(at)}>${ageText(at, host.now())}</span>
    <span class="sign">${badge(SEVERITIES[entry.severity] ?? SEVERITIES.INFO)}</span>
    <div class="grow"><button type="button" class="link strong" @click=${() => host.show("story", {id: alert.id})}>${name}</button>
      <span class="clip" title=${text}>${text}</span></div>
    <span class="told">${entry.deliveries.length ? entry.deliveries.map(stateView) : html`<span class="muted small">history only</span>`}</span>
  </li>`;
}

function stateView({channel, status}) {
  const {tone, icon: shape, label} = DELIVERY_STATES[status] ?? {tone: "idle", icon: "question", label: status};
  return html`<span class="${tone} small nowrap" title="${channelText(channel)}: ${label}"><span class="tone">${icon(shape)}</span>${nothing}
    <span class="muted">${channelText(channel)}</span><span class="speaks">: ${label}</span></span>`;
}
