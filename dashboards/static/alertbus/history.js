import {html, nothing} from "../lit.js";
import {HistoryFilters} from "./history-filters.js";
import {historyList} from "./history-list.js";
import {filtersOf, isRelative, queryOf, wants} from "./filters.js";
import {emptyView, readingView} from "./record-parts.js";
import {Reading} from "./reading.js";

/** Alerts of one page, and the most that are read at once, as the daemon allows. */
const PAGE = 50;
const MOST = 500;
/** Below this width the list is cards, in CSS pixels. */
const NARROW = 720;

/**
 * The history of alerts: the newest first, live, filtered, page by page.
 *
 * What comes while one reads (scrolled down, filtered, or with the keyboard in the list) waits behind a button, so that
 * nothing moves under the reader. More than a page of it is counted alone, and read when it is asked for.
 */
export class HistoryPanel {
  #visible = false;
  #heard = null; // events that came while the first page was read: they may be newer than the answer
  #arrived = new Set();
  #beyond = 0; // how many came that `fresh` has no room for
  #newest = 0; // the highest number of what came
  #told = null; // goes on with what waits for the daemon's clock
  #width = null;

  /** @param {object} host The element that shows it. */
  constructor(host) {
    this.host = host;
    this.entries = [];
    this.fresh = new Map();
    this.filters = {};
    this.complete = false;
    this.narrow = false;
    const changed = () => host.requestUpdate();
    this.reading = new Reading(changed);
    this.older = new Reading(changed);
    this.bar = new HistoryFilters(this);
  }

