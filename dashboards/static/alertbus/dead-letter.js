// One dead letter of the list.

import {html, live, nothing} from "../lit.js";
import {ageText, channelText, exactText, countText, listText, msOf} from "./format.js";
import {icon} from "./icons.js";
import {readingView, severityBadge, timeView, whyReadOnly, wordText} from "./record-parts.js";
import {attemptLine, attemptTitle} from "./timeline.js";

/**
 * @param {import("./dead-letters.js").DeadLettersPanel} panel Whose it is.
 * @param {object} letter As of GET /dead-letters.
 * @returns {unknown} It, with what can be done.
 */
export function letterView(panel, letter) {
  const {host} = panel;
  const name = `${letter.event_type} ${letter.symbol ?? ""} for ${channelText(letter.channel)}`.replace("  ", " ");
  const preview = panel.previews.get(letter.id);
  const why = whyReadOnly(host);
  const died = msOf(letter.died_at);
  return html`<li class="panel letter">
    <input type="checkbox" aria-label=${`Select ${name}`} .checked=${live(panel.selected.has(letter.id))}
      ?disabled=${Boolean(why) || !letter.retriable} @change=${({target}) => panel.select(letter, target.checked)}>
    <div class="letter-told">
      <div class="row">
        ${severityBadge(letter.severity)}
        <button class="link strong" type="button" aria-label=${`${name}, open its story`} @click=${() => host.show("story", {id: letter.alert_id})}
          >${letter.event_type}${letter.symbol ? html` ${letter.symbol}` : nothing}</button>
        <span class="muted">for ${channelText(letter.channel)}${letter.step === "first" ? "" : `, ${letter.step}`}</span>
      </div>
      ${letter.text ? html`<p class="letter-text">${letter.text}</p>` : nothing}
      <p class="letter-reason error"><span class="tone">${icon("cross")} ${wordText(letter.reason ?? "given up")}</span>${httpText(letter)}${
  letter.detail ? html`: <q class="quoted">${letter.detail}</q>` : nothing}</p>
      <p class="muted small">given up <time datetime=${letter.died_at ?? ""} title=${exactText(died)}>${ageText(died, host.now())}</time> after
        ${countText(letter.attempts, "try", "tries")}, published ${timeView(host, msOf(letter.published_at))}${
  letter.source ? ` by ${letter.source}` : ""}${letter.possible_repeat ? " · may have reached you all the same" : ""} · ${
  letter.told_elsewhere.length ? `told by ${listText(letter.told_elsewhere.map(channelText))}` : "told by no other channel"}</p>
      ${letter.retriable ? nothing : html`<p class="letter-not warn"><span class="tone">${icon("slash")}</span> Can't be sent again: ${letter.why_not}</p>`}
      ${preview ? previewView(panel, letter, preview) : nothing}
    </div>
    <div class="letter-actions">
      <button class="button small" type="button" aria-expanded=${preview ? "true" : "false"} aria-label=${`${preview ? "Close the preview of" : "Preview"} ${name}`}
        @click=${() => panel.preview(letter)}>${preview ? "Close preview" : "Preview"}</button>
      <button class="button small" type="button" aria-label=${`Retry ${name}`} title=${why || (letter.retriable ? "" : letter.why_not ?? "")}
        ?disabled=${Boolean(why) || !letter.retriable || panel.pending !== null} @click=${() => panel.retry(letter)}
        >${panel.pending === letter.id ? "Sending …" : "Retry"}</button>
    </div>
  </li>`;
}

function httpText({status, code}) {
  const words = [status ? `HTTP ${status}` : "", code && code !== String(status) ? `code ${code}` : ""].filter(Boolean).join(", ");
  return words ? ` (${words})` : "";
}

function previewView(panel, letter, {reading, told}) {
  const {host} = panel;
  return html`<div class="letter-preview">
    ${readingView(host, reading, "preview", () => panel.readPreview(letter))}
    ${told ? html`
      <h3>What a retry would say now</h3>
      ${told.message ? html`<pre class="record-message" tabindex="0" aria-label="What a retry would say">${told.message.text}</pre>
        <p class="muted small">written as ${wordText(told.message.dialect)}${told.message.template ? `, by template ${told.message.template}` : ""}</p>` : nothing}
      <h3>${countText(told.attempts_made.length, "try", "tries")}</h3>
      <ol class="letter-attempts">${told.attempts_made.map((attempt) => html`<li>${timeView(host, attempt.opened_us / 1000)}
        ${attemptTitle(attempt)} <span class="muted">${attemptLine(attempt)}</span>${attempt.detail ? html` <q class="quoted">${attempt.detail}</q>` : nothing}</li>`)}</ol>` : nothing}
  </div>`;
}
