// Which alerts of the history are asked for: as people choose it, as an address keeps it, as the daemon reads it. Pure.

import {eventOf} from "./alert-words.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MICROSECONDS = 1000;

/** Quick ranges, by the word of the address. */
export const RANGES = [
  {name: "", label: "any time"},
  {name: "1h", label: "last hour", ms: HOUR_MS},
  {name: "24h", label: "last 24 hours", ms: DAY_MS},
  {name: "7d", label: "last 7 days", ms: 7 * DAY_MS},
  {name: "custom", label: "from … to …"},
];

/** States of a delivery, by the daemon's words. */
export const STATES = ["pending", "in_doubt", "accepted", "delivered", "dead", "expired", "suppressed", "folded"];

/** Words that must be the same in an alert. */
const WORDS = ["event_type", "severity", "symbol", "agent_name", "source", "kind"];
const NAMES = [...WORDS, "channel", "state", "range", "from", "to", "unacknowledged"];

/** What each filter is called where it can be taken away again. */
const LABELS = {
  event_type: "event", severity: "severity", symbol: "symbol", agent_name: "agent", source: "source", kind: "kind",
  channel: "channel", state: "state", range: "time", from: "from", to: "to", unacknowledged: "unacknowledged CRITICAL",
};

/**
 * @param {Object<string, string>} parameters Of an address; what no filter knows is left out.
 * @returns {Object<string, string>} The filters in it that ask for something.
 */
export function filtersOf(parameters) {
  const found = {};
  for (const name of NAMES) {
    const value = String(parameters?.[name] ?? "").trim();
    if (value) found[name] = value;
  }
  if ((found.from || found.to) && found.range !== "custom") found.range = "custom";
  return found;
}

/**
 * @param {Object<string, string>} filters What is chosen.
 * @returns {boolean} Whether what they ask for depends on the time now.
 */
export function isRelative(filters) {
  return RANGES.some(({name, ms}) => ms !== undefined && name === filters.range);
}

/**
 * @param {Object<string, string>} filters What is chosen.
 * @param {number} now_ms The daemon's time.
 * @returns {Object<string, string | number | boolean>} What GET /history is asked with.
 */
export function queryOf(filters, now_ms) {
  const query = {};
  for (const name of [...WORDS, "channel", "state"]) if (filters[name]) query[name] = filters[name];
  if (filters.unacknowledged) Object.assign(query, {acknowledged: false, severity: "CRITICAL"});
  const [since_ms, until_ms] = boundsOf(filters, now_ms);
  if (since_ms !== null) query.since_us = Math.max(0, Math.round(since_ms * MICROSECONDS));
  if (until_ms !== null) query.until_us = Math.max(0, Math.round(until_ms * MICROSECONDS));
  return query;
}

/**
 * @param {Object<string, string>} filters What is chosen.
 * @param {object} entry An alert with its deliveries.
 * @param {number} now_ms The daemon's time.
 * @returns {boolean} Whether the daemon's answer would have it.
 */
export function wants(filters, entry, now_ms) {
  const values = {...entry.alert, severity: entry.severity, event_type: eventOf(entry)};
  if (WORDS.some((name) => filters[name] && filters[name] !== values[name])) return false;
  if (filters.unacknowledged && (entry.severity !== "CRITICAL" || entry.acknowledgement || entry.resolved_by)) return false;
  const {channel, state} = filters;
  if ((channel || state) && !entry.deliveries.some((delivery) => (
    (!channel || delivery.channel === channel) && (!state || delivery.status === state)
  ))) return false;
  const [since_ms, until_ms] = boundsOf(filters, now_ms);
  const at_ms = entry.published_us / MICROSECONDS;
  return (since_ms === null || at_ms >= since_ms) && (until_ms === null || at_ms < until_ms);
}

/**
 * @param {Object<string, string>} filters What is chosen.
 * @returns {{name: string, text: string}[]} A few words for each, to take it away by.
 */
export function chipsOf(filters) {
  return NAMES.filter((name) => filters[name] && !(name === "range" && filters.range === "custom")).map((name) => {
    if (name === "unacknowledged") return {name, text: LABELS[name]};
    const value = name === "range" ? RANGES.find((range) => range.name === filters.range)?.label ?? filters.range : filters[name];
    const moment = name === "from" || name === "to"; // a field's 2026-11-23T12:00
    return {name, text: `${LABELS[name]}: ${moment ? value.replace("T", " ") : value}`};
  });
}

/**
 * @param {string} text Of a `datetime-local` field: the reader's clock.
 * @returns {number | null} It in milliseconds since 1970; null where it is no time.
 */
export function momentOf(text) {
  const at_ms = text ? new Date(text).getTime() : NaN;
  return Number.isFinite(at_ms) ? at_ms : null;
}

function boundsOf(filters, now_ms) {
  if (filters.range === "custom") return [momentOf(filters.from), momentOf(filters.to)];
  const range = RANGES.find(({name}) => name === filters.range);
  return [range?.ms ? now_ms - range.ms : null, null];
}
