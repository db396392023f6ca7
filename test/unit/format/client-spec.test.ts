/**
 * Bytes of programs and client specs: offsets as docs/format.md has them, round trips, and what damaged bytes do.
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildQuantizedModule, compileModule } from "../../../src/compile.ts";
import { SottoError } from "../../../src/errors.ts";
import { decodeBlob, encodeBlob, noId } from "../../../src/format/blob.ts";
import {
  type ClientSpec,
  decodeClientSpec,
  encodeClientSpec,
} from "../../../src/format/client-spec.ts";
import { encodeProgram } from "../../../src/format/program.ts";
import { UniformQuantizer } from "../../../src/quantization/quantizer.ts";
import { encodeParameters } from "../../../src/parameters/encoding.ts";
import { float64 } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";
import { randomNumbers } from "../../support/random-models.ts";

async function compile(name: string, nBits: number) {
  const { model, calibration } = readModelFixture(name);
  return compileModule(await buildQuantizedModule(model, calibration, { nBits }));
}

const compiled = await compile("seed_logreg", 2);
const { spec, program, programBytes } = compiled.circuit.parts;
const bytes = encodeClientSpec(spec);
const leveled = await compile("op_single_linear", 6);
const two = await compile("op_add_two_inputs", 2);

/** The bytes with the digest at their end made right again. */
function sealed(body: Uint8Array): Uint8Array {
  const out = body.slice();
  if (out.length < 32) return out;
  out.set(sha256(out.subarray(0, out.length - 32)), out.length - 32);
  return out;
}

/** The spec's bytes with another payload of JSON. */
function withJson(change: (json: Record<string, unknown>) => unknown): Uint8Array {
  const { header, payload } = decodeBlob(bytes, "clientSpec", bytes.length);
  const json = JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>;
  return encodeBlob(header, new TextEncoder().encode(JSON.stringify(change(json))));
}

describe("a frame", () => {
  test("has every field at its documented offset", () => {
    const view = new DataView(bytes.buffer);
    const length = Number(view.getBigUint64(72, true));
    expect(new TextDecoder().decode(bytes.slice(0, 6))).toBe("SOTTO\0");
    expect([bytes[6], bytes[7]]).toEqual([2, 2]);
    expect(bytes.slice(8, 40)).toEqual(sha256(encodeParameters(spec.parameters)));
    expect(bytes.slice(40, 56)).toEqual(noId());
    expect(bytes.slice(56, 72)).toEqual(spec.modelId);
    expect(bytes.length).toBe(80 + length + 32);
    expect(() => JSON.parse(new TextDecoder().decode(bytes.slice(80, 80 + length)))).not.toThrow();
    expect(bytes.slice(80 + length)).toEqual(sha256(bytes.slice(0, 80 + length)));
  });

  test("of a program names the model by its payload", () => {
    const view = new DataView(programBytes.buffer, programBytes.byteOffset);
    const length = Number(view.getBigUint64(72, true));
    const payload = programBytes.slice(80, 80 + length);
    expect([programBytes[6], programBytes[7]]).toEqual([1, 2]);
    expect(programBytes.slice(56, 72)).toEqual(sha256(payload).slice(0, 16));
    expect(programBytes.slice(56, 72)).toEqual(spec.modelId);
    expect(payload.slice(0, 48)).toEqual(encodeParameters(program.parameters));
  });
});

