/**
 * `<alertbus-channels>`: the channels by which alertbus tells people, with what they did, and what can be done.
 * See docs/web-component.md.
 */
import {LitElement, html, nothing} from "./lit.js";
import {Asking} from "./alertbus/asking.js";
import {BannerBoard} from "./alertbus/banners.js";
import {Criticals} from "./alertbus/criticals.js";
import {Live} from "./alertbus/live.js";
import {panelsOf} from "./alertbus/panels.js";
import {forgetAuthor} from "./alertbus/record-parts.js";
import {recordStyles} from "./alertbus/record-styles.js";
import {SpokenCriticals} from "./alertbus/spoken-criticals.js";
import {footer, heading} from "./alertbus/status-line.js";
import {controls, tokens} from "./alertbus/styles.js";
import {tabs} from "./alertbus/tabs.js";
import {Toasts} from "./alertbus/toasts.js";
import {addressOf, placeOf} from "./alertbus/place.js";
import {viewStyles} from "./alertbus/view-styles.js";
import {createMonitoringApi} from "./monitoring-api.js";

const TICK_MS = 1000;

/**
 * What a panel may use of the element; everything public of the class below that says so.
 * @typedef {AlertbusChannels} Host
 */

/** The one element: see the module. */
export class AlertbusChannels extends LitElement {
  static properties = {
    base: {attribute: "api"},
    heading: {},
    view: {reflect: true},
    compact: {type: Boolean, reflect: true},
    routed: {type: Boolean},
    author: {},
    theme: {reflect: true},
    token: {attribute: false},
  };

  static styles = [tokens, controls, viewStyles, recordStyles];

  #tick = 0;
  #said = "";
  #api;
  #asks = {};
  #resting = true;
  #shown = null;

  constructor() {
    super();
    this.base = "";
    this.heading = "Notification channels";
    this.view = "channels";
    this.compact = false;
    this.routed = false;
    this.author = "";
    this.token = null;
    /** For panels: whether the one that is asked for is an overlay over the view below it. */
    this.story = null;
    this.parameters = {};
    this.asking = new Asking(this);
    this.banners = new BannerBoard(this);
    this.spoken = new SpokenCriticals(this);
    this.#furnish();
    this.#listen();
  }

  // --- what panels use ---------------------------------------------------------------------------------------

  /** @returns {object} The daemon's API, as of `createMonitoringApi`. */
  get api() {
    return this.#api;
  }

  /** Frameworks set the attribute's name as a property: that is the address. */
  set api(address) {
    this.base = address ?? "";
  }

  /** @returns {object | null} The newest status of the daemon. */
  get status() {
    return this.live.status;
  }

  /** @returns {boolean} Whether the reader may change something; true until the daemon says otherwise. */
  get canOperate() {
    return this.status?.access?.scope !== "read";
  }

  /** @returns {number} The daemon's time, in milliseconds. */
  now() {
    return this.live.now();
  }

  /** @param {string} text What a screen reader is to say, when it has said the rest. */
  announce(text) {
    this.#said = this.#said === text ? `${text}\u00a0` : text; // the same words twice are said twice
    this.requestUpdate();
  }

  /** @param {string} text What was done, for a moment. */
  done(text) {
    this.toasts.done(text);
  }

  /** @param {Error} error Why. @param {string} doing What failed, as in "sending a test". */
  failed(error, doing) {
    this.toasts.failed(error, doing);
  }

  /** @param {object} question As of `Asking.ask`. @returns {Promise<boolean>} Whether a person says yes. */
  ask(question) {
    return this.asking.ask(question);
  }

