/**
 * What the command line draws: images, tables, and quantities in units people read.
 * Everything returns text; colour only where the caller says that the stream shows it.
 * @module
 */
import Table from "cli-table3";

/** True when a stream is a terminal that wants colour (https://no-color.org). */
export function wantsColor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  const refused = env["NO_COLOR"] !== undefined && env["NO_COLOR"] !== "";
  return stream.isTTY === true && !refused && env["TERM"] !== "dumb";
}

/** A grayscale image, row by row. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly pixels: ArrayLike<number>;
}

/** How to draw an image. */
export interface DrawOptions {
  /** Half blocks in 24 grays; without it, characters from light to dark. */
  readonly color: boolean;
  /** Columns per pixel in colour, default 2; plain characters always take two. */
  readonly scale?: number;
  /** Pixel values drawn darkest and lightest, default [0, 1]; others are clipped. */
  readonly range?: readonly [number, number];
}

const RAMP = " .:-=+*#%@";
const GRAYS = 24; // 232..255 of the 256-colour palette
const FIRST_GRAY = 232;

/** Lines of text that show an image. */
export function drawImage(image: Image, options: DrawOptions): string[] {
  const [dark, light] = options.range ?? [0, 1];
  const level = (x: number, y: number, levels: number): number => {
    const value = image.pixels[y * image.width + x] ?? dark;
    const part = Math.min(1, Math.max(0, (value - dark) / (light - dark || 1)));
    return Math.round(part * (levels - 1)) || 0; // NaN draws as dark
  };
  const rows = (count: number, row: (y: number) => string) =>
    Array.from({ length: count }, (_, y) => row(y));
  if (!options.color) {
    return rows(image.height, (y) =>
      columns(image.width, (x) => (RAMP[level(x, y, RAMP.length)] ?? " ").repeat(2)),
    );
  }
  const scale = Math.max(1, Math.floor(options.scale ?? 2));
  const halfRows = image.height * scale;
  return rows(Math.ceil(halfRows / 2), (line) => {
    const pixelRow = (half: number) => Math.floor(half / scale);
    const bottomHalf = 2 * line + 1;
    const cells = columns(image.width, (x) => {
      const top = FIRST_GRAY + level(x, pixelRow(2 * line), GRAYS);
      const foreground = `\u001b[38;5;${top}m`;
      if (bottomHalf >= halfRows) return `${foreground}\u001b[49m${"▀".repeat(scale)}`;
      const bottom = FIRST_GRAY + level(x, pixelRow(bottomHalf), GRAYS);
      return `${foreground}\u001b[48;5;${bottom}m${"▀".repeat(scale)}`;
    });
    return `${cells}\u001b[0m`;
  });
}

function columns(count: number, cell: (x: number) => string): string {
  return Array.from({ length: count }, (_, x) => cell(x)).join("");
}

/** Text with columns lined up under their heads; numbers to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  options: { readonly color: boolean } = { color: false },
): string {
  const drawn = new Table({
    head: [...head],
    colAligns: head.map((_, i) =>
      rows.length > 0 && rows.every((row) => typeof row[i] === "number") ? "right" : "left",
    ),
    style: {
      compact: true,
      head: options.color ? ["bold"] : [],
      border: options.color ? ["gray"] : [],
    },
  });
  for (const row of rows) drawn.push(row.map(String));
  return drawn.toString();
}

/** Milliseconds in a unit that fits: `0.82 ms`, `41.3 ms`, `1.80 s`, `3 min 5 s`, `2 h 4 min`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "?";
  if (ms < 999.5) return `${threeDigits(ms)} ms`;
  if (ms < 99_950) return `${threeDigits(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Bytes in decimal units: `512 B`, `1.20 kB`, `61.4 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${threeDigits(value)} ${units[unit] ?? ""}`;
}

/** A probability given as its base 2 logarithm: `2^-40.3`; `0` for minus infinity. */
export function formatProbability(log2: number): string {
  if (log2 === -Infinity) return "0";
  return `2^${Number(log2.toFixed(1))}`;
}

/** A share as a percentage: `97.3 %`. */
export function formatPercent(part: number, whole: number): string {
  return whole === 0 ? "-" : `${((100 * part) / whole).toFixed(1)} %`;
}

function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}
