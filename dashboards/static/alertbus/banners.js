import {html, nothing, repeat} from "../lit.js";
import {icon} from "./icons.js";
import {noticesOf} from "./notices.js";

/** What a person has to know before everything else. A new one is spoken once; its counting seconds are not. */
export class BannerBoard {
  #spoken = new Set();
  #busy = false;

  /** @param {import("../alertbus-channels.js").Host} host Shows it. */
  constructor(host) {
    this.host = host;
  }

  async #reload() {
    const {host} = this;
    this.#busy = true;
    host.requestUpdate();
    try {
      await host.api.reload({author: host.author});
      host.done("The configuration was read again and is in force.");
    } catch (error) {
      host.failed(error, "reading the configuration again");
    } finally {
      this.#busy = false;
      host.refresh();
    }
  }

  #speak(notices) {
    const worse = notices.filter(({tone}) => tone !== "info");
    const fresh = worse.filter(({key}) => !this.#spoken.has(key));
    const lost = ["away", "refused", "database", "token"];
    const back = lost.some((key) => this.#spoken.has(key)) && !worse.some(({key}) => lost.includes(key))
      && this.host.live.connection.state === "live";
    this.#spoken = new Set([...worse.map(({key}) => key),
      ...(back || this.host.live.connection.state === "live" ? [] : lost.filter((key) => this.#spoken.has(key)))]);
    const words = [...fresh.map(({title}) => title), ...(back ? ["The daemon is heard again."] : [])];
    if (words.length) queueMicrotask(() => this.host.announce(words.join(" ")));
  }

  /** @returns {import("../lit.js").TemplateResult | typeof nothing} What is seen. */
  render() {
    const notices = noticesOf(this.host);
    this.#speak(notices);
    if (!notices.length) return nothing;
    return html`<ul class="banners" aria-label="Notices">${repeat(notices, ({key}) => key, (notice) => html`
      <li class="banner ${notice.tone}">
        <span class="tone">${icon(notice.icon)}</span>
        <div class="grow"><p class="strong" title=${notice.since ?? nothing}>${notice.title}</p><p class="muted">${notice.text}</p></div>
        ${notice.action ? this.#action(notice.action) : nothing}
      </li>`)}</ul>`;
  }

  #action({label, name}) {
    const act = name === "reload" ? () => this.#reload() : () => this.host.refresh();
    return html`<button type="button" class="button small" ?disabled=${name === "reload" && this.#busy} @click=${act}>${label}</button>`;
  }
}
