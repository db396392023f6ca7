/** bench/RESULTS.md, a file with a section for each script that measures. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Replaces the section under a heading ("## …") up to the next heading, or appends it. */
export function writeSection(heading, text) {
  const path = fileURLToPath(new URL("RESULTS.md", import.meta.url));
  const known = readFileSync(path, "utf8");
  const body = `${heading}\n\n${text.trim()}\n`;
  const start = known.indexOf(`${heading}\n`);
  if (start < 0) return writeFileSync(path, `${known.trimEnd()}\n\n${body}`);
  const end = known.indexOf("\n## ", start + 1);
  return writeFileSync(path, known.slice(0, start) + body + (end < 0 ? "" : known.slice(end)));
}

/** A Markdown table. */
export function markdownTable(heads, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}
