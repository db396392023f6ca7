/**
 * The graph of an exported program as plain typed values (torch/_export/serde/schema.py, schema 4 to 8). Nothing is interpreted
 * yet: operators are names, and sizes that vary are expressions of symbols.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Json } from "../files/json.ts";

/** A size: a number, or the text of an expression where it varies. */
export type Size = number | string;

/** A tensor's type. */
export interface TensorMeta {
  /** torch._export.serde.schema.ScalarType. */
  readonly scalarType: number;
  readonly sizes: readonly Size[];
}

/** An argument or a result of a node. */
export type Argument =
  | { readonly kind: "none" }
  | { readonly kind: "tensor"; readonly name: string }
  | { readonly kind: "tensors"; readonly names: readonly (string | undefined)[] }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "sizes"; readonly values: readonly Size[] }
  | { readonly kind: "floats"; readonly values: readonly number[] }
  | { readonly kind: "bools"; readonly values: readonly boolean[] }
  | { readonly kind: "scalarType"; readonly value: number }
  /** A size that varies. */
  | { readonly kind: "symbol"; readonly name: string; readonly size: Size }
  /** What no supported operator takes: graphs, custom objects and the like. */
  | { readonly kind: "other"; readonly what: string };

/** One operator applied to arguments. */
export interface TorchNode {
  /** Such as `torch.ops.aten.linear.default`. */
  readonly target: string;
  /** By the name in the operator's schema; those left at their default are not there. */
  readonly arguments: ReadonlyMap<string, Argument>;
  readonly results: readonly Argument[];
  /** The modules of the model that the node belongs to: names and classes. */
  readonly modules: string;
}

/** Where a name that the graph reads gets its value from. */
export type InputSource =
  | { readonly kind: "user" }
  | { readonly kind: "weight"; readonly name: string }
  | { readonly kind: "constant"; readonly name: string };

/** A program as read. */
export interface TorchProgram {
  readonly inputs: ReadonlyMap<string, InputSource>;
  readonly outputs: readonly string[];
  readonly nodes: readonly TorchNode[];
  readonly tensors: ReadonlyMap<string, TensorMeta>;
}

const OLDEST_SCHEMA = 4;
const NEWEST_SCHEMA = 8;

/** Reads a program. Throws BAD_MODEL. */
export function readProgram(json: Json): TorchProgram {
  checkSchema(json);
  const module = json.get("graph_module");
  const graph = module.get("graph");
  const signature = module.get("signature");
  const symbols = new Map<string, Size>();
  for (const [name, size] of graph.get("sym_int_values").entries()) {
    symbols.set(name, readSize(size));
  }
  const tensors = new Map<string, TensorMeta>();
  for (const [name, meta] of graph.get("tensor_values").entries()) {
    const scalarType = meta.get("dtype").integer();
    tensors.set(name, { scalarType, sizes: meta.get("sizes").list().map(readSize) });
  }
  const inputs = new Map<string, InputSource>();
  for (const spec of signature.get("input_specs").list()) readInput(spec, inputs);
  return {
    inputs,
    outputs: signature.get("output_specs").list().flatMap(readOutput),
    nodes: graph
      .get("nodes")
      .list()
      .map((node) => readNode(node, symbols)),
    tensors,
  };
}

function checkSchema(json: Json): void {
  const version = json.get("schema_version");
  const major = version.get("major").integer();
  if (major >= OLDEST_SCHEMA && major <= NEWEST_SCHEMA) return;
  const expected = `expected schema version ${OLDEST_SCHEMA} to ${NEWEST_SCHEMA}, got ${major}`;
  const advice = "export the model with another version of PyTorch";
  throw new SottoError("BAD_MODEL", version.where, `${expected}; ${advice}`);
}

function readSize(json: Json): Size {
  const [kind, value] = json.variant();
  if (kind === "as_int") return value.integer();
  return symbolText(value.get("expr_str").string());
}

/** PyTorch 2.5 and later write `Symbol('s0', positive=True, integer=True)` for what was `s0` before. */
function symbolText(text: string): string {
  return text.replace(/Symbol\('(\w+)'[^)]*\)/g, "$1");
}

