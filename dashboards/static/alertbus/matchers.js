// The match of a route or a silence, as the daemon reads it (see subscriber/policy/match_file.py). Pure.

const SEVERITIES = ["INFO", "WARNING", "CRITICAL"];
const AT_LEAST = ">=";
const NOT = "!";

/**
 * What a match may ask for, in the order in which people think of it. `words` is the closed set of a field that has one.
 * @type {{name: string, label: string, help: string, example: string, words?: string[]}[]}
 */
export const MATCH_FIELDS = [
  {name: "symbol", label: "Symbol", help: "whole words, or patterns with * and ?", example: "TNA, U*"},
  {name: "event_type", label: "Event", help: "types of events; an action has none", example: "DRAWDOWN*"},
  {name: "severity", label: "Severity", help: "an action counts as INFO", example: ">=WARNING",
    words: [...SEVERITIES, `${AT_LEAST}WARNING`]},
  {name: "action", label: "Action", help: "BUY and SELL only where something was traded", example: "BUY, SELL",
    words: ["BUY", "SELL", "HOLD"]},
  {name: "agent_name", label: "Agent", help: "whole words, or patterns with * and ?", example: "!backtest-*"},
  {name: "source", label: "Source", help: "the publishing process", example: "live_trader"},
  {name: "kind", label: "Kind", help: "what kind of alert it is", example: "risk_event",
    words: ["risk_event", "agent_action", "system_event", "opaque"]},
];

/** @param {string} text What somebody wrote. @returns {string[]} Its words; commas divide them. */
export function wordsOf(text) {
  return text.split(",").map((word) => word.trim()).filter(Boolean);
}

/**
 * @param {{field: string, text: string}[]} rows As they stand in the form.
 * @returns {Object<string, string[]>} The match; rows of one field are taken together, empty ones left out.
 */
export function matchOf(rows) {
  const match = {};
  for (const {field, text} of rows) {
    const words = wordsOf(text);
    if (words.length) match[field] = [...(match[field] ?? []), ...words];
  }
  return match;
}

/**
 * @param {Object<string, string | string[]>} match As the daemon has it.
 * @returns {{field: string, text: string}[]} The rows that `matchOf` makes it from.
 */
export function rowsOf(match) {
  return Object.entries(match).map(([field, words]) => ({field, text: [words].flat().join(", ")}));
}

/** @param {Object<string, string | string[]>} match As the daemon has it. @returns {string} It in words. */
export function matchText(match) {
  const parts = MATCH_FIELDS.filter(({name}) => name in match).map(({name, label}) => {
    const words = [match[name]].flat().map(String);
    const given = words.filter((word) => !word.startsWith(NOT)).map(spoken);
    const refused = words.filter((word) => word.startsWith(NOT)).map((word) => spoken(word.slice(NOT.length).trim()));
    const but = refused.length ? `${given.length ? ", but " : ""}not ${refused.join(" or ")}` : "";
    return `${label.toLowerCase()} ${given.join(" or ")}${but}`;
  });
  return parts.length ? parts.join(" and ") : "every alert";
}

/**
 * @param {Object<string, string | string[]>} match What is asked for.
 * @param {object} entry An alert of the history.
 * @returns {boolean} Whether the daemon's match would take it.
 */
export function takes(match, entry) {
  const {alert} = entry;
  const action = alert.kind === "agent_action" && (alert.action === "HOLD" || executed(alert)) ? alert.action : null;
  const values = {
    severity: entry.severity, action, kind: alert.kind, symbol: alert.symbol, agent_name: alert.agent_name,
    source: alert.source, event_type: alert.kind === "agent_action" ? null : alert.event_type,
  };
  return Object.entries(match).every(([name, words]) => {
    const list = [words].flat().map(String);
    if (name === "severity") return allows(list.flatMap(severities), values.severity, same);
    if (name === "action") return action !== null && allows(list.map(upper), action, same);
    return allows(list, values[name] ?? null, name === "kind" ? same : fits);
  });
}

function allows(words, value, equal) {
  const given = words.filter((word) => !word.startsWith(NOT));
  const refused = words.filter((word) => word.startsWith(NOT)).map((word) => word.slice(NOT.length).trim());
  if (value === null) return given.length === 0;
  if (refused.some((word) => equal(word, value))) return false;
  return given.length === 0 || given.some((word) => equal(word, value));
}

function same(word, value) {
  return word === value;
}

function severities(word) {
  const not = word.startsWith(NOT) ? NOT : "";
  const bare = upper(word.slice(not.length).trim());
  const least = bare.startsWith(AT_LEAST) ? SEVERITIES.indexOf(bare.slice(AT_LEAST.length).trim()) : -1;
  return (least < 0 ? [bare] : SEVERITIES.slice(least)).map((each) => not + each);
}

function upper(word) {
  return word.toUpperCase();
}

// As `AgentAction.executed`: only an explicit quantity of 0 means that nothing was traded.
function executed(alert) {
  return alert.quantity !== 0;
}

function spoken(word) {
  return word.startsWith(AT_LEAST) ? `${word.slice(AT_LEAST.length)} or worse` : word;
}

/**
 * Say whether a pattern takes a text: `*` is any text, `?` one character, `[ab]` one of these, `[!ab]` none of these.
 * It goes back to the last `*` alone, so that no pattern makes it slow.
 * @param {string} pattern What is asked for.
 * @param {string} text Any.
 * @returns {boolean} Whether all of the text fits.
 */
export function fits(pattern, text) {
  const tokens = tokensOf(pattern);
  const letters = [...text];
  let token = 0, letter = 0, star = -1, from = 0;
  while (letter < letters.length) {
    const wanted = tokens[token];
    if (wanted === "*") {
      star = token++;
      from = letter;
    } else if (wanted !== undefined && wanted(letters[letter])) {
      token++;
      letter++;
    } else if (star >= 0) {
      token = star + 1;
      letter = ++from;
    } else return false;
  }
  while (tokens[token] === "*") token++;
  return token === tokens.length;
}

function tokensOf(pattern) {
  const letters = [...pattern];
  const tokens = [];
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at];
    // A "]" that comes first belongs to the set; a "[" that is never closed is a letter.
    const closing = letter === "[" ? letters.indexOf("]", at + (letters[at + 1] === NOT ? 3 : 2)) : -1;
    if (letter === "*") tokens.push("*");
    else if (letter === "?") tokens.push(() => true);
    else if (closing > 0) {
      tokens.push(setOf(letters.slice(at + 1, closing)));
      at = closing;
    } else tokens.push((given) => given === letter);
  }
  return tokens;
}

function setOf(letters) {
  const not = letters[0] === NOT;
  const inside = not ? letters.slice(1) : letters;
  const has = (given) => inside.some((letter, at) => (
    inside[at + 1] === "-" && at + 2 < inside.length ? letter <= given && given <= inside[at + 2] : letter === given
  ));
  return (given) => has(given) !== not;
}