describe("a program", () => {
  test("is laid out field by field as documented", () => {
    const view = new DataView(programBytes.buffer, programBytes.byteOffset + 80 + 48);
    let at = 0;
    const u32 = () => view.getUint32((at += 4) - 4, true);
    const u8 = () => view.getUint8((at += 1) - 1);
    const u64 = () => view.getBigUint64((at += 8) - 8, true);
    const list = <T>(count: number, read: () => T): T[] => Array.from({ length: count }, read);
    expect(list(u32(), u32)).toEqual([...program.inputs]);
    expect(list(u32(), () => [u32(), u32(), u32()])).toEqual(
      program.outputs.map((tensor, i) => {
        const { isSmall, bits } = program.outputForms[i];
        return [tensor, isSmall ? 1 : 0, bits];
      }),
    );
    expect(u32()).toBe(program.instructions.length);
    for (const instruction of program.instructions) {
      const opcode = u8();
      const end = u32() + at;
      if (instruction.kind === "linear") {
        const { operands, groups, rows, positions, terms, weights, gather, constants } =
          instruction;
        expect(opcode).toBe(1);
        expect(list(u32(), u32)).toEqual([...operands]);
        expect(list(5, u32)).toEqual([groups, rows, positions, terms, constants.length]);
        expect(list(weights.length, u32).map((w) => w | 0)).toEqual([...weights]);
        expect(list(gather.length, u32).map((g) => g | 0)).toEqual([...gather]);
        expect(list(constants.length, u64)).toEqual([...constants]);
      } else {
        const { operand, extensionLog, boxes, tables, sources } = instruction;
        expect(opcode).toBe(2);
        expect(list(5, u32)).toEqual([operand, extensionLog, boxes, tables, sources.length]);
        expect(list(boxes * tables, u32)).toEqual([...instruction.starts]);
        expect(list(boxes * tables, u64)).toEqual([...instruction.values]);
        expect(list(tables, u64)).toEqual([...instruction.offsets]);
        expect(list(tables, u64)).toEqual([...instruction.outputOffsets]);
        expect(list(sources.length, u32)).toEqual([...sources]);
        expect(list(sources.length, u32)).toEqual([...instruction.tableOf]);
        expect(list(sources.length, u32)).toEqual([...instruction.degrees]);
      }
      expect(at).toBe(end);
    }
    expect(programBytes.length).toBe(80 + 48 + at + 32);
  });

  test("has the same bytes every time, and other bytes for another model", async () => {
    const again = await compile("seed_logreg", 2);
    expect(again.serverBytes).toEqual(programBytes);
    expect(again.clientBytes).toEqual(bytes);
    expect(encodeProgram(program).modelId).toEqual(spec.modelId);
    expect(leveled.serverBytes).not.toEqual(programBytes);
    expect(leveled.circuit.parts.spec.modelId).not.toEqual(spec.modelId);
  });
});

/** The spec with unit vectors in place of the codes of its first input. */
function withOneHotInput(original: ClientSpec): ClientSpec {
  const [input, ...others] = original.inputs;
  const size = input.shape.reduce((product, dim) => product * dim, 1);
  const sizes = Array.from({ length: size }, (_, i) => i % 4);
  return { ...original, inputs: [{ ...input, oneHot: { lowest: -2, sizes } }, ...others] };
}

/** The spec with another scale for each element of its first output. */
function withScalePerOutput(original: ClientSpec): ClientSpec {
  const [output, ...others] = original.outputs;
  const { options, zeroPoint, offset } = output.quantizer;
  const size = output.shape.reduce((product, dim) => product * dim, 1);
  const scales = Array.from({ length: size }, (_, i) => (i + 1) / 8);
  const scale = float64(output.shape, scales);
  const quantizer = new UniformQuantizer({ ...options, scale, zeroPoint, offset });
  return { ...original, outputs: [{ ...output, quantizer }, ...others] };
}

