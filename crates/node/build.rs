//! Tells the linker that Node.js provides the symbols of its interface.

fn main() {
    napi_build::setup();
}
