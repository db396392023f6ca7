/**
 * A bar with the time that is left, and a line that screen readers speak when a step begins or ends.
 * @module
 */
import { make } from "./elements.ts";
import { formatTime } from "./text.ts";

export class ProgressView {
  readonly element: HTMLElement;
  readonly #status = make("p", { role: "status", ariaLive: "polite" });
  readonly #bar = make("progress", { max: 1, hidden: true, ariaLabel: "Progress" });
  readonly #left = make("p", { className: "quiet-text", hidden: true });
  #start = 0;

  constructor() {
    this.element = make("div", {}, this.#status, this.#bar, this.#left);
  }

  /** Begins a step of unknown length. */
  begin(text: string): void {
    this.say(text);
    this.#start = performance.now();
    this.#bar.removeAttribute("value");
    this.#bar.hidden = false;
    this.#left.hidden = false;
    this.#left.textContent = "";
  }

  /** Says how much of the step is done. */
  advance(done: number, total: number): void {
    if (total === 0) return;
    this.#bar.value = done / total;
    const passed = performance.now() - this.#start;
    const left = done === 0 ? null : (passed / done) * (total - done);
    this.#left.textContent =
      `${Math.floor((100 * done) / total)} %` +
      (left === null ? "" : `, about ${formatTime(left)} left`);
  }

  end(text: string): void {
    this.say(text);
    this.#bar.hidden = true;
    this.#left.hidden = true;
  }

  fail(text: string): void {
    this.end(text);
    this.#status.className = "error";
  }

  say(text: string): void {
    this.#status.className = "";
    this.#status.textContent = text;
  }
}
