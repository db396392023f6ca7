/**
 * A program to a model of ONNX operators: ATen operators by their rows in the table, weights from the archive.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { GraphValue } from "../onnx/graph.ts";
import type { Model, ModelNode } from "../onnx/proto.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { TorchArchive } from "./archive.ts";
import { Call, shortName, type Surroundings } from "./aten/call.ts";
import { findRule, isView, parseTarget } from "./aten/index.ts";
import type { Argument, InputSource, TensorMeta, TorchNode, TorchProgram } from "./program.ts";
import { dtypeOfScalarType } from "./storage.ts";

/** The operator set whose nodes the rules emit. */
const OPSET = 20;

/** Sizes that are computed, and checks of them: everything they say is in the sizes of the tensors too. */
const ABOUT_SIZES =
  /^(?:_operator\.\w+|math\.\w+|torch\.sym_\w+|torch\.ops\.aten\.(?:sym_\w+|_assert_\w+|_local_scalar_dense)\.\w+)$/;

/** Lowers a program. Throws BAD_MODEL, BAD_ARGUMENT for quantization-aware training, UNSUPPORTED_OPERATOR with all names. */
export function lowerProgram(program: TorchProgram, archive: TorchArchive): Model {
  checkBrevitas(program.nodes);
  const nodes = liveNodes(program);
  checkOperators(nodes);
  const lowering = new Lowering(program, archive);
  for (const node of nodes) lowering.lower(node);
  return lowering.finish();
}

/** Points a model with Brevitas layers to the function for it: quantizing it again would discard what it learned. */
function checkBrevitas(nodes: readonly TorchNode[]): void {
  const node = nodes.find(({ target, modules }) =>
    /\bbrevitas\b|autograd_ste_ops/.test(`${target} ${modules}`),
  );
  if (!node) return;
  const message =
    "the model has Brevitas layers, which hold their own quantizers; export it to ONNX with Brevitas and use compileBrevitasQatModel";
  throw new SottoError("BAD_ARGUMENT", shortName(node), message);
}

function resultsOf({ results }: TorchNode): string[] {
  return results.flatMap(tensorNames);
}

function tensorNames(argument: Argument): string[] {
  if (argument.kind === "tensor") return [argument.name];
  if (argument.kind !== "tensors") return [];
  return argument.names.filter((name) => name !== undefined);
}

/** The nodes that some output depends on; those that write over a tensor stay, whoever reads it. */
function liveNodes({ nodes, outputs }: TorchProgram): TorchNode[] {
  const needed = new Set(outputs);
  const live = nodes.toReversed().filter((node) => {
    if (ABOUT_SIZES.test(node.target)) return false;
    const isNeeded =
      (parseTarget(node)?.isInPlace ?? false) || resultsOf(node).some((name) => needed.has(name));
    if (!isNeeded) return false;
    for (const argument of node.arguments.values()) {
      for (const name of tensorNames(argument)) needed.add(name);
    }
    return true;
  });
  return live.toReversed();
}

/** Refuses a program with all its unsupported operators in one error. */
function checkOperators(nodes: readonly TorchNode[]): void {
  const unsupported = nodes.filter((node) => !findRule(node));
  if (unsupported.length === 0) return;
  const counts = new Map<string, number>();
  for (const node of unsupported) {
    counts.set(shortName(node), (counts.get(shortName(node)) ?? 0) + 1);
  }
  const names = [...counts].map(([name, count]) => `${name} (${count})`).join(", ");
  const message = `unsupported ATen operators: ${names}; docs/torch.md lists the supported ones`;
  throw new SottoError("UNSUPPORTED_OPERATOR", resultsOf(unsupported[0])[0] ?? "model", message);
}

/** The model as it grows, and which of its values each name of the program stands for at this point. */
class Lowering {
  private readonly program: TorchProgram;
  private readonly archive: TorchArchive;
  private readonly nodes: ModelNode[] = [];
  private readonly initializers = new Map<string, Tensor>();
  private readonly values = new Map<string, string>();
  /** Names that share memory, each with all of them. */
  private readonly sharing = new Map<string, Set<string>>();
  /** Names whose memory was written through another name, with the operator that did it. */
  private readonly stale = new Map<string, string>();
  private readonly around: Surroundings;

  constructor(program: TorchProgram, archive: TorchArchive) {
    this.program = program;
    this.archive = archive;
    this.around = {
      valueOf: (name) => this.valueOf(name),
      metaOf: (name) => this.metaOf(name),
    };
  }

  private userInputs(): string[] {
    return [...this.program.inputs].filter(([, { kind }]) => kind === "user").map(([name]) => name);
  }

  private metaOf(name: string): TensorMeta {
    const meta = this.program.tensors.get(name);
    if (meta) return meta;
    throw new SottoError("BAD_MODEL", name, "the program does not state the tensor's sizes");
  }

  private valueOf(name: string): string {
    const writer = this.stale.get(name);
    if (writer !== undefined) {
      const message = `it is read after ${writer} wrote over memory that it shares; write that step without in-place operators`;
      throw new SottoError("UNSUPPORTED_OPERATOR", name, message);
    }
    const value = this.values.get(name);
    if (value !== undefined) return value;
    const source = this.program.inputs.get(name);
    if (!source) throw new SottoError("BAD_MODEL", name, "it is read before it is defined");
    const named = source.kind === "user" ? name : this.load(name, source);
    this.values.set(name, named);
    return named;
  }

