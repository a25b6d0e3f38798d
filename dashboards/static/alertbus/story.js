import {html, nothing, ref} from "../lit.js";
import {headOf} from "./alert-words.js";
import {AcknowledgeForm} from "./acknowledge-form.js";
import {DigestReader} from "./digest-reader.js";
import {icon} from "./icons.js";
import {readingView, severityBadge} from "./record-parts.js";
import {Reading, soon} from "./reading.js";
import {deliveriesView, fieldsView, idsView, textsView, timelineView} from "./story-parts.js";

/** How long a story waits for more news before it is read again, in milliseconds. */
const PAUSE_MS = 250;

/** One alert's whole life, in a dialog that keeps itself fresh while it is open. */
export class StoryPanel {
  #dialog = null;
  #again = soon(() => this.#read(), PAUSE_MS);
  #opened = (dialog) => {
    this.#dialog = dialog ?? null;
    queueMicrotask(() => this.#open()); // Lit hands the element over before it is in the page
  };

  /** @param {object} host The element that shows it. */
  constructor(host) {
    this.host = host;
    this.id = null;
    this.story = null;
    this.trail = [];
    this.reading = new Reading(() => host.requestUpdate());
    this.acknowledging = new AcknowledgeForm(host, () => this.#read());
    this.digests = new DigestReader(host);
  }

  /**
   * Open a story.
   * @param {{id?: string}} [parameters] Of which alert.
   */
  shown(parameters = {}) {
    const {id} = parameters;
    if (!id) {
      this.close();
      return;
    }
    if (id === this.id) return;
    this.trail = [];
    this.#turnTo(id);
    this.#open(); // closed for another view a moment ago, it is still in the page
  }

  /** Another view is shown: the dialog closes. */
  hidden() {
    this.close();
  }

  /** Close the dialog; the focus goes back to where it was. */
  close() {
    if (this.#dialog?.open) this.#dialog.close();
    this.#forget();
  }

  /**
   * Something happened.
   * @param {string} type The event's name.
   * @param {object} data What it says.
   */
  heard(type, data) {
    if (this.id === null) return;
    if (type === "reset" || (type === "alert" && data.alert.id === this.id)) this.#again.ask();
  }

  /** The daemon is there again: read anew. */
  reconnected() {
    if (this.id !== null) this.#read();
  }

  /** @param {string} id The alert to go on to; the way back stays. */
  follow(id) {
    if (this.id !== null) this.trail = [...this.trail, this.id];
    this.#goTo(id);
  }

  /** @returns {import("../lit.js").TemplateResult | typeof nothing} The dialog while it is open. */
  render() {
    if (this.id === null) return nothing;
    const {story, reading, host} = this;
    return html`<dialog class="dialog wide story" aria-labelledby="story-title" ${ref(this.#opened)} @close=${() => this.#closed()}
      @click=${(event) => event.target === this.#dialog && this.close()}>
      <div class="body">
        <header class="story-head">
          <div class="story-name">
            ${story ? severityBadge(story.severity) : nothing}
            <h2 id="story-title" tabindex="-1" autofocus>${story ? headOf(story).replace(`${story.severity} `, "") : "One alert's story"}</h2>
          </div>
          <div class="story-buttons">
            ${this.trail.length ? html`<button class="button small" type="button" @click=${() => this.#goBack()}
              ><span class="turned">${icon("chevron")}</span> Back</button>` : nothing}
            <button class="button small" type="button" @click=${() => this.close()}>${icon("close")} Close</button>
          </div>
        </header>
        ${readingView(host, reading, "story", () => this.#read())}
        ${story ? this.#told(story) : nothing}
      </div>
    </dialog>`;
  }

  #told(story) {
    const {host} = this;
    const follow = (id) => this.follow(id);
    return html`
      ${textsView(story)}
      <div class="story-actions">
        ${this.acknowledging.button(story)}
        <button class="button" type="button" @click=${() => this.#silenceLike(story)}>Silence what is like it …</button>
        ${story.alert.resolves ? html`<button class="button" type="button" @click=${() => follow(story.alert.resolves)}
          >The alert that it ends</button>` : nothing}
      </div>
      ${this.acknowledging.render(story)}
      ${deliveriesView(host, story, follow)}
      ${timelineView(host, story, this.digests, follow)}
      ${fieldsView(story)}
      ${idsView(host, story)}`;
  }

  #silenceLike(story) {
    const {alert} = story;
    const match = {symbol: alert.symbol, event_type: alert.event_type, action: alert.action, agent_name: alert.agent_name, source: alert.source};
    const given = Object.fromEntries(Object.entries(match).filter(([, value]) => value));
    this.close();
    this.host.show("silences", {add: "1", ...given});
  }

  #goBack() {
    const id = this.trail[this.trail.length - 1];
    this.trail = this.trail.slice(0, -1);
    this.#goTo(id);
  }

  #goTo(id) {
    this.#turnTo(id);
    this.host.show("story", {id}); // for the address; it is turned to already
    this.#dialog?.querySelector("#story-title")?.focus();
    this.#dialog?.scrollTo({top: 0});
  }

  #turnTo(id) {
    this.id = id;
    this.story = null;
    this.reading.forget();
    this.acknowledging.reset();
    this.digests.reset();
    this.#read();
  }

  #read() {
    const {id} = this;
    if (id === null) return;
    this.reading.read(() => this.host.api.getAlert(id), (story) => {
      this.story = story;
    });
  }

  #open() {
    if (this.#dialog?.isConnected && !this.#dialog.open) this.#dialog.showModal();
  }

  // The browser tells of a close later: the dialog may be open again by then, for another story.
  #closed() {
    if (!this.#dialog?.open) this.#forget();
  }

  #forget() {
    if (this.id === null) return;
    this.#again.stop();
    this.reading.forget();
    this.id = null;
    this.story = null;
    this.trail = [];
    this.host.closeStory?.();
    this.host.requestUpdate();
  }
}
