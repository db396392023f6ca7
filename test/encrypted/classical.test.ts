/**
 * Classical models, encrypted: the integers of the clear, row by row, from texts to texts.
 */
import { describe, expect, test } from "vitest";
import { decodeClientSpec } from "../../src/format/client-spec.ts";
import { Client } from "../../src/client/client.ts";
import { Server } from "../../src/execute/server.ts";
import { importGraph } from "../../src/import.ts";
import {
  KNeighborsClassifier,
  LogisticRegression,
  PoissonRegressor,
} from "../../src/models/index.ts";
import { loadEngine } from "../../src/native/load.ts";
import { decodeStrings } from "../../src/onnx/strings.ts";
import { tensorsOf } from "../../src/tensor/list.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import {
  inputTensors,
  readRecorded,
  readSklearnFile,
  type RecordedCase,
} from "../support/sklearn-fixtures.ts";

function recorded(name: string): { readonly model: Uint8Array; readonly rows: readonly Tensor[] } {
  const model = readSklearnFile(name, "model.onnx");
  const rows = inputTensors(importGraph(model), readRecorded<RecordedCase>(name, "case.json"));
  return { model, rows };
}

function firstRows(rows: readonly Tensor[], count: number): Tensor[] {
  return rows.map((x) => {
    const size = x.data.length / x.shape[0];
    return { ...x, shape: [count, ...x.shape.slice(1)], data: x.data.slice(0, count * size) };
  });
}

describe("a linear model", () => {
  test.each(["logistic_multi", "pipeline_standard", "columns_one_hot", "svc_linear_multi"])(
    "of %s gives the scores of the clear",
    async (name) => {
      const { model, rows } = recorded(name);
      const { compiled } = await LogisticRegression.fromOnnx(model, rows);
      const codes = tensorsOf(compiled.quantizeInput<Tensor[]>([...rows]));
      const clear = compiled.quantizedForward(codes);
      expect(compiled.quantizedForward(codes, { fhe: "execute" }).data).toEqual(clear.data);
    },
  );

  test("with a link gives the values of the clear", async () => {
    const { model, rows } = recorded("poisson");
    const regressor = await PoissonRegressor.fromOnnx(model, rows);
    const few = firstRows(rows, 3);
    expect(regressor.predict(few, { fhe: "execute" }).data).toEqual(regressor.predict(few).data);
  });
});

test("client and server with their bytes alone come from texts to texts", async () => {
  const { model, rows } = recorded("columns_one_hot");
  const classifier = await LogisticRegression.fromOnnx(model, rows);
  const { clientBytes, serverBytes } = classifier.compiled;
  const client = new Client(decodeClientSpec(clientBytes), loadEngine());
  const server = new Server(serverBytes, loadEngine());
  client.generateKey();
  server.loadKeysSync(client.evaluationKeysSync(loadEngine().newControl(0)));
  const one = firstRows(rows, 1);
  const answer = server.runSync(client.encrypt(client.quantize(one)));
  const [label] = client.dequantize(client.decrypt(answer));
  const [output] = client.spec.after.outputs;
  expect(decodeStrings(output, label)).toEqual(classifier.predict(one));
  expect(client.spec.before.inputs.map(({ name }) => name)).toEqual(
    importGraph(model).inputs.map(({ name }) => name),
  );
});

test("neighbours vote as in the clear", async () => {
  const { model, rows } = recorded("neighbours");
  const nBits = { model_inputs: 5, op_inputs: 5, op_weights: 3, model_outputs: 5 };
  const { compiled } = await KNeighborsClassifier.fromOnnx(model, rows, { nBits });
  const codes = compiled.quantizeInput(firstRows(rows, 1));
  const votes = compiled.quantizedForward(codes);
  expect(compiled.quantizedForward(codes, { fhe: "execute" }).data).toEqual(votes.data);
});
