/**
 * Functions that JavaScript's Math lacks, accurate to about one unit in the last place.
 * @module
 */

/** Highest power first, as `evaluatePolynomial` takes them. */
type Coefficients = readonly number[];

function evaluatePolynomial(coefficients: Coefficients, x: number): number {
  let sum = 0;
  for (const coefficient of coefficients) sum = sum * x + coefficient;
  return sum;
}

/** A quotient of two polynomials in one variable. */
interface Rational {
  readonly numerator: Coefficients;
  readonly denominator: Coefficients;
}

function evaluateRational({ numerator, denominator }: Rational, x: number): number {
  return evaluatePolynomial(numerator, x) / evaluatePolynomial(denominator, x);
}

// Sun's rational approximations of erf, the ones of the C libraries: one per interval of |x|.

/** erf(x) = x + x R(x^2) for |x| < 0.84375. */
const nearZero: Rational = {
  numerator: [
    -2.37630166566501626084e-5, -5.77027029648944159157e-3, -2.8481749575598510477e-2,
    -3.2504210724700149937e-1, 1.28379167095512558561e-1,
  ],
  denominator: [
    -3.9602282787753681232e-6, 1.32494738004321644526e-4, 5.08130628187576562776e-3,
    6.50222499887672944485e-2, 3.97917223959155352819e-1, 1,
  ],
};

const valueNearOne = 8.45062911510467529297e-1;

/** erf(x) = valueNearOne + R(|x| - 1) for 0.84375 <= |x| < 1.25. */
const nearOne: Rational = {
  numerator: [
    -2.166375594868790843e-3, 3.54783043256182359371e-2, -1.10894694282396677476e-1,
    3.18346619901161753674e-1, -3.72207876035701323847e-1, 4.14856118683748331666e-1,
    -2.36211856075265944077e-3,
  ],
  denominator: [
    1.1984499846799107417e-2, 1.36370839120290507362e-2, 1.26171219808761642112e-1,
    7.18286544141962662868e-2, 5.40397917702171048937e-1, 1.06420880400844228286e-1, 1,
  ],
};

/** erfc(x) = exp(-x^2 - 0.5625 + R(1 / x^2)) / x for 1.25 <= x < 1 / 0.35. */
const middle: Rational = {
  numerator: [
    -9.81432934416914548592, -8.12874355063065934246e1, -1.84605092906711035994e2,
    -1.62396669462573470355e2, -6.23753324503260060396e1, -1.05586262253232909814e1,
    -6.93858572707181764372e-1, -9.86494403484714822705e-3,
  ],
  denominator: [
    -6.04244152148580987438e-2, 6.57024977031928170135, 1.08635005541779435134e2,
    4.29008140027567833386e2, 6.45387271733267880336e2, 4.34565877475229228821e2,
    1.376577541435190426e2, 1.96512716674392571292e1, 1,
  ],
};

/** The same for 1 / 0.35 <= x < 6; above, erf is 1 in double precision. */
const tail: Rational = {
  numerator: [
    -4.83519191608651397019e2, -1.02509513161107724954e3, -6.37566443368389627722e2,
    -1.60636384855821916062e2, -1.77579549177547519889e1, -7.99283237680523006574e-1,
    -9.86494292470009928597e-3,
  ],
  denominator: [
    -2.24409524465858183362e1, 4.74528541206955367215e2, 2.55305040643316442583e3,
    3.19985821950859553908e3, 1.53672958608443695994e3, 3.25792512996573918826e2,
    3.03380607434824582924e1, 1,
  ],
};

/** The error function `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to x. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x)) return NaN;
  if (size < 0.84375) {
    // the ratio of the two is constant this close to 0
    if (size < 2 ** -28) return x + 1.28379167095512586316e-1 * x;
    return x + x * evaluateRational(nearZero, x * x);
  }
  if (size < 1.25) return Math.sign(x) * (valueNearOne + evaluateRational(nearOne, size - 1));
  if (size >= 6) return Math.sign(x);
  return Math.sign(x) * (1 - complementOf(size));
}

/** 1 - erf(x) for 1.25 <= x < 6. */
function complementOf(x: number): number {
  const ratio = evaluateRational(x < 1 / 0.35 ? middle : tail, 1 / (x * x));
  // x^2 in two parts, so that the exponential's argument keeps its last bits
  const head = withoutLowWord(x);
  return (Math.exp(-head * head - 0.5625) * Math.exp((head - x) * (head + x) + ratio)) / x;
}

const word = new DataView(new ArrayBuffer(8));

/** The number with the lower 32 bits of its pattern cleared. */
function withoutLowWord(x: number): number {
  word.setFloat64(0, x);
  word.setInt32(4, 0);
  return word.getFloat64(0);
}

/** `log(1 + exp(x))` without overflow. */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/**
 * `x` to the power `y` as C's `pow` has it: 1 to any power is 1, and a square is the rounded product.
 */
export function power(x: number, y: number): number {
  if (y === 2) return x * x;
  if (x === 1 || (x === -1 && Math.abs(y) === Infinity)) return 1;
  return x ** y;
}
