import {css} from "../lit.js";

/**
 * Tokens of the element. Each takes its value from a public `--alertbus-…` property where one is set; `light-dark()`
 * follows `color-scheme`, which is the reader's own unless the attribute `theme` says otherwise.
 */
export const tokens = css`
  :host {
    color-scheme: light dark;
    --ab-bg: var(--alertbus-background, light-dark(#f4f5f7, #0e1217));
    --ab-surface: var(--alertbus-surface, light-dark(#ffffff, #161b22));
    --ab-raised: var(--alertbus-raised, light-dark(#eef0f4, #1f2630));
    --ab-line: var(--alertbus-line, light-dark(#d8dde4, #2c3541));
    --ab-edge: var(--alertbus-edge, light-dark(#7b8794, #768495));
    --ab-text: var(--alertbus-text, light-dark(#18212c, #e7ebf0));
    --ab-muted: var(--alertbus-muted, light-dark(#53606e, #9ba8b7));
    --ab-accent: var(--alertbus-accent, light-dark(#1d5bc9, #7db0ff));
    --ab-on-accent: var(--alertbus-on-accent, light-dark(#ffffff, #0b1626));
    --ab-ok: var(--alertbus-ok, light-dark(#12704a, #4fcb94));
    --ab-warn: var(--alertbus-warn, light-dark(#835400, #f2bb4e));
    --ab-error: var(--alertbus-error, light-dark(#b71f2b, #ff8a84));
    --ab-info: var(--alertbus-info, light-dark(#2a5f94, #8fc2f2));
    --ab-idle: var(--ab-muted);
    --ab-radius: var(--alertbus-radius, 10px);
    --ab-font: var(--alertbus-font, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif);
    --ab-mono: var(--alertbus-mono, ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace);
    --ab-control: 34px;
    --ab-shadow: 0 1px 2px light-dark(rgb(20 30 45 / 7%), rgb(0 0 0 / 35%));
    display: block;
    background: var(--ab-bg);
    color: var(--ab-text);
    font: 400 14px/1.45 var(--ab-font);
    font-variant-numeric: tabular-nums;
    letter-spacing: normal;
    text-align: start;
    text-indent: 0;
    text-transform: none;
    white-space: normal;
    word-spacing: normal;
    -webkit-text-size-adjust: 100%;
    text-size-adjust: 100%;
  }
  :host([theme="light"]) { color-scheme: light; }
  :host([theme="dark"]) { color-scheme: dark; }
  :host([hidden]), [hidden] { display: none !important; }
  *, *::before, *::after { box-sizing: border-box; }
  @media (pointer: coarse) { :host { --ab-control: 44px; } }
`;

