import {html, nothing, repeat} from "../lit.js";
import {keepFocus} from "./focus.js";
import {countText} from "./format.js";
import {icon} from "./icons.js";
import {matchText} from "./matchers.js";
import {authorOf, emptyView, readingView, whyReadOnly} from "./record-parts.js";
import {Reading, soon} from "./reading.js";
import {SilenceForm} from "./silence-form.js";
import {stageOf, silenceView} from "./silence.js";

/** News is read so often at most, in milliseconds. */
const PAUSE_MS = 1000;
/** Alerts that are looked through for what silences hold. */
const MOST = 500;
const MICROSECONDS = 1000;
const SECTIONS = [
  {stage: "in force", title: "In force"}, {stage: "planned", title: "Planned"}, {stage: "ended", title: "Ended"},
];

/** What is not told for a while: in force, planned and ended; added, extended and ended here. */
export class SilencesPanel {
  #visible = false;
  #again = soon(() => this.#read(), PAUSE_MS);
  #heldAgain = soon(() => this.#readHeld(), PAUSE_MS);

  /** @param {object} host The element that shows it. */
  constructor(host) {
    this.host = host;
    this.silences = [];
    this.ended = false;
    this.held = null; // by silence: how many alerts wait in it; null before it is known
    this.heldMost = false;
    this.pending = null; // the number of the silence that is being changed
    this.extending = null;
    const changed = () => host.requestUpdate();
    this.reading = new Reading(changed);
    this.holding = new Reading(changed);
    this.form = new SilenceForm(this);
  }

