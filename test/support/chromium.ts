/**
 * A real browser without a window. Where there is none, tests fail and say what to install.
 */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { browserPaths } from "../../scripts/browser.mjs";

export async function launchChromium(): Promise<Browser> {
  const executablePath = browserPaths().find((path) => existsSync(path));
  if (executablePath === undefined) {
    throw new Error(
      "no Chromium: install it (on Debian `apt-get install chromium`), or say where it is in SOTTO_CHROMIUM",
    );
  }
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
