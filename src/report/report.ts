/**
 * report.html: what a compiled model costs and promises, layer by layer. One self-contained file.
 * @module
 */
import { type Layer, layersOf, type Measurement } from "../execute/layers.ts";
import type { CompiledModule } from "../execute/module.ts";
import type { InteriorChoice } from "../parameters/choice.ts";
import { barChart, page, table } from "./html.ts";

/** What a report may have beside the compiled model. */
export interface ReportExtras {
  /** A timed run, shown beside the prediction. */
  readonly measurement?: Measurement;
  /** More sections, as HTML, behind the summary. */
  readonly sections?: readonly string[];
}

/** The report as an HTML page. */
export function renderReport(compiled: CompiledModule, extras: ReportExtras = {}): string {
  const { measurement, sections = [] } = extras;
  const layers = layersOf(compiled, measurement);
  const { parts } = compiled.circuit;
  return page("sotto report", [
    table("Summary", ["", ""], summaryRows(compiled, layers, measurement)),
    ...sections,
    timeChart(layers, measurement),
    table("Layers", layerHeads(measurement), layerRows(layers, measurement)),
    table(
      "Accumulators",
      ["Node", "Calibrated", "Bits", "Guaranteed", "Bits"],
      Object.entries(compiled.bitwidthAndRangeReport()).map(([name, row]) => [
        name,
        row.range.join(" … "),
        String(row.bitwidth),
        row.guaranteedRange.join(" … "),
        String(row.guaranteedBitwidth),
      ]),
    ),
    `<p>${parts.program.instructions.length} instructions. Guaranteed intervals are proved by interval arithmetic;
where they need the same bits as the calibrated ones, <code>bounds: "guaranteed"</code> costs nothing.</p>`,
  ]);
}

function summaryRows(
  { circuit: { statistics, parts } }: CompiledModule,
  layers: readonly Layer[],
  measurement: Measurement | undefined,
): (readonly [string, string])[] {
  const { parameters } = statistics;
  const predicted = layers.reduce((sum, { predictedMs }) => sum + predictedMs, 0);
  const model = (measurement?.costModel ?? parts.choice.costModel).name;
  const times: [string, string][] = [
    [
      `Predicted time on ${threadsText(measurement?.threads ?? statistics.predictedThreads)} (${model})`,
      milliseconds(predicted),
    ],
  ];
  if (measurement !== undefined) {
    const { threads, runMs } = measurement;
    times.push([`Measured time on ${threadsText(threads)}`, milliseconds(runMs)]);
    times.push(["Predicted / measured", (predicted / runMs).toFixed(2)]);
  }
  return [
    ["Lookups per inference", String(statistics.tableLookups)],
    ["Widest integer", `${statistics.maxBitWidth} bits`],
    ...times,
    [
      "Failure probability of a lookup that must be right, at most",
      `2^${statistics.log2PError.toFixed(1)}`,
    ],
    ["Failure probability of an inference", power(statistics.log2FailureProbability)],
    ...interiorRows(statistics.interior),
    ["Security", `${statistics.securityBits.toFixed(1)} bits`],
    ["Evaluation keys as sent", megabytes(statistics.evaluationKeyBytes)],
    ["Encrypted input", megabytes(statistics.inputBytes)],
    ["Encrypted output", megabytes(statistics.outputBytes)],
    [
      "Parameters",
      `n = ${parameters.lweDimension}, k = ${parameters.glweDimension}, N = ${parameters.polynomialSize}, ` +
        `bootstrap ${parameters.bootstrap.level} x ${parameters.bootstrap.baseLog} bits, ` +
        `keyswitch ${parameters.keyswitch.level} x ${parameters.keyswitch.baseLog} bits`,
    ],
  ];
}

/** Noise of tables and outputs that bear it. */
const power = (log2: number): string => (log2 === -Infinity ? "0" : `2^${log2.toFixed(1)}`);

function interiorRows(interior: InteriorChoice | null): (readonly [string, string])[] {
  if (interior === null) return [];
  return [
    ["Noise inside intervals (std), at most", `${(100 * interior.noise).toFixed(2)} %`],
    ["Leaving an interval from its middle, at most", power(interior.log2Leaving)],
  ];
}

/** Bars of so many layers, the slowest ones; the others are one bar. */
const MOST_BARS = 40;

function timeChart(layers: readonly Layer[], measurement: Measurement | undefined): string {
  const isMeasured = measurement !== undefined && measurement.instructionMs.length > 0;
  const timeOf = (layer: Layer): number => layer.measuredMs ?? layer.predictedMs;
  const shown = layers.filter(({ kind }) => kind !== "output");
  const slowest = new Set([...shown].sort((a, b) => timeOf(b) - timeOf(a)).slice(0, MOST_BARS));
  const valuesOf = (some: readonly Layer[]): number[] => {
    const sum = (time: (layer: Layer) => number): number =>
      some.reduce((total, layer) => total + time(layer), 0);
    const predicted = sum(({ predictedMs }) => predictedMs);
    return isMeasured ? [predicted, sum(timeOf)] : [predicted];
  };
  const bars = shown
    .filter((layer) => slowest.has(layer))
    .map((layer) => ({ label: `${layer.name} (${layer.kind})`, values: valuesOf([layer]) }));
  const others = shown.filter((layer) => !slowest.has(layer));
  if (others.length > 0) bars.push({ label: `${others.length} others`, values: valuesOf(others) });
  const series = isMeasured ? ["predicted", "measured"] : ["predicted"];
  return barChart("Where the time goes", series, bars, milliseconds);
}

function layerHeads(measurement: Measurement | undefined): string[] {
  return [
    "Node",
    "Kind",
    "Results",
    "Bits (boxes)",
    "Extension",
    "Predicted",
    ...(measurement === undefined ? [] : ["Measured"]),
    "Noise (std)",
    "Margin",
    "Failure of one",
  ];
}

function layerRows(layers: readonly Layer[], measurement: Measurement | undefined): string[][] {
  return layers.map(({ name, kind, results, lookup, predictedMs, measuredMs, noise }) => [
    name,
    kind,
    String(results),
    lookup === null ? "" : `${Math.log2(lookup.boxes).toFixed(1)} (${lookup.boxes})`,
    lookup === null ? "" : String(lookup.extension),
    kind === "output" ? "" : milliseconds(predictedMs),
    ...(measurement === undefined ? [] : [measuredMs === null ? "" : milliseconds(measuredMs)]),
    noise === null ? "" : `2^${Math.log2(noise.std).toFixed(2)}${shareText(noise.share)}`,
    noise === null ? "" : `${noise.margin.toFixed(1)} std`,
    noise === null ? "" : `2^${noise.log2Failure.toFixed(1)}`,
  ]);
}

function shareText(share: number | null): string {
  return share === null ? "" : `, ${(100 * share).toFixed(2)} % of the interval`;
}

function threadsText(threads: number): string {
  return threads === 1 ? "one core" : `${threads} threads`;
}

function milliseconds(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
