/**
 * Pieces of a self-contained HTML page: tables, bar charts, the page around them. All text is escaped here.
 * @module
 */

/** Text as HTML. */
export function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A heading with a table under it. */
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

/** A row of a bar chart: one bar for each series, null where there is no value. */
export interface Bars {
  readonly label: string;
  readonly values: readonly (number | null)[];
}

const LABEL_WIDTH = 320;
const BAR_WIDTH = 480;
const NUMBER_WIDTH = 90;
const BAR_HEIGHT = 14;
const GAP = 8;
const COLORS = ["#4477aa", "#ee6677"] as const;
const LONGEST_LABEL = 44;

/** Horizontal bars in plain SVG, the longest as wide as the chart; at most two series. */
export function barChart(
  title: string,
  series: readonly string[],
  rows: readonly Bars[],
  format: (value: number) => string,
): string {
  const largest = Math.max(0, ...rows.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const rowHeight = series.length * BAR_HEIGHT + GAP;
  const height = rows.length * rowHeight + GAP;
  const bars = rows.flatMap(({ label, values }, row) => {
    const top = row * rowHeight + GAP;
    const text = `<text x="${LABEL_WIDTH - 8}" y="${top + BAR_HEIGHT - 3}" text-anchor="end">${escape(shorten(label))}</text>`;
    return [
      text,
      ...values.map((value, i) => {
        if (value === null) return "";
        const width = largest === 0 ? 0 : (BAR_WIDTH * value) / largest;
        const y = top + i * BAR_HEIGHT;
        return (
          `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 2}" fill="${COLORS[i]}"/>` +
          `<text x="${(LABEL_WIDTH + width + 5).toFixed(1)}" y="${y + BAR_HEIGHT - 3}">${escape(format(value))}</text>`
        );
      }),
    ];
  });
  const legend = series
    .map((name, i) => `<span style="color: ${COLORS[i]}">&#9632;</span> ${escape(name)}`)
    .join(" &nbsp; ");
  const width = LABEL_WIDTH + BAR_WIDTH + NUMBER_WIDTH;
  return [
    `<h2>${escape(title)}</h2>`,
    `<p>${legend}</p>`,
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}" font-size="12">`,
    ...bars.filter((bar) => bar !== ""),
    "</svg>",
  ].join("\n");
}

/** The end of a node's name tells more than its start. */
function shorten(label: string): string {
  return label.length <= LONGEST_LABEL ? label : `…${label.slice(1 - LONGEST_LABEL)}`;
}

/** The page around its sections. */
export function page(title: string, sections: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; margin-bottom: 2rem; }
td, th { border-bottom: 1px solid #ccc; padding: 0.3rem 0.8rem; text-align: left; }
svg { margin-bottom: 2rem; }
</style>
<h1>${escape(title)}</h1>
${sections.join("\n")}
</html>
`;
}
