import {channelText, listText} from "./format.js";

// One alert's life, moment by moment, in the words of `alertbus-subscriber explain` (subscriber/stories.py). Pure.

const OPEN = new Set(["pending", "in_doubt"]);
const FIRST = "first";
const FALLBACK = "fallback";

/** What a send of which nobody knows the end means for the person. */
const DOUBT = "may have reached you twice";
const DOUBTS = Object.fromEntries(["expired", "dead", "pending", "in_doubt", "suppressed"].map(
  (state) => [state, "may have reached you all the same"]));

const WHYS = {
  silence: "a silence drops it", dedup: "it was counted with alerts like it", disabled: "the channel is switched off",
  off: "its route switches it off", dry_run: "this is a dry run", acknowledged: "somebody acknowledged it first",
};

const RECEIPTS = {
  queued: "the provider has it in its queue", sent: "on its way", delivered: "arrived on the phone",
  read: "was read", failed: "did not arrive",
};

const ENDS = {
  acknowledged: "somebody acknowledged it", resolved: "another alert told of its end", exhausted: "nobody is left to be told",
};

/**
 * One moment of an alert's life.
 * @typedef {object} Moment
 * @property {number} at_us When, in microseconds of UTC; of what is still to come, when that is due.
 * @property {boolean} ahead Whether it is still to come.
 * @property {"good" | "bad" | "warn" | "wait" | "plain"} tone How it looks.
 * @property {string} title What happened.
 * @property {string[]} lines What else is known of it.
 * @property {string | null} channel Where, if somewhere.
 * @property {string} [quote] The provider's own words.
 * @property {string} [messageId] The provider's own id of the message.
 * @property {{id: string, text: string}} [alert] Another alert that tells more.
 * @property {number} [digest] The digest that told it.
 */

/** @param {string | null} why The daemon's word. @returns {string} Why a delivery is suppressed, for a person. */
export function whyText(why) {
  return why ? WHYS[why] ?? why.replaceAll("_", " ") : "";
}

/** @param {object} delivery Of a story. @returns {string} Whether a person may have it twice; empty when not. */
export function doubtText(delivery) {
  return delivery.possible_repeat ? DOUBTS[delivery.status] ?? DOUBT : "";
}

/** @param {string} step The daemon's word. @returns {string} Which turn planned a delivery; empty for the first. */
export function stepText(step) {
  return step === FIRST ? "" : step;
}

/** @param {object} delivery Of a story. @returns {string[]} What held it, told it or took its place. */
export function heldTexts(delivery) {
  const {silence, digest, more} = delivery;
  const [by, name] = parted(delivery.batch);
  const found = [];
  if (silence) {
    const who = silence.author ? ` by ${silence.author}` : "";
    found.push(`${silence.drops ? "dropped" : "held"} by silence ${silence.id}${who}${silence.reason ? `: ${silence.reason}` : ""}`);
  } else if (by === "quiet") found.push(`${delivery.why === "silence" ? "dropped" : "held"} in the quiet hours ${name}`);
  else if (by) found.push(`told together with others of its group (${name})`);
  if (more) found.push(`tells of ${more} more that were counted`);
  if (delivery.told_by && delivery.why === "dedup") found.push("counted, and told with another alert");
  else if (delivery.told_by && delivery.status === "expired") found.push("too old to be sent one by one; named in another alert");
  if (digest) found.push(`in digest ${digest.id} (${digest.kind}, ${digest.state}) with ${digest.members} alerts`);
  if (delivery.handed_over) found.push("its channel is down; a fallback tells it, too");
  return found;
}

/**
 * Tell an alert's life.
 * @param {object} story As of GET /alerts/{id}.
 * @returns {Moment[]} The oldest first; what is still to come stands last.
 */
export function timelineOf(story) {
  const moments = [...beginning(story), ...plans(story)];
  for (const delivery of story.deliveries) moments.push(...tries(delivery), ...ends(delivery));
  moments.push(...people(story));
  return moments.map((moment, order) => ({...moment, order})).sort(
    (one, other) => one.ahead - other.ahead || one.at_us - other.at_us || one.order - other.order);
}

function moment(at_us, title, more = {}) {
  return {at_us, title, ahead: false, tone: "plain", lines: [], channel: null, ...more};
}

function* beginning(story) {
  const occurred_us = Date.parse(story.alert.occurred_at) * 1000;
  if (Math.abs(story.published_us - occurred_us) > 1_000_000) yield moment(occurred_us, "Happened", {lines: ["by the trader's clock"]});
  yield moment(story.published_us, story.stream === null ? "Raised by the daemon itself" : `Published by ${story.alert.source || "a trader"}`);
  const seconds = (story.stored_us - story.published_us) / 1e6;
  const after = seconds >= 0 ? [`${secondsText(seconds)} after it was published`] : [];
  const origin = story.stream === null ? "the daemon's own" : `stream ${story.stream}, number ${story.sequence}`;
  yield moment(story.stored_us, "Stored", {lines: [...after, origin, ...story.marks.map(markText)]});
  if (!story.deliveries.length) yield moment(story.stored_us, "No route took it", {lines: ["it is kept in the history only"]});
}

function markText(mark) {
  return {not_routed: "no route took it", duplicate: "the same alert came once more", lost: "it was taken for lost"}[mark] ?? mark;
}

function* plans(story) {
  const groups = new Map();
  for (const delivery of story.deliveries) {
    const key = `${delivery.created_at} ${delivery.step} ${delivery.route}`;
    groups.set(key, [...(groups.get(key) ?? []), delivery]);
  }
  for (const planned of groups.values()) {
    const [{created_at: at_us, step, route}] = planned;
    const lines = route ? [`by route ${route}`] : [];
    for (const delivery of planned) lines.push(...orders(delivery, planned.length > 1));
    yield moment(at_us, planTitle(step, listText(planned.map(({channel}) => channelText(channel)))), {lines, tone: step === FIRST ? "plain" : "warn"});
  }
}

