//! A further device of an account, taken in by one that has the root key.

use core::fmt;
use core::time::Duration;

use tokio::time::sleep;
use zeroize::Zeroizing;

use super::{further_device, keep_device};
use crate::client::api::Http;
use crate::client::clock::Clock;
use crate::client::entropy;
use crate::client::error::ClientError;
use crate::client::handle::Client;
use crate::client::sign_in::SignedIn;
use crate::client::store::{Batch, Store};
use crate::client::sync::{Events, NODE, Saved, TOKENS, Worker, encode};
use crate::ids::{AccountId, DeviceId};
use crate::protocol::identity::{DeviceIdentity, DeviceKeys, LinkCode, LinkCodeError};
use crate::protocol::public::{VerifiedDeviceList, verify_device_list};
use crate::wire::DeviceList;

/// The keys of a device that waits to be linked, and its code: two records.
const KEYS: &str = "link/keys";
const CODE: &str = "link/code";

/// What is kept only until the device is set up.
pub(super) const RECORDS: [&str; 2] = [KEYS, CODE];

/// A device that waits until another one of its account takes it in. Secret.
pub struct Linking {
    saved: Saved,
    signed_in: SignedIn,
    clock: Clock,
    keys: Zeroizing<Vec<u8>>,
    code: LinkCode,
}

impl Linking {
    /// Makes a device's keys and its code, and keeps both. A store in which that was begun for this account goes on with the
    /// same.
    ///
    /// # Errors
    /// [`ClientError::AlreadySetUp`]; those of the store.
    pub async fn begin(store: Store, signed_in: SignedIn) -> Result<Self, ClientError> {
        let mut saved = Saved::load(store).await?;
        if saved.has_device() {
            return Err(ClientError::AlreadySetUp);
        }
        let account = signed_in.account_id();
        let (keys, code) = match begun(&saved)?.filter(|(_, code)| code.account_id() == account) {
            Some(begun) => begun,
            None => begin(account)?,
        };
        let mut batch = Batch::default();
        batch.put(KEYS, keys.clone());
        batch.put(CODE, Zeroizing::new(code.to_text().as_bytes().to_vec()));
        batch.put(NODE, encode(&signed_in.api.url()));
        batch.put(TOKENS, encode(&signed_in.tokens));
        saved.commit(batch).await?;
        Ok(Self { saved, signed_in, clock: Clock::system(), keys, code })
    }

    /// What is to be typed or scanned on a device that has the account's root key
    /// ([`Client::link_device`]). Secret: to be shown to the user alone.
    #[must_use]
    pub fn code(&self) -> Zeroizing<String> {
        self.code.to_text()
    }

    /// Waits until the device is taken in, and sets it up. To be given up by dropping it; the store keeps the code.
    ///
    /// # Errors
    /// [`ClientError::OtherRootKey`] if somebody else than the reader of the code has taken it in: the node lies. Those of
    /// the calls and the store.
    pub async fn wait(mut self) -> Result<(Client, Events), ClientError> {
        let list = loop {
            match self.look().await {
                Ok(Some(list)) => break list,
                Ok(None) => {}
                Err(ClientError::Api(error)) if error.is_transient() => {}
                Err(ClientError::Api(error)) if error.is_signed_out() => self.refresh().await?,
                Err(error) => return Err(error),
            }
            sleep(ASK_EVERY).await;
        };
        let Self { mut saved, signed_in, clock, keys, code } = self;
        let keys = DeviceKeys::load(&keys).map_err(|_| crate::client::StoreError::Broken)?;
        let certificate = list.devices.iter().find(|device| device.signing_key == code.signing_key().to_wire());
        let identity = DeviceIdentity::new(keys, certificate.ok_or(ClientError::DeviceList)?)?;
        let http: Http = signed_in.api.http().clone();
        keep_device(&mut saved, &signed_in, identity, &list, Batch::default(), clock.now()).await?;
        Client::begin(saved, http, clock).await
    }

