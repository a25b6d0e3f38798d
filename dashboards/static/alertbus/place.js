// Where the reader is, as the address's hash: "#history?channel=telegram&alert=ID". Pure.

const STORY = "alert";

/**
 * @param {string} hash Of the address.
 * @returns {{view: string, parameters: Object<string, string> | undefined, story: string | null}} What it names.
 */
export function placeOf(hash) {
  const [view, rest = ""] = hash.replace(/^#/, "").split("?");
  const given = new URLSearchParams(rest);
  const story = given.get(STORY);
  given.delete(STORY);
  const parameters = Object.fromEntries(given);
  return {view: view || "channels", parameters: Object.keys(parameters).length ? parameters : undefined, story};
}

/**
 * @param {string} view Which.
 * @param {Object<string, unknown>} [parameters] Of it; what is empty is left out.
 * @param {string} [story] The alert whose story is open.
 * @returns {string} The hash.
 */
export function addressOf(view, parameters = {}, story) {
  const given = Object.entries({...parameters, ...(story ? {[STORY]: story} : {})})
    .filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#${view}${query ? `?${query}` : ""}`;
}
