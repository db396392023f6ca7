/**
 * The loop that skl2onnx writes for distances between rows (a Scan over reference rows whose body subtracts and sums squares),
 * read as the one operator that it is: com.microsoft.CDist, which other exports of the same models have.
 * @module
 */
import type { GraphProto, NodeProto, TensorProto } from "onnx-buf";
import { DISTANCES } from "./distances.ts";
import { readTensor } from "./proto-tensor.ts";

/** Nodes of a graph, where each such Scan is a CDist of the rows that it scans with those that it keeps. */
export function withDistances(graph: GraphProto): NodeProto[] {
  const { node: nodes, output, initializer } = graph;
  const read = new Set([...nodes.flatMap(({ input }) => input), ...output.map(({ name }) => name)]);
  return nodes.map((node) => {
    const [kept, scanned] = node.input;
    const [unchanged, distances] = node.output;
    const isPlain = node.input.length === 2 && node.output.length === 2 && !read.has(unchanged);
    if (node.opType !== "Scan" || node.domain !== "" || !isPlain) return node;
    if (!sumsSquares(node, initializer)) return node;
    return { ...node, ...DISTANCES, input: [scanned, kept], output: [distances], attribute: [] };
  });
}

/** True for a body that gives its first input unchanged, and the sums of squares of the rows' differences to the second. */
function sumsSquares({ attribute }: NodeProto, outer: readonly TensorProto[]): boolean {
  const body = attribute.find(({ name }) => name === "body")?.g;
  const others = attribute.filter(({ name }) => name !== "body");
  const isOneScan = others.every(({ name, i, ints }) =>
    name === "num_scan_inputs" ? i === 1n : ints.every((axis) => axis === 0n),
  );
  if (!body || !isOneScan || body.input.length !== 2 || body.output.length !== 2) return false;
  const [rows, row] = body.input.map(({ name }) => name);
  const origin = origins(body);
  const sum = body.node.find(({ output }) => output[0] === origin(body.output[1].name));
  const difference = body.node.find(({ output }) => output[0] === origin(sum?.input[0] ?? ""));
  const isDifference =
    difference?.opType === "Sub" && difference.input.map(origin).join() === [rows, row].join();
  const isSum =
    sum?.opType === "ReduceSumSquare" && alongRows(sum, [...body.initializer, ...outer]);
  return isSum && isDifference && origin(body.output[0].name) === rows;
}

/** Follows Identity back to the name that it copies. */
function origins(body: GraphProto): (name: string) => string {
  const copies = new Map(
    body.node
      .filter(({ opType }) => opType === "Identity")
      .map(({ input, output }) => [output[0], input[0]]),
  );
  return (name) => {
    let at = name;
    // A chain of copies is no longer than the number of copies.
    for (let i = 0; i < copies.size; i++) at = copies.get(at) ?? at;
    return at;
  };
}

/** True for a sum over the second axis that drops it. */
function alongRows({ attribute, input }: NodeProto, constants: readonly TensorProto[]): boolean {
  const stated = attribute.find(({ name }) => name === "axes")?.ints;
  const constant = constants.find(({ name }) => name === input[1]);
  const axes = constant ? [...readTensor(constant, constant.name).data] : stated?.map(Number);
  return attribute.find(({ name }) => name === "keepdims")?.i === 0n && axes?.join() === "1";
}
