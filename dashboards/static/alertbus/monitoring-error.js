/** Why the daemon did not do what it was asked for. */
export class MonitoringError extends Error {
  /**
   * @param {string} message For people: the daemon's own words, where it said any.
   * @param {object} [known]
   * @param {number} [known.status] The HTTP status; 0 where there was no answer.
   * @param {string} [known.code] The API's stable code, or `unreachable`, `timeout`, `bad_answer`.
   * @param {any} [known.data] What the daemon said beside it.
   * @param {number | null} [known.retryAfterSeconds] When to ask again, where the daemon said so.
   */
  constructor(message, {status = 0, code = "internal", data = null, retryAfterSeconds = null} = {}) {
    super(message);
    this.name = "MonitoringError";
    this.status = status;
    this.code = code;
    this.data = data;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
