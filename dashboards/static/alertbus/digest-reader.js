import {html, nothing} from "../lit.js";
import {readingView, severityBadge, stateText, timeView} from "./record-parts.js";
import {Reading} from "./reading.js";

const MOST_SHOWN = 50;

/** Digests that a story names: each is read when somebody opens it. */
export class DigestReader {
  /** @param {object} host The element that shows it. */
  constructor(host) {
    this.host = host;
    this.reset();
  }

  /** Close all of them. */
  reset() {
    this.opened = new Map();
  }

  /**
   * @param {number} number Which digest.
   * @param {string} place Where it is shown: one may be named several times.
   * @param {(id: string) => void} follow Goes on to an alert.
   * @returns {unknown} A button, and below it what the digest said, while it is open.
   */
  render(number, place, follow) {
    const found = this.opened.get(place);
    return html`<button class="button small" type="button" aria-expanded=${found ? "true" : "false"}
      @click=${() => this.#toggle(number, place)}>${found ? "Close" : "Open"} digest ${number}</button>
      ${found ? this.#told(found, number, follow) : nothing}`;
  }

  #told({reading, digest}, number, follow) {
    return html`<div class="digest">
      ${readingView(this.host, reading, `digest ${number}`, () => this.#read(number, {reading, digest}))}
      ${digest ? html`
        <p class="muted">${digest.kind} digest for ${digest.channel}, ${digest.state}, of ${digest.members} alerts,
          begun ${timeView(this.host, digest.created_us / 1000)}${digest.halves.length ? `, split into ${digest.halves.join(" and ")}` : ""}</p>
        ${digest.text === null ? html`<p class="muted">Its text is fixed at its first attempt.</p>`
    : html`<pre class="record-message" tabindex="0" aria-label="What the digest said">${digest.text}</pre>`}
        <ul class="digest-alerts">${digest.alerts.slice(0, MOST_SHOWN).map((each) => html`<li>
          ${severityBadge(each.severity)} <button class="link" type="button" @click=${() => follow(each.id)}
            >${each.event_type} ${each.symbol ?? ""}</button> <span class="muted">${timeView(this.host, each.published_us / 1000)}, ${stateText(each.state)}</span></li>`)}</ul>
        ${digest.alerts.length > MOST_SHOWN ? html`<p class="muted">and ${digest.alerts.length - MOST_SHOWN} more</p>` : nothing}` : nothing}
    </div>`;
  }

  #toggle(number, place) {
    if (this.opened.delete(place)) {
      this.host.requestUpdate();
      return;
    }
    const found = {reading: new Reading(() => this.host.requestUpdate()), digest: null};
    this.opened.set(place, found);
    this.#read(number, found);
  }

  #read(number, found) {
    const kept = [...this.opened.values()].find(({reading}) => reading === found.reading) ?? found;
    kept.reading.read(() => this.host.api.getDigest(number), (digest) => {
      kept.digest = digest;
    });
  }
}
