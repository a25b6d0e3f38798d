import {html, svg} from "../lit.js";

const RING = svg`<circle cx="8" cy="8" r="6.25" />`;

/** Lines of 16×16 icons; each state has a shape of its own, so that none is told by colour alone. */
const ICONS = {
  check: svg`${RING}<path d="M5.2 8.2l2 2 3.6-4.2" />`,
  checks: svg`<path d="M1.5 8.5l3 3 5.5-7M7.5 10.5l1 1 6-7" />`,
  octagon: svg`<path d="M5.4 1.75h5.2l3.65 3.65v5.2l-3.65 3.65H5.4L1.75 10.6V5.4z" /><path d="M8 4.75v4M8 11.1v.1" />`,
  triangle: svg`<path d="M8 2l6.5 11.5h-13z" /><path d="M8 6.3v3.4M8 11.5v.1" />`,
  info: svg`${RING}<path d="M8 7.4v3.6M8 5v.1" />`,
  question: svg`${RING}<path d="M6.2 6.3a1.8 1.8 0 1 1 2.6 1.7c-.6.3-.8.7-.8 1.2M8 11.2v.1" />`,
  slash: svg`${RING}<path d="M3.7 12.3l8.6-8.6" />`,
  dashed: svg`<circle cx="8" cy="8" r="6.25" stroke-dasharray="2.6 2.3" />`,
  flask: svg`<path d="M6.2 1.8h3.6M6.8 1.8v4.4L2.9 13a1 1 0 0 0 .9 1.4h8.4a1 1 0 0 0 .9-1.4L9.2 6.2V1.8M4.6 10.2h6.8" />`,
  pause: svg`${RING}<path d="M6.3 5.6v4.8M9.7 5.6v4.8" />`,
  clock: svg`${RING}<path d="M8 4.4V8l2.4 1.5" />`,
  expired: svg`<path d="M4 1.8h8M4 14.2h8M4.8 1.8c0 4 6.4 8.4 6.4 12.400M11.2 1.800c0 4-6.4 8.4-6.4 12.4" />`,
  cross: svg`${RING}<path d="M5.8 5.800l4.4 4.400M10.2 5.800l-4.4 4.4" />`,
  stack: svg`<path d="M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3" />`,
  close: svg`<path d="M3.5 3.500l9 9M12.5 3.500l-9 9" />`,
  send: svg`<path d="M14.3 1.700L7 9M14.3 1.700l-4.6 12.600L7 9 1.7 6.300z" />`,
  play: svg`<path d="M4.5 2.700v10.600L13 8z" />`,
  bell: svg`<path d="M8 1.800a4.2 4.2 0 0 0-4.2 4.200c0 4-1.6 5.2-1.6 5.200h11.600s-1.6-1.2-1.6-5.200A4.2 4.2 0 0 0 8 1.800zM6.7 13.800a1.5 1.5 0 0 0 2.6 0" />`,
  link: svg`<path d="M6.5 9.500l3-3M7 4.500l1.5-1.500a3.2 3.2 0 0 1 4.5 4.500L11.5 9M9 11.500L7.5 13A3.2 3.2 0 0 1 3 8.500L4.5 7" />`,
  unlink: svg`<path d="M2 2l12 12M7 4.500l1.5-1.500a3.2 3.2 0 0 1 4.5 4.500L11.5 9M9 11.500L7.5 13A3.2 3.2 0 0 1 3 8.500L4.5 7" />`,
  pulse: svg`<path d="M1.5 8.500h3l2-5 3 9.5 2-4.500h3" />`,
  chevron: svg`<path d="M5.5 3.500L10 8l-4.5 4.5" />`,
};

/**
 * @param {keyof ICONS} name Which.
 * @returns {import("../lit.js").TemplateResult} A decoration: what it says is said in text beside it.
 */
export function icon(name) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false" fill="none" stroke="currentColor"
    stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">${ICONS[name]}</svg>`;
}

/**
 * @param {{label: string, tone: string, icon: string, help?: string}} word One of `format.js`.
 * @returns {import("../lit.js").TemplateResult} A badge: shape and text, and the colour beside them.
 */
export function badge({label, tone, icon: shape, help}) {
  return html`<span class="badge ${tone}" title=${help ?? ""}>${icon(shape)}<span>${label}</span></span>`;
}