function planTitle(step, channels) {
  if (step === FIRST) return `Planned for ${channels}`;
  return step === FALLBACK ? `Handed to ${channels} as a fallback` : `Nobody acknowledged it: ${step} goes to ${channels}`;
}

function orders(delivery, several) {
  const words = [
    delivery.silent ? "without a sound where the provider can" : "",
    delivery.template ? `template ${delivery.template}` : "",
    ...heldTexts(delivery).filter((line) => !line.startsWith("in digest")),
  ].filter(Boolean);
  return words.map((text) => (several ? `${channelText(delivery.channel)}: ${text}` : text));
}

function* tries(delivery) {
  const {channel} = delivery;
  for (const attempt of delivery.attempts) {
    const good = attempt.reason === "accepted";
    yield moment(attempt.opened_us, `${channelText(channel)}: ${attemptTitle(attempt)}`, {
      channel,
      tone: good ? "good" : attempt.reason === null || attempt.in_doubt ? "warn" : "bad",
      lines: [attemptLine(attempt)].filter(Boolean),
      quote: attempt.detail || undefined,
      messageId: attempt.provider_message_id ?? undefined,
      digest: delivery.digest?.id,
    });
    for (const receipt of attempt.receipts) {
      const said = [receipt.code ? `code ${receipt.code}` : "", receipt.detail].filter(Boolean).join(": ");
      yield moment(receipt.at, `${channelText(channel)}: receipt ${receipt.state}, ${RECEIPTS[receipt.state] ?? "told by the provider"}`, {
        channel, tone: receipt.state === "failed" ? "bad" : "good", quote: said || undefined,
      });
    }
  }
}

/** @param {object} attempt Of a story. @returns {string} How it ended. */
export function attemptTitle({reason, in_doubt: inDoubt}) {
  if (reason === null) return inDoubt ? "sent, but its answer is not known" : "is being sent";
  if (reason === "accepted") return "accepted by the provider";
  return `not accepted, ${reason.replaceAll("_", " ")}`;
}

/** @param {object} attempt Of a story. @returns {string} What else is known of it. */
export function attemptLine(attempt) {
  return [
    attempt.status ? `HTTP ${attempt.status}` : "",
    attempt.code ? `code ${attempt.code}` : "",
    attempt.seconds === null ? "" : `after ${secondsText(attempt.seconds)}`,
    attempt.in_doubt ? "in doubt: the provider may have taken it" : "",
    attempt.possible_repeat ? "said to be a possible repeat" : "",
    attempt.by_template ? "by template" : "",
  ].filter(Boolean).join(" · ");
}

function* ends(delivery) {
  const {channel, status} = delivery;
  if (OPEN.has(status)) {
    const lines = [status === "in_doubt" ? "in doubt: nobody knows whether the provider took the last try" : "",
      delivery.retries ? `${delivery.retries} tries so far` : "", doubtText(delivery)].filter(Boolean);
    yield moment(delivery.due_at, `${channelText(channel)}: next try`, {channel, ahead: true, tone: "wait", lines});
    if (delivery.expires_at !== null) yield moment(delivery.expires_at, `${channelText(channel)}: too old from then on`, {channel, ahead: true, tone: "wait"});
    return;
  }
  const tried = delivery.attempts.some(({reason}) => reason === "accepted");
  if (delivery.finished_at === null || (tried && ["accepted", "delivered", "folded"].includes(status))) return;
  yield moment(delivery.finished_at, `${channelText(channel)}: ${endTitle(delivery)}`, {
    channel,
    tone: status === "dead" || status === "expired" ? "bad" : status === "suppressed" ? "plain" : "good",
    lines: [doubtText(delivery), ...heldTexts(delivery)].filter(Boolean),
    digest: delivery.digest?.id,
    alert: delivery.told_by ? {id: delivery.told_by, text: "the alert that tells of it"} : undefined,
  });
}

function endTitle({status, why}) {
  switch (status) {
    case "dead": return "given up; it is a dead letter now";
    case "expired": return "too old to be sent, so it expired";
    case "suppressed": return `not sent on purpose${why ? `, ${whyText(why)}` : ""}`;
    case "folded": return "told in a digest";
    default: return `ended as ${status}`;
  }
}

function* people(story) {
  const {acknowledgement: known, escalation} = story;
  if (known) {
    yield moment(known.at_us, `Acknowledged by ${known.author || "somebody"}`, {tone: "good", lines: [`by ${known.via}`], quote: known.note || undefined});
  }
  if (!escalation) return;
  const turns = escalation.channels.length;
  if (escalation.ended_us === null) {
    const to = escalation.channels[escalation.turn - 1];
    yield moment(escalation.due_us, `Escalation: turn ${escalation.turn} of ${turns} goes to ${channelText(to)} unless acknowledged`, {ahead: true, tone: "wait"});
  } else {
    const after = `after ${escalation.turn - 1} of ${turns} turns`;
    yield moment(escalation.ended_us, `Escalation ended: ${ENDS[escalation.ended_why] ?? escalation.ended_why}`, {
      lines: [after], tone: escalation.ended_why === "exhausted" ? "bad" : "good",
    });
  }
}

function parted(batch) {
  const text = batch ?? "";
  const colon = text.indexOf(":");
  return colon < 0 ? [text, text] : [text.slice(0, colon), text.slice(colon + 1)];
}

function secondsText(seconds) {
  return seconds < 10 ? `${seconds.toFixed(3)} s` : `${Math.round(seconds)} s`;
}
