// What a person has to know before everything else, from the status and the connection. Pure.

import {channelText, clockText, countText, exactText, lengthText, listText, msOf} from "./format.js";

/**
 * @typedef {object} Notice
 * @property {string} key The same for the same thing: it is spoken once.
 * @property {"error" | "warn" | "info"} tone How it looks.
 * @property {string} icon Its shape.
 * @property {string} title What it is.
 * @property {string} text What it means, and what to do.
 * @property {string} [since] The exact time, for a title.
 * @property {{label: string, name: "refresh" | "reload"}} [action] What helps.
 */

/**
 * @param {object} known
 * @param {import("./live.js").Live} known.live What is known.
 * @param {boolean} known.canOperate Whether the reader may change something.
 * @returns {Notice[]} The worst first.
 */
export function noticesOf({live, canOperate}) {
  const {status} = live;
  return [...connection(live), ...(status ? [...channels(status), ...publishers(live), ...standing(status, canOperate)] : [])];
}

function connection(live) {
  const {connection: {state, retryAt, error: refusal}, error, statusAt, status} = live;
  const asOf = statusAt === null ? "Nothing is known of it yet."
    : `What you see is as of ${clockText(statusAt + live.skewMs, live.now())}.`;
  const wait = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  const again = state === "connecting" || wait === 0 ? "Trying again now." : `Trying again in ${wait} s.`;
  const action = {label: "Try now", name: "refresh"};
  if (state === "unauthorized") {
    return [{key: "token", tone: "error", icon: "octagon", title: "The daemon wants a token, or another one.",
      text: `${error?.message ?? ""}${status ? ` ${asOf}` : ""}`}];
  }
  if (error?.code === "store_unavailable") {
    return [{key: "database", tone: "error", icon: "octagon", title: "The daemon's database is unavailable.",
      text: `Publishers keep their alerts until it is back; nothing is lost. ${asOf} It recovers by itself.`, action}];
  }
  if (state === "refused" && (!error || error === refusal)) { // a status that was read since is no stream
    return [{key: "refused", tone: "warn", icon: "unlink", title: "No live updates: what you see is read each few seconds.",
      text: `${refusal.message} ${asOf}`, action}];
  }
  if (error && state !== "live") {
    return [{key: "away", tone: "error", icon: "unlink", title: "The daemon can't be reached.",
      text: `${error.code === "unreachable" ? "" : `${error.message} `}${again} ${asOf}`, action}];
  }
  if (live.old) {
    return [{key: "old", tone: "warn", icon: "clock", title: "The daemon has said nothing new for a while.", text: asOf, action}];
  }
  return [];
}

function channels({channels: all, dry_run: dryRun, uncovered_critical: uncovered = 0}) {
  const configured = all.filter(({state}) => state !== "not_configured");
  const notices = [];
  if (uncovered) {
    notices.push({key: "uncovered", tone: "error", icon: "octagon",
      title: `CRITICAL waits, and no channel is left to tell it: ${countText(uncovered, "delivery", "deliveries")}.`,
      text: "Switch a channel on: what waits goes out by the first that is."});
  }
  if (dryRun) {
    notices.push({key: "dry", tone: "info", icon: "flask", title: "Dry run: nothing is really sent.",
      text: "Give the daemon the credentials of a provider, and start it again, to reach people."});
  } else if (!configured.length) {
    notices.push({key: "none", tone: "error", icon: "octagon", title: "No channel is configured: nobody is told anything.",
      text: "Set the credentials of Telegram or WhatsApp, or add a channel to alertbus.toml."});
  } else if (configured.every(({enabled}) => !enabled)) {
    notices.push({key: "all-off", tone: "error", icon: "slash", title: "Every channel is switched off: nobody is told anything.",
      text: "A CRITICAL waits until one is switched on; everything else is suppressed."});
  }
  return notices;
}

/**
 * @param {object} publisher One of the status.
 * @param {import("./live.js").Live} live What is known.
 * @returns {number} When it was last heard, in milliseconds of the daemon's clock.
 */
export function heardAt(publisher, live) {
  return msOf(publisher.last_heard_at) ?? (live.statusAt + live.skewMs) - 1000 * (publisher.last_heard_seconds_ago ?? 0);
}

function publishers(live) {
  const all = live.status.publishers;
  const beating = new Set(all.filter(({up}) => up).map(({source}) => source));
  const notices = [];
  for (const each of all) {
    const {source} = each;
    if (!each.up && !each.goodbye && !beating.has(source)) {
      const at = heardAt(each, live);
      notices.push({key: `silent:${source}`, tone: "error", icon: "pulse",
        title: `No heartbeat from ${source} for ${lengthText(live.now() - at)}.`, since: exactText(at),
        text: "It may have crashed, hang, or have lost its network. Look at the process; trading may have stopped."});
    } else if (each.hung) {
      notices.push({key: `hung:${source}`, tone: "error", icon: "pause", title: `${source} hangs.`,
        text: "Its process still beats, but its trading loop has made no progress for longer than it said it would."});
    }
    if (each.up && each.volatile) {
      notices.push({key: `volatile:${source}`, tone: "warn", icon: "triangle", title: `${source} can't write its journal.`,
        text: "Its alerts are kept in memory only: what is not yet stored here is lost if it crashes. Is its disk full?"});
    }
  }
  return unique(notices);
}

function unique(notices) {
  return [...new Map(notices.map((notice) => [notice.key, notice])).values()];
}

function standing(status, canOperate) {
  const notices = [];
  if (status.refused) {
    notices.push({key: "configuration", tone: "warn", icon: "triangle", title: "A change of the configuration was refused.",
      text: "What was in force stays in force. Put alertbus.toml right, then read it again.",
      ...(canOperate ? {action: {label: "Read it again", name: "reload"}} : {})});
  }
  const paused = status.channels.filter(({paused: is}) => is).map(({name}) => channelText(name));
  if (paused.length) {
    notices.push({key: `paused:${paused}`, tone: "error", icon: "pause",
      title: `${listText(paused)} ${paused.length === 1 ? "is" : "are"} paused: the provider refuses the credentials or the target.`,
      text: "See the channel's card for the provider's own words."});
  }
  if (!canOperate) {
    notices.push({key: "read-only", tone: "info", icon: "info", title: "You may look, and change nothing.",
      text: "The token that this page has is for reading. Sign in with the one for operating to use the controls."});
  }
  return notices;
}
