/**
 * How a hand could draw an 8x8 image: lines between the centres of neighbouring dark pixels.
 */
import { SIDE, type Point, type Stroke } from "../../web/src/strokes.ts";

/** Pixels from half on are dark. */
const DARK = 0.5;

export function strokesOf(image: ArrayLike<number>): Stroke[] {
  const isDark = (row: number, column: number): boolean =>
    row >= 0 && row < SIDE && column >= 0 && column < SIDE && image[row * SIDE + column] >= DARK;
  const centre = (row: number, column: number): Point => ({
    x: (column + 0.5) / SIDE,
    y: (row + 0.5) / SIDE,
  });
  const strokes: Stroke[] = [];
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      if (!isDark(row, column)) continue;
      const right = isDark(row, column + 1);
      const below = isDark(row + 1, column);
      const left = isDark(row, column - 1);
      // Diagonals only where no corner joins the two.
      const ends = [
        ...(right ? [centre(row, column + 1)] : []),
        ...(below ? [centre(row + 1, column)] : []),
        ...(!right && !below && isDark(row + 1, column + 1) ? [centre(row + 1, column + 1)] : []),
        ...(!left && !below && isDark(row + 1, column - 1) ? [centre(row + 1, column - 1)] : []),
      ];
      if (ends.length === 0) strokes.push([centre(row, column)]);
      for (const end of ends) strokes.push([centre(row, column), end]);
    }
  }
  return strokes;
}
