//! Sign-in at Google, whose address is not to be set. A real OpenID provider answers for its name, with a certificate that the
//! system of the node's process trusts.

use conclave::wire::{ErrorCode, Providers, SessionTokens};
use rcgen::generate_simple_self_signed;
use serde_json::json;

use super::browser::Browser;
use super::oidc_provider::{OidcProvider, as_user, come_back_by, complete};
use super::{CLIENT_SECRET, parameter};
use crate::preload;
use crate::process::NodeProcess;
use crate::server::{Api, DataFolder};

const HOST: &str = "accounts.google.com";
const ISSUER: &str = "https://accounts.google.com";

/// Who answers for Google, and a node that signs people in there.
struct Story {
    provider: OidcProvider,
    node: NodeProcess,
    /// Of the provider.
    certificate: String,
    _folder: DataFolder,
}

impl Story {
    /// `trusts` makes of the provider's certificate that of the authority which the node's system trusts.
    fn start(trusts: impl FnOnce(&str) -> String) -> Self {
        let folder = DataFolder::new();
        let made = generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let certificate = made.cert.pem();
        let (key_file, certificate_file, authority_file) = (
            folder.write("key.pem", &made.signing_key.serialize_pem()),
            folder.write("certificate.pem", &certificate),
            folder.write("authority.pem", &trusts(&certificate)),
        );
        let provider = OidcProvider::start_with(|process| {
            process.env("ISSUER", ISSUER).env("KEY_FILE", key_file).env("CERTIFICATE_FILE", certificate_file);
        });
        let node = NodeProcess::start(&folder.path().join("data"), |process| {
            process
                .env("CONCLAVE__SIGN_IN__GOOGLE__CLIENT_ID", "conclave")
                .env("CONCLAVE__SIGN_IN__GOOGLE__CLIENT_SECRET", CLIENT_SECRET)
                .env("SSL_CERT_FILE", authority_file)
                .env("LD_PRELOAD", preload::build("providers/elsewhere.c"))
                .env("ELSEWHERE_HOST", HOST)
                .env("ELSEWHERE_PORT", provider.address().port().to_string());
        });
        Self { provider, node, certificate, _folder: folder }
    }

    fn api(&self) -> &Api {
        &self.node.api
    }

    /// Somebody signs in, with a browser that finds Google where the node does.
    async fn sign_in(&self, name: &str) -> SessionTokens {
        let flow = self.api().start_flow_at("google").await;
        let url = flow.authorization_url.expose();
        assert!(url.starts_with(&format!("{ISSUER}/auth?response_type=code&client_id=conclave&")), "{url}");
        let parameters = ["redirect_uri", "scope", "code_challenge_method"].map(|name| parameter(url, name));
        assert_eq!(parameters, [&format!("{}/auth/google/callback", self.api().url), "openid", "S256"]);

        let mut browser = Browser::finding(HOST, self.provider.address(), &self.certificate);
        let location = come_back_by(self.api(), &mut browser, "google", &as_user(url, name)).await;
        assert_eq!([parameter(&location, "state"), parameter(&location, "iss")], [flow.state.expose(), ISSUER]);
        complete(self.api(), &location).await.ok()
    }
}

#[actix_web::test]
async fn somebody_signs_in_at_google_and_is_the_same_account_each_time() {
    let story = Story::start(str::to_owned);
    let listed: Providers = story.api().get("/api/auth/providers", None).await.ok();
    assert!(listed.providers.iter().any(|provider| provider.name == "google"), "{listed:?}");

    let (first, again) = (story.sign_in("ada").await, story.sign_in("ada").await);

    assert!(story.api().accepts(&first.access_token).await);
    assert_eq!(again.account_id, first.account_id);
    assert_ne!(story.sign_in("grace").await.account_id, first.account_id);
    assert_ne!(story.api().sign_in("ada").await.account_id, first.account_id);
}

/// Whoever has taken the name over has no certificate for it.
#[actix_web::test]
async fn who_answers_for_google_without_a_certificate_that_is_trusted_is_not_believed() {
    let story = Story::start(|_| generate_simple_self_signed([HOST.to_owned()]).unwrap().cert.pem());

    let answer = story.api().post("/api/auth/flows", None, &json!({ "provider": "google" })).await;

    answer.refused(503, ErrorCode::ProviderUnavailable);
    story.api().sign_in("ada").await;
}
