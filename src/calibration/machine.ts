/**
 * The cost model of the running CPU, measured once and kept in the user's cache folder; and how an option names a model.
 * @module
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, homedir } from "node:os";
import { dirname, join } from "node:path";
import { engineFingerprint, loadEngine } from "../native/load.ts";
import { type CostModel, isCostModel } from "../parameters/cost.ts";
import { COST_MODELS, type CpuClass, DEFAULT_COST_MODEL } from "../parameters/cost-models.ts";
import type { Steps } from "../steps.ts";
import { calibrateInSteps } from "./measure.ts";

/** A shipped model by its class of CPU, the running machine's own, or weights of the caller's. */
export type CostModelOption = CpuClass | "machine" | CostModel;

/** The model that an option names; "machine" measures (about 20 s) unless it was measured before. Throws NATIVE_MISSING. */
export function* costModelInSteps(option: CostModelOption = DEFAULT_COST_MODEL): Steps<CostModel> {
  if (typeof option === "object") return option;
  if (option !== "machine") return COST_MODELS[option];
  const known = readMachineModel();
  if (known !== null) return known;
  const measured = yield* measureMachineInSteps();
  // A disturbed measurement says less of this CPU than the shipped model of its class.
  return measured.isDisturbed ? DEFAULT_COST_MODEL : measured.model;
}

/** A measured model, and the file that keeps it; null with the reason where it is not kept. */
export type MachineModel = {
  readonly model: CostModel;
  /** Other work took too much of the core. */
  readonly isDisturbed: boolean;
} & ({ readonly path: string } | { readonly path: null; readonly reason: string });

/** Share of a core below which other work has disturbed the measurement. */
const LEAST_SHARE = 0.85;

/** Measures the running CPU and keeps the model, unless the CPU was busy with other work. Throws NATIVE_MISSING. */
export function* measureMachineInSteps(): Steps<MachineModel> {
  const start = performance.now();
  const before = process.cpuUsage();
  const model = yield* calibrateInSteps(loadEngine(), cpuName());
  const { user, system } = process.cpuUsage(before);
  const share = (user + system) / 1000 / (performance.now() - start);
  if (share < LEAST_SHARE) {
    const percent = `${Math.round(100 * share)} % of a core`;
    return {
      model,
      isDisturbed: true,
      path: null,
      reason: `other work left only ${percent}; try again without it`,
    };
  }
  const path = cachePath();
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${JSON.stringify(model, null, 2)}\n`);
    return { model, isDisturbed: false, path };
  } catch (error) {
    // A cache only saves time: without one the next call measures again.
    return {
      model,
      isDisturbed: false,
      path: null,
      reason: error instanceof Error ? error.message : String(error),
    };
  }
}

/** The kept model of this CPU and engine; null if there is none, or none that can be read. */
export function readMachineModel(): CostModel | null {
  try {
    const model: unknown = JSON.parse(readFileSync(cachePath(), "utf8"));
    return isCostModel(model) ? model : null;
  } catch {
    return null;
  }
}

function cpuName(): string {
  return cpus()[0]?.model.trim() ?? process.arch;
}

/** One file for each CPU model and engine: another of either has other times. */
function cachePath(): string {
  const machine = `${process.arch} ${cpuName()} ${engineFingerprint()}`;
  const id = createHash("sha256").update(machine).digest("hex").slice(0, 16);
  return join(cacheFolder(), "sotto", `cost-model-${id}.json`);
}

/** Where the platform keeps what can be made again. */
function cacheFolder(): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (xdg !== undefined && xdg !== "") return xdg;
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches");
  if (process.platform === "win32" && local !== undefined && local !== "") return local;
  return join(homedir(), ".cache");
}
