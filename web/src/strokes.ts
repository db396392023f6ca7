/**
 * From pen strokes to the 8x8 images that the digits model was trained on. Their makers fitted each digit into a bitmap of
 * 32x32 pixels and counted the ink in blocks of 4x4; so does this, with strokes as thick as the ink of their digits.
 * @module
 */

/** A point of the drawing area, both coordinates 0 to 1, y down. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Points of the pen between touching down and lifting. */
export type Stroke = readonly Point[];

/** Pixels of an image's side. */
export const SIDE = 8;
const BITMAP = 32;
const BLOCK = BITMAP / SIDE;
/** Half the width of a stroke, in pixels of the bitmap: thinner ones lose 1s and 8s, thicker ones the test images. */
const RADIUS = 2.4;
/** Digits smaller than this share of the area are not blown up further: a dot is not an 8. */
const SMALLEST = 0.25;

/** An image of 64 values 0 to 1, row by row; all 0 where there are no strokes. */
export function imageOf(strokes: readonly Stroke[]): Float32Array {
  const image = new Float32Array(SIDE * SIDE);
  const segments = segmentsOf(fit(strokes));
  for (let y = 0; y < BITMAP; y++) {
    for (let x = 0; x < BITMAP; x++) {
      if (segments.some((segment) => distance(x + 0.5, y + 0.5, segment) <= RADIUS)) {
        image[Math.floor(y / BLOCK) * SIDE + Math.floor(x / BLOCK)] += 1 / BLOCK ** 2;
      }
    }
  }
  return image;
}

/** Strokes in pixels of the bitmap: as large as fits, centred, in their own proportions. */
function fit(strokes: readonly Stroke[]): Stroke[] {
  const points = strokes.flat();
  if (points.length === 0) return [];
  const [left, right] = rangeOf(points.map(({ x }) => x));
  const [top, bottom] = rangeOf(points.map(({ y }) => y));
  const size = Math.max(right - left, bottom - top, SMALLEST);
  const scale = (BITMAP - 2 * RADIUS) / size;
  const place = (value: number, low: number, high: number): number =>
    BITMAP / 2 + (value - (low + high) / 2) * scale;
  return strokes.map((stroke) =>
    stroke.map(({ x, y }) => ({ x: place(x, left, right), y: place(y, top, bottom) })),
  );
}

function rangeOf(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

type Segment = readonly [from: Point, to: Point];

function segmentsOf(strokes: readonly Stroke[]): Segment[] {
  return strokes.flatMap((stroke) =>
    stroke.length === 1
      ? [[stroke[0], stroke[0]] as const]
      : stroke.slice(1).map((point, i) => [stroke[i], point] as const),
  );
}

function distance(x: number, y: number, [from, to]: Segment): number {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((x - from.x) * dx + (y - from.y) * dy) / length;
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(x - from.x - t * dx, y - from.y - t * dy);
}
