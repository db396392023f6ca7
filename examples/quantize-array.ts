/**
 * Quantize an array, look at its codes, and de-quantize it again; then use its quantizer on new data.
 * Lines that start with `// >` are what the lines above them print.
 */
import { QuantizedArray, float64, int64, toNested } from "sotto";

// Ten numbers between -2 and 2.
const a = float64(
  [10],
  [
    0.5488135039273248, 0.7151893663724195, 0.6027633760716439, 0.5448831829968969,
    0.4236547993389047, 0.6458941130666561, 0.4375872112626925, 0.8917730007820798,
    0.9636627605010293, 0.3834415188257777,
  ].map((x) => 4 * x - 2),
);

// 7 bits give the codes 0 to 127. The scale is the distance between two codes, the zero point is the code of 0.
const fine = new QuantizedArray(7, a);
console.log("7 bits:", ...fine.qvalues.data);
// > 7 bits: 37 73 48 36 9 58 12 112 127 0
console.log("scale", fine.quantizer.scale);
// > scale 0.018274684777173276
console.log("zero point", fine.quantizer.zeroPoint);
// > zero point 26
console.log("back:", ...[...fine.dequant().data].map((x) => x.toFixed(4)));
// > back: 0.2010 0.8589 0.4020 0.1827 -0.3107 0.5848 -0.2558 1.5716 1.8457 -0.4751

// 3 bits are coarse: eight codes for the same range.
const coarse = new QuantizedArray(3, a);
console.log("3 bits:", ...coarse.qvalues.data, "zero point", coarse.quantizer.zeroPoint);
// > 3 bits: 2 4 2 2 0 3 0 6 7 0 zero point 1

// Symmetric: 0 is code 0, and codes have a sign.
const symmetric = new QuantizedArray(3, a, { isSigned: true, isSymmetric: true });
console.log("symmetric:", ...symmetric.qvalues.data, "zero point", symmetric.quantizer.zeroPoint);
// > symmetric: 0 1 1 0 0 1 0 3 3 -1 zero point 0

// The quantizer is worth keeping: new data get codes on the same scale, and what is out of its range is clipped.
const { quantizer } = fine;
const codes = quantizer.quant(float64([2, 2], [0.5, -0.25, 1.75, 9]));
console.log("new data:", JSON.stringify(toNested(codes)));
// > new data: [[53,12],[122,127]]
console.log("back:", ...[...quantizer.dequant(codes).data].map((x) => x.toFixed(4)));
// > back: 0.4934 -0.2558 1.7544 1.8457

// Codes that come from elsewhere, such as a decrypted answer, under a known quantizer.
const answer = symmetric.withQuantizedValues(int64([3], [0, 3, -1]));
console.log("decrypted:", ...[...answer.dequant().data].map((x) => x.toFixed(4)));
// > decrypted: 0.0000 1.8547 -0.6182
