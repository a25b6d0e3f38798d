// The alerts of the history as rows of a table, or as cards where it is narrow.

import {guard, html, nothing, repeat} from "../lit.js";
import {eventOf, headOf, lineOf} from "./alert-words.js";
import {ageText, clockText, exactText} from "./format.js";
import {badge, icon} from "./icons.js";
import {deliveryBadge, severityBadge} from "./record-parts.js";

/**
 * Rows are made again when their alert changes; in between, each second costs them no more than a look at their age.
 *
 * @param {object} host The element.
 * @param {object[]} entries Alerts with their deliveries, in the order in which they are shown.
 * @param {{narrow: boolean, arrived: Set<number>}} look Whether there is no room for a table, and which ones just came.
 * @returns {unknown} The list.
 */
export function historyList(host, entries, {narrow, arrived}) {
  const key = ({number}) => number;
  const now = host.now();
  const today = new Date(now).toDateString();
  if (narrow) {
    return html`<ul class="history-list history-cards">${repeat(entries, key, (entry) => html`
      <li class=${lookOf(entry, arrived)} @click=${(event) => opened(host, entry, event)}>
        <div class="history-card-top">${guard([entry.severity], () => severityBadge(entry.severity))}${whenView(entry, now, today)}</div>
        ${guard([entry], () => html`
          <p class="history-what">${openButton(host, entry)}${markOf(entry)}</p>
          <p class="history-text">${lineOf(entry.alert)}</p>
          <div class="history-states">${statesView(entry)}</div>`)}
      </li>`)}</ul>`;
  }
  return html`<table class="table history-list history-table">
    <caption class="speaks">Alerts, the newest first. Each one opens its story.</caption>
    <thead><tr><th scope="col">When</th><th scope="col">Severity</th><th scope="col">What happened</th><th scope="col">Channels</th></tr></thead>
    <tbody>${repeat(entries, key, (entry) => html`
      <tr class=${lookOf(entry, arrived)} @click=${(event) => opened(host, entry, event)}>
        <td class="history-when">${whenView(entry, now, today)}</td>
        ${guard([entry], () => html`
          <td>${severityBadge(entry.severity)}</td>
          <td class="history-told"><p class="history-what">${openButton(host, entry)}${markOf(entry)}</p>
            <p class="history-text">${lineOf(entry.alert)}</p></td>
          <td><div class="history-states">${statesView(entry)}</div></td>`)}
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

// The clock's text is of today or not: it changes when the day does.
function whenView({published_us: at_us}, now, today) {
  const at_ms = at_us / 1000;
  const age = ageText(at_ms, now);
  return guard([at_us, age, today], () => {
    const moment = new Date(at_ms);
    const iso = Number.isFinite(moment.getTime()) ? moment.toISOString() : "";
    return html`<time class="when" datetime=${iso} title=${exactText(at_ms)}>
      <span class="when-clock">${clockText(at_ms, now)}</span>
      <span class="when-age">${age}</span><span class="when-exact">${iso.slice(11, 23)} UTC</span></time>`;
  });
}

function markOf({acknowledgement, resolved_by: ending}) {
  const word = acknowledgement ? "acknowledged" : ending ? "over" : "";
  return word ? html` <span class="acknowledged ok"><span class="tone">${icon("checks")}</span> ${word}</span>` : nothing;
}

function statesView({deliveries}) {
  if (!deliveries.length) return badge({label: "History only", tone: "idle", icon: "dashed", help: "No route took it: it is kept in the history only."});
  return deliveries.map((delivery) => deliveryBadge(delivery));
}
