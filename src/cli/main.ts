#!/usr/bin/env node
/**
 * The `sotto` command.
 * @module
 */
import { bench } from "./bench.ts";
import { calibrate } from "./calibrate.ts";
import { compile } from "./compile.ts";
import { inspect } from "./inspect.ts";
import { predict } from "./predict.ts";
import { runToExit } from "./process.ts";
import { runCommandLine } from "./program.ts";
import { decrypt, encrypt, keygen, run } from "./steps.ts";

const verbs = { inspect, predict, compile, keygen, encrypt, run, decrypt, bench, calibrate };

process.exitCode = await runToExit((signal) =>
  runCommandLine(process.argv.slice(2), verbs, signal),
);
