//! Sessions: their first tokens, and each next pair.

use super::SignIn;
use super::error::SignInError;
use crate::ids::{AccountId, SessionId};
use crate::node::audit::{self, Event};
use crate::node::entropy::{self, EntropyError};
use crate::node::store::{NewSession, NewTokens, Rotation};
use crate::node::tokens::{AccessToken, RefreshToken};
use crate::wire::{Refresh, SecretText, SessionTokens, Timestamp};

/// A pair of tokens before the store knows it.
struct Pair {
    access: AccessToken,
    refresh: RefreshToken,
    access_expires_at: Timestamp,
    refresh_expires_at: Timestamp,
}

impl Pair {
    /// Cut to the end of their session.
    fn until(self, end: Timestamp) -> Self {
        Self {
            access_expires_at: self.access_expires_at.min(end),
            refresh_expires_at: self.refresh_expires_at.min(end),
            ..self
        }
    }

    fn hashed(&self) -> NewTokens {
        NewTokens {
            access: self.access.hash(),
            access_expires_at: self.access_expires_at,
            refresh: self.refresh.hash(),
            refresh_expires_at: self.refresh_expires_at,
        }
    }

    fn issued(&self, account_id: AccountId, session_id: SessionId) -> SessionTokens {
        SessionTokens {
            account_id,
            session_id,
            access_token: SecretText::new(self.access.to_text()),
            access_expires_at: self.access_expires_at,
            refresh_token: SecretText::new(self.refresh.to_text()),
            refresh_expires_at: self.refresh_expires_at,
        }
    }
}

impl SignIn {
    /// Opens a session of an account that has signed in.
    pub(super) async fn open_session(&self, account_id: AccountId) -> Result<SessionTokens, SignInError> {
        let now = self.clock.now();
        let absolute_expires_at = now.plus(self.settings.session_hours_max.hours());
        let pair = self.draw(now)?.until(absolute_expires_at);
        let session = NewSession {
            session_id: SessionId::generate(&mut entropy::generator()?),
            account_id,
            tokens: pair.hashed(),
            absolute_expires_at,
            created_at: now,
        };
        for ended in self.store.open_session(&session).await? {
            audit::record(Event::SessionDisplaced { account: account_id, session: ended });
            self.routes.end_session(ended);
        }
        Ok(pair.issued(account_id, session.session_id))
    }

    /// Trades a refresh token for the session's next pair of tokens.
    ///
    /// # Errors
    /// [`SignInError::RefreshRefused`]; [`SignInError::RefreshReused`] for a token that was traded before:
    /// it or its successor was stolen, so the session has ended; or the store's.
    pub async fn refresh(&self, request: &Refresh) -> Result<SessionTokens, SignInError> {
        let token: RefreshToken = request.refresh_token.expose().parse().map_err(|_| SignInError::RefreshRefused)?;
        let now = self.clock.now();
        let pair = self.draw(now)?;
        let rotation = self.store.rotate_session(token.hash(), &pair.hashed(), now).await?;
        let outcome = match &rotation {
            Rotation::Rotated { .. } => "rotated",
            Rotation::Reused(_) => "reused",
            Rotation::Expired(_) => "expired",
            Rotation::Unknown => "unknown",
        };
        self.metrics.calls.refreshes.of([outcome]).increment(1);
        match rotation {
            Rotation::Rotated { session, refresh_expires_at } => {
                audit::record(Event::Refreshed { account: session.account_id, session: session.session_id });
                let tokens = pair.issued(session.account_id, session.session_id);
                Ok(SessionTokens { access_expires_at: session.expires_at, refresh_expires_at, ..tokens })
            }
            Rotation::Reused(ended) => {
                audit::record(Event::RefreshReused { account: ended.account_id, session: ended.session_id });
                self.routes.end_session(ended.session_id);
                Err(SignInError::RefreshReused)
            }
            Rotation::Expired(ended) => {
                self.routes.end_session(ended.session_id);
                Err(SignInError::RefreshRefused)
            }
            Rotation::Unknown => Err(SignInError::RefreshRefused),
        }
    }

    fn draw(&self, now: Timestamp) -> Result<Pair, EntropyError> {
        let rng = &mut entropy::generator()?;
        Ok(Pair {
            access: AccessToken::generate(rng),
            refresh: RefreshToken::generate(rng),
            access_expires_at: now.plus(self.settings.access_seconds.seconds()),
            refresh_expires_at: now.plus(self.settings.idle_hours_max.hours()),
        })
    }
}
