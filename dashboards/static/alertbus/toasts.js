import {html, nothing, ref, repeat} from "../lit.js";
import {keepFocus} from "./focus.js";
import {icon} from "./icons.js";

const GOOD_MS = 8000;

/** What was done, and what failed. What failed stays until somebody closes it. */
export class Toasts {
  #number = 0;
  #timers = new Set();
  #list = null;

  /** @param {import("../alertbus-channels.js").Host} host Shows it. */
  constructor(host) {
    this.host = host;
    this.items = [];
  }

  /** @param {string} text What was done. */
  done(text) {
    const item = this.#add({text, detail: "", bad: false});
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.close(item.number);
    }, GOOD_MS);
    this.#timers.add(timer);
    this.host.announce(text);
  }

  /** @param {Error} error Why. @param {string} doing What failed, as in "switching telegram off". */
  failed(error, doing) {
    const text = `${doing.charAt(0).toUpperCase()}${doing.slice(1)} did not work.`;
    const wait = error.retryAfterSeconds ? ` Try again in ${Math.ceil(error.retryAfterSeconds)} s.` : "";
    this.#add({text, detail: `${error.message}${wait}`, bad: true});
    this.host.announce(`${text} ${error.message}${wait}`);
  }

  /** @param {number} number Which. */
  close(number) {
    this.items = this.items.filter((item) => item.number !== number);
    if (this.#list?.contains(this.host.renderRoot.activeElement)) keepFocus(this.host, ".toast button");
    else this.host.requestUpdate();
  }

  /** Forget what is timed: nobody looks any more. */
  stop() {
    this.#timers.forEach(clearTimeout);
    this.#timers.clear();
    this.items = this.items.filter((item) => item.bad);
  }

  #add(item) {
    this.#number += 1;
    const known = {...item, number: this.#number};
    this.items = [...this.items.filter((each) => each.text !== item.text || each.detail !== item.detail), known].slice(-5);
    if (this.#list?.isConnected) {
      this.#list.hidePopover?.(); // a dialog that was opened since lies above it
      this.#list.showPopover?.();
    }
    this.host.requestUpdate();
    return known;
  }

  /** Above everything, above a dialog that is open as well. */
  #raise = (list) => {
    this.#list = list ?? null;
    queueMicrotask(() => list?.isConnected && list.showPopover?.()); // it is put in the document after this
  };

  /** @returns {import("../lit.js").TemplateResult | typeof nothing} What is seen. */
  render() {
    if (!this.items.length) return nothing;
    return html`<ul class="toasts" aria-label="Messages" popover="manual" ${ref(this.#raise)}>${repeat(this.items, (item) => item.number, (item) => html`
      <li class="toast ${item.bad ? "error" : "ok"}">
        <span class="tone">${icon(item.bad ? "octagon" : "check")}</span>
        <div class="grow"><p class="strong">${item.text}</p>${item.detail ? html`<p class="muted">${item.detail}</p>` : nothing}</div>
        <button type="button" class="button quiet small square" aria-label="Close the message: ${item.text}"
          @click=${() => this.close(item.number)}>${icon("close")}</button>
      </li>`)}</ul>`;
  }
}
