/**
 * Runs the ONNX project's node tests through the float evaluator of `dist/`, node by node, with the attributes and the
 * shapes that the importer would see. Ends with one line `N run, N passed, N refused, N wrong` and exits with 1 if one is
 * wrong; `--verbose` lists the refused ones with their reasons. A test is refused when the importer refuses its operator, an
 * element type or a kind of value by name; anything else that is not the expected output is wrong.
 *
 *   npm run setup && node scripts/onnx-node-tests.mjs
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { TensorProto_DataType as DataType, TensorProtoSchema } from "onnx-buf";
import { SottoError } from "../dist/errors.js";
import { evaluateNode } from "../dist/onnx/evaluate.js";
import { atNode, checkArity, findOperator, operatorName } from "../dist/onnx/ops/index.js";
import { readTensor } from "../dist/onnx/proto-tensor.js";
import { readModel } from "../dist/onnx/proto.js";
import { StringTable } from "../dist/onnx/strings.js";
import { nodeTestFolders } from "./onnx-node-data.mjs";

const oldestOpset = 7;
const newestOpset = 22;

// The ONNX project's own test runner has 1e-3 and 1e-7. 16-bit floats, which are widened, have the precision of their type.
const relativeTolerance = 2e-6;
const absoluteTolerance = 1e-6;
const narrowTolerances = { FLOAT16: 2 ** -10, BFLOAT16: 2 ** -7 };

// The windows of signal processing are defined with four decimals of pi, and their expected values with all.
const looseTests = /(blackman|hamming|hann)window/;
const looseTolerance = 1e-3;

/** What sotto does not compute, said by name. */
class Refusal extends Error {}

function main(args) {
  let folders;
  try {
    folders = nodeTestFolders();
  } catch (error) {
    console.log(`onnx node tests: not run: ${error.message}`);
    return 0;
  }
  const outcomes = [];
  for (const [release, folder] of folders) {
    const names = readdirSync(folder).filter((name) =>
      existsSync(join(folder, name, "model.onnx")),
    );
    for (const name of names.sort()) {
      const outcome = runTest(join(folder, name));
      if (outcome) outcomes.push({ ...outcome, name: `${release} ${name}` });
    }
  }
  return report(outcomes, args.includes("--verbose"));
}

function report(outcomes, isVerbose) {
  const of = (result) => outcomes.filter((outcome) => outcome.result === result);
  const listed = isVerbose ? [...of("refused"), ...of("wrong")] : of("wrong");
  for (const { result, name, reason } of listed) console.log(`${result}: ${name}: ${reason}`);
  const [passed, refused, wrong] = ["passed", "refused", "wrong"].map(
    (result) => of(result).length,
  );
  console.log(`${outcomes.length} run, ${passed} passed, ${refused} refused, ${wrong} wrong`);
  return wrong > 0 || passed === 0 ? 1 : 0;
}

/** The outcome of one test; undefined if its operator set is not one that the importer reads. */
function runTest(folder) {
  try {
    const model = readRefusing(() =>
      readModel(new Uint8Array(readFileSync(join(folder, "model.onnx")))),
    );
    const opset = model.opset.get("");
    const isKnown = opset === undefined ? model.opset.has("ai.onnx.ml") : opset >= oldestOpset;
    if (!isKnown || opset > newestOpset) return undefined;
    const sets = readdirSync(folder).filter((name) => name.startsWith("test_data_set_"));
    if (sets.length === 0) return { result: "refused", reason: "the test has no data" };
    for (const set of sets) checkDataSet(model, join(folder, set));
    return { result: "passed" };
  } catch (error) {
    const result = error instanceof Refusal ? "refused" : "wrong";
    return { result, reason: error.message };
  }
}

/** Reads a part of a test; what cannot be read is refused by the name of its type. */
function readRefusing(read) {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SottoError)) throw error;
    const isRefusal = /not supported|expected a tensor/.test(error.message);
    if (isRefusal || error.code === "UNSUPPORTED_OPERATOR") throw new Refusal(error.message);
    throw error;
  }
}

