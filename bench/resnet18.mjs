/**
 * The bytes of an ONNX model of the shape of ResNet-18, with random weights that depend on nothing but a seed.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType as DataType,
} from "onnx-buf";

/** Uniform numbers in [0, 1) from a seed (a 32-bit linear congruence, whose high bits are good enough here). */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Bytes of the model for square images of this many pixels a side, and this many classes. */
export function resnet18(size = 224, classes = 1000) {
  const model = new OnnxBuilder();
  let x = model.conv("image", { from: 3, to: 64, kernel: 7, stride: 2, isRelu: true });
  x = model.node("MaxPool", [x], window(3, 2));
  let from = 64;
  for (const [stage, to] of [64, 128, 256, 512].entries()) {
    for (let block = 0; block < 2; block++) {
      x = model.block(x, { from, to, stride: stage > 0 && block === 0 ? 2 : 1 });
      from = to;
    }
  }
  x = model.node("Flatten", [model.node("GlobalAveragePool", [x])], { axis: 1 });
  const weights = model.normal([classes, from], from);
  const scores = model.node("Gemm", [x, weights, model.filled([classes], 0)], { transB: 1 });
  return model.finish(
    { name: "image", shape: [1, 3, size, size] },
    { name: scores, shape: [1, classes] },
  );
}

const window = (kernel, stride) => {
  const pad = (kernel - 1) / 2;
  return { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] };
};

/** Builds the bytes of a model node by node. */
export class OnnxBuilder {
  #nodes = [];
  #initializers = [];
  #random = uniform(1);

  node(opType, input, attributes = {}) {
    const output = `${opType}_${this.#nodes.length}`;
    const attribute = Object.entries(attributes).map(([name, value]) =>
      Array.isArray(value)
        ? { name, type: AttributeType.INTS, ints: value.map(BigInt) }
        : { name, type: AttributeType.INT, i: BigInt(value) },
    );
    this.#nodes.push({ opType, name: output, input, output: [output], attribute });
    return output;
  }

  /** Conv, BatchNormalization and, if asked for, Relu. */
  conv(x, { from, to, kernel, stride, isRelu }) {
    const weights = this.normal([to, from, kernel, kernel], from * kernel ** 2);
    const image = this.node("Conv", [x, weights], window(kernel, stride));
    const parameters = [1, 0, 0, 1].map((value) => this.filled([to], value));
    const normalized = this.node("BatchNormalization", [image, ...parameters]);
    return isRelu ? this.node("Relu", [normalized]) : normalized;
  }

  /** Two convolutions beside a shortcut. */
  block(x, { from, to, stride }) {
    const first = this.conv(x, { from, to, kernel: 3, stride, isRelu: true });
    const second = this.conv(first, { from: to, to, kernel: 3, stride: 1, isRelu: false });
    const isSame = from === to && stride === 1;
    const shortcut = isSame ? x : this.conv(x, { from, to, kernel: 1, stride, isRelu: false });
    return this.node("Relu", [this.node("Add", [second, shortcut])]);
  }

  filled(shape, value) {
    return this.#initializer(shape, () => value);
  }

  /** About normal, with the spread that keeps the size of activations (two over the number of terms). */
  normal(shape, terms) {
    const scale = Math.sqrt(2 / terms);
    const random = this.#random;
    return this.#initializer(shape, () => {
      const sum = random() + random() + random() + random() - 2;
      return scale * Math.sqrt(3) * sum;
    });
  }

  #initializer(shape, next) {
    const name = `constant_${this.#initializers.length}`;
    const length = shape.reduce((product, dim) => product * dim, 1);
    const values = Float32Array.from({ length }, next);
    const rawData = new Uint8Array(values.buffer);
    const dims = shape.map(BigInt);
    this.#initializers.push({ name, dims, dataType: DataType.FLOAT, rawData });
    return name;
  }

  finish(input, output) {
    const model = create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: "", version: 17n }],
      graph: {
        name: "resnet18",
        input: [port(input)],
        output: [port(output)],
        node: this.#nodes,
        initializer: this.#initializers,
      },
    });
    return toBinary(ModelProtoSchema, model);
  }
}

function port({ name, shape }) {
  const dim = shape.map((size) => ({ value: { case: "dimValue", value: BigInt(size) } }));
  const value = { case: "tensorType", value: { elemType: DataType.FLOAT, shape: { dim } } };
  return { name, type: { value } };
}
