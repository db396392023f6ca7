/**
 * Random nodes of ai.onnx.ml: every mode, transform and form of each operator, held against what onnxruntime gives.
 */
import { expect, test } from "vitest";
import { evaluate } from "../../../src/onnx/evaluate.ts";
import { importOnnx } from "../../../src/onnx/import.ts";
import { elementsOf, inputTensors, readRandomNodes } from "../../support/sklearn-fixtures.ts";
import { expectClose } from "../../support/close.ts";

test.each(readRandomNodes())("$name", (recorded) => {
  const graph = importOnnx(Buffer.from(recorded.model, "base64"));
  const results = evaluate(graph, inputTensors(graph, recorded));
  for (const [i, output] of graph.outputs.entries()) {
    const { shape, data } = recorded.outputs[output.name];
    expect(results[i].shape).toEqual(shape);
    expectClose(elementsOf(output, results[i]), data, 1e-6);
  }
});
