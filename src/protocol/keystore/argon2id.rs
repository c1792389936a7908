//! Argon2id (RFC 9106), with floors and ceilings on its costs, in memory that is wiped.

use core::ops::RangeInclusive;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use super::{Argon2Parameter, KeystoreError, Passphrase};
use crate::protocol::public::limits;
use crate::wire::{Reader, Writer};

/// Bytes of a salt: RFC 9106, section 3.1.
pub(super) const SALT_LENGTH: usize = 16;

/// Bytes of the output: a key of 256 bits.
const OUTPUT_LENGTH: usize = 32;

/// Costs of Argon2id as somebody names them: a setting, a file, a server. Not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Costs {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub lanes: u32,
}

/// Costs of Argon2id that lie between the floors and ceilings in [`limits`].
///
/// The default is the floor: 64 MiB, 3 passes, 1 lane.
///
/// ```
/// use conclave::protocol::keystore::{Argon2Costs, Argon2Parameter, Argon2Parameters, KeystoreError};
///
/// let costs = Argon2Costs { memory_kib: 64 * 1024, iterations: 3, lanes: 1 };
/// assert_eq!(Argon2Parameters::try_from(costs), Ok(Argon2Parameters::default()));
/// assert_eq!(
///     Argon2Parameters::try_from(Argon2Costs { memory_kib: 19 * 1024, ..costs }),
///     Err(KeystoreError::BelowFloor { parameter: Argon2Parameter::MemoryKib, actual: 19_456, floor: 65_536 }),
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Parameters(Argon2Costs);

impl Argon2Parameters {
    /// The costs.
    #[must_use]
    pub const fn costs(&self) -> Argon2Costs {
        self.0
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        let Argon2Costs { memory_kib, iterations, lanes } = self.0;
        writer.u32(memory_kib).u32(iterations).u32(lanes)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, KeystoreError> {
        Argon2Costs { memory_kib: reader.u32()?, iterations: reader.u32()?, lanes: reader.u32()? }.try_into()
    }
}

impl Default for Argon2Parameters {
    fn default() -> Self {
        Self(Argon2Costs {
            memory_kib: limits::ARGON2_MEMORY_KIB_MIN,
            iterations: limits::ARGON2_ITERATIONS_MIN,
            lanes: limits::ARGON2_LANES_MIN,
        })
    }
}

/// Fails with [`KeystoreError::BelowFloor`] or [`KeystoreError::AboveCeiling`], naming the first cost
/// that is.
impl TryFrom<Argon2Costs> for Argon2Parameters {
    type Error = KeystoreError;

    fn try_from(costs: Argon2Costs) -> Result<Self, KeystoreError> {
        use Argon2Parameter::{Iterations, Lanes, MemoryKib};
        let Argon2Costs { memory_kib, iterations, lanes } = costs;
        check(MemoryKib, memory_kib, limits::ARGON2_MEMORY_KIB_MIN..=limits::ARGON2_MEMORY_KIB_MAX)?;
        check(Iterations, iterations, limits::ARGON2_ITERATIONS_MIN..=limits::ARGON2_ITERATIONS_MAX)?;
        check(Lanes, lanes, limits::ARGON2_LANES_MIN..=limits::ARGON2_LANES_MAX)?;
        Ok(Self(costs))
    }
}

fn check(parameter: Argon2Parameter, actual: u32, allowed: RangeInclusive<u32>) -> Result<(), KeystoreError> {
    let (floor, ceiling) = allowed.into_inner();
    if actual < floor {
        return Err(KeystoreError::BelowFloor { parameter, actual, floor });
    }
    if actual > ceiling {
        return Err(KeystoreError::AboveCeiling { parameter, actual, ceiling });
    }
    Ok(())
}

/// Stretches a passphrase: 32 bytes.
pub(super) fn stretch(
    passphrase: &Passphrase,
    salt: &[u8; SALT_LENGTH],
    parameters: Argon2Parameters,
) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let Argon2Costs { memory_kib, iterations, lanes } = parameters.costs();
    let params =
        Params::new(memory_kib, iterations, lanes, Some(OUTPUT_LENGTH)).map_err(|_| KeystoreError::Internal)?;
    run(&Argon2::new(Algorithm::Argon2id, Version::V0x13, params), passphrase.as_bytes(), salt)
}

/// Runs Argon2 in blocks that are wiped: those that `hash_password_into` allocates are not.
pub(super) fn run(
    argon2: &Argon2<'_>,
    passphrase: &[u8],
    salt: &[u8],
) -> Result<Zeroizing<[u8; OUTPUT_LENGTH]>, KeystoreError> {
    let block_count = argon2.params().block_count();
    let mut blocks = Zeroizing::new(Vec::new());
    blocks
        .try_reserve_exact(block_count)
        .map_err(|_| KeystoreError::OutOfMemory { memory_kib: argon2.params().m_cost() })?;
    blocks.resize(block_count, Block::new());
    let mut output = Zeroizing::new([0; OUTPUT_LENGTH]);
    argon2
        .hash_password_into_with_memory(passphrase, salt, &mut *output, blocks.as_mut_slice())
        .map_err(|_| KeystoreError::Internal)?;
    Ok(output)
}
