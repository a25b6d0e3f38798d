import {html, nothing} from "../lit.js";

/** The views in their order. */
export const VIEWS = [
  {view: "channels", label: "Channels"},
  {view: "history", label: "History"},
  {view: "dead-letters", label: "Dead letters"},
  {view: "silences", label: "Silences"},
];

const STEPS = {ArrowRight: 1, ArrowLeft: -1};

/**
 * @param {import("../alertbus-channels.js").Host} host Whose views they are.
 * @param {string} current The one that is seen.
 * @returns {import("../lit.js").TemplateResult} Tabs: arrow keys, Home and End choose, Tab goes into the view.
 */
export function tabs(host, current) {
  return html`<div class="tabs" role="tablist" aria-label="Views" @keydown=${(event) => onKey(host, current, event)}>
    ${VIEWS.map(({view, label}) => html`<button type="button" class="tab" role="tab" id="tab-${view}"
      aria-selected=${String(view === current)} aria-controls=${view === current ? "view" : nothing}
      tabindex=${view === current ? 0 : -1} @click=${() => host.show(view)}
      >${label}${mark(host.status, view)}</button>`)}
  </div>`;
}

function mark(status, view) {
  const {count, tone, what} = countOf(status, view);
  if (!count) return nothing;
  return html` <span class="count ${tone}" title="${count} ${what}">${count}<span class="speaks"> ${what}</span></span>`;
}

function countOf(status, view) {
  if (!status) return {count: 0};
  if (view === "channels") {
    const count = status.channels.filter(({state}) => state === "error").length;
    return {count, tone: "error", what: "in error"};
  }
  if (view === "history") return {count: status.unacknowledged_critical ?? 0, tone: "error", what: "CRITICAL not acknowledged"};
  if (view === "dead-letters") {
    return {count: status.channels.reduce((sum, {dead}) => sum + dead, 0), tone: "warn", what: "dead"};
  }
  return {count: status.silences, tone: "idle", what: "in force"};
}

function onKey(host, current, event) {
  const at = VIEWS.findIndex(({view}) => view === current);
  let next = at;
  if (event.key in STEPS) next = (at + STEPS[event.key] + VIEWS.length) % VIEWS.length;
  else if (event.key === "Home") next = 0;
  else if (event.key === "End") next = VIEWS.length - 1;
  else return;
  event.preventDefault();
  const {view} = VIEWS[next];
  host.show(view);
  host.renderRoot.querySelector(`#tab-${view}`).focus();
}
