/**
 * The page: the element over all of it, with what only a page has: a sign-in, a theme, a mark in the title.
 */
import {LitElement, html, nothing} from "./lit.js";
import "./alertbus-channels.js";

const TOKEN = "alertbus-token";
const AUTHOR = "alertbus-author";
const THEME = "alertbus-theme";
const THEMES = ["auto", "dark", "light"];
const ICON = "/static/favicon.svg";
const WRONG_ICON = "/static/favicon-error.svg";
const TICK_MS = 1000;

/** Storage that a browser may refuse: what can't be kept is forgotten with the page. */
const kept = {
  get(storage, name) {
    try {
      return globalThis[storage].getItem(name);
    } catch {
      return null;
    }
  },
  set(storage, name, value) {
    try {
      if (value) globalThis[storage].setItem(name, value);
      else globalThis[storage].removeItem(name);
    } catch {
      // a private window: for this page alone, then
    }
  },
};

/** The page, in the document itself: its style sheet is alertbus.css. */
class AlertbusPage extends LitElement {
  static properties = {
    token: {state: true}, author: {state: true}, theme: {state: true}, asking: {state: true}, tried: {state: true},
  };

  #timer = 0;

  constructor() {
    super();
    const theme = kept.get("localStorage", THEME);
    this.token = kept.get("sessionStorage", TOKEN);
    this.author = kept.get("localStorage", AUTHOR) ?? "";
    this.theme = THEMES.includes(theme) ? theme : THEMES[0];
    this.asking = false;
    this.tried = false;
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    new Image().src = WRONG_ICON; // kept by the browser: it is wanted when the daemon is away
    this.#timer = setInterval(() => this.#mark(), TICK_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  get #element() {
    return this.querySelector("alertbus-channels");
  }

  /** What one sees of it while one looks at another page. */
  #mark() {
    const {status, live} = this.#element ?? {};
    if (!live) return;
    const waiting = status?.unacknowledged_critical ?? 0;
    const wrong = waiting > 0 || (live.error && live.connection.state !== "live")
      || status?.channels.some(({state}) => state === "error");
    const title = `${waiting ? `(${waiting}) ` : ""}${wrong && !waiting ? "! " : ""}alertbus`;
    if (document.title !== title) document.title = title;
    const icon = document.querySelector("link[rel=icon]");
    const file = wrong ? WRONG_ICON : ICON;
    if (icon.getAttribute("href") !== file) icon.setAttribute("href", file);
  }

  #connection = ({detail: {state}}) => {
    if (state === "unauthorized") this.tried = Boolean(this.token);
    if (state === "unauthorized" && !this.asking) {
      this.asking = true;
      this.updateComplete.then(() => this.querySelector("#token")?.focus());
    } else if (state === "live" && this.asking) {
      this.asking = false;
      this.tried = false;
    }
    this.#mark();
  };

  #signIn = (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const token = given.get("token").trim();
    this.author = given.get("author").trim();
    kept.set("localStorage", AUTHOR, this.author);
    if (!token) return;
    this.tried = false;
    if (token === this.token) this.#element.refresh();
    this.token = token;
    kept.set("sessionStorage", TOKEN, token);
  };

  #signOut = () => {
    this.token = null;
    kept.set("sessionStorage", TOKEN, null);
  };

  #turnTheme = () => {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length];
    kept.set("localStorage", THEME, this.theme);
  };

  willUpdate() {
    if (this.theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.theme;
  }

  render() {
    return html`
      <alertbus-channels routed heading="alertbus" theme=${this.theme === "auto" ? nothing : this.theme} author=${this.author}
        .token=${this.token} @connection-changed=${this.#connection}>
        <img slot="mark" class="mark" src="/static/favicon.svg" alt="" width="28" height="28">
        <span slot="actions" class="actions">
          ${this.token && !this.asking ? html`<button type="button" class="plain" @click=${this.#signOut}>Sign out</button>` : nothing}
          <button type="button" class="plain" title="Change the colours: as the system, dark, light" @click=${this.#turnTheme}
            >Theme: ${this.theme}</button>
          <a class="plain" href="/docs">API</a>
        </span>
        ${this.asking ? this.#signInView() : nothing}
      </alertbus-channels>`;
  }

  #signInView() {
    return html`<form class="sign-in" slot="sign-in" aria-labelledby="sign-in" @submit=${this.#signIn}>
      <h2 id="sign-in">Sign in</h2>
      <p class="muted">This daemon answers only those who have its token: ALERTBUS_API_TOKEN to operate, ALERTBUS_API_READ_TOKEN to look.
        It is kept until this tab is closed.</p>
      ${this.tried ? html`<p class="fault" role="alert">The daemon does not know this token.</p>` : nothing}
      <label hidden>User <input name="user" autocomplete="username" value="alertbus" readonly></label>
      <label>Token <input id="token" name="token" type="password" autocomplete="current-password" required spellcheck="false"></label>
      <label>Your name, for the record <input name="author" autocomplete="nickname" maxlength="128" .value=${this.author}></label>
      <div><button type="submit">Sign in</button></div>
    </form>`;
  }
}

customElements.define("alertbus-page", AlertbusPage);
document.getElementById("page").append(document.createElement("alertbus-page"));
