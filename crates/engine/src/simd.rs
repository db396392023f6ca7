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

/// Words that wrap around.
pub(crate) trait Word: Copy {
    fn add(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
}

macro_rules! wrapping_word {
    ($word:ty) => {
        impl Word for $word {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn multiply(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
        }
    };
}
wrapping_word!(u32);
wrapping_word!(u64);

/// `sum += f0 r0 + f1 r1 + f2 r2 + f3 r3`, wrapping: four rows for each pass over the sum.
#[inline(always)]
pub(crate) fn add_four_scaled<W: Word>(sum: &mut [W], rows: [&[W]; 4], factors: [W; 4]) {
    let length = sum.len();
    let [r0, r1, r2, r3] = rows.map(|row| &row[..length]);
    let [f0, f1, f2, f3] = factors;
    for index in 0..length {
        let low = f0.multiply(r0[index]).add(f1.multiply(r1[index]));
        let high = f2.multiply(r2[index]).add(f3.multiply(r3[index]));
        sum[index] = sum[index].add(low.add(high));
    }
}

/// `sum += factor row`, wrapping.
#[inline(always)]
pub(crate) fn add_scaled<W: Word>(sum: &mut [W], row: &[W], factor: W) {
    for (sum, word) in sum.iter_mut().zip(row) {
        *sum = sum.add(factor.multiply(*word));
    }
}
