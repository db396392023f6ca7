/**
 * The browser of the tests: where it is, and how it gets there.
 * @module
 */
import { existsSync } from "node:fs";
import { installPackages } from "./system-packages.mjs";

/** Where a Chromium may be; the variable SOTTO_CHROMIUM comes first. */
export function browserPaths() {
  const asked = process.env.SOTTO_CHROMIUM;
  return [
    ...(asked === undefined ? [] : [asked]),
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
  ];
}

/** Installs Chromium where there is none and this user may; else the tests say what is missing. */
export function ensureBrowser() {
  if (!browserPaths().some((path) => existsSync(path))) installPackages(["chromium"]);
}
