/**
 * Reads one thing of the daemon, again and again: only the answer to the newest question counts, so one that arrives
 * late never overwrites a newer one.
 */
export class Reading {
  #asked = 0;

  /** @param {() => void} changed Called whenever `pending`, `error` or `at` changed. */
  constructor(changed) {
    this.changed = changed;
    /** Whether an answer is awaited. */
    this.pending = false;
    /** The error of the newest answer, or null. */
    this.error = null;
    /** When the last good answer came, in milliseconds of the browser's clock; null before the first. */
    this.at = null;
  }

  /**
   * Ask, and hand over the answer unless somebody asked again, or forgot, meanwhile.
   * @template T
   * @param {() => Promise<T>} ask Asks the daemon.
   * @param {(answer: T) => void} take Keeps the answer.
   * @returns {Promise<boolean>} Whether this answer was taken.
   */
  async read(ask, take) {
    const mine = ++this.#asked;
    this.pending = true;
    this.changed();
    try {
      const answer = await ask();
      if (mine !== this.#asked) return false;
      take(answer);
      this.error = null;
      this.at = Date.now();
      return true;
    } catch (error) {
      if (mine === this.#asked) this.error = error;
      return false;
    } finally {
      if (mine === this.#asked) this.pending = false;
      this.changed();
    }
  }

  /** Give up what is asked, and what was answered. */
  forget() {
    this.#asked += 1;
    this.pending = false;
    this.error = null;
    this.at = null;
  }
}

/**
 * Do something soon, and once for all who ask meanwhile: a storm of events is one reading.
 * @param {() => void} act What is done.
 * @param {number} pause_ms How long after the first who asks.
 * @returns {{ask: () => void, stop: () => void}} How to ask for it, and how to take that back.
 */
export function soon(act, pause_ms) {
  let timer = null;
  return {
    ask() {
      timer ??= setTimeout(() => {
        timer = null;
        act();
      }, pause_ms);
    },
    stop() {
      clearTimeout(timer);
      timer = null;
    },
  };
}
