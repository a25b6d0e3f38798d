import {html, live, nothing} from "../lit.js";
import {icon} from "./icons.js";
import {authorOf, faultView, remember, timeView, whyReadOnly} from "./record-parts.js";

/** Says that a person knows of an alert: the button, and the form that it opens. */
export class AcknowledgeForm {
  /**
   * @param {object} host The element that shows it.
   * @param {() => void} acknowledged Called when it was done.
   */
  constructor(host, acknowledged) {
    this.host = host;
    this.acknowledged = acknowledged;
    this.reset();
  }

  /** Begin anew, for another alert. */
  reset() {
    this.open = false;
    this.pending = false;
    this.error = null;
    this.note = "";
    this.author = authorOf(this.host);
  }

  /** @param {object} story The alert's. @returns {unknown} The button, or who acknowledged it already. */
  button(story) {
    const known = story.acknowledgement;
    if (known) {
      return html`<p class="story-known">${icon("checks")} Acknowledged
        by ${known.author || "somebody"}, ${timeView(this.host, known.at_us / 1000)}${known.note ? html`: “${known.note}”` : nothing}</p>`;
    }
    const why = whyReadOnly(this.host);
    return html`<button class="button ${story.severity === "CRITICAL" ? "primary" : ""}" type="button" ?disabled=${Boolean(why)}
      title=${why || "Nobody further is woken for it"} aria-expanded=${this.open ? "true" : "false"} @click=${() => this.#toggle()}
      >Acknowledge …</button>`;
  }

  /** @param {object} story The alert's. @returns {unknown} The form, while it is open. */
  render(story) {
    if (!this.open || story.acknowledgement) return nothing;
    return html`<form class="record-form" aria-label="Acknowledge" @submit=${(event) => this.#send(event, story)}>
      <p class="muted">You say that you know of it: its escalation ends, and nobody further is woken for it or for earlier alerts like it.</p>
      <div class="form-row">
        <label class="field"><span class="label">Your name</span><input name="author" maxlength="128" autocomplete="name"
          .value=${live(this.author)} @input=${({target}) => { this.author = target.value; }}></label>
        <label class="field field-wide"><span class="label">Note (may be empty)</span><input name="note" maxlength="1000"
          .value=${live(this.note)} @input=${({target}) => { this.note = target.value; }}></label>
      </div>
      ${faultView(this.error)}
      <div class="record-actions">
        <button class="button primary" type="submit" ?disabled=${this.pending}>${this.pending ? "Sending …" : "Acknowledge"}</button>
        <button class="button" type="button" @click=${() => this.#toggle()}>Cancel</button>
      </div>
    </form>`;
  }

  #toggle() {
    this.open = !this.open;
    this.error = null;
    this.host.requestUpdate();
    if (this.open) this.host.updateComplete?.then(() => this.host.renderRoot.querySelector(".story input[name=note]")?.focus());
  }

  async #send(event, story) {
    event.preventDefault();
    if (this.pending) return;
    const {host} = this;
    const {id} = story.alert;
    this.pending = true;
    this.error = null;
    host.requestUpdate();
    try {
      await host.api.acknowledge(id, {author: this.author.trim(), note: this.note.trim()});
      remember(host, this.author.trim());
      this.reset();
      host.done("Acknowledged");
      host.tell("alert-acknowledged", {id});
      this.acknowledged();
    } catch (error) {
      this.error = error;
      host.announce(`It could not be acknowledged: ${error.message}`);
    } finally {
      this.pending = false;
      host.requestUpdate();
    }
  }
}
