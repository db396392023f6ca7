/**
 * What an operator of the importer is: its arity, its attributes with their defaults, the shape it gives and how it is
 * evaluated. `defineOperator` decodes attributes once, so that the functions of an operator see typed values.
 * @module
 */
import { SottoError } from "../../errors.ts";
import type { Shape, Tensor } from "../../tensor/tensor.ts";
import type { Attributes, AttributeValue } from "../graph.ts";

/** What is known about an input before evaluation: its shape for a batch of 1, and its value if it is constant. */
export interface Operand {
  readonly shape: Shape;
  readonly value?: Tensor | undefined;
}

/** What an operator may need to know of the node that uses it, beside its inputs. */
export interface ResolveContext {
  /** Version of the operator set that the model imports for the operator's domain. */
  readonly opset: number;
  /** Number of outputs the node states. */
  readonly outputCount: number;
}

/** One attribute: its ONNX type, the value when a node leaves it out, and the check of a value that is there. */
export interface AttributeSpec<T> {
  readonly type: "float" | "int" | "string" | "floats" | "ints" | "strings" | "tensor";
  readonly required: boolean;
  readonly default: T;
  readonly accepts: (value: AttributeValue) => boolean;
  /** Not an attribute of ONNX, but one that `resolve` states. Default: false. */
  readonly isOwn?: boolean;
}

/** Typed attributes, as the functions of an operator see them. */
export type AttributesOf<A> = {
  readonly [Name in keyof A]: A[Name] extends AttributeSpec<infer T> ? T : never;
};

type AttributeSpecs = Readonly<Record<string, AttributeSpec<unknown>>>;

/**
 * How one operator is declared. The functions take the inputs as a tuple in ONNX order; `minInputs` and `maxInputs`
 * are checked before they are called, and an optional input that is absent is undefined. What older operator sets state
 * by an attribute and newer ones by an input is accepted in both forms. Where the same form means different things,
 * `resolve` turns it into attributes that mean one thing, so that a graph's nodes are independent of its opset.
 */
export interface OperatorDeclaration<A extends AttributeSpecs> {
  readonly minInputs: number;
  /** Infinity for an operator of any number of inputs. */
  readonly maxInputs: number;
  /** Default: 1; Infinity for any number. */
  readonly maxOutputs?: number;
  /** First opset of the operator's domain that has it. */
  readonly since: number;
  readonly attributes: A;
  /** Each output element depends only on the elements at its place in the inputs. Default: false. */
  readonly elementwise?: boolean;
  /**
   * It says how values are quantized. On a constant it is kept when the rest is folded, because quantization reads its
   * operands. Default: false.
   */
  readonly isQuantizer?: boolean;
  shape(inputs: readonly (Operand | undefined)[], attributes: AttributesOf<A>): readonly Shape[];
  evaluate(inputs: readonly (Tensor | undefined)[], attributes: AttributesOf<A>): readonly Tensor[];
  /** The value where it follows from the inputs' shapes alone; undefined where it does not. */
  fold?(inputs: readonly (Operand | undefined)[], attributes: AttributesOf<A>): readonly Tensor[];
  /** Equivalent attributes that need no knowledge of the inputs' sizes, the opset and the number of outputs. */
  resolve?(
    inputs: readonly (Operand | undefined)[],
    attributes: AttributesOf<A>,
    context: ResolveContext,
  ): Attributes;
}

/** An operator whose functions decode the attributes of a node themselves. */
export interface Operator {
  readonly minInputs: number;
  readonly maxInputs: number;
  readonly maxOutputs: number;
  readonly since: number;
  readonly attributes: AttributeSpecs;
  readonly elementwise: boolean;
  readonly isQuantizer: boolean;
  shape(inputs: readonly (Operand | undefined)[], attributes: Attributes): readonly Shape[];
  evaluate(inputs: readonly (Tensor | undefined)[], attributes: Attributes): readonly Tensor[];
  fold(
    inputs: readonly (Operand | undefined)[],
    attributes: Attributes,
  ): readonly Tensor[] | undefined;
  /** Attributes that the other functions take, for a node of a model. */
  resolve(
    inputs: readonly (Operand | undefined)[],
    attributes: Attributes,
    context: ResolveContext,
  ): Attributes;
}

/** Completes a declaration. */
export function defineOperator<A extends AttributeSpecs>(
  declaration: OperatorDeclaration<A>,
): Operator {
  const { attributes: specs, elementwise = false, isQuantizer = false } = declaration;
  const decode = (attributes: Attributes): AttributesOf<A> => decodeAttributes(specs, attributes);
  return {
    minInputs: declaration.minInputs,
    maxInputs: declaration.maxInputs,
    maxOutputs: declaration.maxOutputs ?? 1,
    since: declaration.since,
    attributes: specs,
    elementwise,
    isQuantizer,
    shape: (inputs, attributes) => declaration.shape(inputs, decode(attributes)),
    evaluate: (inputs, attributes) => declaration.evaluate(inputs, decode(attributes)),
    fold: (inputs, attributes) => declaration.fold?.(inputs, decode(attributes)),
    resolve: (inputs, attributes, context) =>
      declaration.resolve ? declaration.resolve(inputs, decode(attributes), context) : attributes,
  };
}

