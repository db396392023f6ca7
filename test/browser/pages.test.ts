/**
 * The pages in a real browser, against a real server: keys are made there, drawings are read while encrypted, and what the
 * browser made is good for the native engine, and the other way round.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page, Request } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readArray } from "../../src/cli/read-array.ts";
import { Client } from "../../src/client/node.ts";
import { compileOnnxModel } from "../../src/compile.ts";
import { Server } from "../../src/execute/server.ts";
import { decodeBlob, decodeHeader } from "../../src/format/blob.ts";
import { loadEngine } from "../../src/native/load.ts";
import { SIDE } from "../../web/src/strokes.ts";
import { launchChromium } from "../support/chromium.ts";
import { strokesOf } from "../support/digit-strokes.ts";
import { type WebDemo, startWebDemo } from "../support/web-demo.ts";

const PIXELS = SIDE * SIDE;
const MAX_BYTES = 1 << 27;
const path = (name: string): string =>
  fileURLToPath(new URL(`../../demo/model/${name}`, import.meta.url));

let demo: WebDemo;
let browser: Browser;
let page: Page;
/** Everything that the page sent with a body. */
const sent: { readonly address: string; readonly method: string; readonly body: Uint8Array }[] = [];
const problems: string[] = [];

beforeAll(async () => {
  demo = await startWebDemo();
  browser = await launchChromium();
  const context = await browser.newContext({ viewport: { width: 900, height: 1200 } });
  page = await context.newPage();
  page.on("request", keep);
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  await page.addInitScript(observe);
  await page.goto(demo.url);
  await page.waitForSelector("#make-keys:enabled");
});

afterAll(async () => {
  await browser?.close();
  await demo?.close();
});

describe("the page for digits", () => {
  test("makes keys without holding up the page for a tenth of a second", async () => {
    await page.click("#make-keys");
    await status(/^Your keys are ready/);
    const { tasks, texts } = await page.evaluate(() => window.observed);
    const at = (start: string): number =>
      texts.find(({ text }) => text.startsWith(start))?.at ?? NaN;
    const [begin, end] = [at("Making keys"), at("Sending")];
    expect(end).toBeGreaterThan(begin);
    const during = tasks.filter((task) => task.at >= begin && task.at < end);
    expect(during.filter(({ ms }) => ms > 100)).toEqual([]);
  });

  test("sends evaluation keys that say so, whole and of the announced size", () => {
    const keys = uploadedKeys();
    expect(keys.length).toBeLessThanOrEqual(60e6);
    const { header } = decodeBlob(keys, "evaluationKeys", MAX_BYTES);
    expect(header.keyId.some((byte) => byte !== 0)).toBe(true);
  });

  test("reads drawn digits of the test set, at least 9 of 10", async () => {
    const images = await readArray(path("test-images.npy"));
    const { data: labels } = await readArray(path("test-labels.npy"));
    const answers: boolean[] = [];
    for (let digit = 0; digit < 10; digit++) {
      const row = labels.indexOf(digit);
      await draw(images.data.subarray(row * PIXELS, (row + 1) * PIXELS));
      await page.click("#send:enabled");
      await page.waitForSelector("#send:enabled", { timeout: 120_000 });
      answers.push((await page.textContent("#answer")) === `The answer is ${digit}.`);
    }
    expect(answers.filter((isRight) => isRight).length).toBeGreaterThanOrEqual(9);
  });

  test("lets nothing but ciphertext, keys for computing and their names leave", () => {
    const jobs = sent.filter(({ address }) => address.endsWith("/jobs"));
    expect(jobs.length).toBe(10);
    for (const { body } of jobs) {
      expect(body.length).toBeLessThanOrEqual(20_000);
      decodeBlob(body, "inputs", MAX_BYTES);
    }
    const announced = sent.filter(
      ({ method, address }) => method === "POST" && address.endsWith("/keys"),
    );
    const fields = announced.flatMap(({ body }) =>
      Object.keys(JSON.parse(new TextDecoder().decode(body)) as object),
    );
    expect([...new Set(fields)].sort()).toEqual(["bytes", "digest", "keyId", "parametersDigest"]);
    const others = sent.filter(
      ({ method, address }) => !/\/(jobs|keys)$/.test(address) && method !== "PATCH",
    );
    expect(others).toEqual([]);
  });

  test("shows scores, the time of each step, and the ciphertext that left", async () => {
    expect(await page.locator("table").first().locator("tbody tr").count()).toBe(10);
    const steps = await page.locator("table").nth(1).locator("th").allTextContents();
    expect(steps).toEqual([
      "encrypt here",
      "send",
      "compute on the server",
      "fetch",
      "decrypt here",
    ]);
    const last = sent.findLast(({ address }) => address.endsWith("/jobs"));
    const peek = (await page.textContent("#peek"))?.replace(/[^0-9a-f]/g, "") ?? "";
    expect(Buffer.from(last?.body ?? []).toString("hex")).toContain(peek);
    expect(peek.length).toBe(2 * 96);
  });

  test("draws with the keyboard too", async () => {
    await page.click("#clear");
    await page.focus("#pad");
    expect(await page.isDisabled("#send")).toBe(true);
    for (const key of ["ArrowUp", "ArrowUp", "Space", "ArrowDown", "ArrowDown", "ArrowDown"]) {
      await page.keyboard.press(key);
    }
    await page.waitForSelector("#send:enabled");
    await page.keyboard.press("Escape");
    await page.waitForSelector("#send:disabled");
  });
});

