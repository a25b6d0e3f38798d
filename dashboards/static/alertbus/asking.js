import {html, nothing, ref} from "../lit.js";

/** Asks before something is done that wakes people, drops alerts, or can't be taken back. */
export class Asking {
  #answer = null;

  /** @param {import("../alertbus-channels.js").Host} host Shows it. */
  constructor(host) {
    this.host = host;
    this.question = null;
  }

  /**
   * @param {object} question
   * @param {string} question.title What is to be done, as a question.
   * @param {string | import("../lit.js").TemplateResult} question.text What follows from it.
   * @param {string} question.action The word on the button.
   * @param {boolean} [question.danger] Whether something is lost by it.
   * @returns {Promise<boolean>} Whether it is to be done. Focus is back where it was.
   */
  ask(question) {
    this.#settle(false);
    this.question = question;
    this.host.requestUpdate();
    return new Promise((resolve) => { this.#answer = resolve; });
  }

  /** Nobody answers any more. */
  withdraw() {
    this.#settle(false);
  }

  #settle(answer) {
    this.question = null;
    this.#answer?.(answer);
    this.#answer = null;
    this.host.requestUpdate();
  }

  #open = (dialog) => {
    queueMicrotask(() => dialog?.isConnected && !dialog.open && dialog.showModal()); // it is put in the document after this
  };

  /** @returns {import("../lit.js").TemplateResult | typeof nothing} What is seen. */
  render() {
    if (!this.question) return nothing;
    const {title, text, action, danger} = this.question;
    const answer = (yes) => (event) => {
      event.target.closest("dialog").close();
      this.#settle(yes);
    };
    return html`<dialog class="dialog" aria-labelledby="asking" ${ref(this.#open)} @close=${() => this.#settle(false)}>
      <div class="body">
        <h2 id="asking">${title}</h2>
        <div>${text}</div>
        <div class="actions">
          <button type="button" class="button" autofocus @click=${answer(false)}>Cancel</button>
          <button type="button" class="button ${danger ? "danger" : "primary"}" @click=${answer(true)}>${action}</button>
        </div>
      </div>
    </dialog>`;
  }
}