const decodings = new WeakMap<AttributeSpecs, WeakMap<Attributes, unknown>>();

/**
 * Fills in defaults; an attribute that is unknown, missing or of another type is UNSUPPORTED_OPERATOR or BAD_MODEL. The same
 * attributes give the same object, so that what is made of them can be kept.
 */
export function decodeAttributes<A extends AttributeSpecs>(
  specs: A,
  attributes: Attributes,
): AttributesOf<A> {
  const known = decodings.get(specs) ?? new WeakMap<Attributes, unknown>();
  decodings.set(specs, known);
  const decoded = known.get(attributes) ?? decode(specs, attributes);
  known.set(attributes, decoded);
  return decoded as AttributesOf<A>;
}

function decode(specs: AttributeSpecs, attributes: Attributes): Record<string, unknown> {
  const names = Object.keys(specs);
  for (const [name, value] of Object.entries(attributes)) {
    if (!names.includes(name)) {
      const expected = names.length === 0 ? "none" : `one of ${names.join(", ")}`;
      const message = `unknown attribute ${name}; expected ${expected}`;
      throw new SottoError("UNSUPPORTED_OPERATOR", "attributes", message);
    }
    if (!specs[name].accepts(value)) {
      const message = `attribute ${name} is not of type ${specs[name].type}`;
      throw new SottoError("BAD_MODEL", "attributes", message);
    }
  }
  const decoded: Record<string, unknown> = {};
  for (const name of names) {
    const isStated = Object.hasOwn(attributes, name);
    if (!isStated && specs[name].required) {
      throw new SottoError("BAD_MODEL", "attributes", `required attribute ${name} is missing`);
    }
    decoded[name] = isStated ? attributes[name] : specs[name].default;
  }
  return decoded;
}

/** A float attribute with a default. */
export function float<T extends number | undefined>(fallback: T): AttributeSpec<number | T> {
  return { type: "float", required: false, default: fallback, accepts: isNumber };
}

/** An integer attribute with a default. */
export function int<T extends number | undefined>(fallback: T): AttributeSpec<number | T> {
  return { type: "int", required: false, default: fallback, accepts: Number.isInteger };
}

/** An attribute that models do not state; `resolve` does. */
export function own<T>(spec: AttributeSpec<T>): AttributeSpec<T> {
  return { ...spec, isOwn: true };
}

/** An integer attribute that a node must state. */
export function requiredInt(): AttributeSpec<number> {
  return { type: "int", required: true, default: 0, accepts: Number.isInteger };
}

/** A string attribute that a node must state. */
export function requiredString(): AttributeSpec<string> {
  return { type: "string", required: true, default: "", accepts: isString };
}

/** A list of integers that a node must state. */
export function requiredInts(): AttributeSpec<readonly number[]> {
  return { type: "ints", required: true, default: [], accepts: isInts };
}

/** A list of floats that a node must state. */
export function requiredFloats(): AttributeSpec<readonly number[]> {
  return { type: "floats", required: true, default: [], accepts: isNumbers };
}

/** A list of floats that may be left out. */
export function optionalFloats(): AttributeSpec<readonly number[] | undefined> {
  return { type: "floats", required: false, default: undefined, accepts: isNumbers };
}

/** A list of integers that may be left out. */
export function optionalInts(): AttributeSpec<readonly number[] | undefined> {
  return { type: "ints", required: false, default: undefined, accepts: isInts };
}

/** A list of strings that may be left out. */
export function optionalStrings(): AttributeSpec<readonly string[] | undefined> {
  return { type: "strings", required: false, default: undefined, accepts: isStrings };
}

/** A list of strings that stand for values of tensors, and so are read as their codes. */
export function stringCodes(): AttributeSpec<readonly number[] | undefined> {
  return { type: "strings", required: false, default: undefined, accepts: isInts };
}

/** One such string. */
export function stringCode(): AttributeSpec<number | undefined> {
  return { type: "string", required: false, default: undefined, accepts: Number.isInteger };
}

/** A tensor that may be left out. */
export function optionalTensor(): AttributeSpec<Tensor | undefined> {
  return { type: "tensor", required: false, default: undefined, accepts: isTensor };
}

/** A string attribute with a default. */
export function string(fallback: string): AttributeSpec<string> {
  return { type: "string", required: false, default: fallback, accepts: isString };
}

/** A tensor, number, string or list that may be left out: the forms of Constant. */
export function optional<T extends AttributeValue>(
  type: AttributeSpec<T>["type"],
  accepts: (value: AttributeValue) => boolean,
): AttributeSpec<T | undefined> {
  return { type, required: false, default: undefined, accepts };
}

/** True for a number. */
export function isNumber(value: AttributeValue): value is number {
  return typeof value === "number";
}

/** True for a list of integers. */
export function isInts(value: AttributeValue): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isInteger(item));
}

/** True for a list of numbers. */
export function isNumbers(value: AttributeValue): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

/** True for a tensor. */
export function isTensor(value: AttributeValue): value is Tensor {
  return typeof value === "object" && !Array.isArray(value);
}

function isStrings(value: AttributeValue): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isString(value: AttributeValue): value is string {
  return typeof value === "string";
}
