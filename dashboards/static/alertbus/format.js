// Times, lengths and the daemon's closed words, for people. Pure: the time now is passed in. Times are milliseconds.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** @param {string | null | undefined} iso ISO 8601. @returns {number | null} Milliseconds since 1970. */
export function msOf(iso) {
  const found = iso ? Date.parse(iso) : NaN;
  return Number.isNaN(found) ? null : found;
}

/** @param {number | null | undefined} us Microseconds since 1970. @returns {number | null} Milliseconds. */
export function msOfUs(us) {
  return us === null || us === undefined ? null : us / 1000;
}

/** @param {number} ms A length. @returns {string} "8 s", "3 min", "2 h 5 min", "3 d 4 h": the two largest units. */
export function lengthText(ms) {
  const all = Math.max(0, ms);
  if (all < MINUTE) return `${Math.floor(all / SECOND)} s`;
  if (all < 10 * MINUTE) return pair(all, MINUTE, "min", SECOND, "s");
  if (all < HOUR) return `${Math.floor(all / MINUTE)} min`;
  if (all < DAY) return pair(all, HOUR, "h", MINUTE, "min");
  return pair(all, DAY, "d", HOUR, "h");
}

function pair(ms, large, largeName, little, littleName) {
  const rest = Math.floor((ms % large) / little);
  return `${Math.floor(ms / large)} ${largeName}${rest ? ` ${rest} ${littleName}` : ""}`;
}

/** @param {number | null} at When. @param {number} now Now. @returns {string} "3 min ago"; one unit, so that it is calm. */
export function ageText(at, now) {
  if (at === null) return "never";
  const age = now - at;
  if (age < -SECOND) return `in ${lengthText(-age)}`;
  if (age < 5 * SECOND) return "just now";
  if (age < MINUTE) return `${Math.floor(age / SECOND)} s ago`;
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min ago`;
  if (age < 2 * DAY) return `${Math.floor(age / HOUR)} h ago`;
  return `${Math.floor(age / DAY)} days ago`;
}

/** @param {number | null | undefined} seconds A latency. @returns {string} "340 ms", "1.24 s", "12.4 s", "3 min 2 s". */
export function secondsText(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return lengthText(seconds * SECOND);
}

/** @param {number | null} at When. @param {number} now Now. @returns {string} "14:03:22" of today, "22 Nov 14:03" before. */
export function clockText(at, now) {
  if (at === null) return "–";
  const then = new Date(at);
  const same = then.toDateString() === new Date(now).toDateString();
  const time = {hour: "2-digit", minute: "2-digit", hour12: false};
  if (same) return then.toLocaleTimeString("en-GB", {...time, second: "2-digit"});
  const day = {day: "numeric", month: "short", ...(now - at > 300 * DAY ? {year: "numeric"} : {})};
  return `${then.toLocaleDateString("en-GB", day)} ${then.toLocaleTimeString("en-GB", time)}`;
}

/** @param {number | null} at When. @returns {string} The exact time for a title: the reader's zone, and UTC. */
export function exactText(at) {
  if (at === null) return "never";
  const then = new Date(at);
  const local = then.toLocaleString("en-GB", {dateStyle: "medium", timeStyle: "long"});
  return `${local} · ${then.toISOString().replace("T", " ").replace("Z", " UTC")}`;
}

/** @param {number} count Any. @param {string} one Its noun. @param {string} [many] Its plural. @returns {string} "1 alert". */
export function countText(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** @param {string[]} words Any. @returns {string} "a, b and c". */
export function listText(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

/** What a delivery's state is called, how it looks, and what it means. */
export const DELIVERY_STATES = {
  pending: {label: "Pending", tone: "info", icon: "clock", help: "Waits to be sent, or to be tried again."},
  in_doubt: {label: "In doubt", tone: "warn", icon: "question",
    help: "A try was begun, and nobody knows whether the provider took it."},
  accepted: {label: "Accepted", tone: "ok", icon: "check", help: "The provider took it."},
  delivered: {label: "Delivered", tone: "ok", icon: "checks", help: "Its receipt says that it arrived."},
  dead: {label: "Dead", tone: "error", icon: "cross", help: "Refused for good; it is kept and can be sent again."},
  expired: {label: "Expired", tone: "warn", icon: "expired", help: "It grew older than its route allows."},
  suppressed: {label: "Suppressed", tone: "idle", icon: "slash", help: "Not sent, on purpose."},
  folded: {label: "In a digest", tone: "ok", icon: "stack", help: "Told in one message with others."},
};

/** How severities look. */
export const SEVERITIES = {
  CRITICAL: {label: "CRITICAL", tone: "error", icon: "octagon"},
  WARNING: {label: "WARNING", tone: "warn", icon: "triangle"},
  INFO: {label: "INFO", tone: "info", icon: "info"},
};

/** How an attempt ended, and what a person does about it. */
export const REASONS = {
  accepted: {label: "accepted", todo: ""},
  rate_limited: {label: "rate limited", todo: "The provider asked for a pause; sending goes on by itself after it."},
  unavailable: {label: "the provider fails",
    todo: "The provider is asked again by itself, less and less often. Alerts wait meanwhile; none is lost."},
  network: {label: "no connection",
    todo: "Check this machine's network, DNS and proxy. It is tried again by itself; alerts wait meanwhile."},
  timeout: {label: "no answer in time",
    todo: "The provider did not answer in time. It is tried again by itself; a message may arrive twice."},
  unauthorized: {label: "refused: credentials or target",
    todo: "Put the token, chat or number right, restart the daemon if you changed a setting, then press Resume."},
  rejected: {label: "message refused for good", todo: "This message can't be sent as it is; look at it in the dead letters."},
};

const CHANNEL_STATES = {
  ok: {label: "OK", tone: "ok", icon: "check", help: "It sends, and its provider answers."},
  error: {label: "Error", tone: "error", icon: "octagon", help: "Its provider refuses or can't be reached."},
  disabled: {label: "Disabled", tone: "idle", icon: "slash", help: "Switched off: nothing is sent by it."},
  dry_run: {label: "Dry run", tone: "info", icon: "flask", help: "Nothing is really sent."},
  not_configured: {label: "Not configured", tone: "idle", icon: "dashed",
    help: "It has no credentials, but something still waits for it."},
  not_running: {label: "Not running", tone: "warn", icon: "question", help: "No daemon runs that could say how it is."},
};

/**
 * @param {object} channel One of the status.
 * @returns {{label: string, tone: string, icon: string, help: string}} Its badge.
 */
export function badgeOf(channel) {
  const plain = CHANNEL_STATES[channel.state] ?? {label: channel.state, tone: "idle", icon: "question", help: ""};
  const {problem} = channel;
  if (channel.state === "error" && (channel.paused || problem?.kind === "paused")) {
    return {...plain, label: "Error · paused", icon: "pause", help: problem?.text ?? "Paused until a person resumes it."};
  }
  if (channel.state === "ok" && problem?.kind === "held") {
    return {label: "OK · on hold", tone: "warn", icon: "clock", help: problem.text};
  }
  return problem ? {...plain, help: problem.text} : plain;
}

const NAMES = {whatsapp: "WhatsApp", telegram: "Telegram"};
const PROVIDERS = {telegram: "Telegram Bot API", twilio: "Twilio", meta: "Meta Cloud API", whatsapp: "WhatsApp"};

/** @param {string} name A channel's. @returns {string} The same as people write it. */
export function channelText(name) {
  return NAMES[name] ?? name;
}

/** @param {string} provider The daemon's word. @returns {string} The same as people write it. */
export function providerText(provider) {
  return PROVIDERS[provider] ?? provider;
}
