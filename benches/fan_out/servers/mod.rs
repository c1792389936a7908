//! What is measured: the node, and the two that it is held against.

pub(crate) mod actix;
pub(crate) mod epoll;
pub(crate) mod node;
