import { describe, expect, test } from "vitest";
import { SottoError } from "../../../src/errors.ts";
import {
  parseInteger,
  parseMode,
  parseNBits,
  parseProbability,
  parseRounding,
  type Verbs,
} from "../../../src/cli/options.ts";
import { describeFailure } from "../../../src/cli/process.ts";
import { buildProgram, runCommandLine } from "../../../src/cli/program.ts";
import { rejectionOf } from "../../support/errors.ts";

const signal = new AbortController().signal;

/** Runs a command line and gives the verb that was called with its options. */
async function called(line: string, ...more: string[]): Promise<readonly [string, unknown]> {
  let call: readonly [string, unknown] = ["nothing", undefined];
  const record = (verb: string) => (options: unknown) => {
    call = [verb, options];
    return Promise.resolve();
  };
  const verbs: Verbs = {
    inspect: record("inspect"),
    predict: record("predict"),
    compile: record("compile"),
    keygen: record("keygen"),
    encrypt: record("encrypt"),
    run: record("run"),
    decrypt: record("decrypt"),
    bench: record("bench"),
    calibrate: record("calibrate"),
    serve: record("serve"),
    token: record("token"),
  };
  await runCommandLine([...line.split(" "), ...more], verbs, signal);
  return call;
}

describe("values", () => {
  test.each([
    ["1e-12", 1e-12],
    ["0.01", 0.01],
    [".5", 0.5],
    ["2^-40", 2 ** -40],
    ["2**-128", 2 ** -128],
    ["2^-40.5", 2 ** -40.5],
  ])("%s is a probability", (text, expected) => {
    expect(parseProbability("--p-error", text)).toBe(expected);
  });

  test.each(["0", "1", "-0.1", "2^40", "2^-2000", "3^-4", "", "x", "1e", "NaN", "0x1"])(
    "%j is not a probability",
    (text) => {
      expect(() => parseProbability("--p-error", text)).toThrow(/^BAD_ARGUMENT at --p-error: /);
    },
  );

  test("bits are a number or JSON in either spelling", () => {
    expect(parseNBits("6")).toBe(6);
    const bits = { op_inputs: 5, op_weights: 4, model_inputs: 6, model_outputs: 7 };
    expect(parseNBits(JSON.stringify(bits))).toEqual(bits);
    const camel = '{"opInputs":5,"opWeights":4,"modelInputs":6,"modelOutputs":7}';
    expect(parseNBits(camel)).toEqual(bits);
  });

  test.each([
    "",
    "x",
    "0",
    "2.5",
    "[5]",
    "null",
    '{"op_inputs":5}',
    '{"op_inputs":5,"op_weights":5,"x":1}',
  ])("%j bits are refused with the option's name", (text) => {
    expect(() => parseNBits(text)).toThrow(/^BAD_ARGUMENT at --n-bits: /);
  });

  test("rounding is a number, JSON in either spelling, or none", () => {
    expect(parseRounding("4")).toBe(4);
    expect(parseRounding("none")).toBeNull();
    expect(parseRounding('{"nBits":4,"method":"fit"}')).toEqual({ nBits: 4, method: "fit" });
    const seeds = '{"n_bits":6,"method":"APPROXIMATE"}';
    expect(parseRounding(seeds)).toEqual({ nBits: 6, method: "approximate" });
  });

  test.each(["", "99", '{"method":"fit"}', '{"nBits":4,"method":"best"}', '{"nBits":4,"bits":5}'])(
    "%j rounding is refused with the option's name",
    (text) => {
      expect(() => parseRounding(text)).toThrow(/^BAD_ARGUMENT at --rounding-threshold-bits: /);
    },
  );

  test("integers and modes are checked", () => {
    expect(parseInteger("--limit", "12", 1)).toBe(12);
    for (const text of ["0", "-1", "1.5", "", "1e3", "9999999999999999999"]) {
      expect(() => parseInteger("--limit", text, 1)).toThrow(/^BAD_ARGUMENT at --limit: /);
    }
    expect(["clear", "disable", "simulate", "encrypted", "execute"].map(parseMode)).toEqual([
      "clear",
      "clear",
      "simulate",
      "encrypted",
      "encrypted",
    ]);
    expect(() => parseMode("fast")).toThrow(/^BAD_ARGUMENT at --mode: /);
  });
});