  /**
   * Go somewhere. `story` opens over the view that is seen, every other one takes its place.
   * @param {"channels" | "history" | "dead-letters" | "silences" | "story"} view Where.
   * @param {Object<string, string>} [parameters] What is to be seen there.
   */
  show(view, parameters) {
    if (!(view in this.panels) || (this.compact && view !== "story")) return;
    if (view === "story") {
      this.story = parameters;
      this.panels.story.shown(parameters);
    } else {
      this.closeStory();
      this.view = view;
      if (parameters) this.parameters = {...this.parameters, [view]: parameters};
      if (this.#shown === view) this.panels[view].shown(parameters);
    }
    this.#remember();
    this.requestUpdate();
  }

  /** Close what `show("story")` opened. */
  closeStory() {
    if (!this.story) return;
    this.story = null;
    this.panels.story.hidden();
    this.#remember();
    this.requestUpdate();
  }

  /** Tell the page of something that was done here. @param {string} type The event. @param {object} detail Of it. */
  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, {detail, bubbles: true, composed: true}));
  }

  // --- its own life ------------------------------------------------------------------------------------------

  /** Ask the daemon anew now. */
  refresh() {
    this.live.refresh();
  }

  connectedCallback() {
    super.connectedCallback();
    this.#tick = setInterval(() => document.hidden || this.requestUpdate(), TICK_MS);
    document.addEventListener("visibilitychange", this.#seen);
    if (this.routed) addEventListener("hashchange", this.#navigated);
    this.requestUpdate(); // which begins to listen, when whoever made the element has said where
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.#tick);
    document.removeEventListener("visibilitychange", this.#seen);
    removeEventListener("hashchange", this.#navigated);
    this.closeStory();
    this.live.stop();
    this.toasts.stop();
    this.spoken.stop();
    this.#resting = true;
    this.panels[this.#shown]?.hidden();
    this.#shown = null;
  }

  willUpdate() {
    if (!this.isConnected) return;
    const first = this.#resting;
    if (first || this.base !== this.#asks.base || this.token !== this.#asks.token) this.#connect();
    if (first && this.routed && location.hash.length > 1) this.#navigated();
    this.#turn();
  }

  get #current() {
    return this.compact || this.view === "story" || !(this.view in this.panels) ? "channels" : this.view;
  }

  /** Show the panel of the current view, and hide the one before. */
  #turn(parameters = this.parameters[this.#current]) {
    if (this.#shown === this.#current) return;
    this.panels[this.#shown]?.hidden();
    this.#shown = this.#current;
    this.panels[this.#shown].shown(parameters);
  }

  #listen() {
    this.#asks = {base: this.base, token: this.token};
    this.#api = createMonitoringApi(this.#asks);
    this.live = new Live(this.#api, JSON.stringify(this.#asks), {
      changed: () => this.requestUpdate(),
      heard: (type, data) => this.#heard(type, data),
      reconnected: () => this.#readAnew(),
      connection: (state) => this.tell("connection-changed", {state}),
    });
  }

  #furnish() {
    this.toasts = new Toasts(this);
    this.criticals = new Criticals(this);
    this.panels = panelsOf(this);
  }

  /** Whoever signs out, or asks another daemon, leaves nothing behind. */
  #empty() {
    this.closeStory();
    this.panels[this.#shown]?.hidden();
    this.#shown = null;
    this.asking.withdraw();
    this.toasts.stop();
    this.spoken.stop();
    forgetAuthor(this);
    this.#said = "";
    this.#furnish();
  }

  /** Ask where, and as whom, the attributes say now; what is known stays with another token until something newer comes. */
  #connect() {
    const {status, statusAt, skewMs, beganAt} = this.live;
    const left = this.base !== this.#asks.base || (this.#asks.token && !this.token);
    this.live.stop();
    this.#listen();
    if (left) this.#empty();
    else Object.assign(this.live, {status, statusAt, skewMs, beganAt});
    this.#resting = false;
    this.live.start();
    if (this.#shown) this.#readAnew();
    this.criticals.read();
  }

  #readAnew() {
    this.criticals.read();
    this.#panelsSeen().forEach((panel) => panel.reconnected());
  }

  #panelsSeen() {
    return [this.panels[this.#current], ...(this.story ? [this.panels.story] : [])];
  }

  #heard(type, data) {
    if (type === "alert") this.spoken.heard(data);
    this.criticals.heard(type, data);
    for (const panel of Object.values(this.panels)) panel.heard(type, data);
  }

  #remember() {
    if (!this.routed) return;
    const address = addressOf(this.#current, this.parameters[this.#current], this.story?.id);
    if (address === location.hash || (address === "#channels" && !location.hash)) return;
    const moved = placeOf(address).view !== placeOf(location.hash).view;
    history[moved ? "pushState" : "replaceState"](null, "", address);
  }

  #navigated = () => {
    const {view, parameters, story} = placeOf(location.hash);
    if (!(view in this.panels) || view === "story") return;
    this.show(view, parameters ?? {});
    if (story) this.show("story", {id: story});
  };

  #seen = () => document.hidden || this.live.refresh();

  render() {
    const current = this.#current;
    const panel = this.panels[current];
    const signedOut = this.live.connection.state === "unauthorized" && !this.status;
    return html`<section class="notification-card" part="notification-card" aria-labelledby="heading">
      ${heading(this)}
      ${this.banners.render()}
      <slot name="sign-in"></slot>
      ${signedOut ? nothing : html`
        ${this.criticals.render()}
        ${this.compact ? nothing : tabs(this, current)}
        <div class="view" id="view" role=${this.compact ? nothing : "tabpanel"} aria-labelledby=${this.compact ? nothing : `tab-${current}`}
          ?data-old=${this.live.past}>${panel.render()}</div>
        ${this.compact ? nothing : footer(this)}`}
      ${this.story ? this.panels.story.render() : nothing}
      ${this.asking.render()}
      ${this.toasts.render()}
      <p class="speaks" role="status" aria-live="polite">${this.#said}</p>
    </section>`;
  }
}

if (!customElements.get("alertbus-channels")) customElements.define("alertbus-channels", AlertbusChannels);
