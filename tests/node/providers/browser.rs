//! A browser: it keeps cookies and follows redirects until it has left the provider.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Url};

use crate::server::Answer;

pub(crate) struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Default for Browser {
    fn default() -> Self {
        Self { client: client().build().unwrap(), cookies: BTreeMap::new() }
    }
}

impl Browser {
    /// One for which a name leads there, and which trusts that certificate.
    pub(crate) fn finding(name: &str, there: SocketAddr, certificate: &str) -> Self {
        let trusted = Certificate::from_pem(certificate.as_bytes()).unwrap();
        let client = client().resolve(name, there).tls_certs_only([trusted]).build().unwrap();
        Self { client, cookies: BTreeMap::new() }
    }

    /// Opens an address, with the cookies of all sites, and without following where it leads.
    pub(crate) async fn open(&mut self, url: &str) -> Answer {
        let request = self.client.get(url);
        self.send(request).await
    }

    /// Sends a form of one field.
    pub(crate) async fn submit(&mut self, url: &str, name: &str, value: &str) -> Answer {
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(format!("{name}={value}"))).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = Answer::of(request.header(COOKIE, cookies.join("; "))).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => drop(self.cookies.remove(name)),
                value => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        answer
    }

    /// Opens a provider's address and follows it, until it leads to `home`: returns that address.
    pub(crate) async fn sign_in(&mut self, authorization_url: &str, home: &str) -> String {
        let mut url = authorization_url.to_owned();
        for _ in 0..8 {
            let answer = self.open(&url).await;
            assert_eq!(answer.status, 303, "{url}: {}", answer.body);
            url = Url::parse(&url).unwrap().join(answer.header(LOCATION.as_str())).unwrap().into();
            if url.starts_with(&format!("{home}/auth/")) {
                return url;
            }
        }
        panic!("the provider leads nowhere: {url}");
    }
}

/// Connections are not kept: none is left of them when the node stops.
fn client() -> ClientBuilder {
    Client::builder().redirect(Policy::none()).pool_max_idle_per_host(0)
}
