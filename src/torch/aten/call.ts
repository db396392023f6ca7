/**
 * One ATen operator applied to arguments, as its row of the table sees it: typed access to the arguments, and ONNX nodes to
 * emit. An argument that a row does not look at is refused, so that none can be dropped by oversight.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { AttributeValue } from "../../onnx/graph.ts";
import type { ModelNode } from "../../onnx/proto.ts";
import { int64, scalar, tensor, type DType, type Tensor } from "../../tensor/tensor.ts";
import type { Argument, Size, TensorMeta, TorchNode } from "../program.ts";
import { dtypeOfScalarType } from "../storage.ts";

/** Gives the names of an operator's results; undefined for one that cannot be had, which is an error only if it is read. */
export type Rule = (call: Call) => string | readonly (string | undefined)[];

/** What a call needs to know of the program around it. */
export interface Surroundings {
  /** Name in the model of a tensor of the program. */
  readonly valueOf: (name: string) => string;
  readonly metaOf: (name: string) => TensorMeta;
}

/** Where memory is and how it is laid out says nothing about values. */
const IGNORED = new Set([
  "memory_format",
  "layout",
  "device",
  "pin_memory",
  "non_blocking",
  "copy",
]);

// The largest constant that a few bytes of a program may ask for.
const MOST_ELEMENTS = 2 ** 22;

const ONNX_TYPES: Readonly<Record<DType, number>> = { float32: 1, int64: 7, bool: 9, float64: 11 };

/** See the module's description. */
export class Call {
  readonly nodes: ModelNode[] = [];
  readonly constants: Map<string, Tensor> = new Map();
  private readonly node: TorchNode;
  private readonly around: Surroundings;
  private readonly seen = new Set<string>();
  private readonly names = new Map<string, number>();

  constructor(node: TorchNode, around: Surroundings) {
    this.node = node;
    this.around = around;
  }

  /** Name of the first result, for errors and for the values in between. */
  get label(): string {
    return this.resultNames[0] ?? this.node.target;
  }

  /** Names of the results in the program. */
  get resultNames(): readonly (string | undefined)[] {
    return this.node.results.flatMap((result) => {
      if (result.kind === "tensor") return [result.name];
      return result.kind === "tensors" ? result.names : [undefined];
    });
  }

  /** Throws UNSUPPORTED_OPERATOR. */
  refuse(message: string): never {
    throw new SottoError("UNSUPPORTED_OPERATOR", this.label, `${shortName(this.node)}: ${message}`);
  }

  /** Refuses arguments that nobody has looked at. */
  checkArguments(): void {
    for (const [name, argument] of this.node.arguments) {
      if (argument.kind === "none" || this.seen.has(name) || IGNORED.has(name)) continue;
      this.refuse(`argument ${name} is not supported; leave it at its default`);
    }
  }

  /** Marks arguments as having no influence in inference. */
  ignore(...names: string[]): void {
    for (const name of names) this.seen.add(name);
  }

  private argument(name: string): Argument | undefined {
    this.seen.add(name);
    const argument = this.node.arguments.get(name);
    return argument?.kind === "none" ? undefined : argument;
  }

  /** True if an argument is given and is not None. */
  has(name: string): boolean {
    return this.argument(name) !== undefined;
  }

  isTensor(name: string): boolean {
    return this.argument(name)?.kind === "tensor";
  }

  isString(name: string): boolean {
    return this.argument(name)?.kind === "string";
  }

  private tensorArgument(name: string): string {
    const argument = this.argument(name);
    return argument?.kind === "tensor" ? argument.name : this.wrong(name, "a tensor");
  }

  private wrong(name: string, expected: string): never {
    const got = this.node.arguments.get(name)?.kind ?? "nothing";
    const symbol = got === "symbol" ? "a size that varies" : got;
    return this.refuse(`argument ${name} has to be ${expected}, got ${symbol}`);
  }

  /** Name in the model of a tensor argument. */
  tensor(name: string): string {
    return this.around.valueOf(this.tensorArgument(name));
  }

  optionalTensor(name: string): string | undefined {
    return this.has(name) ? this.tensor(name) : undefined;
  }

  /** Names in the model of a list of tensors; undefined for None. */
  tensors(name: string): (string | undefined)[] {
    const argument = this.argument(name);
    if (argument?.kind !== "tensors") return this.wrong(name, "a list of tensors");
    return argument.names.map((item) =>
      item === undefined ? undefined : this.around.valueOf(item),
    );
  }

  /** Sizes of the tensors of a list. */
  sizesOfEach(name: string): (readonly Size[])[] {
    const argument = this.argument(name);
    if (argument?.kind !== "tensors") return this.wrong(name, "a list of tensors");
    return argument.names.map((item) => (item === undefined ? [] : this.around.metaOf(item).sizes));
  }

  dtypesOfEach(name: string): (DType | undefined)[] {
    const argument = this.argument(name);
    if (argument?.kind !== "tensors") return this.wrong(name, "a list of tensors");
    return argument.names.map((item) =>
      item === undefined ? undefined : dtypeOfScalarType(this.around.metaOf(item).scalarType, item),
    );
  }

  sizes(name: string): readonly Size[] {
    return this.around.metaOf(this.tensorArgument(name)).sizes;
  }

  dtype(name: string): DType {
    const argument = this.tensorArgument(name);
    return dtypeOfScalarType(this.around.metaOf(argument).scalarType, argument);
  }

  resultSizes(index = 0): readonly Size[] {
    return this.resultMeta(index).sizes;
  }

  resultDType(index = 0): DType {
    return dtypeOfScalarType(this.resultMeta(index).scalarType, this.label);
  }

