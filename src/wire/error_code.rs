//! ErrorCode placeholder
/// x
#[derive(Debug)]
pub enum ErrorCode {}