describe("keys and ciphertexts", () => {
  test("of the browser are good for the native client and server, and the other way round", async () => {
    const images = await readArray(path("test-images.npy"));
    const row = { shape: [1, 1, SIDE, SIDE], data: images.data.slice(0, PIXELS) };
    const folder = demo.modelFolder("digits");
    const spec = new Uint8Array(await readFile(join(folder, "client.sotto")));
    const server = new Server(
      new Uint8Array(await readFile(join(folder, "server.sotto"))),
      loadEngine(),
    );
    await server.loadKeys(uploadedKeys());
    const native = await Client.load(spec, { engine: "native" });
    await native.loadKey(await savedKey());
    const best = async (answer: Uint8Array): Promise<number> => {
      const { data } = await native.decrypt(answer);
      return data.indexOf(Math.max(...data));
    };
    const { data: labels } = await readArray(path("test-labels.npy"));
    expect(await best(await server.run(await native.encrypt(row)))).toBe(labels[0]);
    const last = sent.findLast(({ address }) => address.endsWith("/jobs"));
    expect(await best(await server.run(last?.body ?? new Uint8Array()))).toBe(9);
    native.close();
  });

  test("are there again at the next visit", async () => {
    await page.reload();
    await status(/^Your key of an earlier visit is ready/);
  });

  test("stay shut under a passphrase until it is typed", async () => {
    await page.fill("#passphrase", "correct horse");
    await page.click("#make-keys");
    await status(/^Your keys are ready/);
    expect(decodeHeader(await savedKey(), "protectedKey").keyId.length).toBe(16);
    await page.reload();
    await status(/under a passphrase/);
    await page.fill("#passphrase", "wrong horse");
    await page.click("text=Open my saved key");
    await status(/WRONG_KEY/);
    await page.fill("#passphrase", "correct horse");
    await page.click("text=Open my saved key");
    await status(/^Your key of an earlier visit is ready/);
  });
});

describe("the page with a form", () => {
  test("answers as the model does in the clear", async () => {
    await page.goto(`${demo.url}/form.html`);
    await page.fill("#passphrase", "correct horse");
    await page.click("text=Open my saved key"); // the models share their parameters, so the keys fit
    await status(/^Your key of an earlier visit is ready/);
    const rows = await readArray(path("screening-rows.npy"));
    const clear = await compileOnnxModel(
      path("screening.onnx"),
      await readArray(path("screening-calibration.npy")),
      { nBits: 5, roundingThresholdBits: { nBits: 6, method: "fit" }, interiorNoise: 0.015 },
    );
    const scores = clear.forward(rows).data;
    const { inputs } = JSON.parse(
      await readFile(new URL("../../web/models/screening.json", import.meta.url), "utf8"),
    ) as { inputs: { label: string; low: number; high: number }[] };
    for (const [index, answer] of ["benign", "malignant"].entries()) {
      // Rows that noise cannot turn over: scores are each other's negative.
      const row = Array.from(rows.data).findIndex((_, i) => scores[2 * i + index] > 2);
      for (const [i, { label, low, high }] of inputs.entries()) {
        const share = rows.data[row * inputs.length + i];
        await page.getByLabel(label, { exact: true }).fill(String(low + share * (high - low)));
      }
      await page.click("#send:enabled");
      await page.waitForSelector("#send:enabled");
      expect(await page.textContent("#answer")).toBe(`The answer is ${answer}.`);
    }
  });
});

