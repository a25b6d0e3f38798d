import {html, nothing} from "../lit.js";
import {MonitoringError} from "./monitoring-error.js";
import {channelText} from "./format.js";
import {icon} from "./icons.js";
import {resultView} from "./test-result.js";

const EVERYWHERE = "all";
const BY_ROUTES = "routes";
const EVENTS = ["INFO", "WARNING", "CRITICAL", "BUY", "SELL", "HOLD"];
const ACTIONS = new Set(["BUY", "SELL", "HOLD"]);
const TEXT_LIMIT = 1000;

/** Sends test alerts, counts the seconds, and keeps what the providers answered until it is closed. */
export class TestPanel {
  /** @param {import("../alertbus-channels.js").Host} host Shows it. */
  constructor(host) {
    this.host = host;
    /** By where the test was asked for: a channel's key, or the form's. */
    this.runs = new Map();
    this.open = false;
    this.form = {where: EVERYWHERE, text: "", what: "CRITICAL", symbol: "TNA", event: "", agent: ""};
  }

  /**
   * Send a test.
   * @param {string} key Where it was asked for, and its result is shown.
   * @param {object} payload Of `sendNotificationTest`.
   */
  async send(key, payload) {
    const {host} = this;
    if (this.runs.get(key)?.pending) return;
    this.#keep(key, {pending: true, startedAt: Date.now()});
    try {
      const result = await host.api.sendNotificationTest(payload);
      this.#keep(key, {result, at: host.now()});
      host.announce(spoken(result));
      host.tell("test-sent", {result});
    } catch (error) {
      const known = error instanceof MonitoringError ? error : new MonitoringError(String(error));
      const wait = known.retryAfterSeconds;
      this.#keep(key, {error: known, at: host.now(), againAt: wait === null ? null : Date.now() + 1000 * wait});
      host.announce(`The test was not sent. ${known.message}`);
    }
    host.refresh();
  }

  /** @param {string} key Of a channel. */
  sendTo(key) {
    return this.send(key, {channel: key.slice(key.indexOf(":") + 1)});
  }

