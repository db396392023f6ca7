//! Loops over words, compiled for every instruction set and chosen at run time.
//!
//! The crate itself is compiled for the baseline processor; [`pulp`] recompiles what is inlined into
//! [`vectorized`] for AVX2 and AVX-512.

/// Runs `work` compiled for the best instruction set that the processor has.
#[inline(always)]
pub(crate) fn vectorized<T>(work: impl FnOnce() -> T) -> T {
    struct Once<F>(F);
    impl<T, F: FnOnce() -> T> pulp::NullaryFnOnce for Once<F> {
        type Output = T;
        #[inline(always)]
        fn call(self) -> T {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Once(work))
}

/// `sum += f0 r0 + f1 r1 + f2 r2 + f3 r3`, wrapping: four rows for each pass over the sum.
#[inline(always)]
pub(crate) fn add_four_scaled(sum: &mut [u64], rows: [&[u64]; 4], factors: [u64; 4]) {
    let length = sum.len();
    let [r0, r1, r2, r3] = rows.map(|row| &row[..length]);
    for index in 0..length {
        let terms = [
            factors[0].wrapping_mul(r0[index]),
            factors[1].wrapping_mul(r1[index]),
            factors[2].wrapping_mul(r2[index]),
            factors[3].wrapping_mul(r3[index]),
        ];
        let [t0, t1, t2, t3] = terms;
        sum[index] = sum[index].wrapping_add(t0.wrapping_add(t1).wrapping_add(t2.wrapping_add(t3)));
    }
}

/// `sum += factor row`, wrapping.
#[inline(always)]
pub(crate) fn add_scaled(sum: &mut [u64], row: &[u64], factor: u64) {
    for (sum, word) in sum.iter_mut().zip(row) {
        *sum = sum.wrapping_add(factor.wrapping_mul(*word));
    }
}
