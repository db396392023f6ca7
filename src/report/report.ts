/**
 * report.html: what a compiled model costs and promises, layer by layer. One self-contained file.
 * @module
 */
import type { CompiledModule } from "../execute/module.ts";
import type { LookupInstruction } from "../lower/program.ts";
import type { InteriorChoice, InteriorNoise } from "../parameters/choice.ts";
import { lookupCost, keyswitchCost } from "../parameters/cost.ts";

/** The report as an HTML page. */
export function renderReport(compiled: CompiledModule): string {
  const { statistics, parts } = compiled.circuit;
  const { parameters } = statistics;
  const summary: readonly (readonly [string, string])[] = [
    ["Lookups per inference", String(statistics.tableLookups)],
    ["Widest integer", `${statistics.maxBitWidth} bits`],
    ["Predicted time on one core", `${(statistics.predictedMs / 1000).toFixed(2)} s`],
    ["Failure probability of a lookup, at most", `2^${statistics.log2PError.toFixed(1)}`],
    ["Failure probability of an inference", `2^${statistics.log2FailureProbability.toFixed(1)}`],
    ...(statistics.interior === null ? [] : [interiorRow(statistics.interior)]),
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
  return page([
    table("Summary", ["", ""], summary),
    table("Lookups", LOOKUP_HEADS, lookupRows(compiled)),
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

const LOOKUP_HEADS = [
  "Node",
  "Lookups",
  "Boxes",
  "Extension",
  "Predicted, one core",
  "Noise (std)",
  "Margin",
  "Failure of one",
];

function lookupRows({ circuit, constraints }: CompiledModule): string[][] {
  const { choice, program } = circuit.parts;
  const lookups = program.instructions.filter(
    (instruction): instruction is LookupInstruction => instruction.kind === "lookup",
  );
  return constraints.flatMap((constraint, i) => {
    const noise = choice.noiseStd[i];
    const shared = [
      `2^${Math.log2(noise).toFixed(2)}${shareOf(constraint.interior, noise)}`,
      `${(constraint.margin / noise).toFixed(1)} std`,
      `2^${choice.log2Failure[i].toFixed(1)}${constraint.interior ? " to leave" : ""}`,
    ];
    if (constraint.kind === "output")
      return [[`${constraint.name} (output)`, "0", "", "", "", ...shared]];
    const extension = choice.extensions[i];
    const cost = lookupCost(choice.parameters, extension) + keyswitchCost(choice.parameters);
    return [
      [
        constraint.name,
        String(constraint.count),
        String(lookups[i].boxes),
        String(extension),
        `${((cost * constraint.count) / 1e6).toFixed(0)} ms`,
        ...shared,
      ],
    ];
  });
}

function interiorRow({ noise, log2Leaving }: InteriorChoice): readonly [string, string] {
  const share = `${(100 * noise).toFixed(2)} % of the interval`;
  return [
    "Noise of tables that bear it (std), at most",
    `${share}; 2^${log2Leaving.toFixed(1)} to leave from its middle`,
  ];
}

/** Noise of a decision that bears it, as a share of the interval that is read. */
function shareOf(interior: InteriorNoise | undefined, noise: number): string {
  return interior ? `, ${((100 * noise) / interior.width).toFixed(2)} % of the interval` : "";
}

function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function table(
  title: string,
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const head = heads.map((text) => `<th>${escape(text)}</th>`).join("");
  const body = rows
    .map((row) => `<tr>${row.map((cell) => `<td>${escape(cell)}</td>`).join("")}</tr>`)
    .join("\n");
  return `<h2>${escape(title)}</h2>\n<table><tr>${head}</tr>\n${body}\n</table>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

function page(sections: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>sotto report</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; margin-bottom: 2rem; }
td, th { border-bottom: 1px solid #ccc; padding: 0.3rem 0.8rem; text-align: left; }
</style>
<h1>sotto report</h1>
${sections.join("\n")}
</html>
`;
}
