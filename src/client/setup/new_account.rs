//! The first device of an account.

use super::keep_device;
use crate::client::clock::Clock;
use crate::client::entropy;
use crate::client::error::ClientError;
use crate::client::sign_in::SignedIn;
use crate::client::store::Batch;
use crate::client::sync::{KIT_DUE, SECRETS, Saved, encode};
use crate::ids::DeviceId;
use crate::protocol::backup::AccountSecrets;
use crate::protocol::identity::{DeviceIdentity, DeviceKeys};

/// Makes an account's secrets and its first device, and keeps both.
///
/// # Errors
/// [`ClientError::AlreadySetUp`], [`ClientError::AccountExists`]; those of the calls and the store.
pub(in crate::client) async fn new_account(
    saved: &mut Saved,
    signed_in: &SignedIn,
    clock: &Clock,
) -> Result<(), ClientError> {
    if saved.has_device() {
        return Err(ClientError::AlreadySetUp);
    }
    let account = signed_in.account_id();
    if signed_in.api.device_list(account).await?.is_some() {
        return Err(ClientError::AccountExists);
    }
    let (identity, list, secrets) = {
        let rng = &mut entropy::generator()?;
        let secrets = AccountSecrets::generate(account, rng);
        let keys = DeviceKeys::generate(rng);
        let (signing_key, agreement_key) = (keys.signing.public_key(), keys.agreement.public_key());
        let certificate = secrets.root().certify(DeviceId::generate(rng), &signing_key, &agreement_key, clock.now());
        let list = secrets.root().sign_device_list(1, vec![certificate.clone()]);
        (DeviceIdentity::new(keys, &certificate)?, list, secrets)
    };
    let mut batch = Batch::default();
    batch.put(SECRETS, secrets.encode_secret());
    // With the secrets: however the set-up goes on, they are not to be the only ones.
    batch.put(KIT_DUE, encode(&true));
    keep_device(saved, signed_in, identity, &list, batch, clock.now()).await
}
