import {html} from "../lit.js";
import {ageText, countText, exactText} from "./format.js";
import {badge} from "./icons.js";
import {heardAt} from "./notices.js";

/**
 * @param {import("../alertbus-channels.js").Host} host Shows it.
 * @returns {import("../lit.js").TemplateResult} Who publishes, and when each was last heard.
 */
export function publishersView(host) {
  const {publishers} = host.status;
  return html`<section class="panel stack" aria-labelledby="publishers-title">
    <h2 id="publishers-title">Publishers</h2>
    ${publishers.length ? html`<ul class="publishers">${publishers.map((publisher) => publisherView(host, publisher))}</ul>`
      : html`<p class="muted">No publisher was heard since the daemon started. One that stops without a goodbye is told as a CRITICAL.</p>`}
  </section>`;
}

function publisherView(host, publisher) {
  const {past} = host.live;
  const at = heardAt(publisher, host.live);
  const {source, journal_alerts: journal, refused, last_sequence: last} = publisher;
  const told = [
    typeof last === "number" && countText(last, "alert"),
    journal ? `${journal} not stored here yet` : "",
    refused ? `${refused} refused by its limits` : "",
  ].filter(Boolean).join(", ");
  return html`<li class="row between">
    <div class="grow"><p class="strong">${source}</p><p class="muted small">${told}</p></div>
    <span class="muted small" title=${exactText(at)}>heard ${publisher.up && !publisher.hung && !past ? "just now" : ageText(at, host.now())}</span>
    ${badge(past ? pastOf(lookOf(publisher)) : lookOf(publisher))}
  </li>`;
}

/** How it was when the daemon was last heard: nobody knows how it is now. */
function pastOf(look) {
  return {label: `${look.label === "Beats" ? "Beat" : look.label} when last seen`, tone: "idle", icon: look.icon,
    help: "The daemon is not heard: how it is now, nobody knows."};
}

function lookOf({up, hung, goodbye, volatile}) {
  if (hung) return {label: "Hangs", tone: "error", icon: "pause", help: "It beats, but its trading loop makes no progress."};
  if (up && volatile) return {label: "In memory", tone: "warn", icon: "triangle", help: "It can't write its journal."};
  if (up) return {label: "Beats", tone: "ok", icon: "pulse", help: "Its heartbeat comes each second."};
  if (goodbye) return {label: "Left", tone: "idle", icon: "slash", help: `It said goodbye: ${goodbye}`};
  return {label: "Silent", tone: "error", icon: "octagon", help: "It stopped without a goodbye."};
}
