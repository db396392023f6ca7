import { describe, expect, test } from "vitest";
import { PassThrough } from "node:stream";
import { createProgress, type Progress } from "../../../src/cli/progress.ts";

interface Recorded {
  readonly progress: Progress;
  /** Moves the clock, in seconds. */
  readonly at: (seconds: number) => void;
  readonly written: () => string;
}

function record(isTTY: boolean): Recorded {
  const text: string[] = [];
  const stream = new PassThrough();
  stream.on("data", (chunk: Buffer) => text.push(chunk.toString()));
  Object.assign(stream, { isTTY, columns: 80 });
  let time = 1000;
  const options = { stream: stream as unknown as NodeJS.WriteStream, now: () => time };
  return {
    progress: createProgress(options),
    at: (seconds) => (time = 1000 + 1000 * seconds),
    written: () => text.join(""),
  };
}

describe("progress", () => {
  test.each([true, false])(
    "work that ends within two seconds is silent (terminal: %s)",
    (isTTY) => {
      const { progress, at, written } = record(isTTY);
      progress.start("keys", 10);
      for (let done = 0; done <= 10; done++) {
        at(done * 0.19);
        progress.update(done);
      }
      progress.stop();
      expect(written()).toBe("");
    },
  );

  test("elsewhere than in a terminal there is a line every five seconds", () => {
    const { progress, at, written } = record(false);
    progress.start("run", 200);
    for (let second = 0; second <= 20; second++) {
      at(second);
      progress.update(second * 10);
    }
    progress.stop();
    progress.stop();
    expect(written()).toMatchInlineSnapshot(`
      "run: 10 % (20 of 200), about 18 s left
      run: 35 % (70 of 200), about 13 s left
      run: 60 % (120 of 200), about 8 s left
      run: 85 % (170 of 200), about 3 s left
      run: done in 20.0 s
      "
    `);
  });

  test("work that is broken off does not claim to be done", () => {
    const { progress, at, written } = record(false);
    progress.start("run", 200);
    at(3);
    progress.update(0);
    progress.stop();
    expect(written()).toBe("run: 0 % (0 of 200), time left unknown\n");
  });

  test("a terminal gets a bar with the time left, cleared at the end", () => {
    const { progress, at, written } = record(true);
    progress.start("run", 200);
    at(5);
    progress.update(50);
    progress.stop();
    expect(written()).toContain("run [");
    expect(written()).toContain("25 % | 50 of 200 | about 15 s left");
  });

  test("updates before a start and counts that fall back are harmless", () => {
    const { progress, at, written } = record(false);
    progress.update(3);
    progress.start("run", 4);
    at(3);
    progress.update(9);
    at(9);
    progress.update(1);
    expect(written()).toContain("run: 100 % (4 of 4)");
    expect(written()).not.toContain("25 %");
    progress.stop();
  });
});
