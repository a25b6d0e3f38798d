import {html, live, nothing} from "../lit.js";
import {eventOf, kindText} from "./alert-words.js";
import {RANGES, STATES, chipsOf, momentOf} from "./filters.js";
import {channelText} from "./format.js";
import {icon} from "./icons.js";
import {stateText} from "./record-parts.js";

/** How long somebody may pause while they write before what they wrote is asked for, in milliseconds. */
const PAUSE_MS = 400;
const MOST_SUGGESTED = 100;
const SEVERITIES = ["CRITICAL", "WARNING", "INFO"];
const KINDS = ["risk_event", "agent_action", "system_event", "opaque"];
const DOWNLOADS = [
  {what: "alerts", form: "csv", label: "Alerts as CSV"}, {what: "alerts", form: "json", label: "Alerts as JSON lines"},
  {what: "deliveries", form: "csv", label: "Deliveries as CSV"}, {what: "deliveries", form: "json", label: "Deliveries as JSON lines"},
];

/** The bar above the history, where people say which alerts they want to see, and take them along. */
export class HistoryFilters {
  #timer = null;

  /** @param {import("./history.js").HistoryPanel} panel Whose filters they are. */
  constructor(panel) {
    this.panel = panel;
    this.draft = {};
    this.downloading = null;
  }