  /**
   * Show it now.
   * @param {Object<string, string>} [parameters] With `add`: the form is open, with what is to match.
   */
  shown(parameters) {
    if (parameters?.add) this.form.begin(parameters);
    if (this.#visible) return;
    this.#visible = true;
    this.#read();
  }

  /** It is no longer seen. */
  hidden() {
    this.#visible = false;
    this.#again.stop();
    this.#heldAgain.stop();
  }

  /**
   * Something happened.
   * @param {string} type The event's name.
   * @param {object} data What it says.
   */
  heard(type, data) {
    if (!this.#visible) return;
    if (type === "reset" || (type === "change" && data.what === "silences")) this.#again.ask();
    if (type === "alert" && data.deliveries.some(({silence}) => silence)) this.#heldAgain.ask();
  }

  /** The daemon is there again: read anew. */
  reconnected() {
    if (this.#visible) this.#read();
  }

  /** Read anew: something was changed here. */
  changed() {
    this.#read();
  }

  /** @param {object} silence Is shown with how long it is to go on, or no longer. */
  extend(silence) {
    this.extending = this.extending === silence.id ? null : silence.id;
    this.host.requestUpdate();
  }

  /**
   * Let a silence end later: one like it takes its place first, so that nothing that it holds is told in between.
   * @param {object} silence Which.
   * @param {number} seconds How much later.
   * @param {string} label The same in words.
   */
  async prolong(silence, seconds, label) {
    const {host} = this;
    if (this.pending !== null) return;
    const yes = await host.ask({
      title: `Extend silence ${silence.id} by ${label}?`,
      text: html`<p>A new silence with the same match takes its place: ${matchText(silence.matchers)}. What it holds goes on waiting.</p>`,
      action: `Extend by ${label}`,
    });
    if (!yes) return;
    await this.#change(silence, `extending silence ${silence.id}`, async () => {
      const planned = silence.starts_us / MICROSECONDS > host.now();
      const added = await host.api.addSilence({
        match: silence.matchers, ends_us: silence.ends_us + seconds * 1_000_000, author: authorOf(host) || silence.author,
        ...(planned ? {starts_us: silence.starts_us} : {}),
        reason: silence.reason, drops: silence.drops, lets_critical: silence.lets_critical,
      });
      await host.api.endSilence(silence.id, {author: authorOf(host)});
      this.#ended(silence);
      this.extending = null;
      host.done(`Silence ${silence.id} goes on as silence ${added.id}, ${label} longer`);
      host.tell("silence-changed", {id: added.id});
    });
  }

  /** @param {object} silence Ends now, after a person said yes. */
  async end(silence) {
    const {host} = this;
    if (this.pending !== null) return;
    const count = this.heldBy(silence);
    const told = silence.drops ? "What it dropped is not told." : count ? `${countText(count, "alert")} that it holds ${count === 1 ? "is" : "are"} told at once.`
      : "What it holds is told at once.";
    const yes = await host.ask({
      title: `End silence ${silence.id} now?`,
      text: html`<p>It silences ${matchText(silence.matchers)}. ${stageOf(silence, host.now()) === "planned" ? "It never begins." : told}</p>`,
      action: "End it now",
      danger: true,
    });
    if (!yes) return;
    await this.#change(silence, `ending silence ${silence.id}`, async () => {
      await host.api.endSilence(silence.id, {author: authorOf(host)});
      this.#ended(silence);
      host.done(`Silence ${silence.id} ended`);
      host.tell("silence-changed", {id: silence.id});
    });
  }

  /** @param {object} silence Which. @returns {number} How many alerts wait in it, as far as that is known. */
  heldBy(silence) {
    return this.held?.get(silence.id) ?? 0;
  }

  /** @returns {import("../lit.js").TemplateResult} What is seen. */
  render() {
    const {host, reading, form} = this;
    const now = host.now();
    const why = whyReadOnly(host);
    const open = this.silences.some((silence) => stageOf(silence, now) !== "ended");
    return html`<section class="record-view silences" aria-labelledby="silences-title">
      <header class="record-head">
        <h2 id="silences-title" tabindex="-1">Silences</h2>
        <button class="button ${form.open ? "" : "primary"}" type="button" aria-expanded=${form.open ? "true" : "false"} ?disabled=${Boolean(why)}
          title=${why} @click=${() => (form.open ? form.close() : form.begin({}))}>${form.open ? "Close the form" : "Add a silence"}</button>
      </header>
      ${form.render()}
      ${readingView(host, reading, "silences", () => this.#read())}
      ${reading.at !== null && !open && !reading.error ? emptyView("Nothing is silenced", "Every alert is told as its route says.") : nothing}
      ${SECTIONS.map((section) => this.#sectionView(section, now))}
      ${reading.at === null ? nothing : html`<footer class="history-older"><button class="button small" type="button" aria-pressed=${this.ended ? "true" : "false"}
        ?disabled=${reading.pending} @click=${() => {
      this.ended = !this.ended;
      this.#read();
    }}>${icon("clock")} ${this.ended ? "Hide those that have ended" : "Show those that have ended"}</button></footer>`}
    </section>`;
  }

  #sectionView({stage, title}, now) {
    const found = this.silences.filter((silence) => stageOf(silence, now) === stage);
    if (!found.length || (stage === "ended" && !this.ended)) return nothing;
    return html`<section aria-label=${title}><h3 class="silences-title">${title} <span class="count">${found.length}</span></h3>
      <ul class="letters">${repeat(found, ({id}) => id, (silence) => silenceView(this, silence, stage))}</ul></section>`;
  }

  // Its row goes at once, and the focus to the next one.
  #ended({id}) {
    const left = this.silences.findIndex((silence) => silence.id === id);
    const next = this.silences.slice(left + 1).find((silence) => stageOf(silence, this.host.now()) !== "ended");
    this.silences = this.silences.map((silence) => (silence.id === id ? {...silence, ended_us: this.host.now() * MICROSECONDS} : silence));
    keepFocus(this.host, ...(next ? [`[data-silence="${next.id}"] button`] : []), "#silences-title");
  }

  async #change(silence, doing, act) {
    const {host} = this;
    if (this.pending !== null) return;
    this.pending = silence.id;
    host.requestUpdate();
    try {
      await act();
    } catch (error) {
      host.failed(error, doing);
    } finally {
      this.pending = null;
      this.#read();
    }
  }

  #read() {
    if (!this.#visible) return;
    const {ended} = this;
    this.reading.read(() => this.host.api.getSilences(ended ? {ended: true} : {}), (silences) => {
      this.silences = silences;
    });
    this.#readHeld();
  }

  #readHeld() {
    this.holding.read(() => this.host.api.getHistory({state: "pending", limit: MOST}), (entries) => {
      this.held = new Map();
      this.heldMost = entries.length === MOST;
      for (const {deliveries} of entries) {
        const numbers = new Set(deliveries.filter(({status, silence}) => status === "pending" && silence).map(({silence}) => silence.id));
        numbers.forEach((number) => this.held.set(number, this.held.has(number) ? this.held.get(number) + 1 : 1));
      }
    });
  }
}
