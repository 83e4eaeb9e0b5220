//! `sconce schema`

use sconce::core::Result;
use sconce::train::run_config::RunConfig;

pub fn run() -> Result<()> {
    crate::print(&format!("{:#}", RunConfig::schema()))
}