  /** Reads a parameter, buffer or constant into the model, under its qualified name where that is free. */
  private load(name: string, source: Exclude<InputSource, { readonly kind: "user" }>): string {
    const read = source.kind === "weight" ? this.archive.weight : this.archive.constant;
    const tensor = read(source.name);
    if (!tensor)
      throw new SottoError("BAD_MODEL", source.name, "the archive does not hold this tensor");
    const { sizes } = this.metaOf(name);
    if (
      tensor.shape.length !== sizes.length ||
      tensor.shape.some((size, axis) => size !== sizes[axis])
    ) {
      const message = `stored with shape [${tensor.shape.join(", ")}], the program says [${sizes.join(", ")}]`;
      throw new SottoError("BAD_MODEL", source.name, message);
    }
    const isTaken =
      this.program.tensors.has(source.name) ||
      this.initializers.has(source.name) ||
      source.name.includes("/");
    const label = isTaken ? name : source.name;
    this.initializers.set(label, tensor);
    return label;
  }

  /** Lowers one node, whose rule is known to exist. */
  lower(node: TorchNode): void {
    const rule = findRule(node);
    if (!rule) throw new Error(`internal: no rule for ${node.target}`);
    const call = new Call(node, this.around);
    const results = [rule(call)].flat();
    call.checkArguments();
    const renamed = this.append(call, results);
    const names = call.resultNames;
    for (const [i, name] of names.entries()) {
      if (name === undefined) continue;
      if (this.values.has(name) || this.program.inputs.has(name)) {
        throw new SottoError("BAD_MODEL", name, "the name is defined twice");
      }
      const value = renamed[i];
      if (value !== undefined) this.values.set(name, value);
    }
    this.trackMemory(node, names);
  }

  /** Adds a call's nodes, whose results get the names that the program has for them. */
  private append(call: Call, results: readonly (string | undefined)[]): (string | undefined)[] {
    const made = new Set(call.nodes.flatMap(({ outputs }) => outputs));
    const names = new Map<string, string>();
    for (const [i, result] of results.entries()) {
      const name = call.resultNames[i];
      if (result === undefined || name === undefined || !made.has(result)) continue;
      if (!names.has(result)) names.set(result, name);
    }
    const rename = (name: string): string => names.get(name) ?? name;
    for (const [name, value] of call.constants) this.initializers.set(name, value);
    for (const node of call.nodes) {
      this.nodes.push({
        ...node,
        name: rename(node.name),
        inputs: node.inputs.map(rename),
        outputs: node.outputs.map(rename),
      });
    }
    return results.map((result) => (result === undefined ? undefined : rename(result)));
  }

  /** Views share the memory of their argument; writing over a tensor changes all that share it. */
  private trackMemory(node: TorchNode, results: readonly (string | undefined)[]): void {
    const self = node.arguments.get("self") ?? node.arguments.get("input");
    const isInPlace = parseTarget(node)?.isInPlace ?? false;
    if (self?.kind !== "tensor" || (!isInPlace && !isView(node))) return;
    const group = this.sharing.get(self.name) ?? new Set([self.name]);
    const own = results.filter((name) => name !== undefined);
    if (isInPlace) this.write(self.name, group, own[0], shortName(node));
    for (const name of [self.name, ...own]) this.sharing.set(name, group.add(name));
  }

  /** Names that stand for the very same value follow the write; other views of the memory must not be read any more. */
  private write(
    target: string,
    group: ReadonlySet<string>,
    result: string | undefined,
    writer: string,
  ): void {
    const before = this.values.get(target);
    const after = result === undefined ? undefined : this.values.get(result);
    for (const name of group) {
      if (after !== undefined && this.values.get(name) === before) this.values.set(name, after);
      else this.stale.set(name, writer);
    }
  }

  finish(): Model {
    const { outputs } = this.program;
    return {
      name: "torch",
      opset: new Map([["", OPSET]]),
      inputs: this.userInputs().map((name) => this.graphValue(name, name)),
      outputs: outputs.map((name, i) => this.graphValue(name, this.outputOf(name, i))),
      nodes: this.nodes,
      initializers: this.initializers,
    };
  }

  /** An output of its own for what is an input, a constant or another output too. */
  private outputOf(name: string, place: number): string {
    const value = this.valueOf(name);
    const isFirst =
      this.program.outputs.findIndex((other) => this.valueOf(other) === value) === place;
    if (isFirst && this.nodes.some(({ outputs }) => outputs.includes(value))) return value;
    const output = `output_${place}/${value}`;
    this.nodes.push({
      name: output,
      opType: "Identity",
      domain: "",
      inputs: [value],
      outputs: [output],
      attributes: {},
    });
    return output;
  }

  private graphValue(name: string, label: string): GraphValue {
    const { scalarType, sizes } = this.metaOf(name);
    // PyTorch makes up names for sizes that vary; along the first axis there is only one that can.
    const shape = sizes.map((size, axis) =>
      axis === 0 && typeof size === "string" ? "batch" : size,
    );
    return { name: label, dtype: dtypeOfScalarType(scalarType, name), shape };
  }
}