describe.each(["", "form.html"])("page /%s", (name) => {
  test.each([
    { colorScheme: "light", width: 900 },
    { colorScheme: "dark", width: 360 },
  ] as const)("is accessible, $colorScheme, $width pixels wide", async ({ colorScheme, width }) => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 780 } });
    const visit = await context.newPage();
    await visit.goto(`${demo.url}/${name}`);
    await visit.waitForSelector("#make-keys:enabled");
    const source = await readFile(
      fileURLToPath(import.meta.resolve("axe-core/axe.min.js")),
      "utf8",
    );
    await visit.evaluate(source);
    const found = await visit.evaluate(async () => {
      const { violations } = await window.axe.run();
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    });
    expect(found).toEqual([]);
    const overflow = await visit.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow).toBe(0);
    await context.close();
  });
});

test("no page met an error that nobody shows", () => {
  expect(problems).toEqual([]);
});

declare global {
  interface Window {
    /** Long tasks of the main thread, and every text of the keys' status line, in milliseconds since the start. */
    observed: { tasks: { at: number; ms: number }[]; texts: { at: number; text: string }[] };
    axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
  }
}

/** Runs in the page before its own scripts. */
function observe(): void {
  window.observed = { tasks: [], texts: [] };
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      window.observed.tasks.push({ at: startTime, ms: duration });
    }
  }).observe({ type: "longtask", buffered: true });
  new MutationObserver(() => {
    const text = document.querySelector("#keys [role=status]")?.textContent ?? "";
    const { texts } = window.observed;
    if (texts.at(-1)?.text !== text) texts.push({ at: performance.now(), text });
  }).observe(document, { subtree: true, childList: true, characterData: true });
}

function keep(request: Request): void {
  const body = request.postDataBuffer();
  if (body === null) return;
  const address = new URL(request.url()).pathname;
  sent.push({ address, method: request.method(), body: new Uint8Array(body) });
}

/** Waits for what the keys' status line says. */
async function status(expected: RegExp): Promise<void> {
  const line = page.locator("#keys [role=status]");
  await expect.poll(() => line.textContent(), { timeout: 180_000 }).toMatch(expected);
}

/** Evaluation keys of the first upload, put together from its pieces. */
function uploadedKeys(): Uint8Array {
  const pieces = sent.filter(({ method }) => method === "PATCH");
  const first = pieces.filter(({ address }) => address === pieces[0].address);
  return new Uint8Array(Buffer.concat(first.map(({ body }) => body)));
}

/** The only key in the page's IndexedDB. */
async function savedKey(): Promise<Uint8Array> {
  const bytes = await page.evaluate(
    () =>
      new Promise<number[]>((resolve, reject) => {
        const opening = indexedDB.open("sotto", 1);
        opening.addEventListener("error", () => reject(new Error("no database")));
        opening.addEventListener("success", () => {
          const reading = opening.result.transaction("keys").objectStore("keys").getAll();
          reading.addEventListener("success", () => {
            opening.result.close();
            resolve([...(reading.result[0] as Uint8Array)]);
          });
        });
      }),
  );
  return Uint8Array.from(bytes);
}

/** Draws an image of the test set with the mouse. */
async function draw(image: ArrayLike<number>): Promise<void> {
  await page.click("#clear");
  const pad = page.locator("#pad");
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  if (box === null) throw new Error("the pad is not visible");
  for (const stroke of strokesOf(image)) {
    for (const [i, { x, y }] of stroke.entries()) {
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
      if (i === 0) await page.mouse.down();
    }
    await page.mouse.up();
  }
}
