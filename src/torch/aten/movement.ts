/**
 * Operators that move, repeat or choose elements.
 * @module
 */
import { scalar } from "../../tensor/tensor.ts";
import type { Size } from "../program.ts";
import type { Call, Rule } from "./call.ts";

/** Rules by `operator.overload`; several that share a rule are separated by spaces. */
export const movement: Readonly<Record<string, Rule>> = {
  "view.default reshape.default _unsafe_view.default unflatten.int": (call) => {
    call.ignore("size", "shape", "dim", "sizes");
    return reshape(call);
  },
  "view_as.default reshape_as.default": (call) => {
    call.ignore("other");
    return reshape(call);
  },
  "flatten.using_ints": flatten,
  "permute.default": (call) =>
    call.emit("Transpose", [call.tensor("self")], {
      perm: call.axes("dims", call.sizes("self").length),
    }),
  "transpose.int": (call) => {
    const rank = call.sizes("self").length;
    return swap(call, call.axis("dim0", rank), call.axis("dim1", rank));
  },
  "swapaxes.default": (call) => {
    const rank = call.sizes("self").length;
    return swap(call, call.axis("axis0", rank), call.axis("axis1", rank));
  },
  "swapdims.default": (call) => {
    const rank = call.sizes("self").length;
    return swap(call, call.axis("dim0", rank), call.axis("dim1", rank));
  },
  "t.default numpy_T.default mT.default": (call) => {
    const rank = call.sizes("self").length;
    return rank < 2 ? call.tensor("self") : swap(call, rank - 2, rank - 1);
  },
  "squeeze.default squeeze.dim squeeze.dims": squeeze,
  "unsqueeze.default": (call) => {
    const axis = call.axis("dim", call.sizes("self").length + 1);
    return call.emit("Unsqueeze", [call.tensor("self"), call.longs([axis])]);
  },
  "cat.default concat.default concatenate.default": (call) => {
    // PyTorch skips empty lists, which older programs start from.
    const sizes = call.sizesOfEach("tensors");
    const parts = call
      .tensors("tensors")
      .filter((_, i) => !(sizes[i].length === 1 && sizes[i][0] === 0));
    const axis = call.axis("dim", call.resultSizes().length, 0);
    return call.emit(
      "Concat",
      parts.map((name) => name ?? call.refuse("expected tensors")),
      { axis },
    );
  },
  "stack.default": (call) => {
    const axis = call.axis("dim", call.resultSizes().length, 0);
    const parts = call
      .tensors("tensors")
      .map((name) => name ?? call.refuse("expected tensors"))
      .map((name) => call.emit("Unsqueeze", [name, call.longs([axis])]));
    return call.emit("Concat", parts, { axis });
  },
  "slice.Tensor narrow.default": slice,
  "select.int": (call) => {
    const axis = call.axis("dim", call.sizes("self").length);
    const index = call.constant(scalar("int64", call.number("index")));
    return call.emit("Gather", [call.tensor("self"), index], { axis });
  },
  "index_select.default": (call) =>
    call.emit("Gather", [call.tensor("self"), call.operand("index", "int64")], {
      axis: call.axis("dim", call.sizes("self").length),
    }),
  "index.Tensor": index,
  "gather.default": (call) =>
    call.emit("GatherElements", [call.tensor("self"), call.tensor("index")], {
      axis: call.axis("dim", call.sizes("self").length),
    }),
  "embedding.default": (call) => {
    call.ignore("padding_idx", "scale_grad_by_freq", "sparse");
    return call.emit("Gather", [call.tensor("weight"), call.tensor("indices")]);
  },
  "split.Tensor split_with_sizes.default split.sizes chunk.default unsafe_split.Tensor unsafe_chunk.default tensor_split.sections":
    (call) => {
      call.ignore("split_size", "split_sizes", "chunks", "sections");
      return split(call);
    },
  "unbind.int": (call) => unbind(call),
  "expand.default": (call) => {
    call.ignore("size", "implicit");
    return expand(call);
  },
  "expand_as.default": (call) => {
    call.ignore("other");
    return expand(call);
  },
  "repeat.default tile.default": repeat,
  "flip.default": (call) => {
    const axes = call.axes("dims", call.sizes("self").length);
    const [starts, ends] = [axes.map(() => -1), axes.map(() => -(2 ** 53))];
    const inputs = [starts, ends, axes, axes.map(() => -1)].map((list) => call.longs(list));
    return call.emit("Slice", [call.tensor("self"), ...inputs]);
  },
  "roll.default": roll,
  "constant_pad_nd.default": (call) => pad(call, "constant"),
  "pad.default": (call) => pad(call, call.string("mode", "constant")),
  "reflection_pad1d.default reflection_pad2d.default reflection_pad3d.default": (call) =>
    pad(call, "reflect"),
  "replication_pad1d.default replication_pad2d.default replication_pad3d.default": (call) =>
    pad(call, "replicate"),
  "tril.default": (call) => triangle(call, 0),
  "triu.default": (call) => triangle(call, 1),
  "clone.default contiguous.default detach.default alias.default lift_fresh_copy.default lift_fresh.default":
    (call) => call.tensor("self"),
  "to.dtype to.dtype_layout to.device to.other _to_copy.default type_as.default float.default double.default":
    (call) => {
      call.ignore("dtype", "other");
      return call.operand("self", call.resultDType());
    },
  "copy.default": (call) => {
    call.ignore("self");
    const value = call.operand("src", call.resultDType());
    return call.emit("Expand", [value, call.longs(expandTarget(call, call.sizes("src")))]);
  },
};

