import {html, nothing} from "../lit.js";
import {
  REASONS, SEVERITIES, ageText, clockText, countText, exactText, lengthText, listText, msOf, secondsText,
} from "./format.js";
import {icon} from "./icons.js";

const MODES = {none: "the provider has none", off: "not set up", polling: "asked for", webhook: "told by webhook"};
const WINDOWS = {open: "open", closed: "closed", unknown: "unknown"};
const DAY_MS = 86_400_000;

/**
 * What is known of a channel, in rows that are always there, so that nothing jumps when one has something to say.
 * @param {import("../alertbus-channels.js").Host} host Shows it.
 * @param {object} channel One of the status.
 * @returns {import("../lit.js").TemplateResult} A list of names and values.
 */
export function facts(host, channel) {
  const now = host.now();
  return html`<dl class="facts">
    ${row("Last success", time(msOf(channel.last_success_at), now))}
    ${row("Last alert", lastAlert(host, channel.last_alert, now))}
    ${row("Last error", lastError(host, channel, now))}
    ${row("Waiting", waiting(host, channel, now))}
    ${row("Dead letters", channel.dead
      ? html`<button type="button" class="link" @click=${() => host.show("dead-letters", {channel: channel.name})}
          >${countText(channel.dead, "dead letter")}</button>` : muted("none"))}
    ${row("Pace", pace(channel, now))}
    ${channel.breaker && channel.breaker.state !== "closed" ? row("Breaker", breaker(channel.breaker, now)) : nothing}
    ${channel.receipts ? row("Receipts", receipts(channel.receipts)) : nothing}
    ${channel.window ? row("Window", windowOf(channel.window, now)) : nothing}
    ${row("Routes", channel.routes?.length ? listText(channel.routes) : muted("none leads to it"))}
    ${channel.switched ? row("Switched", switched(channel.switched, now)) : nothing}
  </dl>`;
}

function row(name, value) {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

function muted(text) {
  return html`<span class="muted">${text}</span>`;
}

/** @param {number | null} at When. @param {number} now Now. @returns An age, with the exact time as its title. */
export function time(at, now) {
  return at === null ? muted("never") : html`<time datetime=${new Date(at).toISOString()} title=${exactText(at)}>${ageText(at, now)}</time>`;
}

function lastAlert(host, last, now) {
  if (!last) return muted("none yet");
  const {tone, icon: shape} = SEVERITIES[last.severity] ?? SEVERITIES.INFO;
  const name = [last.event_type, last.symbol].filter(Boolean).join(" ");
  return html`<span class="${tone} tone" title=${last.severity}>${icon(shape)}<span class="speaks">${last.severity}</span></span>
    <button type="button" class="link" @click=${() => host.show("story", {id: last.alert_id})}>${name}</button>
    <span class="clip" title=${last.text}>${last.text}</span>
    <span class="muted">${time(msOf(last.at), now)}, in ${secondsText(last.seconds)}</span>`;
}

function lastError(host, {last_error: error, last_success_at: success, state}, now) {
  if (!error) return muted("none");
  const at = msOf(error.at);
  const over = state !== "error" && msOf(success) > at;
  const codes = [error.status && `HTTP ${error.status}`, error.code && `code ${error.code}`].filter(Boolean).join(", ");
  const label = REASONS[error.reason]?.label ?? error.reason;
  return html`<span class="${over ? "muted" : "error tone"}">${label}</span>
    ${codes ? muted(`(${codes})`) : nothing} ${time(at, now)}${over ? muted(", works since") : nothing}
    ${error.alert_id ? html`<button type="button" class="link" aria-label="The alert of the last error"
      @click=${() => host.show("story", {id: error.alert_id})}>alert</button>` : nothing}
    <span class="clip said-short" title=${error.detail}>${error.detail}</span>`;
}

function waiting(host, {name, backlog, oldest_published_at: oldest, state}, now) {
  if (!backlog) return muted("nothing");
  const at = msOf(oldest);
  return html`<button type="button" class="link ${state === "error" ? "strong" : ""}" @click=${() => host.show("history", {channel: name, state: "pending"})}
    >${countText(backlog, "alert")}</button>${at === null ? nothing
    : html`<span class="muted" title=${exactText(at)}>, the oldest for ${lengthText(now - at)}</span>`}`;
}

function pace({pace: known, held_until: held}, now) {
  const until = msOf(held);
  if (until !== null && until > now) {
    return html`<span class="warn tone" title=${exactText(until)}>on hold by the provider, ${lengthText(until - now)} more</span>`;
  }
  if (!known) return muted("–");
  const rate = known.interval_seconds > 0 ? `one each ${secondsText(known.interval_seconds)}` : "as fast as it goes";
  return known.wait_seconds > 0.05
    ? html`${muted(`${rate}, `)}next message in ${known.wait_seconds.toFixed(1)} s` : html`${muted(`${rate}, `)}free now`;
}

function breaker({state, next_probe_at: probe}, now) {
  const at = msOf(probe);
  const next = at === null ? "" : at > now ? `, next probe in ${lengthText(at - now)}` : ", probing now";
  return html`<span class="error tone" title="After repeated failures the provider is asked by one message at a time."
    >${state.replaceAll("_", " ")}${next}</span>`;
}

function receipts({mode, waiting: open}) {
  const awaited = mode === "none" || mode === "off" ? "" : open ? `, ${open} awaited` : ", none awaited";
  return html`${MODES[mode] ?? mode}<span class="muted">${awaited}</span>`;
}

function windowOf({state, last_message_of_person_at: wrote}, now) {
  const at = msOf(wrote);
  const until = state === "open" && at !== null ? `, until ${clockText(at + DAY_MS, now)}` : "";
  const help = state === "closed" ? "A template is sent in place of free text until the person writes again."
    : "WhatsApp takes free text for 24 hours after the person's last message.";
  return html`<span title=${help} class=${state === "closed" ? "warn tone" : ""}>${WINDOWS[state] ?? state}${until}</span>`;
}

function switched({enabled, at, author, via}, now) {
  return html`${enabled ? "on" : "off"} ${author ? `by ${author}` : `by the ${via}`}<span class="muted">, ${time(msOf(at), now)}</span>`;
}
