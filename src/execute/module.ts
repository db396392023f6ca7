/**
 * A compiled model: floats in, floats out, in the clear, simulated or encrypted.
 * @module
 */
import { type TensorOrList, oneOrAll, tensorsOf } from "../tensor/list.ts";
import { SottoError, checkKeys } from "../errors.ts";
import { encodeClientSpec } from "../format/client-spec.ts";
import type { CircuitConstraint } from "../parameters/constraints.ts";
import { type QuantizedModule } from "../quantization/module.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type CompiledParts, FheCircuit } from "./circuit.ts";
import { type RangeReport, bitwidthAndRangeReport } from "./report.ts";

/** How to execute: quantized in the clear, simulated with noise, or encrypted. */
export type FheMode = "disable" | "simulate" | "execute";

export interface ForwardOptions {
  /** Default "disable". */
  readonly fhe?: FheMode;
}

/** What the compiler made of a quantized module. */
export interface CompiledModuleParts extends CompiledParts {
  readonly constraints: readonly CircuitConstraint[];
}

/** A model compiled for encrypted inputs. */
export class CompiledModule {
  /** The quantized module that it was compiled from. */
  readonly module: QuantizedModule;
  /** Keys, encryption, execution, statistics. */
  readonly circuit: FheCircuit;
  readonly constraints: readonly CircuitConstraint[];

  constructor(module: QuantizedModule, parts: CompiledModuleParts) {
    this.module = module;
    this.circuit = new FheCircuit(parts);
    this.constraints = parts.constraints;
  }

  /** What a server needs: the program's bytes. */
  get serverBytes(): Uint8Array {
    return this.circuit.parts.programBytes;
  }

  /** What a client needs: the client spec's bytes. */
  get clientBytes(): Uint8Array {
    return encodeClientSpec(this.circuit.parts.spec);
  }

  /** Codes of float inputs, rows first. Throws BAD_DTYPE, BAD_SHAPE or BAD_VALUE. */
  quantizeInput<T extends Tensor | readonly Tensor[] = Tensor>(x: TensorOrList): T {
    return this.module.quantizeInput<T>(x);
  }

  /** Codes in, codes out. Throws BAD_DTYPE, BAD_SHAPE or BAD_VALUE; NATIVE_MISSING when executing without engine. */
  quantizedForward<T extends Tensor | readonly Tensor[] = Tensor>(
    codes: TensorOrList,
    options: ForwardOptions = {},
  ): T {
    checkKeys(options, ["fhe"]);
    const { fhe = "disable" } = options;
    switch (fhe) {
      case "disable":
        return oneOrAll<T>(this.circuit.evaluate(codes));
      case "simulate":
        return this.circuit.simulate<T>(codes);
      case "execute":
        return this.circuit.encryptRunDecrypt<T>(codes);
      default:
        throw new SottoError(
          "BAD_ARGUMENT",
          "fhe",
          `expected "disable", "simulate" or "execute", got ${JSON.stringify(fhe)}`,
        );
    }
  }

  /** Float64 values of output codes. */
  dequantizeOutput<T extends Tensor | readonly Tensor[] = Tensor>(codes: TensorOrList): T {
    return this.module.dequantizeOutput<T>(codes);
  }

  /** Floats in, floats out, rows first. */
  forward<T extends Tensor | readonly Tensor[] = Tensor>(
    x: TensorOrList,
    options: ForwardOptions = {},
  ): T {
    const codes = tensorsOf(this.quantizeInput<Tensor[]>(x));
    return this.dequantizeOutput<T>(this.quantizedForward<Tensor[]>(codes, options));
  }

  /** Width and interval of every linear operator's integers, by node. */
  bitwidthAndRangeReport(): RangeReport {
    return bitwidthAndRangeReport(this.circuit.parts.circuit);
  }
}
