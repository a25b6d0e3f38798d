// What an alert says, in the words of the daemon's own messages (see subscriber/policy/wording.py). Pure.

/** Numbers that an alert may carry beside those of its headline, by the name that people read. */
const NUMBERS = {
  value: "value", threshold: "threshold", quantity: "quantity", price: "price", pnl: "P&L", position: "position",
  confidence: "confidence", reward: "reward",
};

/** Fields that have a place of their own, or are told by another one. */
const TOLD = new Set([
  "id", "kind", "source", "occurred_at", "extra", "altered", "event_type", "action", "severity", "symbol",
  "agent_name", "description", "rationale", "action_taken", "resolves", "original_kind", "fields",
  ...Object.keys(NUMBERS),
]);

const KINDS = {
  risk_event: "Risk event", agent_action: "Agent's action", system_event: "System event", opaque: "Unknown kind",
};

/** @param {object} entry One of the history. @returns {string} The type of its event, or its action. */
export function eventOf(entry) {
  return entry.alert.action ?? entry.alert.event_type ?? "UNNAMED";
}

/** @param {string} kind The word of the daemon. @returns {string} The same for a person. */
export function kindText(kind) {
  return KINDS[kind] ?? kind;
}

/** @param {object} entry One of the history. @returns {string} "CRITICAL DRAWDOWN TNA", or "BUY TNA". */
export function headOf(entry) {
  const severity = entry.alert.kind === "agent_action" ? null : entry.severity;
  return [severity, eventOf(entry), entry.alert.symbol].filter(Boolean).join(" ");
}

/** @param {number} number Any. @returns {string} It with thousands apart and without float dust. */
export function numberText(number) {
  const size = Math.abs(number);
  if (size && (size < 1e-9 || size >= 1e15)) return String(Number(number.toPrecision(6)));
  const digits = size >= 1000 ? {maximumFractionDigits: 2}
    : size >= 1 ? {maximumFractionDigits: 6} : {maximumSignificantDigits: 6};
  return number.toLocaleString("en-US", digits);
}

/** @param {object} alert Any. @returns {string} A trade's "10 @ 41.20"; empty for everything else. */
export function tradeText(alert) {
  if (alert.kind !== "agent_action") return "";
  if (alert.action !== "HOLD" && alert.quantity === 0) return "nothing traded";
  const quantity = typeof alert.quantity === "number" ? numberText(alert.quantity) : "";
  const price = typeof alert.price === "number"
    ? `@ ${alert.price.toLocaleString("en-US", {minimumFractionDigits: 2, maximumFractionDigits: 6})}` : "";
  return [quantity, price].filter(Boolean).join(" ");
}

/** @param {object} alert Any. @returns {string} What happened, or why, as it came. */
export function descriptionOf(alert) {
  return String(alert.description ?? alert.rationale ?? alert.fields?.description ?? "").trim();
}

/** @param {object} alert Any. @returns {string} One line: a trade's figures, and what happened. */
export function lineOf(alert) {
  return [tradeText(alert), descriptionOf(alert).replace(/\s+/g, " ")].filter(Boolean).join(" · ");
}

/** @param {unknown} value Plain data. @returns {string} It without braces and quotes. */
export function plainText(value) {
  if (value === null || value === undefined) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(plainText).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([name, item]) => `${name} ${plainText(item)}`).join(", ");
  return String(value);
}

/**
 * @param {object} entry One of the history, or a story.
 * @returns {{name: string, value: string}[]} Every field of the alert that has a value, but for ids and its texts.
 */
export function fieldsOf(entry) {
  const {alert} = entry;
  const found = [{name: "kind", value: kindText(alert.kind)}];
  const add = (name, value) => {
    if (value !== null && value !== undefined && value !== "") found.push({name, value});
  };
  add("unknown kind", alert.original_kind);
  add("severity", entry.severity);
  add(alert.action ? "action" : "event", eventOf(entry));
  add("symbol", alert.symbol);
  add("agent", alert.agent_name);
  add("source", alert.source);
  for (const [field, name] of Object.entries(NUMBERS)) {
    if (typeof alert[field] === "number") add(name, numberText(alert[field]));
    else if (alert.altered?.[field]) add(name, alert.altered[field]);
  }
  add("action taken", alert.action_taken);
  for (const [name, value] of Object.entries({...alert.extra, ...alert.fields})) {
    if (name !== "description") add(name, plainText(value) || "empty");
  }
  for (const [name, value] of Object.entries(alert)) if (!TOLD.has(name)) add(name, plainText(value ?? ""));
  const altered = Object.entries(alert.altered ?? {}).filter(([name]) => name !== "state" && !(name in NUMBERS));
  add("changed on the way", altered.map(([name, was]) => `${name} was ${was}`).join(", "));
  return found;
}
