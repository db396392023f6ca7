/**
 * The command line as commander sees it: verbs, options, help. Parsing ends in the typed options of options.ts; what a
 * verb does is handed in, so the whole command line is tested without compiling a model.
 * @module
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import { SottoError } from "../errors.ts";
import {
  checkProbabilities,
  checkTuning,
  parseAmount,
  parseCostModel,
  parseInteriorNoise,
  parseInteger,
  parseMode,
  parseNBits,
  parseProbability,
  parseQuantization,
  parseRounding,
  type CompilerSettings,
  type Mode,
  type TuningSettings,
  type Verbs,
} from "./options.ts";
import { type AddVerb, addServeVerbs } from "./serve-options.ts";

/** Model options as commander collects them. */
interface CollectedModel {
  readonly calibration: readonly string[];
  readonly nBits?: CompilerSettings["nBits"];
  readonly roundingThresholdBits?: CompilerSettings["roundingThresholdBits"];
  readonly interiorNoise?: CompilerSettings["interiorNoise"];
  readonly pError?: number;
  readonly globalPError?: number;
  readonly importQat?: boolean;
  readonly quantization?: CompilerSettings["quantization"];
  readonly maxMilliseconds?: number;
  readonly maxLookups?: number;
  readonly maxKeyBytes?: number;
  readonly labels?: string;
  readonly validation?: readonly string[];
  readonly maxLoss?: number;
  readonly front?: string;
  readonly costModel?: CompilerSettings["costModel"];
}

/** Options shared by verbs that run, as commander collects them. */
interface CollectedRun {
  readonly input: readonly string[];
  readonly limit?: number;
  readonly threads?: number;
  readonly json?: string;
}

/** Runs one command line (without node and script). `--help` and `--version` resolve; bad arguments are BAD_ARGUMENT. */
export async function runCommandLine(
  args: readonly string[],
  verbs: Verbs,
  signal: AbortSignal,
): Promise<void> {
  const program = buildProgram(verbs, signal);
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    const text = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
    const message = error.code === "commander.help" ? "expected a verb" : text;
    throw new SottoError("BAD_ARGUMENT", "command line", `${message}; see sotto --help`);
  }
}

/** The commands and their options. */
export function buildProgram(verbs: Verbs, signal: AbortSignal): Command {
  const program = new Command("sotto")
    .description(
      "Machine learning on encrypted data: compile an ONNX model or a PyTorch program (.pt2), run it on encrypted inputs.",
    )
    .version(packageVersion())
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  const verb = (usage: string, description: string, examples: readonly string[]): Command =>
    program
      .command(usage)
      .description(description)
      .addHelpText(
        "after",
        `\nExamples:\n${examples.map((line) => `  $ sotto ${line}`).join("\n")}`,
      );
  addModelVerbs(verb, verbs, signal);
  addStepVerbs(verb, verbs, signal);
  addServeVerbs(verb, verbs, { signal, version: packageVersion() });
  return program;
}

function addModelVerbs(verb: AddVerb, verbs: Verbs, signal: AbortSignal): void {
  verb("inspect <model>", "list operators, which are supported, and shapes", [
    "inspect digits.onnx",
  ]).action((model: string) => verbs.inspect({ model, signal }));

  const predict = verb("predict <model>", "compile a model and run it on inputs", [
    "predict digits.onnx --calibration cal.npy --input test.npy --limit 3",
    "predict digits.onnx --calibration cal.npy --input test.npy --mode encrypted --n-bits 5 \\\n" +
      `        --rounding-threshold-bits '{"nBits": 4, "method": "fit"}' --p-error 2^-40 --json -`,
  ]);
  addRunOptions(addModelOptions(predict))
    .option("--mode <mode>", "clear, simulate or encrypted", parseMode, "clear")
    .option("--keys <folder>", "keep keys here and use them again")
    .action((model: string, given: CollectedModel & CollectedRun & { mode: Mode; keys?: string }) =>
      verbs.predict({
        ...modelOptions(model, given),
        ...runOptions(given),
        mode: given.mode,
        ...(given.keys === undefined ? {} : { keys: given.keys }),
        signal,
      }),
    );

  const compile = verb("compile <model>", "write server.sotto, client.sotto and report.html", [
    "compile digits.onnx --calibration cal.npy --n-bits 5 \\\n" +
      '      --rounding-threshold-bits \'{"nBits": 4, "method": "fit"}\' -o digits',
  ]);
  addModelOptions(compile)
    .requiredOption("-o, --output <folder>", "where to write")
    .action((model: string, given: CollectedModel & { output: string }) =>
      verbs.compile({ ...modelOptions(model, given), output: given.output, signal }),
    );

  const bench = verb(
    "bench <model>",
    "time each layer, beside predictions and a raw bootstrap loop",
    [
      "bench digits.onnx --calibration cal.npy --input test.npy --limit 5 --threads 2 --n-bits 5 \\\n" +
        '      --rounding-threshold-bits \'{"nBits": 4, "method": "fit"}\' --report report.html',
    ],
  );
  addRunOptions(addModelOptions(bench))
    .option("--report <file>", "write report.html with the measured times")
    .action((model: string, given: CollectedModel & CollectedRun & { report?: string }) =>
      verbs.bench({
        ...modelOptions(model, given),
        ...runOptions(given),
        ...(given.report === undefined ? {} : { report: given.report }),
        signal,
      }),
    );

  verb("calibrate", "fit the cost model to this CPU, in about 20 seconds, and keep it", [
    "calibrate",
    "calibrate --json model.json",
  ])
    .option("--json <file>", "write the model as JSON to a file, or - for stdout")
    .action((given: { json?: string }) => verbs.calibrate({ ...given, signal }));
}

