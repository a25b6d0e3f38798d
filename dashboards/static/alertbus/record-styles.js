import {css} from "../lit.js";

/** What history, story, dead letters and silences look like. */
export const recordStyles = css`
  .record-view { display: grid; gap: 14px; min-width: 0; }
  .record-head { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 4px 16px; }
  .record-notice { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; padding: 10px 14px; border: 1px solid var(--tone);
    border-radius: var(--ab-radius); background: color-mix(in srgb, var(--tone) 9%, var(--ab-surface)); }
  .record-notice p, .record-notice li { overflow-wrap: anywhere; }
  .record-loading { display: grid; gap: 10px; }
  .record-loading .skeleton { height: 44px; }
  .record-center { text-align: center; }
  .record-form { display: grid; gap: 14px; }
  .record-actions { display: flex; flex-wrap: wrap; gap: 8px; }
  .record-fault { display: flex; align-items: baseline; gap: 6px; color: var(--tone); font-size: 13px; font-weight: 560; overflow-wrap: anywhere; }
  .record-message { margin: 0; padding: 10px 12px; max-height: 320px; overflow: auto; border: 1px solid var(--ab-line); border-radius: 8px;
    background: var(--ab-bg); font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
  .quoted { overflow-wrap: anywhere; }
  .form-row { display: flex; flex-wrap: wrap; align-items: end; gap: 10px 12px; }
  .form-row > .field { flex: 1 1 132px; }
  .form-row > .field.wide { flex: 3 1 240px; }
  .form-row > .field.narrow { flex: 0 1 150px; }
  .record-form fieldset { display: grid; gap: 8px; }
  .record-form legend { margin-bottom: 6px; color: var(--ab-text); font-size: 13px; }
  .record-form .row { gap: 4px 18px; }
  .turned .icon { rotate: 180deg; }

  .filters { display: grid; gap: 10px; }
  .filters-row { display: grid; grid-template-columns: repeat(auto-fit, minmax(148px, 1fr)); gap: 10px 12px; }
  .filters-more > summary, .filters-all > summary { width: max-content; padding: 4px 0; color: var(--ab-muted); font-size: 13px; cursor: pointer; border-radius: 6px; }
  .filters-all[open] > summary { margin-bottom: 6px; }
  .filters-all { display: grid; gap: 10px; }
  .filters-more > summary:hover { color: var(--ab-text); }
  .filters-more[open] > summary { margin-bottom: 6px; }
  .filters-end { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; }
  .filters-end .button[aria-pressed="true"], .history-older .button[aria-pressed="true"] { border-color: var(--ab-accent);
    background: color-mix(in srgb, var(--ab-accent) 14%, var(--ab-surface)); color: var(--ab-accent); }
  .chip { display: inline-flex; align-items: center; gap: 4px; min-height: max(28px, calc(var(--ab-control) - 6px)); padding: 0 8px 0 10px;
    border: 1px solid var(--ab-line); border-radius: 999px; background: var(--ab-raised); color: var(--ab-text); font: inherit; font-size: 13px;
    cursor: pointer; max-width: 100%; overflow-wrap: anywhere; }
  .chip:hover { border-color: var(--ab-edge); }
  .chip .icon { width: 11px; height: 11px; }
  .menu { position: relative; }
  .filters-export { margin-inline-start: auto; }
  .filters-export > summary { list-style: none; }
  .filters-export > summary::-webkit-details-marker { display: none; }
  .menu-body { position: absolute; inset-inline-end: 0; z-index: 5; display: grid; gap: 6px; width: 260px; margin-top: 6px; padding: 12px;
    border: 1px solid var(--ab-line); border-radius: var(--ab-radius); background: var(--ab-surface); box-shadow: 0 10px 30px rgb(0 0 0 / 25%); }
  .menu-body p { font-size: 12.5px; }

  .history-fresh { position: sticky; inset-block-start: 8px; z-index: 4; display: flex; justify-content: center; height: 0; overflow: visible; }
  .history-fresh .button { border-radius: 999px; box-shadow: 0 4px 16px rgb(0 0 0 / 30%); }
  .history-table { background: var(--ab-surface); border: 1px solid var(--ab-line); border-collapse: separate; border-spacing: 0;
    border-radius: var(--ab-radius); box-shadow: var(--ab-shadow); }
  .history-row { cursor: pointer; }
  .history-table .history-row > td:first-child { border-inline-start: 3px solid transparent; }
  .history-critical { --tone: var(--ab-error); } .history-warning { --tone: var(--ab-warn); } .history-info { --tone: var(--ab-line); }
  .history-table .history-row.history-critical > td:first-child, .history-table .history-row.history-warning > td:first-child { border-inline-start-color: var(--tone); }
  .history-table td:nth-child(3) { width: 46%; }
  .history-table td:nth-child(4) { width: 36%; }
  .history-what { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 8px; }
  .history-open { color: var(--ab-text); font-weight: 620; text-decoration-color: transparent; }
  .history-row:hover .history-open, .history-open:focus-visible { color: var(--ab-accent); text-decoration-color: currentColor; }
  .history-symbol { color: var(--ab-accent); }
  .history-text { color: var(--ab-muted); overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
  .history-states { display: flex; flex-wrap: wrap; gap: 5px; }
  .badge.delivery { white-space: normal; font-weight: 560; max-width: 100%; }
  .delivery-channel { color: var(--ab-text); font-weight: 560; }
  .delivery-why { font-weight: 450; }
  .acknowledged { font-size: 12.5px; color: var(--tone); }
  .when { display: grid; white-space: nowrap; }
  .when-age, .when-exact { color: var(--ab-muted); font-size: 12.5px; }
  .when > .when-exact { display: none; }
  .history-row:hover .when-exact, .history-row:focus-within .when-exact { display: inline; }
  .history-row:hover .when-age, .history-row:focus-within .when-age { display: none; }
  .history-table .history-when { min-width: 138px; }
  .history-cards { display: grid; gap: 10px; }
  .history-cards > li { display: grid; gap: 6px; padding: 12px 14px; border: 1px solid var(--ab-line); border-inline-start: 3px solid var(--tone);
    border-radius: var(--ab-radius); background: var(--ab-surface); box-shadow: var(--ab-shadow); }
  .history-card-top { display: flex; align-items: center; justify-content: space-between; gap: 8px; }
  .history-card-top .when { display: flex; gap: 8px; }
  .history-arrived { animation: arriving 0.5s ease-out; }
  @keyframes arriving { from { opacity: 0; translate: 0 -10px; background: color-mix(in srgb, var(--ab-accent) 22%, transparent); } }
  .history-older { display: grid; justify-items: center; gap: 8px; padding: 4px 0 8px; }

  .letters { display: grid; gap: 10px; }
  .letter, .silence { display: flex; align-items: flex-start; gap: 12px; padding: 14px 16px; }
  .letter > input { margin-top: 3px; flex: none; }
  .letter-told { display: grid; gap: 5px; flex: 1 1 auto; min-width: 0; }
  .letter-told p { overflow-wrap: anywhere; }
  .letter-actions { display: flex; flex: none; gap: 8px; }
  .letter-reason .tone, .letter-not .tone { font-weight: 600; }
  .letter-preview { display: grid; gap: 8px; margin-top: 6px; padding-top: 10px; border-top: 1px solid var(--ab-line); }
  .letter-preview h3 { font-size: 13px; }
  .letter-attempts { display: grid; gap: 4px; }
  .letters-actions { margin-inline-start: auto; }
  .form-row.letters-bar > .field { flex: 0 1 200px; }
  .silences-title { margin-bottom: 8px; }
  .silence-time strong { font-size: 16px; font-weight: 640; }
  .silence-preview { padding: 10px 12px; border: 1px dashed var(--ab-edge); border-radius: 8px; display: grid; gap: 4px; overflow-wrap: anywhere; }
  .matcher .help { font-weight: 450; }
  .matcher-fault { flex: 1 0 100%; }
  .matcher-fault:empty, #fault-until:empty { display: none; }

  .story .body { gap: 18px; }
  .story-head { position: sticky; inset-block-start: 0; z-index: 3; margin: -20px -20px 0; padding: 16px 20px 12px; background: var(--ab-surface);
    border-bottom: 1px solid var(--ab-line); display: flex; flex-wrap: wrap; align-items: flex-start; justify-content: space-between; gap: 8px; }
  .story-name { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; min-width: 0; }
  .story-name h2 { overflow-wrap: anywhere; }
  .story-buttons { display: flex; gap: 8px; margin-inline-start: auto; }
  .story-text { display: grid; gap: 4px; overflow-wrap: anywhere; }
  .story-trade { font-size: 16px; font-weight: 620; }
  .story-actions { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; }
  .story-known { flex: 1 1 100%; color: var(--ab-ok); overflow-wrap: anywhere; }
  .story h3 { margin-bottom: 8px; }
  .story-deliveries { display: grid; gap: 8px; }
  .story-deliveries > li { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 10px; overflow-wrap: anywhere; }
  .timeline { display: grid; }
  .moment { position: relative; display: grid; grid-template-columns: 24px minmax(96px, max-content) minmax(0, 1fr); gap: 0 12px; padding-bottom: 14px; }
  .moment::before { content: ""; position: absolute; inset-block: 22px -2px; inset-inline-start: 11px; width: 2px; background: var(--ab-line); }
  .moment:last-child::before { display: none; }
  .moment.ahead::before { background: repeating-linear-gradient(var(--ab-line) 0 4px, transparent 4px 8px); }
  .moment-dot { display: grid; place-items: center; width: 24px; height: 22px; }
  .moment-dot .icon { width: 18px; height: 18px; }
  .moment-point { width: 9px; height: 9px; border: 2px solid var(--ab-edge); border-radius: 50%; background: var(--ab-surface); }
    .moment-when { display: grid; align-content: start; color: var(--ab-muted); font-size: 12.5px; line-height: 22px; }
  .moment-told { display: grid; justify-items: start; gap: 2px; min-width: 0; overflow-wrap: anywhere; }
  .moment-title { font-weight: 600; line-height: 22px; }
  .moment.ahead .moment-title { font-weight: 500; color: var(--ab-muted); }
  .moment blockquote { margin: 2px 0; padding: 4px 10px; border-inline-start: 3px solid var(--tone); background: var(--ab-raised); border-radius: 0 6px 6px 0; }
  .digest { display: grid; gap: 8px; width: 100%; margin-top: 6px; padding: 10px 12px; border: 1px solid var(--ab-line); border-radius: 8px; }
  .digest-alerts { display: grid; gap: 4px; }
  .fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(230px, 100%), 1fr)); gap: 8px 20px; }
  .fields dt { color: var(--ab-muted); font-size: 12.5px; }
  .fields dd { overflow-wrap: anywhere; white-space: pre-wrap; }

  @media (max-width: 640px) {
    .letter, .silence { flex-wrap: wrap; padding: 12px; }
    .letter-told { flex-basis: 100%; }
    .letter > input { order: 1; } .letter-actions { order: 2; margin-inline-start: auto; }
    .letters-actions { margin-inline-start: 0; }
    .filters-row { grid-template-columns: repeat(2, minmax(0, 1fr)); }
    .filters-export { margin-inline-start: 0; }
    .menu-body { inset-inline: 0 auto; }
    .moment { grid-template-columns: 24px minmax(0, 1fr); }
    .moment-when { grid-column: 2; display: flex; gap: 8px; }
    .moment-told { grid-column: 2; }
  }
`;