/** Operators whose result may share memory with their argument, without their overload. */
export const views: ReadonlySet<string> = new Set(
  (
    "view reshape swapaxes swapdims unflatten view_as reshape_as flatten permute transpose t numpy_T mT squeeze unsqueeze slice narrow " +
    "select split split_with_sizes chunk tensor_split unbind expand expand_as detach alias contiguous to type_as " +
    "float double dropout feature_dropout alpha_dropout feature_alpha_dropout lift_fresh real"
  ).split(" "),
);

/**
 * Another shape for the same elements. The first axis keeps whatever batch there is: it is copied (0) where both shapes begin
 * with the same size, and inferred (-1) where they do not.
 */
function reshape(call: Call): string {
  const [from, to] = [call.sizes("self"), call.resultSizes()];
  const isKept = from.length > 0 && to.length > 0 && from[0] === to[0];
  const target: number[] = to.map((size, axis) => {
    if (axis === 0 && isKept) return 0;
    return typeof size === "number" ? size : -1;
  });
  if (!isKept && to.length > 0 && !target.includes(-1) && !target.includes(0)) target[0] = -1;
  if (target.filter((size) => size === -1).length > 1) {
    call.refuse(`more than one axis of [${to.join(", ")}] varies`);
  }
  const isZeroSize = target.some((size, axis) => size === 0 && (axis > 0 || to[0] === 0));
  if (isZeroSize) call.refuse("a tensor without elements");
  return call.emit("Reshape", [call.tensor("self"), call.longs(target)]);
}

function flatten(call: Call): string {
  const rank = call.sizes("self").length;
  const start = call.axis("start_dim", rank, 0);
  const end = call.axis("end_dim", rank, -1);
  if (start === 1 && end === rank - 1)
    return call.emit("Flatten", [call.tensor("self")], { axis: 1 });
  return reshape(call);
}

function swap(call: Call, a: number, b: number): string {
  const perm = call.sizes("self").map((_, axis) => axis);
  [perm[a], perm[b]] = [perm[b], perm[a]];
  return call.emit("Transpose", [call.tensor("self")], { perm });
}

/** Drops axes of size 1: all of them, or those that are named. */
function squeeze(call: Call): string {
  const sizes = call.sizes("self");
  const named = call.axes(
    "dim",
    sizes.length,
    sizes.map((_, axis) => axis),
  );
  const axes = named.filter((axis) => sizes[axis] === 1);
  if (axes.length === 0) return call.tensor("self");
  return call.emit("Squeeze", [call.tensor("self"), call.longs(axes)]);
}

function slice(call: Call): string {
  const sizes = call.sizes("self");
  const axis = call.axis("dim", sizes.length, 0);
  const start = call.number("start", 0);
  const step = call.number("step", 1);
  const isWhole = call.resultSizes()[axis] === sizes[axis] && step === 1;
  if (isWhole) {
    call.ignore("end", "length");
    return call.tensor("self");
  }
  const end = call.has("length") ? start + call.number("length") : call.number("end", 2 ** 53);
  const inputs = [[start], [end], [axis], [step]].map((list) => call.longs(list));
  return call.emit("Slice", [call.tensor("self"), ...inputs]);
}

