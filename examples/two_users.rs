//! Two people who write to each other through a node: `cargo run --example two_users -- http://127.0.0.1:7400`.
//!
//! The node has to have the development provider, as one on a loopback address has. Both devices keep everything in
//! memory; a program for people uses `Store::create` and `Store::open`.

use std::error::Error;

use conclave::client::{Client, Event, Events, Http, SignIn, Store};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or("http://127.0.0.1:7400".to_owned());
    let http = Http::new()?;
    let (ada, mut to_ada) = new_user(&http, &url, "ada").await?;
    let (grace, mut to_grace) = new_user(&http, &url, "grace").await?;

    ada.send_direct(grace.account_id(), "Hello, Grace.").await?;
    println!("grace reads: {}", next_text(&mut to_grace).await?);
    grace.send_direct(ada.account_id(), "Hello, Ada. Did anybody listen?").await?;
    println!("ada reads:   {}", next_text(&mut to_ada).await?);

    // Both see the same digits, if nobody stands between them.
    if let Some(number) = ada.safety_number(grace.account_id()).await? {
        println!("both compare {number}");
    }
    ada.close().await?;
    grace.close().await?;
    Ok(())
}

/// Signs somebody in who has no account yet, and sets up their first device.
async fn new_user(http: &Http, url: &str, name: &str) -> Result<(Client, Events), Box<dyn Error>> {
    let name = format!("{name}-{}", std::process::id());
    let signed_in = SignIn::new(http.clone(), url).development(&name).await?;
    Ok(Client::set_up(Store::in_memory(), signed_in).await?)
}

/// Waits for the next message, which is a text here.
async fn next_text(events: &mut Events) -> Result<String, Box<dyn Error>> {
    while let Some(event) = events.next().await {
        if let Event::Message(message) = event {
            return Ok(message.content.text().ok_or("not a text")?.to_owned());
        }
    }
    Err("the client has ended".into())
}
