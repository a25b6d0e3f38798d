// What dashboards/static/lit.js offers: all of Lit that the web component uses, and nothing else.
export {LitElement, css, html, nothing, svg} from "lit";
export {classMap} from "lit/directives/class-map.js";
export {guard} from "lit/directives/guard.js";
export {ifDefined} from "lit/directives/if-defined.js";
export {live} from "lit/directives/live.js";
export {ref, createRef} from "lit/directives/ref.js";
export {repeat} from "lit/directives/repeat.js";
export {when} from "lit/directives/when.js";
