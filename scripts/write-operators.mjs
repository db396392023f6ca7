/**
 * Writes docs/operators.md from the operator table of `dist/` (so run `npm run setup` first). A unit test holds the file
 * against the table.
 * @module
 */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { documentOperators } from "../dist/onnx/document.js";
import { encryptedColumn } from "../dist/quantization/document.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
writeFileSync(join(root, "docs", "operators.md"), documentOperators(encryptedColumn()));
