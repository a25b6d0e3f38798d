// One silence of the list.

import {html, nothing} from "../lit.js";
import {ageText, countText, exactText, lengthText} from "./format.js";
import {badge} from "./icons.js";
import {matchText} from "./matchers.js";
import {timeView, whyReadOnly} from "./record-parts.js";

const HOUR = 3600;

/** How much later a silence may be made to end. */
const LONGER = [
  {seconds: HOUR, label: "1 hour"}, {seconds: 4 * HOUR, label: "4 hours"}, {seconds: 24 * HOUR, label: "1 day"},
];
const BADGES = {
  "in force": {label: "In force", tone: "warn", icon: "pause", help: "What it matches is not told now."},
  planned: {label: "Planned", tone: "info", icon: "clock", help: "It begins later."},
  ended: {label: "Ended", tone: "idle", icon: "check", help: "It silences nothing any more."},
};

/**
 * @param {object} silence As of GET /silences.
 * @param {number} now_ms The daemon's time.
 * @returns {"in force" | "planned" | "ended"} Where it stands.
 */
export function stageOf(silence, now_ms) {
  if (silence.ended_us !== null || silence.ends_us / 1000 <= now_ms) return "ended";
  return silence.starts_us / 1000 > now_ms ? "planned" : "in force";
}

/**
 * @param {import("./silences.js").SilencesPanel} panel Whose it is.
 * @param {object} silence As of GET /silences.
 * @param {"in force" | "planned" | "ended"} stage Where it stands.
 * @returns {unknown} It, with what can be done.
 */
export function silenceView(panel, silence, stage) {
  const {host} = panel;
  const why = whyReadOnly(host);
  const busy = panel.pending !== null;
  const extending = panel.extending === silence.id;
  return html`<li class="panel silence" data-silence=${silence.id}>
    <div class="letter-told">
      <div class="row">${badge(BADGES[stage])}<span class="strong">${matchText(silence.matchers)}</span></div>
      ${silence.reason ? html`<p class="letter-text">${silence.reason}</p>` : nothing}
      <p class="silence-time">${timeText(host, silence, stage)}</p>
      <p class="muted small">silence ${silence.id}, set by ${silence.author || "somebody"} (${silence.via}) ${timeView(host, silence.created_us / 1000)} ·
        ${silence.drops ? "what falls in it is dropped" : "what falls in it is told at its end"} ·
        ${silence.lets_critical ? "CRITICAL is told all the same" : "CRITICAL is silenced, too"}${heldText(panel, silence, stage)}</p>
      ${extending ? html`<div class="row silence-longer" role="group" aria-label=${`Extend silence ${silence.id}`}>${LONGER.map(({seconds, label}) => html`
        <button class="button small" type="button" aria-disabled=${String(busy)} @click=${() => panel.prolong(silence, seconds, label)}>${label} longer</button>`)}</div>` : nothing}
    </div>
    ${stage === "ended" ? nothing : html`<div class="letter-actions">
      <button class="button small" type="button" title=${why} ?disabled=${Boolean(why)} aria-expanded=${extending ? "true" : "false"}
        aria-label=${`Extend silence ${silence.id}`} @click=${() => panel.extend(silence)}>Extend</button>
      <button class="button small" type="button" title=${why} ?disabled=${Boolean(why)} aria-disabled=${String(busy)} aria-label=${`End silence ${silence.id}`}
        @click=${() => panel.end(silence)}>${panel.pending === silence.id ? "Changing …" : "End"}</button>
    </div>`}
  </li>`;
}

function timeText(host, silence, stage) {
  const now = host.now();
  const starts = silence.starts_us / 1000, ends = silence.ends_us / 1000;
  if (stage === "in force") return html`<strong>${lengthText(ends - now)} left</strong>, until ${timeView(host, ends)}`;
  if (stage === "planned") return html`<strong>begins in ${lengthText(starts - now)}</strong>, from ${timeView(host, starts)} until ${timeView(host, ends)}`;
  const ended = (silence.ended_us ?? silence.ends_us) / 1000;
  const by = silence.ended_by === null ? "" : ` by ${silence.ended_by || "somebody"}`;
  return html`ended${by} <time title=${exactText(ended)}>${ageText(ended, now)}</time>, began ${timeView(host, starts)}`;
}

function heldText(panel, silence, stage) {
  if (stage !== "in force" || silence.drops || panel.held === null) return "";
  const count = panel.heldBy(silence);
  const most = panel.heldMost ? "at least " : "";
  return ` · ${count ? `holds ${most}${countText(count, "alert")} now` : "holds nothing now"}`;
}
