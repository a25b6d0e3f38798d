import {html, nothing} from "../lit.js";
import {ageText, clockText, exactText, msOf} from "./format.js";
import {icon} from "./icons.js";

/**
 * @param {import("../alertbus-channels.js").Host} host Whose heading it is.
 * @returns {import("../lit.js").TemplateResult} Its name, whether it is live, and what the page adds.
 */
export function heading(host) {
  return html`<header class="head">
    <div class="row grow"><slot name="mark"></slot>
      ${host.routed && !host.compact ? html`<h1 id="heading" tabindex="-1">${host.heading}</h1>` : html`<h2 id="heading" tabindex="-1">${host.heading}</h2>`}
      ${indicator(host.live)}</div>
    <div class="row"><slot name="actions"></slot></div>
  </header>`;
}

function indicator(live) {
  const {state, retryAt} = live.connection;
  const wait = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  const words = {
    live: {tone: live.old ? "warn" : "ok", text: "Live", help: "What you see is told by the daemon as it happens."},
    connecting: live.error ? {tone: "warn", text: "Reconnecting", help: "The connection to the daemon is lost."}
      : {tone: "idle", text: "Connecting", help: "The daemon is asked."},
    reconnecting: {tone: "error", text: `Reconnecting${wait ? ` in ${wait} s` : ""}`, help: "The connection to the daemon is lost."},
    refused: {tone: "warn", text: "Not live", help: "The daemon takes no further listener; it is asked each few seconds."},
    unauthorized: {tone: "error", text: "Signed out", help: "The daemon wants a token."},
  }[state];
  const at = live.statusAt === null ? null : live.statusAt + live.skewMs;
  return html`<span class="indicator ${words.tone}" data-state=${state} title="${words.help} Last word: ${exactText(at)}">
    <span class="pulse" aria-hidden="true"></span>${words.text}</span>`;
}

/**
 * @param {import("../alertbus-channels.js").Host} host Whose daemon it is.
 * @returns {import("../lit.js").TemplateResult | typeof nothing} Which daemon tells all this.
 */
export function footer(host) {
  const {status} = host;
  if (!status) return nothing;
  const started = msOf(status.started_at);
  const said = host.live.statusAt + host.live.skewMs;
  return html`<footer class="foot muted small">
    <span>alertbus ${status.version}</span>
    <span class="mono" title="Store ${status.store_id}">${status.database}</span>
    <span title=${exactText(started)}>started ${ageText(started, host.now())}</span>
    ${status.events ? html`<span title="Pages that listen, and how many can">${status.events.open} of ${status.events.most} listeners</span>` : nothing}
    <span title=${exactText(said)}>as of ${clockText(said, host.now())} by the daemon's clock</span>
  </footer>`;
}
