//! The commands, as somebody types them: each in a process of its own, on a profile.

mod chat;
mod demo;
mod login;
mod memory;
mod passphrase;
mod people;
mod person;
mod rooms;
mod statuses;
mod terminal;
