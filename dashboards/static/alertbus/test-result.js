import {html, nothing} from "../lit.js";
import {DELIVERY_STATES, REASONS, channelText, clockText, providerText, secondsText} from "./format.js";
import {badge, icon} from "./icons.js";

/**
 * What became of a test.
 * @param {import("../alertbus-channels.js").Host} host Shows it.
 * @param {{result?: object, error?: Error, at: number, againAt?: number | null}} run It.
 * @param {() => void} close Takes it away.
 * @returns {import("../lit.js").TemplateResult} The providers' answers, or why there are none.
 */
export function resultView(host, run, close) {
  return html`<div class="test-result ${run.error ? "error" : "idle"}">
    <div class="row between">
      <p class="strong">${run.error ? html`<span class="tone">${icon("octagon")} The test was not sent</span>`
        : html`Test of ${clockText(run.at, host.now())}`}</p>
      <button type="button" class="button quiet small square" aria-label="Close the result of the test" @click=${close}>${icon("close")}</button>
    </div>
    ${run.error ? failure(run) : answers(host, run.result)}
  </div>`;
}

function failure({error, againAt}) {
  const wait = againAt ? Math.ceil((againAt - Date.now()) / 1000) : 0;
  const again = !againAt ? "" : wait > 0 ? ` Next test in ${wait} s.` : " You can test again now.";
  return html`<p>${error.message}${again}</p>`;
}

function answers(host, result) {
  return html`
    ${result.dry_run ? html`<p class="muted">Dry run: nothing was really sent.</p>` : nothing}
    ${result.route ? html`<p class="muted">By route <span class="mono">${result.route}</span>.</p>` : nothing}
    ${result.not_routed || !result.channels.length ? html`<p>No route takes such an alert: it is in the history only.</p>` : nothing}
    <ul class="stack">${result.channels.map((answer) => answerView(answer))}</ul>
    <p><button type="button" class="link small" @click=${() => host.show("story", {id: result.alert_id})}>Its whole story</button></p>`;
}

function answerView(answer) {
  const {channel, provider, accepted, detail, message_id: message, waiting_for: waits, seconds} = answer;
  const codes = [answer.status && `HTTP ${answer.status}`, answer.code && `code ${answer.code}`].filter(Boolean).join(", ");
  return html`<li>
    <p class="row">${badge(badgeOf(answer))}<span class="strong">${channelText(channel)}</span>
      <span class="muted">${providerText(provider ?? "")}</span>
      ${seconds === null ? nothing : html`<span class="strong">${secondsText(seconds)}</span>`}</p>
    ${waits ? html`<p>Waits for ${waits}.</p>` : nothing}
    ${detail && !waits?.includes(detail) ? html`<blockquote class="said">${detail}</blockquote>` : nothing}
    ${codes || message ? html`<p class="muted small">${codes}${codes && message ? " · " : ""}${message
      ? html`message <span class="mono">${message}</span>` : nothing}</p>` : nothing}
    ${!accepted && REASONS[answer.outcome]?.todo ? html`<p class="small">${REASONS[answer.outcome].todo}</p>` : nothing}
  </li>`;
}

function badgeOf({state, why, accepted, waiting_for: waits, outcome}) {
  const known = DELIVERY_STATES[state] ?? {label: state, tone: "idle", icon: "question", help: ""};
  if (state === "suppressed") return {...known, label: `Not sent: ${(why ?? "").replaceAll("_", " ")}`};
  if (accepted || !waits) return known;
  if (outcome && outcome !== "accepted") return {...known, label: REASONS[outcome]?.label ?? outcome, tone: "error", icon: "octagon"};
  return {...known, label: "Waits", tone: "warn"};
}
