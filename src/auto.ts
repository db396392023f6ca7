/**
 * The word "auto" in compile options: what it leaves open to a search, and the options with what the search found.
 * @module
 */
import { SottoError } from "./errors.ts";
import type { Graph } from "./onnx/graph.ts";
import type { AutoRounding, CompileOptions, FixedOptions } from "./options.ts";
import { nodesWithWeights } from "./quantization/constants.ts";
import type { RoundingOption } from "./quantization/bits.ts";
import { type Openness, type TunedOptions } from "./tune/space.ts";

/** Whether some option is "auto". */
export function isAuto({ nBits, roundingThresholdBits, interiorNoise }: CompileOptions): boolean {
  return nBits === "auto" || isAutoRounding(roundingThresholdBits) || interiorNoise === "auto";
}

/** The options, which say "auto" nowhere. Throws BAD_ARGUMENT on `tuning`, which would have no effect. */
export function requireFixed(options: CompileOptions): FixedOptions {
  const { nBits, roundingThresholdBits, interiorNoise, tuning } = options;
  if (nBits === "auto" || isAutoRounding(roundingThresholdBits) || interiorNoise === "auto") {
    const message =
      'expected settings, got "auto"; take those that tuneOnnxModel finds for the float model';
    throw new SottoError("BAD_ARGUMENT", "options", message);
  }
  if (tuning !== undefined) {
    const message = 'expected nBits: "auto" with it, got fixed bits; leave one of them out';
    throw new SottoError("BAD_ARGUMENT", "tuning", message);
  }
  return withFixed(options, {
    ...(nBits === undefined ? {} : { nBits }),
    ...(roundingThresholdBits === undefined ? {} : { roundingThresholdBits }),
    ...(interiorNoise === undefined ? {} : { interiorNoise }),
  });
}

/** The options with what a search found in place of "auto". */
export function settle(options: CompileOptions, found: TunedOptions): FixedOptions {
  return withFixed(options, found);
}

function withFixed(options: CompileOptions, fixed: Partial<TunedOptions>): FixedOptions {
  const { nBits: _, roundingThresholdBits: __, interiorNoise: ___, ...rest } = options;
  const { tuning: ____, ...others } = rest;
  return { ...others, ...fixed };
}

/** What the options leave open for a graph. A model trained with quantization states its own bits and choices. */
export function opennessOf(options: CompileOptions, graph: Graph): Openness {
  const { nBits = 8, roundingThresholdBits, quantization, importQat = false } = options;
  const { interiorNoise = "auto" } = options;
  const { pError, log2PError, globalPError, log2GlobalPError } = options;
  const isGiven = [pError, log2PError, globalPError, log2GlobalPError].some((p) => p !== undefined);
  return {
    nBits: nBits === "auto" ? (importQat ? 8 : null) : nBits,
    rounding: openRounding(roundingThresholdBits),
    quantization:
      nBits === "auto" && !importQat && quantization === undefined ? null : { fixed: quantization },
    // With bits that the caller chose, the failure probability is the documented default too.
    failure: nBits === "auto" && !isGiven,
    noise: interiorNoise === "auto" ? null : { fixed: interiorNoise },
    nodes: importQat ? [] : nodesWithWeights(graph),
  };
}

function openRounding(rounding: RoundingOption | AutoRounding | undefined): Openness["rounding"] {
  if (rounding === undefined) return null;
  if (!isAutoRounding(rounding)) return { fixed: rounding };
  return rounding.method === undefined ? null : { method: rounding.method };
}

function isAutoRounding(
  rounding: RoundingOption | AutoRounding | undefined,
): rounding is AutoRounding {
  return typeof rounding === "object" && rounding !== null && rounding.nBits === "auto";
}
