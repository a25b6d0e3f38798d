import {html, live, nothing} from "../lit.js";
import {eventOf, headOf} from "./alert-words.js";
import {momentOf} from "./filters.js";
import {clockText, countText, lengthText} from "./format.js";
import {MATCH_FIELDS, matchOf, matchText, takes, wordsOf} from "./matchers.js";
import {authorOf, faultView, readingView, remember, timeView} from "./record-parts.js";
import {Reading} from "./reading.js";

const HOUR = 3600;
const MICROSECONDS = 1000;
/** How many of the last alerts the preview looks at, and how many it names. */
const LOOKED_AT = 200;
const MOST_NAMED = 5;
const MOST_SUGGESTED = 100;

const LENGTHS = [
  {name: "1h", seconds: HOUR, label: "1 hour"}, {name: "4h", seconds: 4 * HOUR, label: "4 hours"},
  {name: "1d", seconds: 24 * HOUR, label: "1 day"}, {name: "until", label: "until a time"},
];
const FAULT = /(?=\bmatch\.[a-z_]+)/;

/** The form that adds a silence: what, how long, who, why; and which of the last alerts it would have silenced. */
export class SilenceForm {
  #lastRow = 0;

  /** @param {import("./silences.js").SilencesPanel} panel Whose it is. */
  constructor(panel) {
    this.panel = panel;
    this.host = panel.host;
    this.open = false;
    this.pending = false;
    this.entries = [];
    this.reading = new Reading(() => this.host.requestUpdate());
    this.#empty();
  }

