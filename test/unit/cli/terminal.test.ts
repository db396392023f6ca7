import { describe, expect, test } from "vitest";
import {
  drawImage,
  formatBytes,
  formatDuration,
  formatPercent,
  formatProbability,
  table,
  wantsColor,
} from "../../../src/cli/terminal.ts";

const SEVEN = [
  [0, 0, 9, 9, 9, 9, 9, 0],
  [0, 0, 9, 5, 5, 5, 9, 0],
  [0, 0, 0, 0, 0, 5, 8, 0],
  [0, 0, 0, 0, 0, 9, 3, 0],
  [0, 0, 2, 5, 6, 9, 5, 0],
  [0, 0, 3, 7, 9, 6, 2, 0],
  [0, 0, 0, 5, 8, 0, 0, 0],
  [0, 0, 0, 9, 4, 0, 0, 0],
].flat();
const seven = { width: 8, height: 8, pixels: SEVEN };

describe("images", () => {
  test("plain characters draw one line per row", () => {
    expect(`\n${drawImage(seven, { color: false, range: [0, 9] }).join("\n")}\n`)
      .toMatchInlineSnapshot(`
        "
            @@@@@@@@@@  
            @@++++++@@  
                  ++%%  
                  @@--  
            ::++**@@++  
            --##@@**::  
              ++%%      
              @@==      
        "
      `);
  });

  test("colour draws two rows of pixels per line and ends each line without colour", () => {
    const pixels = Float32Array.of(0, 1, 1, 0, 0.5, NaN);
    const lines = drawImage({ width: 2, height: 3, pixels }, { color: true, scale: 1 });
    expect(lines.map((line) => line.replaceAll("\u001b", "^"))).toMatchInlineSnapshot(`
      [
        "^[38;5;232m^[48;5;255m▀^[38;5;255m^[48;5;232m▀^[0m",
        "^[38;5;244m^[49m▀^[38;5;232m^[49m▀^[0m",
      ]
    `);
  });

  test("an enlarged image keeps its proportions", () => {
    const lines = drawImage(seven, { color: true, range: [0, 9] });
    expect(lines).toHaveLength(8);
    for (const line of lines) expect(line.match(/▀/g)).toHaveLength(16);
  });

  test("colour needs a terminal that has not refused it", () => {
    expect(wantsColor({ isTTY: true }, {})).toBe(true);
    expect(wantsColor({ isTTY: false }, {})).toBe(false);
    expect(wantsColor({}, {})).toBe(false);
    expect(wantsColor({ isTTY: true }, { NO_COLOR: "1" })).toBe(false);
    expect(wantsColor({ isTTY: true }, { NO_COLOR: "" })).toBe(true);
    expect(wantsColor({ isTTY: true }, { TERM: "dumb" })).toBe(false);
  });
});

describe("tables", () => {
  test("numbers stand to the right, and there is no colour unless asked for", () => {
    const text = table(
      ["step", "lookups"],
      [
        ["Conv", 126],
        ["Gemm", 32],
      ],
    );
    expect(`\n${text}\n`).toMatchInlineSnapshot(`
      "
      ┌──────┬─────────┐
      │ step │ lookups │
      ├──────┼─────────┤
      │ Conv │     126 │
      │ Gemm │      32 │
      └──────┴─────────┘
      "
    `);
  });
});

describe("units", () => {
  test.each([
    [0.8234, "0.82 ms"],
    [41.26, "41.3 ms"],
    [999.4, "999 ms"],
    [999.6, "1.00 s"],
    [1800, "1.80 s"],
    [53_700, "53.7 s"],
    [185_000, "3 min 5 s"],
    [7_440_000, "2 h 4 min"],
    [NaN, "?"],
  ])("%d ms is %s", (ms, expected) => {
    expect(formatDuration(ms)).toBe(expected);
  });

  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1200, "1.20 kB"],
    [999_600, "1.00 MB"],
    [61_400_000, "61.4 MB"],
    [2e15, "2000 TB"],
  ])("%d bytes is %s", (bytes, expected) => {
    expect(formatBytes(bytes)).toBe(expected);
  });

  test("probabilities are powers of two, percentages have one decimal", () => {
    expect(formatProbability(-40.26)).toBe("2^-40.3");
    expect(formatProbability(-128)).toBe("2^-128");
    expect(formatProbability(-Infinity)).toBe("0");
    expect(formatPercent(438, 450)).toBe("97.3 %");
    expect(formatPercent(0, 0)).toBe("-");
  });
});
