//! Bit-packed words. The lowest bits of a body are noise; those that are far below its standard deviation
//! are rounded off, which adds 1/768 to the noise at most. Outputs are rounded further, as their program says.

use crate::bytes::Reader;
use crate::error::Result;

/// Rounding to a step of at most an eighth of the noise adds 1 / (12 * 64) of its variance.
const SPARE_BITS: i32 = 3;

/// How words of `width` bits are packed: the `kept` highest bits of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packing {
    width: u32,
    kept: u32,
}

impl Packing {
    /// For bodies of `width` bits whose noise is `std`, as a fraction of the torus.
    pub(crate) fn new(width: u32, std: f64) -> Self {
        let noise_bits = std.log2().max(-1024.0).floor() as i32 + width as i32;
        let dropped = (noise_bits - SPARE_BITS).clamp(0, width as i32 - 1);
        Self { width, kept: width - dropped.unsigned_abs() }
    }

    /// For 64-bit words of which `kept` bits are kept, 1 to 64.
    pub(crate) fn keeping(kept: u32) -> Self {
        Self { width: 64, kept }
    }

    /// Reads `count` words that were packed.
    pub(crate) fn read(&self, reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>> {
        if count.checked_mul(64).is_none() {
            return reader.fail("a length overflows");
        }
        let packed = reader.take(self.bytes(count))?;
        self.check(packed, count, reader)?;
        Ok(self.unpack(packed, count))
    }

    /// Bytes of `count` words.
    pub(crate) fn bytes(&self, count: usize) -> usize {
        (count * self.kept as usize).div_ceil(8)
    }

    /// Rounds and packs, lowest bits first, the last byte filled up with zeros.
    pub(crate) fn pack(&self, bodies: impl Iterator<Item = u64>, packed: &mut Vec<u8>) {
        let dropped = self.width - self.kept;
        let (mut waiting, mut bits) = (0u128, 0);
        for body in bodies {
            let half = if dropped == 0 { 0 } else { 1u64 << (dropped - 1) };
            let rounded = body.wrapping_add(half) >> dropped & self.mask();
            waiting |= u128::from(rounded) << bits;
            bits += self.kept;
            while bits >= 8 {
                packed.push(waiting as u8);
                waiting >>= 8;
                bits -= 8;
            }
        }
        if bits > 0 {
            packed.push(waiting as u8);
        }
    }

    /// The bodies of `packed`, which has `bytes(count)` bytes.
    pub(crate) fn unpack(&self, packed: &[u8], count: usize) -> Vec<u64> {
        let dropped = self.width - self.kept;
        let mut bodies = Vec::with_capacity(count);
        let (mut waiting, mut bits) = (0u128, 0);
        let mut bytes = packed.iter();
        for _ in 0..count {
            while bits < self.kept {
                let byte = bytes.next().expect("internal: packed bodies were measured");
                waiting |= u128::from(*byte) << bits;
                bits += 8;
            }
            bodies.push((waiting as u64 & self.mask()) << dropped);
            waiting >>= self.kept;
            bits -= self.kept;
        }
        bodies
    }

    fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.kept)
    }

    /// Fails unless the bits after the last word are zero: equal words have equal bytes.
    pub(crate) fn check(&self, packed: &[u8], count: usize, reader: &Reader<'_>) -> Result<()> {
        let used = count * self.kept as usize % 8;
        match packed.last() {
            Some(last) if used > 0 && last >> used != 0 => {
                reader.fail("the padding of packed words is not zero")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Xorshift;

    #[test]
    fn bodies_come_back_rounded_to_an_eighth_of_their_noise() {
        for (width, log2_std) in [(64, -50.0), (64, -62.0), (32, -18.4), (32, -30.0), (64, -3.0)] {
            let packing = Packing::new(width, f64::exp2(log2_std));
            let mut draws = Xorshift(7);
            let bodies: Vec<u64> = (0..101).map(|_| draws.word() >> (64 - width)).collect();
            let mut packed = Vec::new();
            packing.pack(bodies.iter().copied(), &mut packed);
            assert_eq!(packed.len(), packing.bytes(bodies.len()));
            let step = f64::exp2(log2_std + f64::from(width)) / 8.0;
            for (body, unpacked) in bodies.iter().zip(packing.unpack(&packed, bodies.len())) {
                let shift = 64 - width;
                let error = (unpacked << shift).wrapping_sub(body << shift).cast_signed() >> shift;
                assert!(error.unsigned_abs() as f64 <= step / 2.0, "{width} {log2_std}: {error}");
            }
        }
    }

    #[test]
    fn quiet_bodies_keep_every_bit() {
        let packing = Packing::new(64, 0.0);
        let mut packed = Vec::new();
        packing.pack([u64::MAX, 1, 1 << 63].into_iter(), &mut packed);
        assert_eq!(packing.unpack(&packed, 3), [u64::MAX, 1, 1 << 63]);
    }
}
