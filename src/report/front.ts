/**
 * The section of report.html about a search for settings: score against predicted time as a plot, and the same as a table.
 * The plot is an SVG of its own, so that the page needs no script.
 * @module
 */
import type { TuningPoint, TuningResult } from "../tune/front.ts";
import { describeOptions } from "../tune/space.ts";
import { escape, table } from "./html.ts";

const WIDTH = 760;
const HEIGHT = 380;
const LEFT = 80;
const RIGHT = 20;
const TOP = 16;
const BOTTOM = 48;

/** What scores mean, in words. */
function nameOfScore({ metric, isLabelled }: TuningResult): string {
  if (metric === "error") return "1 - relative error";
  return isLabelled ? "Accuracy" : "Agreement with the float model";
}

/** Plot and table of a front, with the chosen point marked. */
export function renderFront(result: TuningResult): string {
  const { front, chosen, rows, tolerance, floatScore, tried } = result;
  const told = chosen
    ? `The chosen point is the cheapest that loses at most ${percent(tolerance)} against the float model (${percent(floatScore)}), ` +
      "with a standard error (at most half of that) to spare."
    : `No point loses at most ${percent(tolerance)} against the float model (${percent(floatScore)}) within the budgets.`;
  const body = front.map((point) => [
    point === chosen ? "chosen" : "",
    percent(point.score),
    `± ${percent(point.standardError)}`,
    seconds(point.predictedMs),
    String(point.tableLookups),
    `${(point.evaluationKeyBytes / 1e6).toFixed(1)} MB`,
    describeOptions(point.options),
  ]);
  const heads = [
    "",
    nameOfScore(result),
    "Std. error",
    "Predicted, one core",
    "Lookups",
    "Keys",
    "Settings",
  ];
  return [
    table("Accuracy against time", heads, body),
    plot(result),
    `<p>${told} ${tried} settings were simulated with noise; scores are of ${rows} other rows.</p>`,
  ].join("\n");
}

function plot(result: TuningResult): string {
  const { front, chosen, floatScore } = result;
  const x = logScale(front.map(({ predictedMs }) => predictedMs));
  const lows = front.map(({ score, standardError }) => score - standardError);
  const highs = front.map(({ score, standardError }) => score + standardError);
  const y = linearScale([...lows, ...highs, floatScore]);
  const dots = front.map((point) => dot(point, x.at(point.predictedMs), y, point === chosen));
  const line = front.map(({ predictedMs, score }) => `${x.at(predictedMs)},${y.at(score)}`);
  return `<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" role="img" aria-label="Score against predicted time">
<style>
.grid { stroke: #ddd } .axis { font: 12px system-ui, sans-serif; fill: #444 } .float { stroke: #888; stroke-dasharray: 4 4 }
.front { fill: none; stroke: #36c; stroke-opacity: 0.5 } .dot { fill: #36c } .bar { stroke: #36c; stroke-opacity: 0.4 }
.chosen { fill: #d33; stroke: #fff; stroke-width: 2 }
</style>
${x.ticks.map((ms) => xTick(x.at(ms), seconds(ms))).join("\n")}
${y.ticks.map((score) => yTick(y.at(score), percent(score))).join("\n")}
<line class="float" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y.at(floatScore)}" y2="${y.at(floatScore)}"><title>float model, ${percent(floatScore)}</title></line>
<polyline class="front" points="${line.join(" ")}"/>
${dots.join("\n")}
<text class="axis" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">Predicted time of one inference on one core</text>
<text class="axis" transform="translate(14 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escape(nameOfScore(result))}</text>
</svg></figure>`;
}

function dot(point: TuningPoint, at: number, y: Scale, isChosen: boolean): string {
  const { score, standardError, predictedMs, options } = point;
  const title = `${percent(score)} ± ${percent(standardError)} in ${seconds(predictedMs)}: ${describeOptions(options)}`;
  const bar = `<line class="bar" x1="${at}" x2="${at}" y1="${y.at(score - standardError)}" y2="${y.at(score + standardError)}"/>`;
  const mark = `<circle class="${isChosen ? "chosen" : "dot"}" cx="${at}" cy="${y.at(score)}" r="${isChosen ? 8 : 5}"><title>${escape(`${isChosen ? "chosen: " : ""}${title}`)}</title></circle>`;
  return bar + mark;
}

function xTick(at: number, label: string): string {
  return `<line class="grid" x1="${at}" x2="${at}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text class="axis" x="${at}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${label}</text>`;
}

function yTick(at: number, label: string): string {
  return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/><text class="axis" x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${label}</text>`;
}

/** Where values lie on an axis, and which of them are labelled. */
interface Scale {
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** Places of ticks between powers of ten, for axes over several of them and for shorter ones. */
const FEW_TICKS = [1, 2, 5];
const MANY_TICKS = [1, 1.5, 2, 3, 4, 5, 7];

/** Times from left to right by their logarithms. */
function logScale(values: readonly number[]): Scale {
  const low = Math.max(Math.min(...values), 1e-3) / 1.15;
  const high = Math.max(...values, 1e-3) * 1.15;
  const span = Math.log(high / low);
  const first = Math.floor(Math.log10(low));
  const ticks: number[] = [];
  for (let power = first; 10 ** power <= high; power++) {
    const places = high < 5 * low ? MANY_TICKS : FEW_TICKS;
    ticks.push(...places.map((mantissa) => mantissa * 10 ** power));
  }
  return {
    at: (value) =>
      round(LEFT + ((WIDTH - LEFT - RIGHT) * Math.log(Math.max(value, low) / low)) / span),
    ticks: ticks.filter((tick) => tick >= low && tick <= high),
  };
}

/** Scores from bottom to top, with about five round ticks. */
function linearScale(values: readonly number[]): Scale {
  const bottom = Math.min(...values);
  const top = Math.max(...values);
  const pad = Math.max((top - bottom) * 0.05, 1e-3);
  const [low, high] = [bottom - pad, top + pad];
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5].find((mantissa) => mantissa * power >= raw) ?? 10) * power;
  const count = Math.floor(high / step) - Math.ceil(low / step) + 1;
  const ticks = Array.from({ length: count }, (_, i) => (Math.ceil(low / step) + i) * step);
  return {
    at: (value) =>
      round(HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - low)) / (high - low)),
    ticks,
  };
}

function round(x: number): number {
  return Math.round(x * 10) / 10;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function seconds(milliseconds: number): string {
  return milliseconds < 1000
    ? `${Number(milliseconds.toPrecision(3))} ms`
    : `${Number((milliseconds / 1000).toPrecision(3))} s`;
}
