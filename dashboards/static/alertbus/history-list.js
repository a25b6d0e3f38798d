// The alerts of the history as rows of a table, or as cards where it is narrow.

import {html, nothing, repeat} from "../lit.js";
import {eventOf, headOf, lineOf} from "./alert-words.js";
import {ageText, clockText, exactText} from "./format.js";
import {badge, icon} from "./icons.js";
import {deliveryBadge, severityBadge} from "./record-parts.js";

/**
 * @param {object} host The element.
 * @param {object[]} entries Alerts with their deliveries, in the order in which they are shown.
 * @param {{narrow: boolean, arrived: Set<number>, known: Set<string>}} look Whether there is no room for a table, which ones just
 *   came, and which ones somebody acknowledged.
 * @returns {unknown} The list.
 */
export function historyList(host, entries, {narrow, arrived, known}) {
  const key = ({number}) => number;
  if (narrow) {
    return html`<ul class="history-list history-cards">${repeat(entries, key, (entry) => html`
      <li class=${lookOf(entry, arrived)} @click=${(event) => opened(host, entry, event)}>
        <div class="history-card-top">${severityBadge(entry.severity)}${whenView(host, entry)}</div>
        <p class="history-what">${openButton(host, entry)}${known.has(entry.alert.id) ? acknowledgedMark() : nothing}</p>
        <p class="history-text">${lineOf(entry.alert)}</p>
        <div class="history-states">${statesView(entry)}</div>
      </li>`)}</ul>`;
  }
  return html`<table class="table history-list history-table">
    <caption class="speaks">Alerts, the newest first. Each one opens its story.</caption>
    <thead><tr><th scope="col">When</th><th scope="col">Severity</th><th scope="col">What happened</th><th scope="col">Channels</th></tr></thead>
    <tbody>${repeat(entries, key, (entry) => html`
      <tr class=${lookOf(entry, arrived)} @click=${(event) => opened(host, entry, event)}>
        <td class="history-when">${whenView(host, entry)}</td>
        <td>${severityBadge(entry.severity)}</td>
        <td class="history-told"><p class="history-what">${openButton(host, entry)}${known.has(entry.alert.id) ? acknowledgedMark() : nothing}</p>
          <p class="history-text">${lineOf(entry.alert)}</p></td>
        <td><div class="history-states">${statesView(entry)}</div></td>
      </tr>`)}</tbody>
  </table>`;
}

function lookOf(entry, arrived) {
  return `history-row history-${entry.severity.toLowerCase()}${arrived.has(entry.number) ? " history-arrived" : ""}`;
}

function openButton(host, entry) {
  const {alert} = entry;
  return html`<button class="link history-open" type="button" data-alert=${alert.id} aria-label=${`${headOf(entry)}, open its story`}
    @click=${(event) => {
    event.stopPropagation();
    host.show("story", {id: alert.id});
  }}><span class="history-event">${eventOf(entry)}</span>${alert.symbol ? html` <span class="history-symbol">${alert.symbol}</span>` : nothing}</button>`;
}

// A row is a large target for the pointer; who marks text in it, or presses what is in it, means that.
function opened(host, entry, event) {
  if (event.target.closest("button, a, input") || String(globalThis.getSelection?.() ?? "")) return;
  host.show("story", {id: entry.alert.id});
}

function whenView(host, entry) {
  const at_ms = entry.published_us / 1000;
  const moment = new Date(at_ms);
  const iso = Number.isFinite(moment.getTime()) ? moment.toISOString() : "";
  return html`<time class="when" datetime=${iso} title=${exactText(at_ms)}>
    <span class="when-clock">${clockText(at_ms, host.now())}</span>
    <span class="when-age">${ageText(at_ms, host.now())}</span><span class="when-exact">${iso.slice(11, 23)} UTC</span></time>`;
}

function acknowledgedMark() {
  return html` <span class="acknowledged ok"><span class="tone">${icon("checks")}</span> acknowledged</span>`;
}

function statesView({deliveries}) {
  if (!deliveries.length) return badge({label: "History only", tone: "idle", icon: "dashed", help: "No route took it: it is kept in the history only."});
  return deliveries.map((delivery) => deliveryBadge(delivery));
}
