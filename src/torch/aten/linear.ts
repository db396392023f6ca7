/**
 * Matrix products, convolutions, attention.
 * @module
 */
import { tensor } from "../../tensor/tensor.ts";
import type { Call, Rule } from "./call.ts";

/** Rules by `operator.overload`; several that share a rule are separated by spaces. */
export const linear: Readonly<Record<string, Rule>> = {
  "linear.default": linearLayer,
  "addmm.default": (call) =>
    call.emit("Gemm", [call.tensor("mat1"), call.tensor("mat2"), call.tensor("self")], {
      alpha: call.number("alpha", 1),
      beta: call.number("beta", 1),
      transA: 0,
      transB: 0,
    }),
  "mm.default": (call) => call.emit("MatMul", [call.tensor("self"), call.tensor("mat2")]),
  "bmm.default": (call) => call.emit("MatMul", [call.tensor("self"), call.tensor("mat2")]),
  "mv.default": (call) => call.emit("MatMul", [call.tensor("self"), call.tensor("vec")]),
  "matmul.default": (call) => call.emit("MatMul", [call.tensor("self"), call.tensor("other")]),
  "baddbmm.default": (call) => {
    const product = call.emit("MatMul", [call.tensor("batch1"), call.tensor("batch2")]);
    return call.emit("Add", [
      scale(call, call.tensor("self"), call.number("beta", 1)),
      scale(call, product, call.number("alpha", 1)),
    ]);
  },
  "einsum.default": (call) => {
    call.ignore("path");
    const equation = call.string("equation", "").replaceAll(" ", "");
    return call.emit("Einsum", call.tensors("tensors").map(present(call)), { equation });
  },
  "conv1d.default": convolution(1),
  "conv2d.default": convolution(2),
  "conv3d.default": convolution(3),
  "conv1d.padding": convolution(1),
  "conv2d.padding": convolution(2),
  "conv3d.padding": convolution(3),
  "conv_transpose1d.default": transposedConvolution(1),
  "conv_transpose2d.input": transposedConvolution(2),
  "conv_transpose3d.input": transposedConvolution(3),
  "convolution.default": (call) => {
    const rank = call.sizes("input").length - 2;
    if (call.bool("transposed", false)) return transposedConvolution(rank)(call);
    call.ignore("output_padding");
    return convolution(rank)(call);
  },
  "scaled_dot_product_attention.default": attention,
  "_scaled_dot_product_flash_attention_for_cpu.default": (call) => [attention(call), undefined],
};

function present(call: Call): (name: string | undefined) => string {
  return (name) => name ?? call.refuse("expected a tensor, got None");
}

function scale(call: Call, value: string, factor: number): string {
  if (factor === 1) return value;
  return call.emit("Mul", [value, call.scalar(call.resultDType(), factor)]);
}

/** `x W' + b`: Gemm on rows, MatMul and Add where x has more axes. */
function linearLayer(call: Call): string {
  const x = call.tensor("input");
  const weight = call.tensor("weight");
  const bias = call.optionalTensor("bias");
  if (bias !== undefined && call.sizes("input").length === 2) {
    return call.emit("Gemm", [x, weight, bias], { alpha: 1, beta: 1, transA: 0, transB: 1 });
  }
  const transposed = call.emit("Transpose", [weight], { perm: [1, 0] });
  const product = call.emit("MatMul", [x, transposed]);
  return bias === undefined ? product : call.emit("Add", [bias, product]);
}

function convolution(rank: number): Rule {
  return (call) => {
    checkBatched(call, rank);
    const kernel = kernelOf(call, rank);
    const dilations = call.perAxis("dilation", rank, 1);
    return call.emit("Conv", operands(call), {
      dilations,
      group: call.number("groups", 1),
      kernel_shape: kernel,
      pads: padding(call, kernel, dilations),
      strides: call.perAxis("stride", rank, 1),
    });
  };
}

