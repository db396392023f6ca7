/**
 * The last section of each page: a request on its way, what of it left the page, the answer, and where the time went.
 * @module
 */
import type { TensorLike } from "../../src/client/index.ts";
import { find, make, makeBar } from "./elements.ts";
import { ProgressView } from "./progress.ts";
import type { Connection, Phase, Prediction, Session } from "./session.ts";
import { describeError, formatBytes, formatHex, formatTime } from "./text.ts";

/** Bytes of a ciphertext that are shown. */
const PEEK = 96;
/** Bytes before a blob's payload: what it is and for which model and key. */
const HEADER = 80;

export interface WorkOptions {
  readonly connection: Connection;
  /** Names of the classes, in the order of the scores. */
  readonly classes: (count: number) => readonly string[];
}

export class WorkPanel {
  readonly #options: WorkOptions;
  readonly #progress = new ProgressView();
  readonly #results = make("div");

  constructor(options: WorkOptions) {
    this.#options = options;
    find("work", HTMLElement).append(
      make("h2", { id: "work-title" }, "3. The answer"),
      this.#progress.element,
      this.#results,
    );
  }

  /** Sends a row and shows what happens. Never throws. */
  async run(session: Session, x: TensorLike): Promise<void> {
    this.#results.replaceChildren();
    try {
      this.#progress.begin("Encrypting, sending, computing …");
      const prediction = await session.predict(x, {
        signal: new AbortController().signal,
        onProgress: (done, total) => this.#progress.advance(done, total),
      });
      this.#show(prediction);
    } catch (error) {
      this.#progress.fail(describeError(error));
    }
  }

  #show({ outputs, request, response, phases }: Prediction): void {
    const scores = [...outputs[outputs.length - 1].data];
    const { connection, classes } = this.#options;
    const { sent, received } = connection.traffic;
    this.#progress.end("");
    if (scores.length === 1) {
      this.#results.append(this.#answer(`The answer is ${scores[0].toPrecision(4)}.`));
    } else {
      const names = classes(scores.length);
      const best = scores.indexOf(Math.max(...scores));
      this.#results.append(
        this.#answer(`The answer is ${names[best]}.`),
        scoreTable(names, scores, best),
      );
    }
    this.#results.append(
      timeTable(phases),
      make("h3", {}, "What left this page"),
      make(
        "p",
        {},
        `This request: ${formatBytes(request.length)} up, ${formatBytes(response.length)} down, ciphertext only. ` +
          `Since the page was opened, keys included: ${formatBytes(sent)} up, ${formatBytes(received)} down. ` +
          "The request after its header:",
      ),
      make("pre", { id: "peek" }, `${formatHex(request.slice(HEADER, HEADER + PEEK))} …`),
    );
  }

  #answer(text: string): HTMLElement {
    return make("p", { className: "answer", id: "answer", role: "status" }, text);
  }
}

/** Scores as shares: as they are where they are probabilities, else through a softmax. */
function sharesOf(scores: readonly number[]): number[] {
  const sum = scores.reduce((total, score) => total + score, 0);
  if (scores.every((score) => score >= 0) && Math.abs(sum - 1) < 0.05) return [...scores];
  const top = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - top));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

function scoreTable(
  names: readonly string[],
  scores: readonly number[],
  best: number,
): HTMLTableElement {
  const shares = sharesOf(scores);
  const rows = names.map((name, i) =>
    make(
      "tr",
      { className: i === best ? "best" : "" },
      make("th", { scope: "row" }, name),
      makeBar(0, shares[i]),
      make("td", {}, `${(100 * shares[i]).toFixed(1)} %`),
    ),
  );
  return make("table", {}, make("caption", {}, "Scores"), make("tbody", {}, ...rows));
}

/** Each step's bar begins where the one before ended. */
function timeTable(phases: readonly Phase[]): HTMLTableElement {
  const total = phases.reduce((sum, { ms }) => sum + ms, 0);
  let start = 0;
  const rows = phases.map(({ name, ms }) => {
    const row = make(
      "tr",
      {},
      make("th", { scope: "row" }, name),
      makeBar(start / total, ms / total),
      make("td", {}, formatTime(ms)),
    );
    start += ms;
    return row;
  });
  return make(
    "table",
    {},
    make("caption", {}, `Where the time went: ${formatTime(total)}`),
    make("tbody", {}, ...rows),
  );
}