describe("command lines", () => {
  test("predict takes every option of the manual", async () => {
    const [verb, options] = await called(
      "predict m.onnx --calibration a.npy --calibration b.npy --input c.npy --input d.npy --mode encrypted " +
        "--n-bits 5 --p-error 2^-40 --import-qat --limit 3 --keys k --threads 2 --json -",
      "--rounding-threshold-bits",
      '{"n_bits": 4, "method": "fit"}',
    );
    expect(verb).toBe("predict");
    expect(options).toEqual({
      model: "m.onnx",
      calibration: ["a.npy", "b.npy"],
      input: ["c.npy", "d.npy"],
      mode: "encrypted",
      compiler: {
        nBits: 5,
        roundingThresholdBits: { nBits: 4, method: "fit" },
        pError: 2 ** -40,
        importQat: true,
      },
      limit: 3,
      keys: "k",
      threads: 2,
      json: "-",
      signal,
    });
  });

  test("what is not given is absent, and predict runs in the clear", async () => {
    const [, options] = await called("predict m.onnx --calibration a.npy --input c.npy");
    expect(options).toEqual({
      model: "m.onnx",
      calibration: ["a.npy"],
      input: ["c.npy"],
      mode: "clear",
      compiler: {},
      signal,
    });
  });

  test.each([
    ["inspect m.onnx", { model: "m.onnx" }],
    ["compile m.onnx --calibration a.npy -o d", { output: "d", calibration: ["a.npy"] }],
    [
      "keygen d/client.sotto -o k --threads 1",
      { client: "d/client.sotto", output: "k", threads: 1 },
    ],
    ["encrypt c --keys k --input x.npy --row 7 -o e", { keys: "k", input: ["x.npy"], row: 7 }],
    ["run s e --keys k -o r", { server: "s", inputs: "e", keys: "k", output: "r" }],
    ["decrypt c r --keys k --json -", { client: "c", outputs: "r", json: "-" }],
    [
      "bench m.onnx --calibration a.npy --input b.npy --limit 5 --report r.html",
      { limit: 5, input: ["b.npy"], report: "r.html" },
    ],
    [
      "compile m.onnx --calibration a.npy -o d --cost-model machine",
      { compiler: { costModel: "machine" } },
    ],
    ["calibrate --json -", { json: "-" }],
  ])("%s", async (line, expected) => {
    const [verb, options] = await called(line);
    expect(verb).toBe(line.split(" ")[0]);
    expect(options).toMatchObject({ ...expected, signal });
  });

  test.each([
    ["", "command line"],
    ["predikt m.onnx", "command line"],
    ["predict", "command line"],
    ["predict m.onnx --input c.npy", "command line"],
    ["predict m.onnx --calibration a.npy --input c.npy --fast", "command line"],
    ["predict m.onnx --calibration a.npy --input c.npy --limit none", "--limit"],
    [
      "predict m.onnx --calibration a.npy --input c.npy --p-error 0.1 --global-p-error 0.1",
      "--global-p-error",
    ],
    ["inspect a b", "command line"],
    ["compile m.onnx --calibration a.npy -o d --cost-model z80", "--cost-model"],
    ["compile m.onnx --calibration a.npy -o d --interior-noise 0.3", "--interior-noise"],
    ["compile m.onnx --calibration a.npy -o d --interior-noise little", "--interior-noise"],
  ])("%j is BAD_ARGUMENT", async (line, where) => {
    const error: unknown = await called(line).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(SottoError);
    expect(error).toMatchObject({ code: "BAD_ARGUMENT", where });
    expect(String(error)).not.toContain("\n");
  });

  test("auto takes labels, rows, a loss and a file for the front", async () => {
    const [, options] = await called(
      "bench m.onnx --calibration c.npy --input i.npy --n-bits auto --labels l.npy --validation v.npy " +
        "--validation w.npy --max-loss 5e-3 --front f.json --max-milliseconds 1e3 --max-lookups 64 --max-key-bytes 2e7",
    );
    expect(options).toMatchObject({
      compiler: { nBits: "auto", maxMilliseconds: 1000, maxLookups: 64, maxKeyBytes: 2e7 },
      tuning: {
        labels: "l.npy",
        validation: ["v.npy", "w.npy"],
        maxLoss: 0.005,
        front: "f.json",
      },
    });
  });

  test("interior noise may be searched for, and left off where the rest is", async () => {
    const line = "compile m.onnx --calibration c.npy -o out --interior-noise";
    expect(await called(`${line} auto --front f.json`)).toMatchObject([
      "compile",
      { compiler: { interiorNoise: "auto" } },
    ]);
    const none = `${line} none --n-bits auto --rounding-threshold-bits none`;
    expect(await called(none)).toMatchObject([
      "compile",
      { compiler: { interiorNoise: null, roundingThresholdBits: null } },
    ]);
  });

  test.each([
    ["auto", { nBits: "auto" }],
    ['{"nBits":"auto","method":"FIT"}', { nBits: "auto", method: "fit" }],
    ['{"n_bits":"auto"}', { nBits: "auto" }],
  ])("rounding %s is left to a search", (text, expected) => {
    expect(parseRounding(text)).toEqual(expected);
  });

  test.each([
    ["--n-bits 4 --front f.json", "--front"],
    ["--max-loss 0.1", "--max-loss"],
    ["--n-bits auto --max-loss -1", "--max-loss"],
    ["--max-lookups many", "--max-lookups"],
    ["--n-bits automatic", "--n-bits"],
    ["--interior-noise none --front f.json", "--front"],
  ])("%s is refused", async (line, where) => {
    const error = await rejectionOf(() =>
      called(`compile m.onnx --calibration c.npy -o out ${line}`),
    );
    expect(error).toMatchObject({ code: "BAD_ARGUMENT", where });
  });

  test("every verb's help has an example", () => {
    const idle = () => Promise.resolve();
    const verbs: Verbs = {
      inspect: idle,
      predict: idle,
      compile: idle,
      keygen: idle,
      encrypt: idle,
      run: idle,
      decrypt: idle,
      bench: idle,
      calibrate: idle,
      serve: idle,
      token: idle,
    };
    const program = buildProgram(verbs, signal);
    expect(program.commands.map((command) => command.name())).toEqual([
      "inspect",
      "predict",
      "compile",
      "bench",
      "calibrate",
      "keygen",
      "encrypt",
      "run",
      "decrypt",
      "serve",
      "token",
    ]);
    for (const command of program.commands) {
      let help = "";
      command.configureOutput({ writeOut: (text) => (help += text) });
      command.outputHelp();
      expect(help).toContain(`$ sotto ${command.name()} `);
    }
  });
});

describe("failures", () => {
  test("a user's mistake is one line and exit code 1", () => {
    const error = new SottoError("BAD_SHAPE", "input 0", "expected [8],\n got [9]");
    expect(describeFailure(error, false, false)).toEqual({
      exitCode: 1,
      text: "error: BAD_SHAPE at input 0: expected [8], got [9]",
    });
  });

  test("our own bug is one line that says how to report it, the stack only on request", () => {
    const error = new Error("internal: empty interval\nsecond line");
    const { exitCode, text } = describeFailure(error, false, false);
    expect(exitCode).toBe(70);
    expect(text).toMatch(/^error: internal: empty interval second line \(.*SOTTO_DEBUG=1.*\)$/);
    expect(describeFailure(error, false, true).text).toContain("options.test.ts");
    expect(describeFailure("text", false, true)).toMatchObject({ exitCode: 70 });
  });

  test("after Ctrl-C whatever went wrong is exit code 130", () => {
    expect(describeFailure(new Error("x"), true, true)).toEqual({ exitCode: 130, text: "stopped" });
  });
});