describe("a client spec", () => {
  test.each([
    ["with one input", spec],
    ["without lookups, and a zero point per output", leveled.circuit.parts.spec],
    ["with two inputs", two.circuit.parts.spec],
    ["with a one-hot input", withOneHotInput(spec)],
    ["with a scale per output", withScalePerOutput(leveled.circuit.parts.spec)],
    ["that never fails", { ...spec, log2PError: -Infinity, log2FailureProbability: -Infinity }],
  ] as const)("%s comes back whole", (_, original: ClientSpec) => {
    const encoded = encodeClientSpec(original);
    const decoded = decodeClientSpec(encoded);
    expect(decoded.parameters).toEqual(original.parameters);
    expect(decoded.modelId).toEqual(original.modelId);
    expect(decoded.log2PError).toBe(original.log2PError);
    expect(decoded.log2FailureProbability).toBe(original.log2FailureProbability);
    for (const side of ["inputs", "outputs"] as const) {
      expect(decoded[side]).toHaveLength(original[side].length);
      decoded[side].forEach((port, i) => {
        const expected = original[side][i];
        expect({ ...port, quantizer: null }).toEqual({ ...expected, quantizer: null });
        expect(port.quantizer.options).toEqual(expected.quantizer.options);
        expect(port.quantizer.scale).toEqual(expected.quantizer.scale);
        expect(port.quantizer.zeroPoint).toEqual(expected.quantizer.zeroPoint);
        expect(port.quantizer.codeRange).toEqual(expected.quantizer.codeRange);
      });
    }
    expect(encodeClientSpec(decoded)).toEqual(encoded);
  });

  test("holds no weights", () => {
    const text = new TextDecoder().decode(bytes);
    const [weight] = compiled.module.constants.get("fc1.weight")?.values.data ?? [NaN];
    expect(text).not.toContain(`${weight}`);
    expect(bytes.length).toBeLessThan(2000);
  });

  test("that is too big is refused before anything else is read", () => {
    const error = errorOf(() => decodeClientSpec(new Uint8Array((64 << 20) + 1)));
    expect(error.code).toBe("BAD_BYTES");
    expect(error.message).toContain("expected at most");
  });

  test.each([
    ["nothing", new Uint8Array(0), "at least"],
    ["a header without payload", bytes.slice(0, 100), "at least"],
    ["another magic", sealed(bytes.map((b, i) => (i === 0 ? b + 1 : b))), "sotto file"],
    ["a program", programBytes, "expected kind 2, got 1"],
    ["a later version", sealed(bytes.map((b, i) => (i === 7 ? 3 : b))), "format version 2, got 3"],
    ["a missing byte", bytes.slice(0, -1), "truncated"],
    ["a byte too many", Uint8Array.of(...bytes, 0), "payload"],
    ["a flipped bit", bytes.map((b, i) => (i === 90 ? b ^ 4 : b)), "digest"],
    ["another digest of parameters", sealed(bytes.map((b, i) => (i === 8 ? b ^ 1 : b))), "digest"],
    [
      "text that is no JSON",
      encodeBlob({ ...decodeBlob(bytes, "clientSpec", 1e6).header }, Uint8Array.of(0xff)),
      "JSON",
    ],
  ] as const)("%s is refused", (_, damaged, message) => {
    const error = errorOf(() => decodeClientSpec(damaged));
    expect(error.code).toBe("BAD_BYTES");
    expect(error.message).toContain(message);
  });

  const port = (change: object) =>
    withJson((json) => {
      const [first, ...rest] = json["inputs"] as object[];
      return { ...json, inputs: [{ ...first, ...change }, ...rest] };
    });
  const quantizer = (change: object) =>
    withJson((json) => {
      const [first, ...rest] = json["inputs"] as { quantizer: object }[];
      const altered = { ...first, quantizer: { ...first.quantizer, ...change } };
      return { ...json, inputs: [altered, ...rest] };
    });

  test.each([
    ["a list", withJson(() => [])],
    ["null", withJson(() => null)],
    ["no inputs", withJson((json) => ({ ...json, inputs: undefined }))],
    ["inputs that are no list", withJson((json) => ({ ...json, inputs: {} }))],
    ["a probability in words", withJson((json) => ({ ...json, log2PError: "small" }))],
    ["a failure that is certain", withJson((json) => ({ ...json, log2PError: 1 }))],
    ["a scale of zero", port({ scale: "0" })],
    ["a scale beyond the torus", port({ scale: "18446744073709551616" })],
    ["a negative scale", port({ scale: "-1" })],
    ["a middle beyond exact integers", port({ middle: 1e300 })],
    ["a middle between integers", port({ middle: 0.5 })],
    ["a batch of two", port({ shape: [2, 14] })],
    ["no axes", port({ shape: [] })],
    ["no elements", port({ shape: [1, 0] })],
    ["too many elements", port({ shape: [1, 4096, 8192] })],
    ["a fractional size", port({ shape: [1, 1.5] })],
    ["too few one-hot sizes", port({ oneHot: { lowest: 0, sizes: [2] } })],
    [
      "one-hot sizes of nothing",
      port({ oneHot: { lowest: 0, sizes: Array.from({ length: 14 }, () => 0) } }),
    ],
    [
      "too many one-hot values",
      port({ oneHot: { lowest: 0, sizes: Array.from({ length: 14 }, () => 2 ** 23) } }),
    ],
    [
      "a lowest code between integers",
      port({ oneHot: { lowest: 0.5, sizes: Array.from({ length: 14 }, () => 2) } }),
    ],
    ["a name that is no text", port({ name: 7 })],
    ["codes of no bits", quantizer({ nBits: 0 })],
    ["codes of too many bits", quantizer({ nBits: 33 })],
    ["a quantizer scale of zero", quantizer({ scale: 0 })],
    ["an offset between integers", quantizer({ offset: 0.5 })],
    ["an offset beyond the codes", quantizer({ offset: 1e30 })],
    ["a flag in words", quantizer({ isSigned: "yes" })],
    ["a symmetric quantizer without signs", quantizer({ isSigned: false, isSymmetric: true })],
    ["an input with a zero point per element", quantizer({ zeroPoint: { shape: [1], data: [0] } })],
    ["an input with a scale per element", quantizer({ scale: { shape: [1], data: [1] } })],
    [
      "zero points that do not fill their shape",
      quantizer({ zeroPoint: { shape: [2], data: [0] } }),
    ],
  ])("%s in its JSON is refused", (_, damaged) => {
    expect(errorOf(() => decodeClientSpec(damaged)).code).toBe("BAD_BYTES");
  });

  test.each([
    ["zero points do not fit its shape", { zeroPoint: { shape: [1, 3], data: [0, 0, 0] } }],
    ["scales do not fit its shape", { scale: { shape: [1, 3], data: [1, 1, 1] } }],
    ["scales do not fill their shape", { scale: { shape: [1, 1], data: [1, 1] } }],
    ["scale of a channel is zero", { scale: { shape: [1, 1], data: [0] } }],
  ])("an output whose %s is refused", (_, change) => {
    const damaged = withJson((json) => {
      const [first] = json["outputs"] as { quantizer: object }[];
      return { ...json, outputs: [{ ...first, quantizer: { ...first.quantizer, ...change } }] };
    });
    expect(errorOf(() => decodeClientSpec(damaged)).code).toBe("BAD_BYTES");
  });

  test.each([
    ["a noise below the curve", { glweNoiseStd: 2 ** -60 }, "WRONG_PARAMETERS"],
    ["a small key", { lweDimension: 300 }, "WRONG_PARAMETERS"],
    ["a polynomial size that is no power of two", { polynomialSize: 3000 }, "BAD_BYTES"],
    [
      "a decomposition of more bits than the torus",
      { bootstrap: { baseLog: 40, level: 2 } },
      "BAD_BYTES",
    ],
  ] as const)("parameters with %s are refused", (_, change, code) => {
    const altered = { ...spec, parameters: { ...spec.parameters, ...change } };
    expect(errorOf(() => decodeClientSpec(encodeClientSpec(altered))).code).toBe(code);
  });
});