  /** @param {Object<string, string>} filters What is asked for now. */
  take(filters) {
    clearTimeout(this.#timer);
    this.draft = {...filters};
  }

  /** Ask no more for what is half written. */
  rest() {
    clearTimeout(this.#timer);
  }

  /** @returns {unknown} The bar. */
  render() {
    const {panel, draft} = this;
    return html`<form class="filters" role="search" aria-label="Filter the history" @submit=${(event) => {
      event.preventDefault();
      this.#choose();
    }}>
      ${panel.narrow ? html`<details class="filters-all" ?open=${Object.keys(panel.filters).length > 0}><summary>Filters</summary>${this.#fieldsView()}</details>`
    : this.#fieldsView()}
      <div class="filters-end">
        <button class="button small" type="button" aria-pressed=${draft.unacknowledged ? "true" : "false"}
          @click=${() => this.#set("unacknowledged", draft.unacknowledged ? "" : "1")}>Unacknowledged CRITICALs</button>
        ${chipsOf(panel.filters).map(({name, text}) => html`<button class="chip" type="button" title="Take this filter away"
          aria-label=${`Take the filter ${text} away`} @click=${() => this.#set(name, "")}>${text} ${icon("close")}</button>`)}
        ${Object.keys(panel.filters).length ? html`<button class="button small quiet" type="button"
          @click=${() => panel.choose({})}>Clear all</button>` : nothing}
        ${this.#exportView()}
      </div>
    </form>`;
  }

  #fieldsView() {
    const {panel, draft} = this;
    const channels = new Set([...(panel.host.status?.channels ?? []).map(({name}) => name), draft.channel].filter(Boolean));
    const more = ["agent_name", "source", "kind"].filter((name) => draft[name]).length;
    return html`
      <div class="filters-row">
        ${this.#text("event_type", "Event", this.#seen((entry) => eventOf(entry)))}
        ${this.#text("symbol", "Symbol", this.#seen((entry) => entry.alert.symbol))}
        ${this.#select("severity", "Severity", SEVERITIES.map((word) => [word, word]), Boolean(draft.unacknowledged))}
        ${this.#select("channel", "Channel", [...channels].map((name) => [name, channelText(name)]))}
        ${this.#select("state", "State", STATES.map((word) => [word, stateText(word)]))}
        ${this.#select("range", "Time", RANGES.filter(({name}) => name).map(({name, label}) => [name, label]), false, "any time")}
      </div>
      ${draft.range === "custom" ? html`<div class="filters-row">${this.#moment("from", "From")}${this.#moment("to", "To")}</div>` : nothing}
      <details class="filters-more" ?open=${more > 0}>
        <summary>More filters${more ? ` (${more})` : ""}</summary>
        <div class="filters-row">
          ${this.#text("agent_name", "Agent", this.#seen((entry) => entry.alert.agent_name))}
          ${this.#text("source", "Source", this.#seen((entry) => entry.alert.source))}
          ${this.#select("kind", "Kind", KINDS.map((word) => [word, kindText(word)]))}
        </div>
      </details>`;
  }

  #text(name, label, seen) {
    const list = `seen-${name}`;
    return html`<label class="field"><span class="label">${label}</span>
      <input name=${name} list=${list} autocomplete="off" spellcheck="false" maxlength="128" placeholder="any"
        .value=${live(this.draft[name] ?? "")} @input=${({target}) => this.#written(name, target.value)}>
      <datalist id=${list}>${seen.map((word) => html`<option value=${word}></option>`)}</datalist></label>`;
  }

  #select(name, label, options, disabled = false, any = "any") {
    return html`<label class="field"><span class="label">${label}</span>
      <select name=${name} ?disabled=${disabled} .value=${live(this.draft[name] ?? "")}
        @change=${({target}) => this.#set(name, target.value)}>
        <option value="" ?selected=${!this.draft[name]}>${any}</option>
        ${options.map(([value, text]) => html`<option value=${value} ?selected=${this.draft[name] === value}>${text}</option>`)}
      </select></label>`;
  }

  #moment(name, label) {
    const text = this.draft[name] ?? "";
    return html`<label class="field"><span class="label">${label}, by your clock</span>
      <input type="datetime-local" step="1" name=${name} .value=${live(text)}
        @change=${({target}) => this.#set(name, target.value)}></label>`;
  }

  #exportView() {
    const {host} = this.panel;
    if (!host.api?.exportRecords) return nothing;
    return html`<details class="menu filters-export">
      <summary class="button small">Export</summary>
      <div class="menu-body">
        <p class="muted">Everything of the time that is chosen, the oldest first; other filters do not count.</p>
        ${DOWNLOADS.map((each) => html`<button class="button small" type="button" ?disabled=${this.downloading !== null}
          @click=${() => this.#download(each)}>${this.downloading === each ? "Reading …" : each.label}</button>`)}
      </div></details>`;
  }

  async #download(each) {
    const {host} = this.panel;
    this.downloading = each;
    host.requestUpdate();
    try {
      const query = {what: each.what, format: each.form};
      const {since_us: since, until_us: until} = this.panel.query();
      if (since !== undefined) query.since_us = since;
      if (until !== undefined) query.until_us = until;
      const address = URL.createObjectURL(await host.api.exportRecords(query));
      const link = Object.assign(document.createElement("a"), {
        href: address, download: `alertbus-${each.what}.${each.form === "csv" ? "csv" : "jsonl"}`,
      });
      link.click();
      // The browser reads the address only after this turn; a minute is plenty for any disk.
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
      host.done(`${each.label} saved`);
    } catch (error) {
      host.failed(error, "exporting the history");
    } finally {
      this.downloading = null;
      host.requestUpdate();
    }
  }

  #seen(word) {
    const words = new Set(this.panel.entries.map(word).filter(Boolean));
    return [...words].sort().slice(0, MOST_SUGGESTED);
  }

  #written(name, text) {
    this.draft = {...this.draft, [name]: text};
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#choose(), PAUSE_MS);
  }

  #set(name, value) {
    this.draft = {...this.draft, [name]: value};
    if (name === "range" && value !== "custom") Object.assign(this.draft, {from: "", to: ""});
    if (name === "unacknowledged" && value) this.draft.severity = "";
    this.panel.host.requestUpdate();
    this.#choose();
  }

  #choose() {
    clearTimeout(this.#timer);
    const {draft} = this;
    const from = momentOf(draft.from), to = momentOf(draft.to);
    if (from !== null && to !== null && from >= to) {
      this.panel.host.failed(new Error("The time from must be before the time to."), "filtering the history");
      return;
    }
    this.panel.choose(draft);
  }
}