/** Controls and small pieces that all panels share. */
export const controls = css`
  h2, h3, h4, p, dl, dd, ul, ol, figure { margin: 0; padding: 0; }
  ul, ol { list-style: none; }
  h2 { font-size: 18px; line-height: 1.3; font-weight: 650; }
  h3 { font-size: 15px; line-height: 1.35; font-weight: 650; }
  h4 { font-size: 13px; line-height: 1.4; font-weight: 650; }
  a { color: var(--ab-accent); text-underline-offset: 2px; }
  code, .mono { font-family: var(--ab-mono); font-size: 0.93em; overflow-wrap: anywhere; }
  .muted { color: var(--ab-muted); }
  .small { font-size: 12.5px; }
  .strong { font-weight: 620; }
  .nowrap { white-space: nowrap; }
  .row { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; }
  .row.between { justify-content: space-between; }
  .stack { display: grid; grid-template-columns: minmax(0, 1fr); gap: 12px; }
  .grow { flex: 1 1 auto; min-width: 0; }
  .panel { background: var(--ab-surface); border: 1px solid var(--ab-line); border-radius: var(--ab-radius);
    box-shadow: var(--ab-shadow); padding: 16px; }
  .icon { width: 16px; height: 16px; flex: none; vertical-align: -3px; }
  .speaks { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%);
    white-space: nowrap; }

  :focus { outline: none; }
  :focus-visible { outline: 2px solid var(--ab-accent); outline-offset: 2px; border-radius: 6px; }

  .button { display: inline-flex; align-items: center; justify-content: center; gap: 6px; min-height: var(--ab-control);
    padding: 0 12px; border: 1px solid var(--ab-edge); border-radius: 8px; background: var(--ab-surface);
    color: var(--ab-text); font: inherit; font-weight: 560; cursor: pointer; white-space: nowrap; text-decoration: none; }
  .button:hover { background: var(--ab-raised); }
  .button.primary { background: var(--ab-accent); border-color: var(--ab-accent); color: var(--ab-on-accent); }
  .button.primary:hover { filter: brightness(1.08); }
  .button.danger { border-color: var(--ab-error); color: var(--ab-error); }
  .button.quiet { border-color: transparent; background: transparent; color: var(--ab-muted); }
  .button.quiet:hover { background: var(--ab-raised); color: var(--ab-text); }
  .button.small { padding: 0 8px; font-size: 13px; min-height: max(28px, calc(var(--ab-control) - 6px)); }
  .button.square { padding: 0; width: var(--ab-control); }
  .button:disabled, .button[aria-disabled="true"] { cursor: not-allowed; color: var(--ab-muted);
    background: var(--ab-raised); border-color: var(--ab-line); filter: none; }
  .link { display: inline; padding: 2px 0; border: 0; background: none; color: var(--ab-accent); font: inherit;
    text-align: start; text-decoration: underline; text-decoration-thickness: 1px; text-underline-offset: 2px;
    cursor: pointer; overflow-wrap: anywhere; }
  .link:hover { text-decoration-thickness: 2px; }
  @media (pointer: coarse) { .link { padding: 12px 0; margin: -10px 0; } }

  .badge { display: inline-flex; align-items: center; gap: 5px; min-height: 24px; padding: 1px 9px 1px 7px;
    border: 1px solid color-mix(in srgb, var(--tone) 45%, transparent); border-radius: 999px;
    background: color-mix(in srgb, var(--tone) 12%, var(--ab-surface)); color: var(--tone); font-size: 12.5px;
    font-weight: 640; white-space: nowrap; }
  .badge .icon { width: 14px; height: 14px; }
  .ok { --tone: var(--ab-ok); } .warn { --tone: var(--ab-warn); } .error { --tone: var(--ab-error); }
  .info { --tone: var(--ab-info); } .idle { --tone: var(--ab-idle); }
  .tone { color: var(--tone); }
  .count { display: inline-block; min-width: 20px; padding: 0 6px; border-radius: 999px; background: var(--ab-raised);
    color: var(--ab-muted); font-size: 12px; font-weight: 620; line-height: 20px; text-align: center; }
  .count.error, .count.warn { background: color-mix(in srgb, var(--tone) 16%, var(--ab-surface)); color: var(--tone); }

  .field { display: grid; gap: 4px; min-width: 0; }
  .field > label, .field > .label, legend { font-size: 12.5px; font-weight: 600; color: var(--ab-muted); padding: 0; }
  .field .help { font-size: 12.5px; color: var(--ab-muted); }
  .field .fault { font-size: 12.5px; color: var(--ab-error); font-weight: 560; }
  fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
  input, select, textarea { font: inherit; color: var(--ab-text); }
  input:not([type="checkbox"], [type="radio"]), select, textarea { width: 100%; min-height: var(--ab-control);
    padding: 4px 10px; border: 1px solid var(--ab-edge); border-radius: 8px; background: var(--ab-surface); }
  input[aria-invalid="true"], textarea[aria-invalid="true"] { border-color: var(--ab-error); }
  ::placeholder { color: var(--ab-muted); opacity: 1; }
  textarea { min-height: 72px; resize: vertical; }
  input[type="checkbox"], input[type="radio"] { width: 18px; height: 18px; margin: 0; accent-color: var(--ab-accent); }
  .check { display: inline-flex; align-items: center; gap: 8px; min-height: var(--ab-control); cursor: pointer; }
  @media (pointer: coarse) { input:not([type="checkbox"], [type="radio"]), select, textarea { font-size: 16px; } }

  .switch { display: inline-flex; align-items: center; gap: 8px; min-height: var(--ab-control); padding: 0 4px; border: 0;
    background: none; color: var(--ab-text); font: inherit; font-size: 13px; cursor: pointer; }
  .switch .track { position: relative; flex: none; width: 38px; height: 22px; border: 1px solid var(--ab-edge);
    border-radius: 999px; background: var(--ab-raised); transition: background 120ms; }
  .switch .track::after { content: ""; position: absolute; inset-block-start: 3px; inset-inline-start: 3px; width: 14px;
    height: 14px; border-radius: 50%; background: var(--ab-edge); transition: translate 120ms; }
  .switch[aria-checked="true"] .track { background: var(--ab-accent); border-color: var(--ab-accent); }
  .switch[aria-checked="true"] .track::after { background: var(--ab-on-accent); translate: 16px 0; }
  .switch[aria-disabled="true"] { cursor: not-allowed; color: var(--ab-muted); }
  .switch[aria-disabled="true"] .track { opacity: 0.6; }

  .table { width: 100%; border-collapse: collapse; }
  .table th { padding: 8px 12px; border-bottom: 1px solid var(--ab-line); color: var(--ab-muted); font-size: 12.5px;
    font-weight: 600; text-align: start; white-space: nowrap; }
  .table td { padding: 9px 12px; border-bottom: 1px solid var(--ab-line); vertical-align: top; }
  .table tbody tr:last-child td { border-bottom: 0; }
  .table tbody tr:hover { background: color-mix(in srgb, var(--ab-raised) 55%, transparent); }

  .dialog { width: min(560px, calc(100vw - 24px)); max-height: calc(100dvh - 48px); padding: 0; overflow: auto;
    border: 1px solid var(--ab-line); border-radius: 14px; background: var(--ab-surface); color: var(--ab-text);
    box-shadow: 0 18px 60px rgb(0 0 0 / 40%); }
  .dialog.wide { width: min(860px, calc(100vw - 24px)); }
  .dialog::backdrop { background: rgb(6 10 16 / 55%); }
  .dialog > .body { display: grid; gap: 14px; padding: 20px; }
  .dialog .actions { display: flex; flex-wrap: wrap; justify-content: flex-end; gap: 8px; }

  .empty { display: grid; justify-items: center; gap: 8px; padding: 40px 16px; color: var(--ab-muted); text-align: center; }
  .empty .icon { width: 32px; height: 32px; }
  .empty h3 { color: var(--ab-text); }
  .skeleton { border-radius: 6px; background: var(--ab-raised); animation: waiting 1.6s ease-in-out infinite; }
  @keyframes waiting { 50% { opacity: 0.45; } }
  .spinner { width: 14px; height: 14px; flex: none; border: 2px solid currentColor; border-inline-end-color: transparent;
    border-radius: 50%; animation: turning 0.9s linear infinite; }
  @keyframes turning { to { rotate: 1turn; } }

  @media (prefers-reduced-motion: reduce) {
    *, *::before, *::after { animation: none !important; transition: none !important; }
  }
  @media (forced-colors: active) {
    .badge, .count, .panel, .switch .track { border: 1px solid CanvasText; }
    .switch .track::after { background: CanvasText; forced-color-adjust: none; }
    .switch[aria-checked="true"] .track { background: Highlight; forced-color-adjust: none; }
    .spinner { border-color: CanvasText; border-inline-end-color: Canvas; }
  }
`;
