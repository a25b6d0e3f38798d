// Small pieces that history, story, dead letters and silences share.

import {html, nothing} from "../lit.js";
import {DELIVERY_STATES, SEVERITIES, channelText, clockText, exactText} from "./format.js";
import {badge, icon} from "./icons.js";
import {whyText} from "./timeline.js";

const UNKNOWN = {label: "unknown", tone: "idle", icon: "question", help: ""};

/** @param {string} state The daemon's word. @returns {string} It for a person. */
export function stateText(state) {
  return DELIVERY_STATES[state]?.label ?? wordText(state);
}

/** @param {string} word Of the daemon. @returns {string} It without what programs need. */
export function wordText(word) {
  return word.replaceAll("_", " ");
}

/** @param {string} severity The daemon's word. @returns {unknown} A badge with its text. */
export function severityBadge(severity) {
  return badge(SEVERITIES[severity] ?? {...UNKNOWN, label: severity});
}

/** @param {object} delivery One alert for one channel. @returns {unknown} A badge with its state, and why. */
export function deliveryBadge(delivery) {
  const {channel, status, why, last_reason: reason, last_detail: detail} = delivery;
  const {label, tone, icon: shape, help} = DELIVERY_STATES[status] ?? {...UNKNOWN, label: wordText(status)};
  const failed = reason && reason !== "accepted" ? `Last try: ${wordText(reason)}${detail ? `, ${detail}` : ""}.` : "";
  const because = why ? whyShort(delivery) : failed && (status === "dead" || status === "pending") ? wordText(reason) : "";
  const title = [help, why ? `Because ${whyText(why)}.` : "", failed].filter(Boolean).join(" ");
  return html`<span class="badge delivery ${tone}" title=${title}>${icon(shape)}<span class="delivery-text"><span class="delivery-channel"
    >${channelText(channel)}</span> ${label}${because ? html`<span class="delivery-why">: ${because}</span>` : nothing}</span></span>`;
}

function whyShort({why, silence}) {
  if (why === "silence") return silence ? `silence ${silence.id}` : "quiet hours";
  return {dedup: "counted", dry_run: "dry run", disabled: "switched off", off: "route says off"}[why] ?? wordText(why);
}

/**
 * @param {object} host The element.
 * @param {number} at_ms Milliseconds since 1970.
 * @param {boolean} [fine] With milliseconds.
 * @returns {unknown} The time by the reader's clock; exactly, and in UTC, in its title.
 */
export function timeView(host, at_ms, fine = false) {
  const moment = new Date(at_ms);
  const iso = Number.isFinite(moment.getTime()) ? moment.toISOString() : "";
  const parts = fine && iso ? html`<span class="fine">${iso.slice(19, 23)}</span>` : nothing;
  return html`<time class="nowrap" datetime=${iso} title=${iso ? exactText(at_ms) : "unknown"}>${iso ? clockText(at_ms, host.now()) : "unknown"}${parts}</time>`;
}

/**
 * @param {object} host The element.
 * @param {{error: Error | null, at: number | null, pending: boolean}} reading What is read.
 * @param {string} what What it is, for the sentence.
 * @param {() => void} again Reads once more.
 * @returns {unknown} That it is loading, that it failed, or nothing.
 */
export function readingView(host, reading, what, again) {
  if (reading.error) {
    const old = reading.at === null ? "" : ` What is shown is of ${clockText(host.now() - (Date.now() - reading.at), host.now())}.`;
    return html`<div class="record-notice error" role="alert"><span class="tone">${icon("octagon")}</span>
      <p class="grow"><strong>The ${what} could not be read.</strong> ${reading.error.message}${old}</p>
      <button class="button small" type="button" ?disabled=${reading.pending} @click=${again}>${reading.pending ? "Reading …" : "Try again"}</button>
    </div>`;
  }
  if (reading.at === null && reading.pending) {
    return html`<div class="record-loading" aria-busy="true"><p class="muted">Reading the ${what} …</p><span class="skeleton"></span><span
      class="skeleton"></span><span class="skeleton"></span></div>`;
  }
  return nothing;
}

/** @param {string} title What is not there. @param {unknown} text What that means. @returns {unknown} An empty state. */
export function emptyView(title, text) {
  return html`<div class="empty">${icon("bell")}<h3>${title}</h3><p>${text}</p></div>`;
}

/** @param {object} host The element. @returns {string} Why a control is off for this reader; empty where it is not. */
export function whyReadOnly(host) {
  return host.canOperate ? "" : "This token may only read: sign in with the one that operates.";
}

/** By element: who acted last, and whom the page named then. */
const acted = new WeakMap();

/** @param {object} host The element. @returns {string} Who acts: as they said before, unless the page names another since. */
export function authorOf(host) {
  const last = acted.get(host);
  return (last?.named === host.author && last.author) || host.author || "";
}

/** @param {object} host The element. @param {string} author Who acted, for the next time. */
export function remember(host, author) {
  acted.set(host, {author, named: host.author});
}

/** @param {object} host The element. Whoever acted is gone. */
export function forgetAuthor(host) {
  acted.delete(host);
}

/** @param {Error | null} error What the daemon said. @returns {unknown} It beside the form that it is about, or nothing. */
export function faultView(error) {
  return error ? html`<p class="record-fault error" role="alert"><span class="tone">${icon("octagon")}</span> ${error.message}</p>` : nothing;
}

/**
 * @param {object} host The element.
 * @param {string} text What is copied.
 * @param {string} what What it is, for the ear.
 * @returns {unknown} A button.
 */
export function copyButton(host, text, what) {
  const copy = async () => {
    try {
      // Without HTTPS, and away from this machine, browsers have no clipboard: the text can still be marked by hand.
      await navigator.clipboard.writeText(text);
      host.done(`Copied ${what}`);
    } catch (error) {
      host.failed(new Error(`The browser does not let the page copy; mark it by hand. ${error.message}`), `copying ${what}`);
    }
  };
  return html`<button class="button small quiet copy" type="button" aria-label=${`Copy ${what}`} @click=${copy}>Copy</button>`;
}
