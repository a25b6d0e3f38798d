/**
 * Where what had the focus is gone after the next rendering, give it to the first of these that is there; where
 * something else has it meanwhile, it stays.
 * @param {import("../alertbus-channels.js").Host} host Whose focus it is.
 * @param {...string} selectors What is looked for; the element's heading is the last.
 */
export async function keepFocus(host, ...selectors) {
  host.requestUpdate();
  await host.updateComplete;
  const root = host.renderRoot;
  const focused = host.getRootNode().activeElement;
  if (root.activeElement || (focused && focused !== document.body && focused !== host)) return;
  for (const selector of [...selectors, "#heading"]) {
    const found = root.querySelector(selector);
    if (found) {
      found.focus();
      return;
    }
  }
}
