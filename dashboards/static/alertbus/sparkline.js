import {html, svg} from "../lit.js";
import {exactText, msOf, secondsText} from "./format.js";

const SLOTS = 40;
const SLOT = 6;
const HEIGHT = 36;
const LEAST = 3;
/** Slower than this is drawn as slow, in seconds: what the daemon's own rules call late. */
const SLOW = 5;

/**
 * Latencies as bars, the newest at the right; each has its place, so that nothing moves but when one is added.
 * @param {string} name The channel's, for people.
 * @param {{recent: {at: string, seconds: number}[], p50_seconds: number | null, p95_seconds: number | null}} latency
 *   From publishing to acceptance.
 * @returns {import("../lit.js").TemplateResult} The picture, with its figures as its description.
 */
export function sparkline(name, {recent, p50_seconds: middle, p95_seconds: most}) {
  const shown = recent.slice(-SLOTS);
  const top = Math.sqrt(Math.max(...shown.map(({seconds}) => seconds), 0.001));
  const told = shown.length
    ? `${name}: from publishing to acceptance, the last ${shown.length}: half within ${secondsText(middle)}, 95 % within ${secondsText(most)}, the newest ${secondsText(shown[shown.length - 1].seconds)}.`
    : `${name}: nothing was sent yet.`;
  return html`<svg class="sparkline" role="img" aria-label=${told} viewBox="0 0 ${SLOTS * SLOT} ${HEIGHT}" preserveAspectRatio="none">
    <line x1="0" x2=${SLOTS * SLOT} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} class="base"></line>
    ${shown.map(({at, seconds}, index) => {
      const height = Math.max(LEAST, (HEIGHT - 2) * (Math.sqrt(Math.max(seconds, 0)) / top));
      const x = (SLOTS - shown.length + index) * SLOT + 1;
      return svg`<rect x=${x} y=${HEIGHT - height} width=${SLOT - 2} height=${height} rx="1"
        class=${seconds > SLOW ? "slow" : "bar"}><title>${secondsText(seconds)} · ${exactText(msOf(at))}</title></rect>`;
    })}
  </svg>`;
}