  /** @param {Object<string, string>} match Words by field; what is no field of a match is left out. */
  begin(match) {
    const rows = MATCH_FIELDS.filter(({name}) => match[name]).map(({name}) => this.#row(name, match[name]));
    const begun = JSON.stringify(matchOf(rows));
    if (this.open && (!rows.length || begun === this.begun)) return;
    this.#empty();
    this.begun = begun;
    if (rows.length) this.rows = rows;
    this.open = true;
    this.reading.read(() => this.host.api.getHistory({limit: LOOKED_AT}), (entries) => {
      this.entries = entries;
    });
    this.#focus("[name=words]");
  }

  /** Close it; what was written is gone. */
  close() {
    this.open = false;
    this.#empty();
    this.host.show("silences", {}); // so that its address opens it no longer
    this.#focus(".record-head button");
  }

  /** @returns {unknown} The form while it is open. */
  render() {
    if (!this.open) return nothing;
    return html`<form class="panel record-form silence-form" aria-label="Add a silence" novalidate @submit=${(event) => this.#send(event)}>
      <fieldset><legend>What it silences</legend>
        <div class="stack">${this.rows.map((row, at) => this.#rowView(row, at))}</div>
        <div class="row"><button class="button small" type="button" @click=${() => this.#add()}>And another field</button>
          <span class="muted small">Commas divide words of which one must fit; a ! in front excludes; without any word it silences every alert.</span></div>
      </fieldset>
      <fieldset><legend>How long</legend>
        <div class="row">${LENGTHS.map(({name, label}) => html`<label class="check"><input type="radio" name="length" value=${name}
          .checked=${live(this.length === name)} @change=${() => this.#set("length", name)}>${label}</label>`)}
        ${this.length === "until" ? html`<label class="field"><span class="label">Until, by your clock</span><input type="datetime-local" name="until"
          aria-invalid=${this.faults.until ? "true" : "false"} aria-describedby="fault-until" .value=${live(this.until)}
          @input=${({target}) => this.#set("until", target.value)}></label>` : nothing}</div>
        <span id="fault-until">${faultView(this.faults.until && new Error(this.faults.until))}</span>
      </fieldset>
      <div class="form-row">
        <label class="field"><span class="label">Your name</span><input name="author" maxlength="128" autocomplete="name" .value=${live(this.author)}
          @input=${({target}) => this.#set("author", target.value)}></label>
        <label class="field wide"><span class="label">Why</span><input name="reason" maxlength="1000" placeholder="planned maintenance" .value=${live(this.reason)}
          @input=${({target}) => this.#set("reason", target.value)}></label>
      </div>
      <fieldset><legend>What becomes of what falls in it</legend>
        <div class="row">
          <label class="check"><input type="radio" name="drops" value="no" .checked=${live(!this.drops)} @change=${() => this.#set("drops", false)}>hold it, and tell it at the end</label>
          <label class="check"><input type="radio" name="drops" value="yes" .checked=${live(this.drops)} @change=${() => this.#set("drops", true)}>drop it</label>
          <label class="check"><input type="checkbox" name="lets_critical" .checked=${live(this.letsCritical)}
            @change=${({target}) => this.#set("letsCritical", target.checked)}>CRITICAL all the same</label>
        </div>
        ${this.letsCritical ? nothing : html`<p class="record-fault warn"><span class="tone">Not even a CRITICAL that fits reaches anybody in this time.</span></p>`}
      </fieldset>
      ${this.#previewView()}
      ${faultView(this.faults.other && new Error(this.faults.other))}
      <div class="record-actions">
        <button class="button primary" type="submit" ?disabled=${this.pending}>${this.pending ? "Adding …" : "Add the silence"}</button>
        <button class="button" type="button" @click=${() => this.close()}>Cancel</button>
      </div>
    </form>`;
  }

  #rowView(row, at) {
    const field = MATCH_FIELDS.find(({name}) => name === row.field);
    const fault = this.faults[row.field];
    const list = `words-${row.key}`;
    return html`<div class="form-row matcher">
      <label class="field narrow"><span class="label">Field</span><select name="field" .value=${live(row.field)} @change=${({target}) => this.#change(row, {field: target.value})}>
        ${MATCH_FIELDS.map(({name, label}) => html`<option value=${name} ?selected=${name === row.field}>${label}</option>`)}</select></label>
      <label class="field wide"><span class="label">is <span class="help">(${field.help})</span></span><input name="words" list=${list} autocomplete="off" spellcheck="false"
        placeholder=${`for example ${field.example}`} maxlength="1000" aria-invalid=${fault ? "true" : "false"} aria-describedby=${`fault-${row.key}`}
        .value=${live(row.text)} @input=${({target}) => this.#change(row, {text: target.value})}></label>
      <datalist id=${list}>${this.#suggested(field).map((word) => html`<option value=${word}></option>`)}</datalist>
      <button class="button small quiet matcher-remove" type="button" aria-label=${`Remove the field ${field.label}, ${at + 1} of ${this.rows.length}`}
        ?disabled=${this.rows.length === 1} @click=${() => this.#remove(row)}>Remove</button>
      <span class="matcher-fault" id=${`fault-${row.key}`}>${faultView(fault && new Error(fault))}</span>
    </div>`;
  }

  #previewView() {
    const {entries, reading, host} = this;
    const match = matchOf(this.rows);
    const found = entries.filter((entry) => takes(match, entry) && !(this.letsCritical && entry.severity === "CRITICAL"));
    const critical = this.letsCritical ? entries.filter((entry) => takes(match, entry) && entry.severity === "CRITICAL").length : 0;
    return html`<div class="silence-preview" role="group" aria-label="Preview">
      ${readingView(host, reading, "last alerts", () => this.reading.read(() => host.api.getHistory({limit: LOOKED_AT}), (read) => {
    this.entries = read;
  }))}
      ${reading.at === null ? nothing : html`
        <p>It silences <strong>${matchText(match)}</strong>. Of the last ${countText(entries.length, "alert")}${
  entries.length ? html` (since ${clockText(entries[entries.length - 1].published_us / MICROSECONDS, host.now())})` : nothing},
          <strong>${found.length}</strong> would have been silenced${critical ? `, and ${critical} CRITICAL told all the same` : ""}.</p>
        ${found.length ? html`<ul class="muted small">${found.slice(0, MOST_NAMED).map((entry) => html`<li>${timeView(host, entry.published_us / MICROSECONDS)} ${headOf(entry)}</li>`)}
          ${found.length > MOST_NAMED ? html`<li>and ${found.length - MOST_NAMED} more</li>` : nothing}</ul>` : nothing}`}
    </div>`;
  }

  #suggested(field) {
    if (field.words) return field.words;
    const words = this.entries.map((entry) => (field.name === "event_type" ? entry.alert.kind !== "agent_action" && eventOf(entry) : entry.alert[field.name]));
    return [...new Set(words.filter(Boolean))].sort().slice(0, MOST_SUGGESTED);
  }

  #empty() {
    this.begun = null;
    this.rows = [this.#row("symbol", "")];
    this.length = "1h";
    this.until = "";
    this.author = authorOf(this.host);
    this.reason = "";
    this.drops = false;
    this.letsCritical = true;
    this.faults = {};
  }

  #row(field, text) {
    this.#lastRow += 1;
    return {key: this.#lastRow, field, text};
  }

  #add() {
    const free = MATCH_FIELDS.find(({name}) => !this.rows.some(({field}) => field === name)) ?? MATCH_FIELDS[0];
    this.rows = [...this.rows, this.#row(free.name, "")];
    this.host.requestUpdate();
    this.#focus(".matcher:last-of-type select");
  }

  #remove(row) {
    this.rows = this.rows.filter((each) => each !== row);
    this.host.requestUpdate();
    this.#focus(".matcher:last-of-type [name=words]");
  }

  #change(row, to) {
    delete this.faults[row.field];
    Object.assign(row, to);
    this.host.requestUpdate();
  }

  #set(name, value) {
    this[name] = value;
    delete this.faults[name];
    delete this.faults.other;
    this.host.requestUpdate();
  }

  #focus(selector) {
    this.host.requestUpdate();
    this.host.updateComplete.then(() => this.host.renderRoot.querySelector(`.silences ${selector}`)?.focus());
  }

  async #send(event) {
    event.preventDefault();
    if (this.pending) return;
    const {host} = this;
    const match = matchOf(this.rows);
    const until = momentOf(this.until);
    this.faults = {};
    if (this.length === "until" && (until === null || until <= host.now())) {
      this.faults.until = "Say a time that is still to come.";
      this.#focus("[name=until]");
      return;
    }
    if (!this.rows.some(({text}) => wordsOf(text).length) && !await this.#meansAll()) return;
    this.pending = true;
    host.requestUpdate();
    const length = LENGTHS.find(({name}) => name === this.length);
    const author = this.author.trim();
    try {
      const added = await host.api.addSilence({
        match, author, reason: this.reason.trim(), drops: this.drops, lets_critical: this.letsCritical,
        ...(length.seconds ? {seconds: length.seconds} : {ends_us: Math.round(until * MICROSECONDS)}),
      });
      remember(host, author);
      host.done(`Silence ${added.id} is in force for ${lengthText((added.ends_us - added.starts_us) / MICROSECONDS)}`);
      host.tell("silence-changed", {id: added.id});
      this.close();
      this.panel.changed();
    } catch (error) {
      this.#refused(error);
    } finally {
      this.pending = false;
      host.requestUpdate();
    }
  }

  #meansAll() {
    return this.host.ask({
      title: "Silence every alert?",
      text: html`<p>No word is given, so it silences everything${this.letsCritical ? " but CRITICAL" : ", CRITICAL as well"}.</p>`,
      action: "Silence everything",
      danger: true,
    });
  }

  // The daemon names the field of each fault: "match.symbol must be a text …"; the rest stands above the buttons.
  #refused(error) {
    const rest = [];
    for (const sentence of error.message.split(FAULT)) {
      const field = /^match\.([a-z_]+)/.exec(sentence)?.[1];
      if (field && this.rows.some((row) => row.field === field)) this.faults[field] = sentence.replace(/^match\.[a-z_]+\S*\s*/, "It ").trim();
      else if (/\bend\b|ends_us|seconds/.test(sentence) && this.length === "until") this.faults.until = sentence.trim();
      else if (sentence.trim()) rest.push(sentence.trim());
    }
    if (rest.length) this.faults.other = `The silence could not be added. ${rest.join(" ")}`;
    this.host.announce("The silence could not be added.");
    this.#focus("[aria-invalid=true]");
  }
}
