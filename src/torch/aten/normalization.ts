/**
 * Normalization, softmax, and what inference leaves out.
 * @module
 */
import type { Call, Rule } from "./call.ts";

/** Rules by `operator.overload`; several that share a rule are separated by spaces. */
export const normalization: Readonly<Record<string, Rule>> = {
  "batch_norm.default": batchNorm,
  "_batch_norm_no_update.default _native_batch_norm_legit_no_training.default native_batch_norm.default _native_batch_norm_legit.default":
    (call) => [batchNorm(call), undefined, undefined],
  "cudnn_batch_norm.default": (call) => [batchNorm(call), undefined, undefined, undefined],
  "layer_norm.default": layerNorm,
  "native_layer_norm.default": (call) => [layerNorm(call), undefined, undefined],
  "group_norm.default": (call) => groupNorm(call, call.number("num_groups")),
  "native_group_norm.default": (call) => {
    call.ignore("N", "C", "HxW");
    return [groupNorm(call, call.number("group")), undefined, undefined];
  },
  "instance_norm.default": instanceNorm,
  "rms_norm.default": rmsNorm,
  "softmax.int _softmax.default": (call) => softmax(call, "Softmax"),
  "log_softmax.int _log_softmax.default": (call) => softmax(call, "LogSoftmax"),
  "dropout.default feature_dropout.default alpha_dropout.default feature_alpha_dropout.default":
    dropout,
  "native_dropout.default": (call) => [dropout(call), undefined],
};

const DEFAULT_EPSILON = 1e-5;

function batchNorm(call: Call): string {
  call.ignore("momentum", "cudnn_enabled", "exponential_average_factor");
  if (call.bool("training", false)) call.refuse("it trains; export model.eval()");
  const channels = call.sizes("input")[1];
  const dtype = call.resultDType();
  const inputs = [
    call.tensor("input"),
    call.optionalTensor("weight") ?? call.filled(dtype, [channels], 1),
    call.optionalTensor("bias") ?? call.filled(dtype, [channels], 0),
    call.tensor("running_mean"),
    call.tensor("running_var"),
  ];
  const epsilon = call.number(call.has("epsilon") ? "epsilon" : "eps", DEFAULT_EPSILON);
  return call.emit("BatchNormalization", inputs, { epsilon });
}

function layerNorm(call: Call): string {
  call.ignore("cudnn_enable");
  const sizes = call.ints("normalized_shape");
  const dtype = call.resultDType();
  const bias = call.optionalTensor("bias");
  const weight = call.optionalTensor("weight") ?? call.filled(dtype, sizes, 1);
  const inputs = [call.tensor("input"), weight, ...(bias === undefined ? [] : [bias])];
  const epsilon = call.number("eps", DEFAULT_EPSILON);
  return call.emit("LayerNormalization", inputs, { axis: -sizes.length, epsilon });
}

/** Groups of channels as the channels of an instance normalization, and then a factor and an offset per channel. */
function groupNorm(call: Call, groups: number): string {
  call.ignore("cudnn_enabled");
  const sizes = call.sizes("input");
  const dtype = call.resultDType();
  const grouped = call.emit("Reshape", [call.tensor("input"), call.longs([0, groups, -1])]);
  const normalized = call.emit(
    "InstanceNormalization",
    [grouped, call.filled(dtype, [groups], 1), call.filled(dtype, [groups], 0)],
    { epsilon: call.number("eps", DEFAULT_EPSILON) },
  );
  const target = [0, ...sizes.slice(1).map((size) => call.fixed(size))];
  const value = call.emit("Reshape", [normalized, call.longs(target)]);
  return affine(call, value, [call.fixed(sizes[1]), ...sizes.slice(2).map(() => 1)]);
}

/** `value * weight + bias`, both in the given shape. */
function affine(call: Call, value: string, shape: readonly number[]): string {
  const weight = call.optionalTensor("weight");
  const bias = call.optionalTensor("bias");
  const shaped = (name: string): string => call.emit("Reshape", [name, call.longs(shape)]);
  const scaled = weight === undefined ? value : call.emit("Mul", [value, shaped(weight)]);
  return bias === undefined ? scaled : call.emit("Add", [scaled, shaped(bias)]);
}

function instanceNorm(call: Call): string {
  call.ignore("momentum", "cudnn_enabled", "running_mean", "running_var");
  if (!call.bool("use_input_stats", true)) return batchNorm(call);
  const channels = call.sizes("input")[1];
  const dtype = call.resultDType();
  const inputs = [
    call.tensor("input"),
    call.optionalTensor("weight") ?? call.filled(dtype, [channels], 1),
    call.optionalTensor("bias") ?? call.filled(dtype, [channels], 0),
  ];
  return call.emit("InstanceNormalization", inputs, {
    epsilon: call.number("eps", DEFAULT_EPSILON),
  });
}

/** `x / sqrt(mean(x^2) + eps) * weight`. */
function rmsNorm(call: Call): string {
  const dtype = call.resultDType();
  const x = call.tensor("input");
  const axes = call.longs(call.ints("normalized_shape").map((_, i, list) => i - list.length));
  const mean = call.emit("ReduceMean", [call.emit("Mul", [x, x]), axes], { keepdims: 1 });
  const epsilon = call.scalar(dtype, call.number("eps", 2 ** -23));
  const root = call.emit("Sqrt", [call.emit("Add", [mean, epsilon])]);
  const normalized = call.emit("Div", [x, root]);
  const weight = call.optionalTensor("weight");
  return weight === undefined ? normalized : call.emit("Mul", [normalized, weight]);
}

function softmax(call: Call, opType: string): string {
  call.ignore("dtype", "half_to_float");
  const axis = call.axis("dim", call.sizes("self").length);
  return call.emit(opType, [call.operand("self", call.resultDType())], { axis });
}

function dropout(call: Call): string {
  call.ignore("p");
  if (call.bool("train", false)) call.refuse("it trains; export model.eval()");
  return call.tensor("input");
}