/** Indexing by one tensor of integers; more would pick single elements. */
function index(call: Call): string {
  const indices = call.tensors("indices");
  const axis = indices.findIndex((name) => name !== undefined);
  const value = indices[axis];
  if (value === undefined || indices.some((name, i) => i !== axis && name !== undefined)) {
    call.refuse("expected exactly one tensor of indices");
  }
  if (call.dtypesOfEach("indices")[axis] !== "int64")
    call.refuse("indexing by a mask is not supported");
  return call.emit("Gather", [call.tensor("self"), value], { axis });
}

function split(call: Call): string[] {
  const axis = call.axis("dim", call.sizes("self").length, 0);
  const sizes = call.resultNames.map((_, i) => call.fixed(call.resultSizes(i)[axis]));
  if (sizes.length === 1) return [call.tensor("self")];
  return call.emitMany("Split", [call.tensor("self"), call.longs(sizes)], sizes.length, { axis });
}

function unbind(call: Call): string[] {
  const axis = call.axis("dim", call.sizes("self").length, 0);
  const count = call.resultNames.length;
  const ones = call.longs(call.resultNames.map(() => 1));
  const parts =
    count === 1
      ? [call.tensor("self")]
      : call.emitMany("Split", [call.tensor("self"), ones], count, { axis });
  return parts.map((part) => call.emit("Squeeze", [part, call.longs([axis])]));
}

function expand(call: Call): string {
  const from = call.sizes("self");
  const target = expandTarget(call, from);
  const added = target.length - from.length;
  const isSame = added === 0 && target.every((size) => size === 1);
  return isSame
    ? call.tensor("self")
    : call.emit("Expand", [call.tensor("self"), call.longs(target)]);
}

/** The sizes of the result, with 1 where nothing is repeated and where the batch decides. */
function expandTarget(call: Call, from: readonly Size[]): number[] {
  const to = call.resultSizes();
  return to.map((size, axis) => {
    const source = from[axis - to.length + from.length];
    if (size === source || (axis === 0 && typeof size === "string")) return 1;
    return call.fixed(size);
  });
}

function repeat(call: Call): string {
  const repeats = call.ints(call.has("repeats") ? "repeats" : "dims");
  const rank = call.sizes("self").length;
  const added = Array.from({ length: Math.max(repeats.length - rank, 0) }, (_, axis) => axis);
  const value = call.tensor("self");
  const input = added.length === 0 ? value : call.emit("Unsqueeze", [value, call.longs(added)]);
  const ones = Array.from({ length: Math.max(rank - repeats.length, 0) }, () => 1);
  return call.emit("Tile", [input, call.longs([...ones, ...repeats])]);
}

/** Elements that leave at one end of an axis come back at the other. */
function roll(call: Call): string {
  const sizes = call.sizes("self");
  const shifts = call.ints("shifts");
  const axes = call.axes("dims", sizes.length, []);
  if (axes.length !== shifts.length) call.refuse("expected one axis per shift");
  let value = call.tensor("self");
  for (const [i, axis] of axes.entries()) {
    const size = call.fixed(sizes[axis]);
    const shift = size === 0 ? 0 : ((shifts[i] % size) + size) % size;
    if (shift === 0) continue;
    const part = (start: number, end: number): string => {
      const inputs = [[start], [end], [axis], [1]].map((list) => call.longs(list));
      return call.emit("Slice", [value, ...inputs]);
    };
    value = call.emit("Concat", [part(size - shift, size), part(0, size - shift)], { axis });
  }
  return value;
}

/** PyTorch lists pads from the last axis on, ONNX all those before the elements and then all those behind. */
function pad(call: Call, mode: string): string {
  const pads = call.ints(call.has("pad") ? "pad" : "padding");
  const names = new Map([
    ["constant", "constant"],
    ["reflect", "reflect"],
    ["replicate", "edge"],
    ["circular", "wrap"],
  ]);
  const known = names.get(mode) ?? call.refuse(`mode ${mode} is not supported`);
  const rank = call.sizes("self").length;
  const at = (axis: number, side: 0 | 1): number => pads[2 * (rank - 1 - axis) + side] ?? 0;
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const list = call.longs([...axes.map((axis) => at(axis, 0)), ...axes.map((axis) => at(axis, 1))]);
  const fill = call.number("value", 0);
  const value = known === "constant" ? [call.scalar(call.resultDType(), fill)] : [];
  return call.emit("Pad", [call.tensor("self"), list, ...value], { mode: known });
}

function triangle(call: Call, upper: number): string {
  const diagonal = call.constant(scalar("int64", call.number("diagonal", 0)));
  return call.emit("Trilu", [call.tensor("self"), diagonal], { upper });
}
