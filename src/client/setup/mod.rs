//! How a device comes to be: the first of an account, which makes the root key, or a further one.

mod link;
mod new_account;
mod recovery;

pub use link::Linking;
pub(super) use new_account::new_account;
pub(super) use recovery::recover;
pub use recovery::{RecoveryKit, RecoveryKitError};

use super::entropy;
use super::error::ClientError;
use super::sign_in::SignedIn;
use super::store::Batch;
use super::sync::{NODE, Saved, TOKENS, encode};
use crate::protocol::backup::AccountSecrets;
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::machine::{Input, Machine};
use crate::protocol::public::verify_device_list;
use crate::wire::limits::DEVICES_MAX;
use crate::wire::{DeviceCertificate, DeviceList, Timestamp};

/// The account's next device list, with a further device on it.
///
/// # Errors
/// [`ClientError::OtherRootKey`] if the list that the node shows is not of this root; [`ClientError::Verify`];
/// [`ClientError::DeviceList`] if it is full.
pub(super) fn further_device(
    secrets: &AccountSecrets,
    shown: Option<&DeviceList>,
    certificate: DeviceCertificate,
) -> Result<DeviceList, ClientError> {
    let Some(shown) = shown else { return Ok(secrets.root().sign_device_list(1, vec![certificate])) };
    let shown = verify_device_list(shown)?;
    if *shown.root_key() != secrets.root().public_key() {
        return Err(ClientError::OtherRootKey);
    }
    let mut devices = shown.list().devices.clone();
    devices.retain(|device| device.device_id != certificate.device_id);
    if devices.len() >= DEVICES_MAX {
        return Err(ClientError::DeviceList);
    }
    devices.push(certificate);
    Ok(secrets.root().sign_device_list(shown.version() + 1, devices))
}

/// Keeps a device that was certified, and what else a batch has, before anybody hears of it.
async fn keep_device(
    saved: &mut Saved,
    signed_in: &SignedIn,
    identity: DeviceIdentity,
    list: &DeviceList,
    mut batch: Batch,
    now: Timestamp,
) -> Result<(), ClientError> {
    let (mut machine, changes) = Machine::new(identity);
    batch.add(changes);
    let outputs = machine.handle(Input::DeviceList(list), now, &mut entropy::generator()?)?;
    batch.add(outputs.changes);
    batch.put(NODE, encode(&signed_in.api.url()));
    batch.put(TOKENS, encode(&signed_in.tokens));
    // What another way of setting it up has begun.
    for name in link::RECORDS {
        batch.delete(name);
    }
    saved.commit(batch).await
}