function addStepVerbs(verb: AddVerb, verbs: Verbs, signal: AbortSignal): void {
  const keys = ["--keys <folder>", "folder that keygen wrote"] as const;
  const output = ["-o, --output <file>", "where to write"] as const;

  verb("keygen <client.sotto>", "make a secret key and evaluation keys", [
    "keygen digits/client.sotto -o keys",
  ])
    .requiredOption("-o, --output <folder>", "where to write secret.sotto and evaluation.sotto")
    .addOption(threadsOption())
    .action((client: string, given: { output: string; threads?: number }) =>
      verbs.keygen({ client, ...given, signal }),
    );

  verb("encrypt <client.sotto>", "encrypt one row of inputs", [
    "encrypt digits/client.sotto --keys keys --input test.npy --row 7 -o inputs.sotto",
  ])
    .requiredOption(...keys)
    .addOption(inputOption())
    .option("--row <index>", "which row, from 0", integer("--row", 0), 0)
    .requiredOption(...output)
    .action(
      (client: string, given: { keys: string; input: string[]; row: number; output: string }) =>
        verbs.encrypt({ client, ...given, signal }),
    );

  verb("run <server.sotto> <inputs.sotto>", "compute on encrypted inputs; needs no secret", [
    "run digits/server.sotto inputs.sotto --keys keys/evaluation.sotto -o outputs.sotto",
  ])
    .option("--keys <path>", "evaluation.sotto, or its folder; not needed without lookups")
    .requiredOption(...output)
    .addOption(threadsOption())
    .action(
      (
        server: string,
        inputs: string,
        given: { keys?: string; output: string; threads?: number },
      ) => verbs.run({ server, inputs, ...given, signal }),
    );

  verb("decrypt <client.sotto> <outputs.sotto>", "decrypt the result of run", [
    "decrypt digits/client.sotto outputs.sotto --keys keys",
    "decrypt digits/client.sotto outputs.sotto --keys keys --json scores.json",
  ])
    .requiredOption(...keys)
    .option("--json <file>", "write JSON to a file, or - for stdout")
    .action((client: string, outputs: string, given: { keys: string; json?: string }) =>
      verbs.decrypt({ client, outputs, ...given, signal }),
    );
}

function addModelOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--calibration <file>", "rows like the inputs to come; once per graph input")
        .argParser(collect)
        .makeOptionMandatory(),
    )
    .option(
      "--n-bits <bits>",
      "a number, auto, or JSON with op_inputs and op_weights (with --import-qat: model_inputs, model_outputs)",
      parseNBits,
    )
    .option(
      "--rounding-threshold-bits <bits>",
      "a number, auto, or JSON with nBits (or auto) and method (exact, approximate, fit)",
      parseRounding,
    )
    .option("--p-error <p>", "failure probability of a lookup, such as 2^-40 or 1e-12", (text) =>
      parseProbability("--p-error", text),
    )
    .option("--global-p-error <p>", "failure probability of an inference", (text) =>
      parseProbability("--global-p-error", text),
    )
    .option(
      "--interior-noise <std>",
      "noise that rounding tables bear, as a fraction of their interval, such as 0.02: much faster, scores vary a little",
      parseInteriorNoise,
    )
    .option(
      "--import-qat",
      "the model was trained with quantization (Brevitas, QONNX, QCDQ): use the quantizers it states",
    )
    .option(
      "--quantization <choices>",
      "JSON with perChannelWeights, calibration, inputSignedness, equalization, biasCorrection, perFeatureInputs",
      parseQuantization,
    )
    .option(
      "--cost-model <name>",
      "choose parameters for CPUs of a class (avx2, avx512), or for this machine",
      parseCostModel,
    )
    .option(
      "--max-milliseconds <ms>",
      "budget of predicted time on one core",
      amount("milliseconds"),
    )
    .option("--max-lookups <count>", "budget of table lookups per inference", amount("lookups"))
    .option("--max-key-bytes <bytes>", "budget of evaluation keys as sent", amount("key-bytes"))
    .option(
      "--max-loss <loss>",
      "auto: loss of accuracy that is tolerated, 0.01 unless given",
      amount("loss"),
    )
    .option("--labels <file>", "auto: right answers for --validation, or else for --calibration")
    .option("--validation <file>", "auto: rows to judge by; once per graph input", collect)
    .option("--front <file>", "auto: write all points worth having as JSON");
}

function amount(what: string): (text: string) => number {
  return (text) => parseAmount(`--max-${what}`, text);
}

function addRunOptions(command: Command): Command {
  return command
    .addOption(inputOption())
    .option("--limit <rows>", "use only the first rows", integer("--limit", 1))
    .addOption(threadsOption())
    .option("--json <file>", "write JSON to a file, or - for stdout");
}

function inputOption(): Option {
  return new Option("--input <file>", ".npy, .npz or .csv; once per graph input")
    .argParser(collect)
    .makeOptionMandatory();
}

function threadsOption(): Option {
  return new Option("--threads <count>", "default: all cores").argParser(integer("--threads", 1));
}

function collect(value: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}

function integer(option: string, least: number): (text: string) => number {
  return (text) => parseInteger(option, text, least);
}

/** Commander makes an empty text of null, which "none" stands for. */
function orNull<T>(value: T): T | null {
  return value === "" ? null : value;
}

function modelOptions(model: string, given: CollectedModel) {
  const { calibration, nBits, roundingThresholdBits, pError, globalPError } = given;
  const { importQat, quantization, maxMilliseconds, maxLookups, maxKeyBytes } = given;
  const { costModel, interiorNoise, labels, validation, maxLoss, front } = given;
  const compiler: CompilerSettings = {
    ...(nBits === undefined ? {} : { nBits }),
    ...(roundingThresholdBits === undefined
      ? {}
      : { roundingThresholdBits: orNull(roundingThresholdBits) }),
    ...(interiorNoise === undefined ? {} : { interiorNoise: orNull(interiorNoise) }),
    ...(pError === undefined ? {} : { pError }),
    ...(globalPError === undefined ? {} : { globalPError }),
    ...(importQat === undefined ? {} : { importQat }),
    ...(quantization === undefined ? {} : { quantization }),
    ...(maxMilliseconds === undefined ? {} : { maxMilliseconds }),
    ...(maxLookups === undefined ? {} : { maxLookups }),
    ...(maxKeyBytes === undefined ? {} : { maxKeyBytes }),
    ...(costModel === undefined ? {} : { costModel }),
  };
  const tuning: TuningSettings = {
    ...(labels === undefined ? {} : { labels }),
    ...(validation === undefined ? {} : { validation }),
    ...(maxLoss === undefined ? {} : { maxLoss }),
    ...(front === undefined ? {} : { front }),
  };
  checkProbabilities(compiler);
  checkTuning(compiler, tuning);
  const isTuned = Object.keys(tuning).length > 0;
  return { model, calibration, compiler, ...(isTuned ? { tuning } : {}) };
}

function runOptions({ input, limit, threads, json }: CollectedRun): CollectedRun {
  return {
    input,
    ...(limit === undefined ? {} : { limit }),
    ...(threads === undefined ? {} : { threads }),
    ...(json === undefined ? {} : { json }),
  };
}

/** The version in package.json, which lies above both src/cli and dist/cli. */
function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const found: unknown = JSON.parse(text);
  const version =
    typeof found === "object" && found !== null && "version" in found ? found.version : undefined;
  return String(version);
}
