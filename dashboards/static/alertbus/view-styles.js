import {css} from "../lit.js";

/** The element's own layout: heading, banners, tabs, cards, toasts. */
export const viewStyles = css`
  .notification-card { display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; container-type: inline-size; }
  .head { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 16px; min-height: 40px; }
  h1 { margin: 0; font-size: 20px; line-height: 1.3; font-weight: 680; letter-spacing: -0.01em; }
  .indicator { display: inline-flex; align-items: center; gap: 7px; margin-inline-start: 4px; color: var(--tone); font-size: 13px; font-weight: 600; }
  .pulse { width: 8px; height: 8px; border-radius: 50%; background: currentColor; }
  .indicator[data-state="live"] .pulse { animation: beating 2.4s ease-out infinite; }
  .indicator:not([data-state="live"]) .pulse { background: transparent; border: 2px solid currentColor; }
  @keyframes beating { 0% { box-shadow: 0 0 0 0 color-mix(in srgb, currentColor 55%, transparent); } 60%, 100% { box-shadow: 0 0 0 7px transparent; } }
  .foot { display: flex; flex-wrap: wrap; gap: 4px 20px; padding-block: 12px 4px; border-top: 1px solid var(--ab-line); }

  .banners { display: grid; gap: 8px; }
  .banner, .criticals { border: 1px solid color-mix(in srgb, var(--tone) 40%, var(--ab-line)); border-inline-start: 4px solid var(--tone);
    border-radius: var(--ab-radius); background: color-mix(in srgb, var(--tone) 8%, var(--ab-surface)); padding: 10px 14px; }
  .banner { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 4px 10px; }
  .banner > .grow { flex-basis: 220px; }
  .banner .muted, .problem .muted, .criticals .muted { color: color-mix(in srgb, var(--ab-muted) 70%, var(--ab-text)); }
  .criticals { display: grid; gap: 6px; }
  .criticals h2 { font-size: 15px; }
  .criticals li { padding-block: 6px; border-top: 1px solid color-mix(in srgb, var(--tone) 22%, var(--ab-line)); flex-wrap: nowrap; }
  @container (max-width: 520px) { .criticals li { flex-wrap: wrap; } }

  .tabs { display: flex; gap: 4px; overflow-x: auto; border-bottom: 1px solid var(--ab-line); scrollbar-width: none; padding: 3px 3px 0; margin: -3px -3px 0; }
  .tab { flex: none; display: inline-flex; align-items: center; gap: 7px; min-height: 40px; padding: 0 12px; margin-block-end: -1px; border: 0;
    border-bottom: 2px solid transparent; background: none; color: var(--ab-muted); font: inherit; font-weight: 580; cursor: pointer; }
  .tab:hover { color: var(--ab-text); }
  .tab[aria-selected="true"] { color: var(--ab-text); border-color: var(--ab-accent); }
  .view { min-width: 0; min-height: 240px; }
  .view:focus-visible { outline-offset: 6px; }
  @container (max-width: 440px) { .tab { padding: 0 5px; gap: 4px; font-size: 13px; } .tabs { justify-content: space-between; gap: 0; } }

  .stack.wide { gap: 16px; }
  .channels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); gap: 16px; }
  .columns { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 16px; align-items: start; }
  .columns > .stack { gap: 16px; }
  @container (max-width: 860px) { .columns { grid-template-columns: minmax(0, 1fr); } }
  .notification-channel { display: flex; flex-direction: column; gap: 12px; min-width: 0; padding: 16px; background: var(--ab-surface); border: 1px solid var(--ab-line);
    border-radius: var(--ab-radius); box-shadow: var(--ab-shadow); }
  .notification-channel.error { border-color: color-mix(in srgb, var(--ab-error) 55%, var(--ab-line)); }
  .notification-channel > header { flex-wrap: nowrap; align-items: flex-start; }
  .notification-channel > footer { margin-block-start: auto; padding-block-start: 12px; border-top: 1px solid var(--ab-line); }
  .notification-channel h3 { font-size: 16px; }
  .switch-text { min-width: 24px; text-align: start; }
  .button.test { min-width: 124px; }

  .problem, .test-result { display: grid; gap: 6px; padding: 10px 12px; border-radius: 8px; border-inline-start: 3px solid var(--tone);
    background: color-mix(in srgb, var(--tone) 8%, var(--ab-surface)); overflow-wrap: anywhere; }
  .test-result { background: var(--ab-raised); }
  .test-result .muted { color: color-mix(in srgb, var(--ab-muted) 70%, var(--ab-text)); }
  .test-result h4 { display: flex; gap: 6px; }
  .test-result .button.square { min-height: 28px; width: 32px; }
  .test-result li { display: grid; gap: 4px; }
  .said { margin: 0; padding-inline-start: 10px; border-inline-start: 2px solid currentColor; font-family: var(--ab-mono); font-size: 12.5px; overflow-wrap: anywhere; }

  .dotted > * + *::before { content: " · "; }
  .view[data-old], [data-old] > .channels { filter: grayscale(0.9); }

  .latency { display: grid; grid-template-columns: minmax(0, 1fr) auto; align-items: end; gap: 14px; }
  .latency p { display: grid; justify-items: end; white-space: nowrap; min-width: 92px; }
  .sparkline { display: block; width: 100%; height: 40px; }
  .sparkline .base { stroke: var(--ab-line); stroke-width: 1; }
  .sparkline .bar { fill: var(--ab-accent); opacity: 0.75; } .sparkline .slow { fill: var(--ab-warn); }
  @media (forced-colors: active) { .sparkline .bar, .sparkline .slow { fill: CanvasText; forced-color-adjust: none; } }

  .facts > div { display: grid; grid-template-columns: 112px minmax(0, 1fr); gap: 12px; padding: 5px 0; }
  .facts > div + div { border-top: 1px solid color-mix(in srgb, var(--ab-line) 55%, transparent); }
  .facts dt { color: var(--ab-muted); }
  .facts dd { min-width: 0; overflow-wrap: anywhere; }
  .clip { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--ab-muted); font-size: 13px; }
  .said-short { font-family: var(--ab-mono); font-size: 12px; }

  .recent li, .publishers li { display: flex; align-items: flex-start; gap: 10px; padding: 8px 0; }
  .recent li + li, .publishers li + li { border-top: 1px solid color-mix(in srgb, var(--ab-line) 55%, transparent); }
  .recent .when { flex: 0 0 72px; padding-block-start: 2px; }
  .recent li > .badge { flex: none; }
  .recent .sign { flex: 0 0 106px; }
  .recent .told { display: grid; justify-items: end; gap: 2px; }
  .publishers li { align-items: center; }
  @container (max-width: 520px) {
    .recent li { flex-wrap: wrap; } .recent li .grow { flex: 1 1 100%; order: 3; } .recent .told { display: flex; gap: 10px; order: 4; }
    .facts > div { grid-template-columns: 96px minmax(0, 1fr); }
  }
  .test-form { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }
  .test-form .wide { grid-column: 1 / -1; }

  .toasts { position: fixed; inset: auto 16px 16px auto; width: min(400px, calc(100vw - 32px)); max-height: calc(100dvh - 32px); margin: 0;
    padding: 0; border: 0; background: none; color: inherit; overflow: auto; display: grid; gap: 8px; z-index: 10; }
  .toast { display: flex; align-items: flex-start; gap: 10px; padding: 10px 8px 10px 12px; border: 1px solid var(--ab-line);
    border-inline-start: 4px solid var(--tone); border-radius: 10px; background: var(--ab-surface); box-shadow: 0 8px 28px rgb(0 0 0 / 28%); overflow-wrap: anywhere; }
  .skeleton.line { height: 16px; } .skeleton.short { height: 20px; width: 40%; } .skeleton.tall { height: 96px; }

  :host([compact]) .notification-card { gap: 12px; }
  :host([compact]) .channels { gap: 8px; grid-template-columns: minmax(0, 1fr); }
  :host([compact]) .notification-channel { gap: 8px; padding: 12px; box-shadow: none; }
  :host([compact]) .notification-channel > footer { margin-block-start: auto; padding-block-start: 0; border-top: 0; }
  .compact-foot { justify-content: flex-end; }
`;
