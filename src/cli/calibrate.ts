/**
 * `sotto calibrate`: fits the cost model to the running CPU and keeps it for `--cost-model machine` and `bench`.
 * @module
 */
import { measureMachineInSteps } from "../calibration/machine.ts";
import type { CostModel } from "../parameters/cost.ts";
import { finishAsync } from "../steps.ts";
import { withProgress } from "./model.ts";
import type { CalibrateOptions } from "./options.ts";
import { writeJson } from "./output.ts";
import { table, wantsColor } from "./terminal.ts";

/** Measures, keeps the model and prints it. */
export async function calibrate({ signal, json }: CalibrateOptions): Promise<void> {
  const measured = await withProgress((onProgress) =>
    finishAsync(measureMachineInSteps(), { signal, onProgress }),
  );
  if (json !== undefined) await writeJson(json, measured.model);
  if (json === "-") return;
  const kept = measured.path === null ? `not kept: ${measured.reason}` : `kept in ${measured.path}`;
  process.stdout.write(`${modelText(measured.model)}\n${kept}\n`);
}

function modelText({ name, externalProducts, keyswitch, stream, combination }: CostModel): string {
  const color = wantsColor(process.stdout);
  const products = Object.entries(externalProducts).map(([shape, [first, further]]) => [
    shape,
    first / 1000,
    further / 1000,
  ]);
  const weights = [
    ["keyswitch, per digit and word", keyswitch],
    ["keys, per byte from memory", stream],
    ["integer combination, per term and word", combination],
  ];
  return [
    name,
    table(["external product, k x N", "one level, us", "each further level, us"], products, {
      color,
    }),
    table(["other work", "ns"], weights, { color }),
  ].join("\n");
}
