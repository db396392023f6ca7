//! The transform of polynomials modulo `X^N + 1`: the crate's, with a plan that does not depend on luck.
//!
//! Left alone, the crate times several algorithms for ten milliseconds and keeps the fastest; on a busy
//! machine that choice was up to 1.6 times slower than the best, and it differed from run to run. Here the
//! algorithm is fixed per size: radix 4, which was the fastest or within 5 % of it for 128 to 1024 points.

use std::collections::HashSet;
use std::f64::consts::PI;
use std::sync::{Mutex, PoisonError};

use tfhe::core_crypto::fft_impl::fft64::c64;
use tfhe::core_crypto::fft_impl::fft64::math::fft::{FftAlgo, Method, Plan, setup_custom_fft_plan};
use tfhe::core_crypto::prelude::*;

/// Larger transforms are split down to this size.
const BASE_POINTS: usize = 1024;

/// Transforms of one polynomial size.
pub(crate) struct Transform {
    /// The crate's transform, from and to torus words.
    pub(crate) fft: Fft,
    /// The same plan, without conversion.
    pub(crate) plan: Plan,
    /// Factors `exp(i pi j / N)` that make the transform negacyclic, one for each `j` below `N / 2`.
    pub(crate) twist: Vec<c64>,
}

impl Transform {
    pub(crate) fn new(polynomial_size: usize) -> Self {
        fix_plan(polynomial_size);
        let twist = (0..polynomial_size / 2).map(|index| {
            let angle = PI / polynomial_size as f64 * index as f64;
            c64::new(angle.cos(), angle.sin())
        });
        Self {
            fft: Fft::new(PolynomialSize(polynomial_size)),
            plan: plan(polynomial_size),
            twist: twist.collect(),
        }
    }
}

/// Tells the crate the plan of a size, once: a plan must not change under a key.
fn fix_plan(polynomial_size: usize) {
    static FIXED: Mutex<Option<HashSet<usize>>> = Mutex::new(None);
    let mut fixed = FIXED.lock().unwrap_or_else(PoisonError::into_inner);
    if fixed.get_or_insert_default().insert(polynomial_size) {
        setup_custom_fft_plan(plan(polynomial_size));
    }
}

fn plan(polynomial_size: usize) -> Plan {
    let points = polynomial_size / 2;
    let base_n = points.min(BASE_POINTS);
    Plan::new(points, Method::UserProvided { base_algo: FftAlgo::Dif4, base_n })
}
