import {html, live, nothing, repeat} from "../lit.js";
import {letterView} from "./dead-letter.js";
import {channelText, countText, listText} from "./format.js";
import {icon} from "./icons.js";
import {authorOf, emptyView, readingView, whyReadOnly} from "./record-parts.js";
import {Reading, soon} from "./reading.js";

const PAGE = 50;
/** The most that are read, and retried by their ids, at once, as the daemon allows. */
const MOST = 500;
/** In a storm of refusals the list is read so often at most, in milliseconds. */
const PAUSE_MS = 1000;

/** Messages that were given up: why, what a retry would say, and the retry itself. */
export class DeadLettersPanel {
  #visible = false;
  #again = soon(() => this.#reread(), PAUSE_MS);

  /** @param {object} host The element that shows it. */
  constructor(host) {
    this.host = host;
    this.letters = [];
    this.total = 0;
    this.channel = "";
    this.selected = new Set();
    this.previews = new Map();
    this.pending = null; // what is being retried: a letter's id, "selected" or "all"
    this.result = null;
    const changed = () => host.requestUpdate();
    this.reading = new Reading(changed);
    this.older = new Reading(changed);
  }

  /**
   * Show it now.
   * @param {{channel?: string}} [parameters] Of which channel; without any, as it was.
   */
  shown(parameters) {
    const channel = parameters === undefined ? this.channel : parameters.channel ?? "";
    if (this.#visible && channel === this.channel) return;
    this.#visible = true;
    this.#turnTo(channel);
  }

  /** It is no longer seen. */
  hidden() {
    this.#visible = false;
    this.#again.stop();
  }

  /**
   * Something happened.
   * @param {string} type The event's name.
   * @param {object} data What it says.
   */
  heard(type, data) {
    if (!this.#visible) return;
    const touched = type === "reset" || (type === "change" && data.what === "dead_letters")
      || (type === "alert" && data.deliveries.some(({id, status}) => status === "dead" || this.letters.some((letter) => letter.id === id)));
    if (touched) this.#again.ask();
  }

  /** The daemon is there again: read anew. */
  reconnected() {
    if (this.#visible) this.#reread();
  }

  /** @returns {import("../lit.js").TemplateResult} What is seen. */
  render() {
    const {letters, reading, host} = this;
    const empty = !letters.length && reading.at !== null && !reading.error;
    return html`<section class="record-view dead-letters" aria-labelledby="dead-title">
      <header class="record-head">
        <h2 id="dead-title">Dead letters</h2>
        <p class="muted">${reading.at === null ? "" : this.#countText()}</p>
      </header>
      ${this.#barView()}
      ${this.#resultView()}
      ${readingView(host, reading, "dead letters", () => this.#reread())}
      ${empty ? emptyView(this.channel ? `No dead letters of ${channelText(this.channel)}` : "No dead letters",
    "What a provider refuses for good is kept here, so that a person can send it again.") : nothing}
      ${letters.length ? html`<ul class="letters">${repeat(letters, ({id}) => id, (letter) => letterView(this, letter))}</ul>` : nothing}
      ${letters.length && letters.length < this.total ? html`<footer class="history-older">
        ${readingView(host, this.older.pending ? {error: null, at: 0} : this.older, "older dead letters", () => this.#readOlder())}
        <button class="button" type="button" ?disabled=${this.older.pending} @click=${() => this.#readOlder()}
          >${this.older.pending ? "Reading …" : "Older"}</button></footer>` : nothing}
    </section>`;
  }

  /** @param {object} letter One of the list. @param {boolean} chosen Whether a retry of the selected means it. */
  select(letter, chosen) {
    if (chosen) this.selected.add(letter.id);
    else this.selected.delete(letter.id);
    this.host.requestUpdate();
  }

  /** @param {object} letter What a retry would say is shown of it, or no longer. */
  preview(letter) {
    const {host, previews} = this;
    if (previews.delete(letter.id)) {
      host.requestUpdate();
      return;
    }
    previews.set(letter.id, {reading: new Reading(() => host.requestUpdate()), told: null});
    this.readPreview(letter);
  }

  /** @param {object} letter Whose preview is read once more. */
  readPreview(letter) {
    const found = this.previews.get(letter.id);
    found?.reading.read(() => this.host.api.previewDeadLetter(letter.id), (told) => {
      found.told = told;
    });
  }

  /** @param {object} letter Is sent again, after a person said yes. */
  async retry(letter) {
    const yes = await this.host.ask({
      title: "Send this one again?",
      text: html`<p>${letter.event_type} ${letter.symbol ?? ""} goes to ${channelText(letter.channel)} once more.${
        letter.possible_repeat ? " It may have arrived the first time." : ""}${
        letter.told_elsewhere.length ? ` ${listText(letter.told_elsewhere.map(channelText))} told it already.` : ""}</p>`,
      action: "Retry 1",
    });
    if (yes) await this.#send({ids: [letter.id]}, letter.id);
  }

  #barView() {
    const {host, total, channel, reading} = this;
    const names = new Set([...(host.status?.channels ?? []).map(({name}) => name), channel].filter(Boolean));
    const chosen = this.#chosen();
    const why = whyReadOnly(host);
    const retriable = this.letters.filter((letter) => letter.retriable);
    const all = retriable.length > 0 && chosen.length === retriable.length;
    return html`<div class="form-row letters-bar">
      <label class="field"><span class="label">Channel</span>
        <select name="channel" .value=${live(channel)} @change=${({target}) => this.#choose(target.value)}>
          <option value="" ?selected=${!channel}>every channel</option>
          ${[...names].map((name) => html`<option value=${name} ?selected=${name === channel}>${channelText(name)}</option>`)}
        </select></label>
      <label class="check"><input type="checkbox" name="all" .checked=${live(all)} .indeterminate=${chosen.length > 0 && !all}
        ?disabled=${Boolean(why) || !retriable.length} @change=${({target}) => this.#selectAll(target.checked)}>Select all that are listed</label>
      <div class="row letters-actions">
        <button class="button" type="button" title=${why} ?disabled=${Boolean(why) || !chosen.length || this.pending !== null}
          @click=${() => this.#retrySelected()}>${this.pending === "selected" ? "Sending …" : `Retry selected (${chosen.length})`}</button>
        <button class="button" type="button" title=${why} ?disabled=${Boolean(why) || !total || this.pending !== null || reading.at === null}
          @click=${() => this.#retryAll()}>${this.pending === "all" ? "Sending …" : `Retry all ${total}${channel ? ` of ${channelText(channel)}` : ""}`}</button>
      </div>
    </div>`;
  }

  #resultView() {
    const {result} = this;
    if (!result) return nothing;
    const {count, skipped} = result;
    return html`<div class="record-notice ${skipped.length ? "warn" : "ok"}" role="status"><span class="tone">${icon(skipped.length ? "triangle" : "check")}</span>
      <div class="grow"><p><strong>${resultText(result)}</strong>${count ? " What becomes of each is in its story." : ""}</p>
        ${skipped.length ? html`<ul class="skipped">${whysOf(skipped).map(([why, ids]) => html`<li>${countText(ids.length, "skipped", "skipped")}: ${why}</li>`)}</ul>` : nothing}</div>
      <button class="button small quiet" type="button" @click=${() => {
      this.result = null;
      this.host.requestUpdate();
    }}>${icon("close")} Close</button></div>`;
  }

  #countText() {
    const {letters, total} = this;
    if (!total) return "none";
    return letters.length < total ? `the newest ${letters.length} of ${total}` : countText(total, "message");
  }

  #chosen() {
    return this.letters.filter(({id, retriable}) => retriable && this.selected.has(id));
  }

  #selectAll(chosen) {
    this.selected = new Set(chosen ? this.letters.filter(({retriable}) => retriable).map(({id}) => id) : []);
    this.host.requestUpdate();
  }

  async #retrySelected() {
    const chosen = this.#chosen();
    const channels = listText([...new Set(chosen.map(({channel}) => channelText(channel)))]);
    const yes = await this.host.ask({
      title: `Send ${countText(chosen.length, "message")} again?`,
      text: html`<p>They go to ${channels} once more, at the provider's pace.${doubtful(chosen)}</p>`,
      action: `Retry ${chosen.length}`,
    });
    if (yes) await this.#send({ids: chosen.map(({id}) => id).slice(0, MOST)}, "selected");
  }

