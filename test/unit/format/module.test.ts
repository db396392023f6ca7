/**
 * Saved modules: the same integers and the same program after loading, and coded errors for bytes that are not one.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildQuantizedModule, compileModule } from "../../../src/compile.ts";
import { SottoError } from "../../../src/errors.ts";
import { decodeBlob, encodeBlob } from "../../../src/format/blob.ts";
import { decodeQuantizedModule, encodeQuantizedModule } from "../../../src/format/module.ts";
import { QuantizedLinear, QuantizedReLU6, moduleFromOperators } from "../../../src/index.ts";
import type { CompileOptions } from "../../../src/options.ts";
import type { QuantizedModule } from "../../../src/quantization/module.ts";
import { print } from "../../../src/quantization/print.ts";
import { type Tensor, float64 } from "../../../src/tensor/tensor.ts";
import { errorOf } from "../../support/errors.ts";
import { readModelFixture } from "../../support/onnx-fixtures.ts";

const perChannel = { perChannelWeights: true, biasCorrection: true };
const fit = { nBits: 3, method: "fit" } as const;
const cases: readonly (readonly [string, CompileOptions])[] = [
  ["seed_logreg", { nBits: 2 }],
  ["act_clip", { nBits: 3 }],
  ["act_prelu", { nBits: 3, roundingThresholdBits: fit }],
  ["op_conv1d", { nBits: 3, quantization: perChannel, roundingThresholdBits: fit }],
  ["op_two_heads", { nBits: 3 }],
  ["op_enc_div", { nBits: 2 }],
  ["op_embedding", { nBits: 3 }],
  ["gap_softmax_output", { nBits: 3 }],
  ["qat_mlp_pot", { nBits: 4, importQat: true }],
  ["qat_mlp_intbias", { nBits: 4, importQat: true, roundingThresholdBits: 4 }],
];

async function quantized(name: string, options: CompileOptions): Promise<QuantizedModule> {
  const { model, calibration } = readModelFixture(name);
  return buildQuantizedModule(model, calibration, options);
}

const small = await quantized("seed_logreg", { nBits: 2 });
const saved = encodeQuantizedModule(small);

describe("a module that is saved and loaded", () => {
  test.each(cases)("%s at %o has the same quantizers and integers", async (name, options) => {
    const module = await quantized(name, options);
    const bytes = encodeQuantizedModule(module);
    const loaded = decodeQuantizedModule(bytes);
    expect(print(loaded)).toBe(print(module));
    const { inputs } = readModelFixture(name);
    expect(loaded.forward<Tensor[]>(inputs)).toEqual(module.forward<Tensor[]>(inputs));
    expect([...encodeQuantizedModule(loaded)].join()).toBe([...bytes].join());
  });

  test.each([cases[0], cases[2]])("%s at %o compiles to the same files", async (name, options) => {
    const module = await quantized(name, options);
    const [a, b] = [module, decodeQuantizedModule(encodeQuantizedModule(module))].map((m) =>
      compileModule(m),
    );
    expect(b.serverBytes).toEqual(a.serverBytes);
    expect(b.clientBytes).toEqual(a.clientBytes);
  });

  test("may be built by hand", () => {
    const x = float64([9, 2], [1, -2, 3, -4, 5, -6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, -8]);
    const operators = [
      new QuantizedLinear({ nBits: 3, operands: [null, float64([2, 2], [1, 2, -3, 4])] }),
      new QuantizedReLU6({ nBits: 3 }),
    ];
    const module = moduleFromOperators(operators, x);
    const loaded = decodeQuantizedModule(encodeQuantizedModule(module));
    expect(loaded.forward(x)).toEqual(module.forward(x));
  });
});

describe("bytes that are no module", () => {
  test("are refused at any flipped bit", () => {
    const anyBit = fc.record({ at: fc.nat(saved.length - 1), bit: fc.nat(7) });
    fc.assert(
      fc.property(anyBit, ({ at, bit }) => {
        const damaged = saved.slice();
        damaged[at] ^= 1 << bit;
        // Parameters digest, key id and model id mean nothing here, but the digest covers them too.
        expect(errorOf(() => decodeQuantizedModule(damaged)).code).toBe("BAD_BYTES");
      }),
      { numRuns: 200 },
    );
  });

  test.each([0, 1, 111, saved.length - 1])("are refused when cut to %i", (length) => {
    expect(errorOf(() => decodeQuantizedModule(saved.slice(0, length))).code).toBe("BAD_BYTES");
  });

  test("such as a client spec are refused by their kind", () => {
    const { clientBytes } = compileModule(small);
    const error = errorOf(() => decodeQuantizedModule(clientBytes));
    expect(error.message).toMatch(/expected kind 7, got 2; is it another file/);
  });

  test("with a digest made right give a coded error or a module, never another", () => {
    const { header, payload } = decodeBlob(saved, "quantizedModule", 1 << 30);
    const length = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
    fc.assert(
      fc.property(fc.nat(length + 3), fc.integer({ min: 32, max: 126 }), (at, byte) => {
        const changed = payload.slice();
        changed[at] = byte;
        try {
          decodeQuantizedModule(encodeBlob(header, changed));
        } catch (error) {
          expect(error).toBeInstanceOf(SottoError);
          expect(error).toMatchObject({ code: "BAD_BYTES" });
        }
      }),
      { numRuns: 500 },
    );
  });
});