  /**
   * Show it now.
   * @param {Object<string, string>} [parameters] Filters; without any, those that were chosen last stay.
   */
  shown(parameters) {
    const filters = parameters === undefined ? this.filters : filtersOf(parameters);
    const same = JSON.stringify(filters) === JSON.stringify(this.filters);
    if (this.#visible && same) return;
    this.#watchWidth();
    this.#visible = true;
    this.#ask(filters, same);
  }

  /** It is no longer seen. */
  hidden() {
    this.#visible = false;
    this.#width?.disconnect();
    this.#width = null;
    this.bar.rest();
  }

  /**
   * Something happened.
   * @param {string} type The event's name.
   * @param {object} data What it says.
   */
  heard(type, data) {
    if (!this.#visible) return;
    if (type === "reset") this.#reread();
    if (type !== "alert") return;
    this.#heard?.push(data);
    this.#apply(data);
    this.host.requestUpdate();
  }

  /** The daemon is there again: read anew. */
  reconnected() {
    if (this.#visible) this.#reread();
  }

  /** @param {Object<string, string>} filters What is asked for from now on. */
  choose(filters) {
    const asked = filtersOf(filters);
    if (JSON.stringify(asked) === JSON.stringify(this.filters)) return;
    this.#ask(asked, false);
    this.host.show("history", asked);
  }

  /** @returns {object} What the daemon is asked with now. */
  query() {
    return queryOf(this.filters, this.host.now());
  }

  /** Show what came meanwhile, and go to the top. */
  showFresh() {
    if (this.#beyond) {
      this.#read(PAGE);
    } else {
      const known = new Set(this.entries.map(({number}) => number));
      this.#put([...this.fresh.values()].filter(({number}) => !known.has(number)));
      this.#forgetFresh();
    }
    this.host.requestUpdate();
    const list = this.host.renderRoot.querySelector(".history");
    list?.scrollIntoView({block: "start"});
    list?.querySelector(".history-count")?.focus({preventScroll: true});
  }

  /** @returns {import("../lit.js").TemplateResult} What is seen. */
  render() {
    const {entries, reading} = this;
    const waiting = this.fresh.size + this.#beyond;
    if (this.host.status) this.#told?.();
    const empty = !entries.length && !reading.error && reading.at !== null && !reading.pending;
    return html`<section class="record-view history" aria-labelledby="history-title">
      <header class="record-head">
        <h2 id="history-title">History</h2>
        <p class="muted history-count" tabindex="-1">${this.#countText()}</p>
      </header>
      ${this.bar.render()}
      ${readingView(this.host, reading, "history", () => this.#reread())}
      ${waiting ? html`<div class="history-fresh"><button class="button primary" type="button" @click=${() => this.showFresh()}
        >${waiting} new</button></div>` : nothing}
      ${empty ? this.#emptyView() : nothing}
      ${entries.length ? historyList(this.host, entries, {narrow: this.narrow, arrived: this.#arrived}) : nothing}
      ${entries.length ? this.#olderView() : nothing}
    </section>`;
  }

  #ask(filters, same) {
    this.filters = filters;
    if (!same) {
      this.reading.forget();
      this.older.forget();
      this.bar.take(filters);
      this.entries = []; // they fit other filters
      this.complete = false;
    }
    this.#forgetFresh();
    this.#arrived.clear();
    this.#read(PAGE);
  }

  #reread() {
    this.#read(Math.min(MOST, Math.max(PAGE, this.entries.length)));
  }

  async #read(limit) {
    this.older.forget();
    const heard = this.#heard = [];
    await this.reading.read(async () => {
      if (isRelative(this.filters)) await this.#clock();
      return this.host.api.getHistory({...this.query(), limit});
    }, (entries) => {
      this.entries = entries;
      this.complete = entries.length < limit;
      this.#forgetFresh();
      heard.forEach((entry) => this.#apply(entry, true));
    });
    if (this.#heard === heard) this.#heard = null;
  }

  // The browser's clock may be hours off: which hour is the last one, the first status says.
  #clock() {
    return this.host.status ? null : new Promise((told) => { this.#told = told; });
  }

  #forgetFresh() {
    this.fresh.clear();
    this.#beyond = 0;
    this.#newest = 0;
  }

  #readOlder() {
    const {entries} = this;
    const query = {...this.query(), limit: PAGE, before: entries[entries.length - 1].number};
    // A range that ends now moves on: what fell out of it at its old end was told already.
    this.older.read(() => this.host.api.getHistory(query), (found) => {
      const known = new Set(this.entries.map(({number}) => number));
      this.entries = [...this.entries, ...found.filter(({number}) => !known.has(number))];
      this.complete = found.length < PAGE;
      this.host.announce(found.length ? `${found.length} older alerts` : "There are no older alerts");
    });
  }

  #apply(entry, atOnce = false) {
    const at = this.entries.findIndex(({number}) => number === entry.number);
    if (at >= 0) {
      this.entries = this.entries.slice();
      this.entries[at] = entry;
      return;
    }
    const oldest = this.entries[this.entries.length - 1];
    if (oldest && entry.number < oldest.number && !this.complete) return;
    if (!this.fresh.has(entry.number) && !this.#wants(entry)) return;
    if (!atOnce && (this.fresh.size || !this.#atRest())) this.#hold(entry);
    else this.#put([entry]);
  }

  // An alert is told again whenever it changes: what there is no room for counts once, by its number.
  #hold(entry) {
    const {fresh} = this;
    if (fresh.has(entry.number) || fresh.size < PAGE) fresh.set(entry.number, entry);
    else if (!this.#beyond || entry.number > this.#newest) this.#beyond += 1;
    this.#newest = Math.max(this.#newest, entry.number);
  }

  #put(came) {
    const length = Math.max(PAGE, this.entries.length);
    came.forEach(({number}) => this.#arrived.add(number));
    this.entries = [...came, ...this.entries].sort((one, other) => other.number - one.number);
    const gone = this.entries.splice(length);
    gone.forEach(({number}) => this.#arrived.delete(number));
    if (gone.length) this.complete = false;
  }

  #wants(entry) {
    return wants(this.filters, entry, this.host.now());
  }

  // Whether an alert may be put in at the top without moving what somebody reads or points at.
  #atRest() {
    if (Object.keys(this.filters).length) return false;
    const list = this.host.renderRoot?.querySelector(".history");
    if (!list) return true;
    const focused = this.host.renderRoot.activeElement;
    return list.getBoundingClientRect().top >= -8 && !focused?.closest(".history-list") && !list.querySelector(".history-list:hover");
  }

  #watchWidth() {
    if (this.#width) return;
    this.#width = new ResizeObserver(([entry]) => {
      const narrow = entry.contentRect.width < NARROW;
      if (narrow === this.narrow) return;
      this.narrow = narrow;
      this.host.requestUpdate();
    });
    this.#width.observe(this.host);
  }

  #countText() {
    const {entries, complete, reading} = this;
    if (reading.at === null) return "\u00a0";
    const filtered = Object.keys(this.filters).length > 0;
    if (!entries.length) return filtered ? "nothing fits" : "nothing yet";
    return complete ? `${entries.length} ${entries.length === 1 ? "alert" : "alerts"}${filtered ? " that fit" : ", all there are"}`
      : `the newest ${entries.length}${filtered ? " that fit" : ""}`;
  }

  #emptyView() {
    if (!Object.keys(this.filters).length) return emptyView("No alert so far", "What a trader publishes shows up here at once.");
    return html`${emptyView("Nothing fits", "No stored alert fits all of these filters.")}
      <p class="record-center"><button class="button" type="button" @click=${() => this.choose({})}>Clear all filters</button></p>`;
  }

  #olderView() {
    const {older, complete} = this;
    return html`<footer class="history-older">
      ${readingView(this.host, older.at === null && older.pending ? {error: null} : older, "older alerts", () => this.#readOlder())}
      ${complete ? html`<p class="muted">That is the oldest one${Object.keys(this.filters).length ? " that fits" : ""}.</p>`
    : html`<button class="button" type="button" ?disabled=${older.pending} @click=${() => this.#readOlder()}
        >${older.pending ? "Reading …" : "Older"}</button>`}
    </footer>`;
  }
}