function transposedConvolution(rank: number): Rule {
  return (call) => {
    checkBatched(call, rank);
    const pads = call.perAxis("padding", rank, 0);
    return call.emit("ConvTranspose", operands(call), {
      dilations: call.perAxis("dilation", rank, 1),
      group: call.number("groups", 1),
      kernel_shape: kernelOf(call, rank),
      output_padding: call.perAxis("output_padding", rank, 0),
      pads: [...pads, ...pads],
      strides: call.perAxis("stride", rank, 1),
    });
  };
}

function checkBatched(call: Call, rank: number): void {
  if (rank >= 1 && call.sizes("input").length === rank + 2) return;
  call.refuse("expected an input with a batch and a channel axis before the spatial ones");
}

function kernelOf(call: Call, rank: number): number[] {
  return call
    .sizes("weight")
    .slice(2, 2 + rank)
    .map((size) => call.fixed(size));
}

function operands(call: Call): string[] {
  const bias = call.optionalTensor("bias");
  return [call.tensor("input"), call.tensor("weight"), ...(bias === undefined ? [] : [bias])];
}

/** Pads before and after each axis; "same" puts the odd one behind. */
function padding(call: Call, kernel: readonly number[], dilations: readonly number[]): number[] {
  const mode = call.isString("padding") ? call.string("padding", "") : "";
  if (mode === "same") {
    const totals = kernel.map((size, axis) => dilations[axis] * (size - 1));
    const before = totals.map((total) => Math.floor(total / 2));
    return [...before, ...totals.map((total, axis) => total - before[axis])];
  }
  const pads = mode === "valid" ? kernel.map(() => 0) : call.perAxis("padding", kernel.length, 0);
  return [...pads, ...pads];
}

/** softmax(q k' / sqrt(d) + mask) v, with the factor split evenly over q and k. */
function attention(call: Call): string {
  if (call.number("dropout_p", 0) !== 0) call.refuse("dropout_p has to be 0; export model.eval()");
  if (call.bool("enable_gqa", false) || call.bool("return_debug_mask", false)) {
    call.refuse("enable_gqa and return_debug_mask are not supported");
  }
  const dtype = call.resultDType();
  const sizes = call.sizes("query");
  const depth = call.fixed(sizes.at(-1));
  const root = call.scalar(dtype, Math.sqrt(call.number("scale", 1 / Math.sqrt(depth))));
  const perm = sizes.map((_, axis) => axis);
  perm.push(...perm.splice(-2).toReversed());
  const keys = call.emit("Transpose", [call.tensor("key")], { perm });
  const scores = call.emit("MatMul", [
    call.emit("Mul", [call.tensor("query"), root]),
    call.emit("Mul", [keys, root]),
  ]);
  const mask = attentionMask(call);
  const masked = mask === undefined ? scores : call.emit("Add", [scores, mask]);
  const weights = call.emit("Softmax", [masked], { axis: -1 });
  return call.emit("MatMul", [weights, call.tensor("value")]);
}

/** What is added to the scores: 0 where attention is allowed, -Infinity where it is not. */
function attentionMask(call: Call): string | undefined {
  const dtype = call.resultDType();
  if (call.has("attn_mask")) {
    if (call.bool("is_causal", false)) call.refuse("attn_mask and is_causal exclude each other");
    if (call.dtype("attn_mask") !== "bool") return call.operand("attn_mask", dtype);
    const [allowed, forbidden] = [call.scalar(dtype, 0), call.scalar(dtype, -Infinity)];
    return call.emit("Where", [call.tensor("attn_mask"), allowed, forbidden]);
  }
  if (!call.bool("is_causal", false)) return undefined;
  const rows = call.fixed(call.sizes("query").at(-2));
  const columns = call.fixed(call.sizes("key").at(-2));
  call.checkCount(rows * columns);
  const data = Array.from({ length: rows * columns }, (_, i) =>
    i % columns > Math.floor(i / columns) ? -Infinity : 0,
  );
  return call.constant(tensor(dtype, [rows, columns], data));
}
