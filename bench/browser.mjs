/**
 * The demo's page in a real Chromium on this machine: how long keys take, the longest task of the page's main thread
 * meanwhile, and how long an encrypted digit takes. `--runs N` (default 5) visits; `--screenshot FILE` keeps a picture.
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { browserPaths } from "../scripts/browser.mjs";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "5" }, screenshot: { type: "string" } },
});
/** A 2, as a hand writes it. */
const DIGIT = [
  [0.3, 0.3],
  [0.36, 0.19],
  [0.5, 0.14],
  [0.64, 0.19],
  [0.68, 0.32],
  [0.6, 0.48],
  [0.45, 0.66],
  [0.29, 0.86],
  [0.5, 0.84],
  [0.74, 0.86],
];

const folder = await mkdtemp(join(tmpdir(), "sotto-bench-"));
const server = spawn(
  process.execPath,
  [fileURLToPath(new URL("../demo/web.mjs", import.meta.url)), "--port", "0", "--folder", folder],
  { stdio: ["ignore", "pipe", "inherit"] },
);
const browser = await chromium.launch({
  executablePath: browserPaths().find((path) => existsSync(path)),
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  const url = await address();
  const visits = [];
  for (let i = 0; i < Number(values.runs); i++) visits.push(await visit(url, i === 0));
  console.log("| measured | median | worst |\n| --- | --- | --- |");
  for (const name of Object.keys(visits[0])) {
    const sorted = visits.map((one) => one[name]).sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    console.log(`| ${name} | ${Math.round(median)} | ${Math.round(sorted.at(-1))} |`);
  }
} finally {
  await browser.close();
  server.kill("SIGTERM");
  await new Promise((resolve) => server.once("exit", resolve));
  await rm(folder, { recursive: true });
}

function address() {
  return new Promise((resolve, reject) => {
    let output = "";
    server.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      const [, url] = /^open (\S+) /m.exec(output) ?? [];
      if (url !== undefined) resolve(url);
    });
    server.once("exit", () => reject(new Error("the demo ended")));
  });
}

/** One visitor with a new profile. */
async function visit(url, isPictured) {
  const context = await browser.newContext({ viewport: { width: 760, height: 900 } });
  const page = await context.newPage();
  let up = 0;
  let down = 0;
  page.on("request", (request) => {
    if (request.url().endsWith("/jobs")) up = request.postDataBuffer()?.length ?? 0;
  });
  page.on("response", async (response) => {
    if (response.url().endsWith("/result")) down = Number(response.headers()["content-length"]);
  });
  await page.addInitScript(() => {
    globalThis.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        globalThis.longest = Math.max(globalThis.longest, duration);
      }
    }).observe({ type: "longtask" });
  });
  await page.goto(url);
  await page.waitForSelector("#make-keys:enabled");
  await page.evaluate(() => {
    globalThis.longest = 0;
  });
  const start = performance.now();
  await page.click("#make-keys");
  const status = page.locator("#keys [role=status]");
  await status.filter({ hasText: /^Sending/ }).waitFor({ timeout: 120_000 });
  const made = performance.now();
  const longest = await page.evaluate(() => globalThis.longest);
  await status.filter({ hasText: /^Your keys are ready/ }).waitFor({ timeout: 120_000 });
  const sent = performance.now();
  await drawDigit(page);
  const asked = performance.now();
  await page.click("#send:enabled");
  await page.waitForSelector("#answer", { timeout: 120_000 });
  const answered = performance.now();
  if (isPictured && values.screenshot !== undefined) {
    await page.screenshot({ path: values.screenshot, fullPage: true });
  }
  await context.close();
  return {
    "keys made, ms": made - start,
    "longest task of the main thread meanwhile, ms": longest,
    "keys sent, ms": sent - made,
    "encrypted digit, ms": answered - asked,
    "digit up, bytes": up,
    "answer down, bytes": down,
  };
}

async function drawDigit(page) {
  const box = await page.locator("#pad").boundingBox();
  const place = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...place(DIGIT[0]));
  await page.mouse.down();
  for (const point of DIGIT) await page.mouse.move(...place(point), { steps: 4 });
  await page.mouse.up();
}
