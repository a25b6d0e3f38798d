import {html, nothing, repeat} from "../lit.js";
import {channelCard} from "./channel-card.js";
import {channelText, countText} from "./format.js";
import {icon} from "./icons.js";
import {publishersView} from "./publishers.js";
import {RecentAlerts} from "./recent.js";
import {TestPanel} from "./test-panel.js";

/** The channels, who publishes to them, tests, and the newest alerts. */
export class ChannelsPanel {
  /** @param {import("../alertbus-channels.js").Host} host The element that shows it. */
  constructor(host) {
    this.host = host;
    this.tests = new TestPanel(host);
    this.recent = new RecentAlerts(host);
    /** What is under way, as "switch:telegram". */
    this.busy = new Set();
  }

  /** Show it now. */
  shown() {
    this.recent.shown();
  }

  /** It is no longer seen. */
  hidden() {
    this.recent.hidden();
  }

  /** Something happened. @param {string} type The event's name. @param {object} data What it says. */
  heard(type, data) {
    this.recent.heard(type, data);
    if (type === "change" && data.what === "channels") this.host.live.read();
  }

  /** The daemon is there again: read anew. */
  reconnected() {
    this.recent.reconnected();
  }

  /** Switch a channel; asks first where something is lost by it. @param {object} channel One of the status. */
  async toggle(channel) {
    const {host} = this;
    const {name} = channel;
    const enabled = !channel.enabled;
    if (!enabled && !(await this.#mayDisable(channel))) return;
    await this.#act(`switch:${name}`, `switching ${channelText(name)} ${enabled ? "on" : "off"}`, async () => {
      const done = await host.api.setChannelEnabled(name, enabled, {author: host.author});
      host.done(switchedText(name, enabled, done));
      host.tell("channel-toggled", {channel: name, enabled});
    });
  }

  /** Let a paused channel send again. @param {object} channel One of the status. */
  async resume({name}) {
    await this.#act(`resume:${name}`, `resuming ${channelText(name)}`, async () => {
      const {was_paused: was} = await this.host.api.resumeChannel(name, {author: this.host.author});
      this.host.done(was ? `${channelText(name)} sends again.` : `${channelText(name)} was not paused.`);
    });
  }

  async #act(key, doing, act) {
    this.busy.add(key);
    this.host.requestUpdate();
    try {
      await act();
      await this.host.live.read();
    } catch (error) {
      this.host.failed(error, doing);
    } finally {
      this.busy.delete(key);
      this.host.requestUpdate();
    }
  }

  async #mayDisable({name, backlog}) {
    const others = this.host.status.channels.filter((each) => each.enabled && each.name !== name);
    if (others.length && !backlog) return true;
    const last = others.length === 0;
    return this.host.ask({
      title: `Switch ${channelText(name)} off?`,
      danger: true,
      action: "Switch it off",
      text: html`<div class="stack">
        ${last ? html`<p><strong>It is the last channel that is on: nobody will be told anything.</strong> A CRITICAL waits until
          a channel is switched on.</p>` : nothing}
        ${backlog ? html`<p>${countText(backlog, "alert")} ${backlog === 1 ? "waits" : "wait"} for it now and will be suppressed: not sent,
          for good${last ? ", but for CRITICAL" : ""}.</p>` : nothing}
        <p class="muted">Alerts that come while it is off are suppressed on this channel. The history keeps all of them.</p>
      </div>`,
    });
  }

  /** @returns {import("../lit.js").TemplateResult} What is seen. */
  render() {
    const {host} = this;
    const {status} = host;
    if (!status) return host.live.error ? nothing : loading(host.compact);
    const cards = status.channels.length
      ? html`<ul class="channels" aria-label="Channels">${repeat(status.channels, ({name}) => name, (channel) => channelCard(this, channel))}</ul>`
      : html`<div class="panel empty">${icon("bell")}<h3>No channel yet</h3>
          <p>Give the daemon the credentials of Telegram or WhatsApp, or a channel in alertbus.toml.</p></div>`;
    if (host.compact) return html`${cards}<div class="row between compact-foot">${this.tests.button("all", "Send test alert", () => this.tests.send("all", {}))}</div>${this.tests.result("all")}`;
    return html`<div class="stack wide">
      <h2 class="speaks">Channels</h2>
      ${cards}
      <div class="columns">
        ${this.recent.render()}
        <div class="stack">${publishersView(host)}${this.tests.render()}</div>
      </div>
    </div>`;
  }
}

function switchedText(name, enabled, {suppressed = 0, handed_over: handed = 0, released = 0}) {
  const told = [
    suppressed && `${countText(suppressed, "waiting alert")} suppressed`,
    handed && `${handed} handed to another channel`,
    released && `${released} on the way now`,
  ].filter(Boolean).join(", ");
  return `${channelText(name)} is ${enabled ? "on" : "off"}${told ? `: ${told}` : ""}.`;
}

function loading(compact) {
  const cards = [1, 2].map(() => html`<li class="notification-channel idle"><div class="skeleton short"></div>
    ${compact ? nothing : html`<div class="skeleton tall"></div>`}<div class="skeleton line"></div><div class="skeleton line"></div></li>`);
  return html`<p class="speaks">Loading</p><ul class="channels" aria-hidden="true">${cards}</ul>`;
}
