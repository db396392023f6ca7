/**
 * Pieces of HTML that the sections of the report share.
 * @module
 */

/** A titled table; cells are text. */
export function table(
  title: string,
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const head = heads.map((text) => `<th>${escape(text)}</th>`).join("");
  const body = rows
    .map((row) => `<tr>${row.map((cell) => `<td>${escape(cell)}</td>`).join("")}</tr>`)
    .join("\n");
  return `<h2>${escape(title)}</h2>\n<table><tr>${head}</tr>\n${body}\n</table>`;
}

/** Text that may stand between tags and in attributes. */
export function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