function readInput(spec: Json, inputs: Map<string, InputSource>): void {
  const [kind, value] = spec.variant();
  const define = (name: string, source: InputSource): void => {
    if (inputs.has(name)) throw new SottoError("BAD_MODEL", name, "the name is defined twice");
    inputs.set(name, source);
  };
  const argument = value.get("arg");
  switch (kind) {
    case "user_input": {
      const [type, tensor] = argument.variant();
      if (type === "as_none") return;
      if (type === "as_tensor") return define(tensor.get("name").string(), { kind: "user" });
      const message = `expected tensors as inputs of the model, got ${type.slice("as_".length)}`;
      throw new SottoError("BAD_MODEL", argument.where, message);
    }
    case "parameter": {
      const name = value.get("parameter_name").string();
      return define(argument.get("name").string(), { kind: "weight", name });
    }
    case "buffer": {
      const name = value.get("buffer_name").string();
      // Before PyTorch 2.3 every buffer was part of the state.
      const isState = value.get("persistent").isAbsent || value.get("persistent").boolean();
      return define(argument.get("name").string(), { kind: isState ? "weight" : "constant", name });
    }
    case "tensor_constant": {
      const name = value.get("tensor_constant_name").string();
      return define(argument.get("name").string(), { kind: "constant", name });
    }
    default: {
      const message = `an input of kind ${kind} is not supported; expected tensors, parameters and buffers`;
      throw new SottoError("BAD_MODEL", spec.where, message);
    }
  }
}

function readOutput(spec: Json): string[] {
  const [kind, value] = spec.variant();
  if (kind === "user_output") {
    const [type, tensor] = value.get("arg").variant();
    if (type === "as_none") return [];
    if (type === "as_tensor") return [tensor.get("name").string()];
    const message = `expected tensors as outputs of the model, got ${type.slice("as_".length)}`;
    throw new SottoError("BAD_MODEL", spec.where, message);
  }
  const message = `the program has a result of kind ${kind}: it changes its own state or trains`;
  throw new SottoError("BAD_MODEL", spec.where, `${message}; export model.eval()`);
}

function readNode(json: Json, symbols: ReadonlyMap<string, Size>): TorchNode {
  const modules = json.get("metadata").get("nn_module_stack");
  return {
    target: json.get("target").string(),
    arguments: new Map(
      json
        .get("inputs")
        .list()
        .map((input) => [input.get("name").string(), readArgument(input.get("arg"), symbols)]),
    ),
    results: json
      .get("outputs")
      .list()
      .map((result) => readArgument(result, symbols)),
    modules: modules.isAbsent ? "" : modules.string(),
  };
}

function readArgument(json: Json, symbols: ReadonlyMap<string, Size>): Argument {
  const [kind, value] = json.variant();
  const symbol = (item: Json): Size => readSymbol(item, symbols);
  switch (kind) {
    case "as_none":
      return { kind: "none" };
    case "as_tensor":
      return { kind: "tensor", name: value.get("name").string() };
    case "as_tensors":
      return { kind: "tensors", names: value.list().map((item) => item.get("name").string()) };
    case "as_optional_tensor":
      return readArgument(value, symbols);
    case "as_optional_tensors":
      return { kind: "tensors", names: value.list().map(readOptionalTensor) };
    case "as_int":
      return { kind: "number", value: value.integer() };
    case "as_float":
      return { kind: "number", value: value.number() };
    case "as_ints":
      return { kind: "sizes", values: value.list().map((item) => item.integer()) };
    case "as_floats":
      return { kind: "floats", values: value.list().map((item) => item.number()) };
    case "as_bool":
      return { kind: "bool", value: value.boolean() };
    case "as_bools":
      // How PyTorch 2.3 writes an empty list, whatever it is a list of.
      if (value.list().length === 0) return { kind: "sizes", values: [] };
      return { kind: "bools", values: value.list().map((item) => item.boolean()) };
    case "as_string":
      return { kind: "string", value: value.string() };
    case "as_sym_int": {
      const [type, item] = value.variant();
      if (type === "as_int") return { kind: "number", value: item.integer() };
      return { kind: "symbol", name: item.string(), size: symbol(value) };
    }
    case "as_sym_ints":
      return { kind: "sizes", values: value.list().map(symbol) };
    case "as_scalar_type":
      return { kind: "scalarType", value: value.integer() };
    default:
      return { kind: "other", what: kind };
  }
}

/** Up to PyTorch 2.3 the name stood there by itself. */
function readOptionalTensor(json: Json): string | undefined {
  const [kind, value] = json.variant();
  if (kind !== "as_tensor") return undefined;
  return typeof value.value === "string" ? value.value : value.get("name").string();
}

function readSymbol(json: Json, symbols: ReadonlyMap<string, Size>): Size {
  const [kind, value] = json.variant();
  if (kind === "as_int") return value.integer();
  const name = value.string();
  return symbols.get(name) ?? name;
}
