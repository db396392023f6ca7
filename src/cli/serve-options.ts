/**
 * Options of `sotto serve` and `sotto token`.
 * @module
 */
import { type Command, Option } from "commander";
import { SottoError } from "../errors.ts";
import { parseInteger, type Verbs } from "./options.ts";

/** Adds a verb to the command: its usage, what it does, and examples. */
export type AddVerb = (usage: string, description: string, examples: readonly string[]) => Command;

const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;

/** Sizes in bytes; what is missing has a default that depends on the machine or the folder. */
export interface ServeVerbOptions {
  readonly folder: string;
  readonly host: string;
  readonly port: number;
  readonly data?: string;
  readonly tokens?: string;
  readonly web?: string;
  readonly lanes: number;
  readonly threads?: number;
  readonly keyCache?: number;
  readonly keyStorage: number;
  readonly maxQueued: number;
  readonly maxJobs: number;
  readonly rate: number;
  readonly keepHours: number;
  readonly requestTimeout: number;
  readonly grace: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly version: string;
  readonly signal: AbortSignal;
}

export interface TokenOptions {
  readonly tenant: string;
  readonly tokens?: string;
}

/** Adds `serve` and `token`. */
export function addServeVerbs(
  verb: AddVerb,
  verbs: Pick<Verbs, "serve" | "token">,
  common: { readonly signal: AbortSignal; readonly version: string },
): void {
  const count = (option: string, least: number) => (text: string) =>
    parseInteger(option, text, least);
  const size = (option: string) => (text: string) => parseBytes(option, text);
  verb("serve <folder>", "serve compiled models over HTTP to clients that encrypt", [
    "serve digits",
    "serve models --host 0.0.0.0 --tokens tokens.txt --data /var/lib/sotto",
  ])
    .option("--host <address>", "where to listen", "127.0.0.1")
    .option("--port <number>", "0 takes any that is free", count("--port", 0), 8080)
    .option("--data <folder>", "keeps keys, jobs and results; default: FOLDER/data")
    .option("--tokens <file>", "tenants and hashes of their tokens; without, this machine alone")
    .option("--web <folder>", "a web page to serve at /")
    .option("--lanes <count>", "jobs that run at once", count("--lanes", 1), 1)
    .option("--threads <count>", "threads of a job; default: all cores", count("--threads", 1))
    .option(
      "--key-cache <bytes>",
      "memory for expanded keys; default: a quarter",
      size("--key-cache"),
    )
    .option("--key-storage <bytes>", "disk for keys, per tenant", size("--key-storage"), 2 ** 31)
    .option("--max-queued <count>", "jobs that wait, per tenant", count("--max-queued", 1), 100)
    .option("--max-jobs <count>", "jobs and results, per tenant", count("--max-jobs", 1), 10_000)
    .option("--rate <count>", "requests a minute, per tenant", count("--rate", 1), 6000)
    .option("--keep-hours <hours>", "how long results are kept", count("--keep-hours", 1), 24)
    .option("--request-timeout <s>", "for a request to arrive", count("--request-timeout", 1), 120)
    .option("--grace <s>", "for running jobs when it is told to stop", count("--grace", 0), 10)
    .addOption(new Option("--log-level <level>").choices(LOG_LEVELS).default("info"))
    .action((folder: string, given: Omit<ServeVerbOptions, "folder" | "signal" | "version">) =>
      verbs.serve({ folder, ...given, ...common }),
    );
  verb("token <tenant>", "make a bearer token for serve", [
    "token alice --tokens tokens.txt",
    "token metrics --tokens tokens.txt",
  ])
    .option("--tokens <file>", "add the line here; default: print it on stderr")
    .action((tenant: string, given: { tokens?: string }) => verbs.token({ tenant, ...given }));
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** Bytes, such as 1500000, 500MB or 2G. Throws BAD_ARGUMENT. */
export function parseBytes(option: string, text: string): number {
  const [, number = "", unit = ""] =
    /^(\d{1,12}(?:\.\d+)?)\s*([kmgt]?)b?$/i.exec(text.trim()) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  if (number === "" || factor === undefined) {
    const message = `expected bytes, such as 500MB or 2GB, got ${JSON.stringify(text)}`;
    throw new SottoError("BAD_ARGUMENT", option, message);
  }
  return Math.round(Number(number) * factor);
}
