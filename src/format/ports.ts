/**
 * The client's view of a circuit's inputs and outputs.
 * @module
 */
import { type Circuit, inputsOf, oneHotOf } from "../circuit/ir.ts";
import type { ClientPort } from "./client-spec.ts";
import { type OutputForm, WHOLE } from "../parameters/parameters.ts";
import type { EncodingPlan } from "../parameters/encoding-plan.ts";
import { requireBounds } from "../passes/infer-bounds.ts";
import type { QuantizedModule } from "../quantization/module.ts";

export interface PortOptions {
  readonly bounds: "calibrated" | "guaranteed";
  /** Inputs that the server may see. Default: none. */
  readonly isClear?: (input: number) => boolean;
  /** How outputs travel. Default: whole. */
  readonly forms?: readonly OutputForm[];
}

/** Ports with scale and decoding window for every input and output of the module. */
export function clientPorts(
  module: Pick<QuantizedModule, "inputs" | "outputs">,
  circuit: Circuit,
  plan: EncodingPlan,
  { bounds, isClear = () => false, forms = [] }: PortOptions,
): { readonly inputs: readonly ClientPort[]; readonly outputs: readonly ClientPort[] } {
  const inputs = inputsOf(circuit).map(({ id, interval }, i) => {
    const oneHot = oneHotOf(circuit, id);
    return {
      ...module.inputs[i],
      isEncrypted: !isClear(i),
      form: null,
      oneHot: oneHot && { lowest: oneHot.lowest, sizes: oneHot.sizes },
      scale: plan.scales[oneHot?.id ?? id],
      middle: Math.floor((interval.lo + interval.hi) / 2),
    };
  });
  const outputs = circuit.outputs.map((id, i) => {
    const { lo, hi } = requireBounds(circuit.values[id])[bounds];
    const { shape } = circuit.values[id];
    return {
      ...module.outputs[i],
      isEncrypted: true,
      oneHot: null,
      form: forms[i] ?? WHOLE,
      shape,
      scale: plan.scales[id],
      middle: Math.floor((lo + hi) / 2),
    };
  });
  return { inputs, outputs };
}
