//! Operations with each machine's vectors that can run here: a dispatched one meets the widest ones only.

use rten_simd::SimdOp;
use rten_simd::isa::GenericIsa;
#[cfg(target_arch = "x86_64")]
use rten_simd::isa::{Avx2Isa, Avx512Isa};

pub(super) fn on_every_machine(operation: impl SimdOp + Copy) {
    operation.eval(GenericIsa::new());
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(isa) = Avx2Isa::new() {
            operation.eval(isa);
        }
        if let Some(isa) = Avx512Isa::new() {
            operation.eval(isa);
        }
    }
}
