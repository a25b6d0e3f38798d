import {html, nothing} from "../lit.js";
import {facts, time} from "./channel-facts.js";
import {REASONS, SEVERITIES, badgeOf, channelText, exactText, lengthText, msOf, providerText, secondsText} from "./format.js";
import {badge, icon} from "./icons.js";
import {sparkline} from "./sparkline.js";

/**
 * @param {import("./channels-panel.js").ChannelsPanel} panel Whose channel it is.
 * @param {object} channel One of the status.
 * @returns {import("../lit.js").TemplateResult} All that is known of it, and what can be done.
 */
export function channelCard(panel, channel) {
  const {host} = panel;
  const {name} = channel;
  const look = badgeOf(channel);
  return html`<li class="notification-channel ${look.tone}" part="notification-channel" data-channel=${name} data-state=${channel.state}>
    <header class="row between">
      <div class="grow"><h3>${channelText(name)}</h3><p class="muted small">${[
        name === channelText(name).toLowerCase() ? null : name, providerText(channel.provider)].filter(Boolean).join(" · ")}</p></div>
      <span class="notification-status" part="notification-status">${badge(look)}</span>
    </header>
    ${problemView(panel, channel)}
    ${host.compact ? compactFacts(host, channel) : html`
      ${latencyView(channel)}
      ${facts(host, channel)}`}
    ${channel.state === "not_configured" ? nothing : html`<footer class="row between">
      ${switchView(panel, channel)}
      ${panel.tests.button(`channel:${name}`, "Send test", () => panel.tests.sendTo(`channel:${name}`), "", `Send a test to ${channelText(name)}`)}
    </footer>`}
    ${panel.tests.result(`channel:${name}`)}
  </li>`;
}

function latencyView({name, latency}) {
  const known = latency ?? {recent: [], p50_seconds: null, p95_seconds: null};
  const slowest = known.recent.length;
  return html`<div class="latency">
    ${sparkline(channelText(name), known)}
    <p class="small"><span title="Half of the last ${slowest} were taken by the provider within this, from publishing on."
      ><span class="muted">median</span> <span class="strong">${secondsText(known.p50_seconds)}</span></span>
      <span title="95 % of the last ${slowest} were taken within this."><span class="muted">95 %</span>
      <span class="strong">${secondsText(known.p95_seconds)}</span></span></p>
  </div>`;
}

/** Why it is in error: the provider's own words, what to do, and the button for it. */
function problemView(panel, channel) {
  const {host} = panel;
  const {problem, last_error: error} = channel;
  if (!problem && channel.state !== "error") return nothing;
  const said = channel.state === "error" ? error : null;
  const paused = channel.paused || problem?.kind === "paused";
  const todo = said && !problem ? REASONS[said.reason]?.todo : ""; // a problem's own text says what to do
  const now = host.now();
  const since = msOf(problem?.since_at), until = msOf(problem?.until_at);
  return html`<div class="problem ${problem?.kind === "held" ? "warn" : "error"}">
    <p class="strong">${problem?.text ?? "Its provider refuses or can't be reached."}</p>
    ${said?.detail && !problem?.text?.includes(said.detail) ? html`<blockquote class="said">${said.detail}</blockquote>` : nothing}
    <p class="small muted dotted">${[
      said?.status && html`<span>HTTP ${said.status}</span>`,
      said?.code && html`<span>code ${said.code}</span>`,
      since !== null && html`<span title=${exactText(since)}>for ${lengthText(now - since)}</span>`,
      until !== null && until > now && html`<span title=${exactText(until)}>${problem.kind === "held"
        ? `${lengthText(until - now)} more` : `next probe in ${lengthText(until - now)}`}</span>`,
    ].filter(Boolean)}</p>
    ${todo ? html`<p class="small">${todo}</p>` : nothing}
    ${paused ? html`<div><button type="button" class="button small primary" ?disabled=${!host.canOperate || panel.busy.has(`resume:${channel.name}`)}
      aria-label="Resume ${channelText(channel.name)}" title=${host.canOperate ? "Send again, from what waits on" : "Your token may only read"}
      @click=${() => panel.resume(channel)}>${icon("play")}Resume</button></div>` : nothing}
  </div>`;
}

function switchView(panel, channel) {
  const {host} = panel;
  const busy = panel.busy.has(`switch:${channel.name}`);
  const refused = !host.canOperate;
  return html`<button type="button" class="switch" role="switch" aria-checked=${String(channel.enabled)} aria-busy=${String(busy)}
    aria-disabled=${String(refused || busy)} aria-label=${channelText(channel.name)} title=${refused ? "Your token may only read"
      : channel.enabled ? "Switch it off: what waits and what comes is not sent" : "Switch it on"}
    @click=${() => refused || busy || panel.toggle(channel)}
    ><span class="track" aria-hidden="true"></span><span class="switch-text">${busy ? "Switching…" : channel.enabled ? "On" : "Off"}</span></button>`;
}

function compactFacts(host, {last_alert: last}) {
  if (!last) return html`<p class="muted small compact-last">No alert yet.</p>`;
  const {tone, icon: shape} = SEVERITIES[last.severity] ?? SEVERITIES.INFO;
  return html`<p class="small compact-last"><span class="${tone} tone" title=${last.severity}>${icon(shape)}<span class="speaks">${last.severity}</span></span>
    <button type="button" class="link" @click=${() => host.show("story", {id: last.alert_id})}
      >${[last.event_type, last.symbol].filter(Boolean).join(" ")}</button>
    <span class="muted">${time(msOf(last.at), host.now())}, in ${secondsText(last.seconds)}</span></p>`;
}