    /// The account's list, once this device is on it.
    async fn look(&self) -> Result<Option<DeviceList>, ClientError> {
        let account = self.signed_in.account_id();
        let Some(list) = self.signed_in.api.device_list(account).await? else { return Ok(None) };
        let verified = verify_device_list(&list)?;
        let ours = verified.devices().iter().find(|device| device.signing_key() == self.code.signing_key());
        let Some(ours) = ours else { return Ok(None) };
        // Whoever has certified it under this id has read the code, and this is the root key that they have.
        let is_by_reader = ours.address().device_id == self.code.device_id(verified.root_key());
        if is_by_reader { Ok(Some(list)) } else { Err(ClientError::OtherRootKey) }
    }
}

impl Linking {
    /// The next tokens: somebody took longer than the first ones are good.
    async fn refresh(&mut self) -> Result<(), ClientError> {
        let tokens = self.signed_in.api.refresh(&self.signed_in.tokens.refresh_token).await?;
        let mut batch = Batch::default();
        batch.put(TOKENS, encode(&tokens));
        self.saved.commit(batch).await?;
        self.signed_in.api.set_token(tokens.access_token.clone());
        self.signed_in.tokens = tokens;
        Ok(())
    }
}

/// A device's keys as they are kept, and its code.
type Begun = (Zeroizing<Vec<u8>>, LinkCode);

fn begin(account: AccountId) -> Result<Begun, ClientError> {
    let rng = &mut entropy::generator()?;
    let keys = DeviceKeys::generate(rng);
    let code = LinkCode::generate(account, keys.signing.public_key(), keys.agreement.public_key(), rng);
    Ok((keys.save(), code))
}

/// What an earlier run has begun.
fn begun(saved: &Saved) -> Result<Option<Begun>, ClientError> {
    let (Some(keys), Some(code)) = (saved.records.get(KEYS), saved.records.get(CODE)) else { return Ok(None) };
    let broken = |_| crate::client::StoreError::Broken;
    let code = str::from_utf8(code).map_err(|_| crate::client::StoreError::Broken)?;
    Ok(Some((keys.clone(), LinkCode::parse(code).map_err(broken)?)))
}

impl Client {
    /// Takes a further device of this account in: certifies the keys that its code names. The root key stays here. One that was
    /// taken in is as it was.
    ///
    /// # Errors
    /// [`ClientError::LinkCode`], [`ClientError::OtherAccount`], [`ClientError::NoRootKey`], [`ClientError::DeviceList`] if the list is full; those of the
    /// calls.
    pub async fn link_device(&self, code: &str) -> Result<DeviceId, ClientError> {
        let code = LinkCode::parse(code)?;
        self.ask(move |worker| Box::pin(worker.link(code))).await
    }
}

impl Worker {
    async fn link(&mut self, code: LinkCode) -> Result<DeviceId, ClientError> {
        let own = self.machine.device().address().account_id;
        if code.account_id() != own {
            return Err(ClientError::OtherAccount);
        }
        self.fetch_devices(own).await?;
        let now = self.now();
        let secrets = self.secrets.as_ref().ok_or(ClientError::NoRootKey)?;
        let root = secrets.root();
        let device_id = code.device_id(&root.public_key());
        let known = self.machine.device_list(own);
        if known.is_some_and(|list| list.devices().iter().any(|device| device.address().device_id == device_id)) {
            return Ok(device_id);
        }
        let certificate = root.certify(device_id, code.signing_key(), code.agreement_key(), now);
        let list = further_device(secrets, known.map(VerifiedDeviceList::list), certificate)?;
        self.publish_devices(list).await?;
        Ok(device_id)
    }
}

impl fmt::Debug for Linking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { saved: _, signed_in, clock: _, keys: _, code: _ } = self;
        write!(f, "Linking({}, ..)", signed_in.account_id())
    }
}

impl From<LinkCodeError> for ClientError {
    fn from(_: LinkCodeError) -> Self {
        Self::LinkCode
    }
}

const ASK_EVERY: Duration = Duration::from_millis(700);
