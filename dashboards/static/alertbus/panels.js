import {ChannelsPanel} from "./channels-panel.js";
import {DeadLettersPanel} from "./dead-letters.js";
import {HistoryPanel} from "./history.js";
import {SilencesPanel} from "./silences.js";
import {StoryPanel} from "./story.js";

/**
 * @param {import("../alertbus-channels.js").Host} host Shows them.
 * @returns {Object<string, object>} New panels, empty, by the name of their view.
 */
export function panelsOf(host) {
  return {
    channels: new ChannelsPanel(host),
    history: new HistoryPanel(host),
    "dead-letters": new DeadLettersPanel(host),
    silences: new SilencesPanel(host),
    story: new StoryPanel(host),
  };
}
