//! Little-endian reading and writing. A reader never believes a length before it has seen the bytes.

use crate::error::{Error, Result};

/// Cursor over bytes from outside; every read is checked.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    place: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], place: &'static str) -> Self {
        Self { rest: bytes, place }
    }

    pub(crate) fn fail<T>(&self, text: impl Into<String>) -> Result<T> {
        Err(Error::bytes(self.place, text))
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        if length > self.rest.len() {
            return self.fail(format!(
                "expected {length} more bytes, got {}; the data is truncated",
                self.rest.len()
            ));
        }
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH]> {
        let mut array = [0; LENGTH];
        array.copy_from_slice(self.take(LENGTH)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn size(&mut self) -> Result<usize> {
        Ok(self.u32()? as usize)
    }

    /// A number that is 0 or 1.
    pub(crate) fn flag(&mut self) -> Result<bool> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            other => self.fail(format!("expected 0 or 1, got {other}")),
        }
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32s(&mut self, count: usize) -> Result<Vec<u32>> {
        Ok(self.words::<4>(count)?.map(u32::from_le_bytes).collect())
    }

    pub(crate) fn i32s(&mut self, count: usize) -> Result<Vec<i32>> {
        Ok(self.words::<4>(count)?.map(i32::from_le_bytes).collect())
    }

    pub(crate) fn u64s(&mut self, count: usize) -> Result<Vec<u64>> {
        Ok(self.words::<8>(count)?.map(u64::from_le_bytes).collect())
    }

    fn words<const WIDTH: usize>(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = [u8; WIDTH]> + 'a> {
        let Some(length) = count.checked_mul(WIDTH) else {
            return self.fail("a length overflows");
        };
        let (words, _) = self.take(length)?.as_chunks::<WIDTH>();
        Ok(words.iter().copied())
    }

    pub(crate) fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        self.fail(format!("{} bytes too many", self.rest.len()))
    }
}

/// Appends numbers to a buffer.
pub(crate) trait Writer {
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_f64(&mut self, value: f64);
    fn put_u64s(&mut self, values: &[u64]);
    /// A count that the engine itself produced and that therefore fits.
    fn put_size(&mut self, value: usize);
}

impl Writer for Vec<u8> {
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_f64(&mut self, value: f64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64s(&mut self, values: &[u64]) {
        self.reserve(values.len() * 8);
        for value in values {
            self.put_u64(*value);
        }
    }

    fn put_size(&mut self, value: usize) {
        self.put_u32(u32::try_from(value).expect("internal: count exceeds 32 bits"));
    }
}