describe("ten thousand damaged client specs", () => {
  const random = randomNumbers(20);
  const below = (limit: number): number => Math.floor(random() * limit);
  const other = two.clientBytes;

  const damages: readonly ((original: Uint8Array) => Uint8Array)[] = [
    (b) => b.map((byte, i) => (i === target(b) ? byte ^ (1 << below(8)) : byte)),
    (b) => b.slice(0, below(b.length)),
    (b) => b.slice(below(b.length)),
    (b) => Uint8Array.of(...b, ...other.slice(0, below(50))),
    (b) => {
      const cut = below(b.length);
      return Uint8Array.of(...b.slice(0, cut), ...other.slice(below(other.length)));
    },
    (b) => {
      const out = b.slice();
      const length = [0n, 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n, BigInt(below(5000))][below(6)];
      new DataView(out.buffer).setBigUint64(72, length, true);
      return out;
    },
    (b) => {
      const out = b.slice();
      for (let i = 0; i < 4; i++) out[80 + below(b.length - 112)] = below(256);
      return out;
    },
    (b) => {
      // One character of the JSON becomes another that JSON knows, so that many of these still parse.
      const out = b.slice();
      out[80 + below(b.length - 112)] = '0123456789-.e,:[]{}"tfn '.charCodeAt(below(24));
      return out;
    },
  ];
  let aim = -1;
  function target(b: Uint8Array): number {
    if (aim < 0 || aim >= b.length) aim = below(b.length);
    return aim;
  }

  test("give a coded error or a spec that says what its bytes say", () => {
    const outcomes = { same: 0, other: 0, refused: 0 };
    for (let run = 0; run < 10_000; run++) {
      aim = -1;
      const raw = damages[below(damages.length)](bytes);
      const damaged = random() < 0.6 ? sealed(raw) : raw;
      try {
        const decoded = decodeClientSpec(damaged);
        // A change of a number or a name that the digest covers is a legal spec of somebody else's.
        const isSame = Buffer.compare(encodeClientSpec(decoded), bytes) === 0;
        if (isSame) outcomes.same++;
        else outcomes.other++;
        const [input] = decoded.inputs;
        expect(input.quantizer.quant(float64([1, 1], [0.5])).data).toHaveLength(1);
      } catch (error) {
        if (!(error instanceof SottoError)) throw error;
        expect(error.message).not.toContain("\n");
        outcomes.refused++;
      }
    }
    expect(outcomes.refused).toBeGreaterThan(7000);
    expect(outcomes.other).toBeGreaterThan(100);
  });

  test("never pass without the digest made right, but for the bytes themselves", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = bytes.map((byte, i) => (i === at ? byte ^ change : byte));
        expect(errorOf(() => decodeClientSpec(damaged)).code).toBe("BAD_BYTES");
      }),
      { numRuns: 500 },
    );
  });
});