  private resultMeta(index: number): TensorMeta {
    const name = this.resultNames[index];
    if (name === undefined) throw new SottoError("BAD_MODEL", this.label, "a result has no name");
    return this.around.metaOf(name);
  }

  number(name: string, fallback?: number): number {
    const argument = this.argument(name);
    if (argument === undefined && fallback !== undefined) return fallback;
    if (argument?.kind === "bool") return Number(argument.value);
    return argument?.kind === "number" ? argument.value : this.wrong(name, "a fixed number");
  }

  bool(name: string, fallback: boolean): boolean {
    const argument = this.argument(name);
    if (argument === undefined) return fallback;
    return argument.kind === "bool" ? argument.value : this.wrong(name, "true or false");
  }

  string(name: string, fallback: string): string {
    const argument = this.argument(name);
    if (argument === undefined) return fallback;
    return argument.kind === "string" ? argument.value : this.wrong(name, "a string");
  }

  /** A list of fixed integers; one number stands for a list of it. */
  ints(name: string, fallback?: readonly number[]): readonly number[] {
    const argument = this.argument(name);
    if (argument === undefined && fallback !== undefined) return fallback;
    if (argument?.kind === "number") return [argument.value];
    if (argument?.kind !== "sizes") return this.wrong(name, "a list of fixed integers");
    return argument.values.map((value) =>
      typeof value === "number" ? value : this.wrong(name, "a list of fixed integers"),
    );
  }

  /** A list of fixed integers, one per spatial axis: a single one serves all axes. */
  perAxis(name: string, rank: number, fallback: number): readonly number[] {
    const values = this.ints(name, []);
    if (values.length === 0) return Array.from({ length: rank }, () => fallback);
    if (values.length === 1) return Array.from({ length: rank }, () => values[0]);
    return values.length === rank ? values : this.wrong(name, `a list of ${rank} integers`);
  }

  floats(name: string): readonly number[] {
    const argument = this.argument(name);
    return argument?.kind === "floats" ? argument.values : this.wrong(name, "a list of numbers");
  }

  /** An axis counted from the front; negative ones are counted from the end. */
  axis(name: string, rank: number, fallback?: number): number {
    return this.fromFront(this.number(name, fallback), rank);
  }

  axes(name: string, rank: number, fallback?: readonly number[]): number[] {
    return this.ints(name, fallback).map((axis) => this.fromFront(axis, rank));
  }

  private fromFront(axis: number, rank: number): number {
    const front = axis < 0 ? axis + rank : axis;
    const isInside = front >= 0 && front < Math.max(rank, 1);
    return isInside ? front : this.refuse(`axis ${axis} of a tensor of ${rank} axes`);
  }

  /** A size that must not vary. */
  fixed(size: Size | undefined): number {
    if (typeof size === "number") return size;
    return this.refuse(`size ${size ?? "of a missing axis"} varies; export with fixed sizes`);
  }

  /** An argument that is a tensor or a number, as a value of the given element type. */
  operand(name: string, dtype: DType): string {
    if (!this.isTensor(name)) return this.scalar(dtype, this.number(name));
    return this.cast(this.tensor(name), this.dtype(name), dtype);
  }

  cast(value: string, from: DType, to: DType): string {
    return from === to ? value : this.emit("Cast", [value], { to: ONNX_TYPES[to] });
  }

  /** Emits a node; gives the name of its (first) result. */
  emit(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    return this.emitMany(opType, inputs, 1, attributes)[0];
  }

  emitMany(
    opType: string,
    inputs: readonly string[],
    count: number,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string[] {
    const name = this.newName(opType);
    const outputs = Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}:${i}`));
    this.nodes.push({
      name,
      opType,
      domain: "",
      inputs,
      outputs,
      attributes: Object.fromEntries(
        Object.entries(attributes).map(([key, value]) => [key, asStored(value)]),
      ),
    });
    return outputs;
  }

  private newName(suffix: string): string {
    const count = this.names.get(suffix) ?? 0;
    this.names.set(suffix, count + 1);
    return `${this.label}/${suffix}${count === 0 ? "" : `_${count}`}`;
  }

  /** A constant of the model. */
  constant(value: Tensor): string {
    const name = this.newName("constant");
    this.constants.set(name, value);
    return name;
  }

  scalar(dtype: DType, value: number): string {
    const isWhole = Number.isSafeInteger(value);
    if (dtype === "int64" && !isWhole) this.refuse(`${value} among integers`);
    return this.constant(scalar(dtype, value));
  }

  /** A list of integers: axes, shapes, pads. */
  longs(values: readonly number[]): string {
    return this.constant(int64([values.length], values));
  }

  /** Refuses a constant that is far larger than the program that asks for it. */
  checkCount(count: number): void {
    if (!(count <= MOST_ELEMENTS)) this.refuse(`a constant of ${count} elements is too large`);
  }

  /** A constant of one number. */
  filled(dtype: DType, sizes: readonly Size[], value: number): string {
    const shape = sizes.map((size) => (typeof size === "number" ? size : 1));
    const count = shape.reduce((product, size) => product * size, 1);
    this.checkCount(count);
    return this.constant(
      tensor(
        dtype,
        shape,
        Array.from({ length: count }, () => value),
      ),
    );
  }
}

/** Name of an operator without the parts that all of them share. */
export function shortName({ target }: Pick<TorchNode, "target">): string {
  return target.startsWith("torch.ops.") ? target.slice("torch.ops.".length) : target;
}

/** ONNX stores numbers of attributes in single precision. */
function asStored(value: AttributeValue): AttributeValue {
  return typeof value === "number" && !Number.isInteger(value) ? Math.fround(value) : value;
}