  async #retryAll() {
    const {channel, total} = this;
    const yes = await this.host.ask({
      title: `Send all ${countText(total, "message")} again?`,
      text: html`<p>All that ${channel ? `${channelText(channel)} gave` : "was given"} up goes out once more, at the provider's pace; what can't be sent again
        is skipped, and said.</p>`,
      action: `Retry all ${total}`,
    });
    if (yes) await this.#send({all: true, channel: channel || null}, "all");
  }

  async #send(which, what) {
    if (this.pending !== null) return;
    const {host} = this;
    this.pending = what;
    this.result = null;
    host.requestUpdate();
    try {
      const answer = await host.api.retryDeadLetters(which, {author: authorOf(host)});
      this.result = {...answer, count: answer.count ?? answer.retried.length};
      answer.retried.forEach((id) => this.selected.delete(id));
      host.announce(resultText(this.result));
      host.tell("dead-letters-retried", {count: this.result.count});
    } catch (error) {
      host.failed(error, "retrying dead letters");
    } finally {
      this.pending = null;
      this.#reread();
    }
  }

  #choose(channel) {
    this.#turnTo(channel);
    this.host.show("dead-letters", channel ? {channel} : {});
  }

  #turnTo(channel) {
    if (channel !== this.channel) {
      this.channel = channel;
      this.letters = [];
      this.total = 0;
      this.selected.clear();
      this.reading.forget();
    }
    this.#reread();
  }

  #reread() {
    if (!this.#visible) return;
    this.older.forget();
    const limit = Math.min(MOST, Math.max(PAGE, this.letters.length));
    this.reading.read(() => this.host.api.getDeadLetters(this.#query(limit)), ({total, dead_letters: letters}) => {
      this.letters = letters;
      this.total = total;
      const ids = new Set(letters.map(({id}) => id));
      this.selected = new Set([...this.selected].filter((id) => ids.has(id)));
      this.previews = new Map([...this.previews].filter(([id]) => ids.has(id)));
    });
  }

  #readOlder() {
    const before = this.letters[this.letters.length - 1].id;
    this.older.read(() => this.host.api.getDeadLetters({...this.#query(PAGE), before}), ({total, dead_letters: letters}) => {
      const known = new Set(this.letters.map(({id}) => id));
      this.letters = [...this.letters, ...letters.filter(({id}) => !known.has(id))];
      this.total = total;
      this.host.announce(`${letters.length} older dead letters`);
    });
  }

  #query(limit) {
    return {limit, ...(this.channel ? {channel: this.channel} : {})};
  }
}

function doubtful(letters) {
  const count = letters.filter((letter) => letter.possible_repeat).length;
  return count ? ` ${count} of them may have arrived the first time.` : "";
}

function resultText({count, skipped}) {
  return `${countText(count, "message")} sent again${skipped.length ? `, ${skipped.length} skipped` : ""}.`;
}

function whysOf(skipped) {
  const whys = new Map();
  for (const {id, why} of skipped) whys.set(why, [...(whys.get(why) ?? []), id]);
  return [...whys];
}
