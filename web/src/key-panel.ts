/**
 * The first section of each page: the visitor's keys.
 * @module
 */
import { find, make } from "./elements.ts";
import { ProgressView } from "./progress.ts";
import type { Session } from "./session.ts";
import { describeError, formatBytes, formatTime } from "./text.ts";

export class KeyPanel {
  readonly #progress = new ProgressView();
  readonly #makeButton = make(
    "button",
    { type: "button", id: "make-keys", disabled: true },
    "Make my keys",
  );
  readonly #stopButton = make(
    "button",
    { type: "button", className: "quiet", hidden: true },
    "Stop",
  );
  readonly #openButton = make("button", { type: "button", hidden: true }, "Open my saved key");
  readonly #forgetButton = make(
    "button",
    { type: "button", className: "quiet", hidden: true },
    "Forget my keys",
  );
  readonly #remember = make("input", { type: "checkbox", id: "remember", checked: true });
  readonly #passphrase = make("input", {
    type: "password",
    id: "passphrase",
    autocomplete: "new-password",
  });
  readonly #onReady: (isReady: boolean) => void;
  #session: Session | null = null;
  #abort = new AbortController();

  /** `onReady` is told whenever requests become possible or impossible. */
  constructor(onReady: (isReady: boolean) => void) {
    this.#onReady = onReady;
    find("keys", HTMLElement).append(
      make("h2", { id: "keys-title" }, "1. Your keys"),
      make(
        "p",
        {},
        "The secret key is made in this page and stays on this device. The server gets evaluation keys: with them it " +
          "can compute on your ciphertexts, but not open them.",
      ),
      make(
        "p",
        {},
        this.#remember,
        " ",
        make("label", { htmlFor: "remember" }, "Keep the key on this device for my next visit"),
      ),
      make(
        "form", // without one, password managers pass the field over
        { className: "field", onsubmit: () => false },
        make("label", { htmlFor: "passphrase" }, "Passphrase for the kept key (may stay empty)"),
        this.#passphrase,
      ),
      make(
        "div",
        { className: "buttons" },
        this.#makeButton,
        this.#openButton,
        this.#stopButton,
        this.#forgetButton,
      ),
      this.#progress.element,
    );
    this.#makeButton.addEventListener("click", () => void this.#make());
    this.#openButton.addEventListener("click", () => void this.#restore(this.#passphrase.value));
    this.#stopButton.addEventListener("click", () => this.#abort.abort());
    this.#forgetButton.addEventListener("click", () => void this.#forget());
  }

  /** Serves another model from now on. */
  async use(session: Session): Promise<void> {
    this.#session = session;
    this.#makeButton.disabled = false;
    this.#remember.disabled = !session.canRemember;
    await this.#restore(null);
  }

  /** Says that the page cannot work. */
  fail(error: unknown): void {
    this.#progress.fail(describeError(error));
  }

  async #restore(passphrase: string | null): Promise<void> {
    if (this.#session === null) return;
    this.#ready(false);
    try {
      const found = await this.#session.restore(passphrase);
      this.#openButton.hidden = found !== "locked";
      if (found === "ready") this.#finish("Your key of an earlier visit is ready.");
      else if (found === "locked") this.#progress.say("Your saved key is under a passphrase.");
      else this.#progress.say("No keys yet.");
    } catch (error) {
      this.fail(error);
    }
  }

  async #make(): Promise<void> {
    if (this.#session === null) return;
    this.#ready(false);
    this.#abort = new AbortController();
    this.#makeButton.disabled = true;
    this.#stopButton.hidden = false;
    let stage = "";
    const start = performance.now();
    let made = start;
    try {
      this.#progress.begin("Making keys in this page …");
      await this.#session.makeKeys({
        remember: this.#remember.checked,
        passphrase: this.#passphrase.value,
        signal: this.#abort.signal,
        onProgress: (now, done, total) => {
          if (now === "sending" && stage !== now) {
            made = performance.now();
            this.#progress.begin(`Sending evaluation keys, ${formatBytes(total)} …`);
          }
          stage = now;
          this.#progress.advance(done, total);
        },
      });
      const bytes = formatBytes(this.#session.model.evaluationKeyBytes);
      this.#finish(`Your keys are ready: made in ${formatTime(made - start)}, ${bytes} sent.`);
    } catch (error) {
      this.fail(error);
    } finally {
      this.#passphrase.value = "";
      this.#makeButton.disabled = false;
      this.#stopButton.hidden = true;
    }
  }

  async #forget(): Promise<void> {
    try {
      await this.#session?.forget();
      this.#ready(false);
      this.#progress.end("Your keys are forgotten, here and on the server.");
    } catch (error) {
      this.fail(error);
    }
  }

  #finish(text: string): void {
    this.#progress.end(text);
    this.#openButton.hidden = true;
    this.#ready(true);
  }

  #ready(isReady: boolean): void {
    this.#makeButton.textContent = isReady ? "Make new keys" : "Make my keys";
    this.#makeButton.className = isReady ? "quiet" : "";
    this.#forgetButton.hidden = !isReady;
    this.#onReady(isReady);
  }
}
