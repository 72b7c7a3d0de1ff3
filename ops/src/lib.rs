//! What an operator needs: health and metrics of each service, and the deployment of jobs
//! on an Arroyo cluster.

pub mod deployer;
pub mod health;