  #keep(key, run) {
    this.runs.set(key, run);
    this.host.requestUpdate();
  }

  #close(key) {
    this.runs.delete(key);
    this.host.requestUpdate();
    const opener = this.host.renderRoot.querySelector(`[data-test="${CSS.escape(key)}"]`);
    opener?.focus();
  }

  /** @returns {string | null} Why no test can be sent now. */
  get refusal() {
    if (!this.host.canOperate) return "Your token may only read";
    return this.host.status ? null : "The daemon is not heard yet";
  }

  /**
   * @param {string} key Where it is asked for. @param {string} label On the button. @param {() => void} act Sends it.
   * @param {string} [look] Classes. @param {string} [name] For screen readers, where the label is not enough.
   * @returns {import("../lit.js").TemplateResult} The button; it keeps its place while the test runs.
   */
  button(key, label, act, look = "", name) {
    const run = this.runs.get(key);
    const seconds = run?.pending ? Math.floor((Date.now() - run.startedAt) / 1000) : 0;
    const blocked = this.refusal;
    return html`<button type="button" class="button test ${look}" data-test=${key} aria-disabled=${String(Boolean(blocked || run?.pending))}
      aria-label=${run?.pending || !name ? nothing : name} title=${blocked ?? "A real message through the real queue"}
      @click=${() => blocked || run?.pending || act()}
      >${run?.pending ? html`<span class="spinner"></span>Sending… ${seconds} s` : html`${icon("send")}${label}`}</button>`;
  }

  /** @param {string} key Where a test was asked for. @returns What became of it, until it is closed. */
  result(key) {
    const run = this.runs.get(key);
    if (!run || run.pending) return nothing;
    return resultView(this.host, run, () => this.#close(key));
  }

  #submit = (event) => {
    event.preventDefault();
    if (this.refusal || this.runs.get("form")?.pending) return;
    const {where, text, what, symbol, event: type, agent} = this.form;
    const given = text.trim() ? {text: text.trim()} : {};
    if (where === EVERYWHERE) return void this.send("form", given);
    if (where !== BY_ROUTES) return void this.send("form", {channel: where, ...given});
    const alert = ACTIONS.has(what)
      ? {kind: "agent_action", action: what, ...(agent.trim() ? {agent_name: agent.trim()} : {})}
      : {kind: "risk_event", severity: what, ...(type.trim() ? {event_type: type.trim()} : {})};
    if (symbol.trim()) alert.symbol = symbol.trim();
    if (ACTIONS.has(what)) alert.quantity = 1;
    this.send("form", {alert, ...given});
  };

  #set(name, event) {
    this.form = {...this.form, [name]: event.target.value};
    this.host.requestUpdate();
  }

  #toggle = () => {
    this.open = !this.open;
    this.host.requestUpdate();
  };

  /** @returns {import("../lit.js").TemplateResult} A test of all, and one of one's own making. */
  render() {
    const run = this.runs.get("form");
    return html`<section class="panel tests stack" aria-labelledby="tests-title">
      <div class="row between">
        <h2 id="tests-title">Send a test</h2>
        <div class="row">
          <button type="button" class="button quiet" aria-expanded=${String(this.open)} aria-controls="test-form" @click=${this.#toggle}
            >${this.open ? "Fewer options" : "Options"}</button>
          ${this.button("all", "Test all channels", () => this.send("all", {}))}
        </div>
      </div>
      ${this.result("all")}
      ${this.open ? this.#formView(run) : nothing}
      ${this.result("form")}
    </section>`;
  }

  #formView(run) {
    const {where, text} = this.form;
    const names = (this.host.status?.channels ?? []).filter(({state}) => state !== "not_configured").map(({name}) => name);
    return html`<form id="test-form" class="test-form" @submit=${this.#submit}>
      ${select("Where", where, (event) => this.#set("where", event), [
        [EVERYWHERE, "Every channel"], ...names.map((name) => [name, `Only ${channelText(name)}`]),
        [BY_ROUTES, "Where the routes send it"]])}
      ${where === BY_ROUTES ? this.#alertFields() : nothing}
      <label class="field wide"><span class="label">Text</span>
        <input maxlength=${TEXT_LIMIT} .value=${text} placeholder="This is a test of alertbus. Nothing happened."
          @input=${(event) => this.#set("text", event)}></label>
      <div class="wide row"><button type="submit" class="button primary" data-test="form"
        aria-disabled=${String(Boolean(this.refusal || run?.pending))} title=${this.refusal ?? nothing}
        >${run?.pending ? html`<span class="spinner"></span>Sending… ${Math.floor((Date.now() - run.startedAt) / 1000)} s`
          : html`${icon("send")}Send this test`}</button>
        <span class="muted small">${where === BY_ROUTES
          ? "The real plan: routes, quiet hours and silences hold. Its text says that it is a test." : ""}</span></div>
    </form>`;
  }

  #alertFields() {
    const {what, symbol, event, agent} = this.form;
    return html`
      ${select("As", what, (changed) => this.#set("what", changed), EVENTS.map((word) => [word, word]))}
      ${input("Symbol", symbol, (changed) => this.#set("symbol", changed), "any")}
      ${ACTIONS.has(what) ? input("Agent", agent, (changed) => this.#set("agent", changed), "any")
        : input("Event", event, (changed) => this.#set("event", changed), "any")}`;
  }
}

function select(label, value, change, options) {
  const id = `test-${label.toLowerCase()}`;
  return html`<div class="field"><label for=${id}>${label}</label><select id=${id} .value=${value} @change=${change}>${options.map(
    ([word, text]) => html`<option value=${word} ?selected=${word === value}>${text}</option>`)}</select></div>`;
}

function input(label, value, change, placeholder) {
  return html`<label class="field"><span class="label">${label}</span><input maxlength="128" .value=${value} placeholder=${placeholder}
    autocomplete="off" @input=${change}></label>`;
}

function spoken({channels, not_routed: nowhere, dry_run: dryRun}) {
  if (nowhere || !channels.length) return "The test went nowhere: no route takes it.";
  return `${dryRun ? "Dry run. " : ""}${channels.map(({channel, accepted, state, waiting_for: waits}) => accepted
    ? `${channelText(channel)} took the test.` : waits ? `${channelText(channel)} waits for ${waits}.`
      : `${channelText(channel)} did not take the test: ${state}.`).join(" ")}`;
}