/**
 * A recorded tensor and the relative tolerance of its type; numpy has no bfloat16, so that the tests hold such numbers as
 * their bit patterns.
 */
function readValue(path, { dtype }, strings) {
  return readRefusing(() => {
    const proto = fromBinary(TensorProtoSchema, new Uint8Array(readFileSync(path)));
    const isPattern = dtype === "float32" && DataType[proto.dataType] === "UINT16";
    if (isPattern) proto.dataType = DataType.BFLOAT16;
    const tolerance = looseTests.test(path)
      ? looseTolerance
      : (narrowTolerances[DataType[proto.dataType]] ?? relativeTolerance);
    return { value: readTensor(proto, path, strings), tolerance };
  });
}

function checkDataSet(model, folder) {
  const values = new Map(model.initializers);
  const strings = new StringTable(model.strings);
  for (const [i, input] of model.inputs.entries()) {
    const path = join(folder, `input_${i}.pb`);
    if (existsSync(path)) values.set(input.name, readValue(path, input, strings).value);
  }
  for (const node of model.nodes) evaluateInto(values, node, model.opset);
  for (const [i, output] of model.outputs.entries()) {
    const path = join(folder, `output_${i}.pb`);
    if (existsSync(path))
      compare(output.name, values.get(output.name), readValue(path, output, strings));
  }
}

/** Evaluates a node as the importer would prepare it, and holds the inferred shapes against the results. */
function evaluateInto(values, node, opsets) {
  const opset = opsets.get(node.domain) ?? 0;
  const operator = findOperator(node);
  if (!operator || operator.since > opset) {
    throw new Refusal(`operator ${operatorName(node)} is not supported`);
  }
  const unread = Object.entries(node.attributes).find(([, value]) => value === null);
  if (unread) throw new Refusal(`${operatorName(node)}: cannot read attribute ${unread[0]}`);
  try {
    checkArity(node);
    const inputs = node.inputs.map((name) => values.get(name));
    const operands = inputs.map((value) => value && { shape: value.shape, value });
    const context = { opset, outputCount: node.outputs.length };
    const attributes = atNode(node, () => operator.resolve(operands, node.attributes, context));
    const shapes = atNode(node, () => operator.shape(operands, attributes));
    const results = evaluateNode({ ...node, attributes }, inputs);
    for (const [i, name] of node.outputs.entries()) {
      if (results[i].shape.join() !== shapes[i].join()) {
        throw new Error(`inferred [${shapes[i].join()}], computed [${results[i].shape.join()}]`);
      }
      values.set(name, results[i]);
    }
  } catch (error) {
    if (error instanceof SottoError && error.code === "UNSUPPORTED_OPERATOR") {
      throw new Refusal(error.message);
    }
    throw error;
  }
}

function compare(name, got, { value: expected, tolerance }) {
  const isFloat = (dtype) => dtype === "float32" || dtype === "float64";
  const isSameType =
    got.dtype === expected.dtype || (isFloat(got.dtype) && isFloat(expected.dtype));
  if (!isSameType) throw new Error(`${name} is ${got.dtype}, expected ${expected.dtype}`);
  if (got.shape.join() !== expected.shape.join()) {
    throw new Error(`${name} has shape [${got.shape.join()}], expected [${expected.shape.join()}]`);
  }
  const wrong = expected.data.findIndex((value, i) => !isClose(got.data[i], value, tolerance));
  if (wrong < 0) return;
  throw new Error(`${name}[${wrong}] is ${got.data[wrong]}, expected ${expected.data[wrong]}`);
}

function isClose(got, expected, tolerance) {
  if (Object.is(got, expected) || got === expected) return true;
  return Math.abs(got - expected) <= absoluteTolerance + tolerance * Math.abs(expected);
}

process.exitCode = main(process.argv.slice(2));
