// The parts of one alert's story: what it says, where it stands, its life, its fields, its ids.

import {html, nothing} from "../lit.js";
import {descriptionOf, fieldsOf, tradeText} from "./alert-words.js";
import {ageText} from "./format.js";
import {icon} from "./icons.js";
import {copyButton, deliveryBadge, timeView} from "./record-parts.js";
import {doubtText, heldTexts, stepText, timelineOf, whyText} from "./timeline.js";

const SHAPES = {good: "check", bad: "cross", warn: "question", wait: "clock"};
const TONES = {good: "ok", bad: "error", warn: "warn", wait: "info", plain: "idle"};

/** @param {object} story Of an alert. @returns {unknown} What it says. */
export function textsView(story) {
  const {alert} = story;
  const trade = tradeText(alert), text = descriptionOf(alert);
  return html`<div class="story-text">
    ${trade ? html`<p class="story-trade">${trade}</p>` : nothing}
    ${text ? text.split("\n").filter((line) => line.trim()).map((line) => html`<p>${line}</p>`) : nothing}
    ${alert.action_taken ? html`<p class="muted">Action taken: ${alert.action_taken}</p>` : nothing}
  </div>`;
}

/**
 * @param {object} host The element.
 * @param {object} story Of an alert.
 * @param {(id: string) => void} follow Goes on to another alert.
 * @returns {unknown} How each of its deliveries stands.
 */
export function deliveriesView(host, story, follow) {
  if (!story.deliveries.length) {
    return html`<section aria-label="Where it stands"><h3>Where it stands</h3><p>No route took it: it is kept in the history only.</p></section>`;
  }
  return html`<section aria-label="Where it stands"><h3>Where it stands</h3><ul class="story-deliveries">${story.deliveries.map((delivery) => {
    const texts = [
      stepText(delivery.step), delivery.why ? whyText(delivery.why) : "", delivery.route ? `by route ${delivery.route}` : "",
      ...heldTexts(delivery), doubtText(delivery),
    ].filter(Boolean);
    return html`<li><div>${deliveryBadge(delivery)}</div><p class="muted">${texts.join(" · ")}${delivery.told_by ? html`${texts.length ? " · " : ""}<button
      class="link" type="button" @click=${() => follow(delivery.told_by)}>the alert that tells of it</button>` : nothing}</p></li>`;
  })}</ul></section>`;
}

/**
 * @param {object} host The element.
 * @param {object} story Of an alert.
 * @param {import("./digest-reader.js").DigestReader} digests Opens digests.
 * @param {(id: string) => void} follow Goes on to another alert.
 * @returns {unknown} Its life, moment by moment.
 */
export function timelineView(host, story, digests, follow) {
  return html`<section aria-label="What became of it"><h3>What became of it</h3><ol class="timeline">${timelineOf(story).map((moment) => html`
    <li class="moment ${TONES[moment.tone]} ${moment.ahead ? "ahead" : ""}">
      <span class="moment-dot tone">${moment.tone === "plain" ? html`<span class="moment-point"></span>` : icon(SHAPES[moment.tone])}</span>
      <div class="moment-when">${timeView(host, moment.at_us / 1000, !moment.ahead)}${moment.ahead ? html`<span class="muted">${ageText(moment.at_us / 1000, host.now())}</span>` : nothing}</div>
      <div class="moment-told">
        <p class="moment-title">${moment.title}</p>
        ${moment.lines.map((line) => html`<p class="muted">${line}</p>`)}
        ${moment.quote ? html`<blockquote>${moment.quote}</blockquote>` : nothing}
        ${moment.messageId ? html`<p class="muted">the provider's id <span class="mono">${moment.messageId}</span>
          ${copyButton(host, moment.messageId, "the provider's id")}</p>` : nothing}
        ${moment.digest ? digests.render(moment.digest, `${moment.digest}-${moment.order}`, follow) : nothing}
        ${moment.alert ? html`<button class="link" type="button" @click=${() => follow(moment.alert.id)}>${moment.alert.text}</button>` : nothing}
      </div>
    </li>`)}</ol></section>`;
}

/** @param {object} story Of an alert. @returns {unknown} Every field that has a value. */
export function fieldsView(story) {
  return html`<section aria-label="The alert"><h3>The alert</h3><dl class="fields">${fieldsOf(story).map(({name, value}) => html`
    <div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></section>`;
}

/** @param {object} host The element. @param {object} story Of an alert. @returns {unknown} By what it is found elsewhere. */
export function idsView(host, story) {
  const ids = [["id", story.alert.id], ["topic", story.topic], ["stream", story.stream], ["number in its stream", story.sequence],
    ["number in the history", story.number]].filter(([, value]) => value !== null && value !== undefined);
  return html`<section aria-label="Its ids"><h3>Its ids</h3><dl class="fields">${ids.map(([name, value]) => html`
    <div><dt>${name}</dt><dd class="mono">${value} ${name === "id" ? copyButton(host, String(value), "the id") : nothing}</dd></div>`)}</dl></section>`;
}
