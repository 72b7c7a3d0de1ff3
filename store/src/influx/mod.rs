//! The store on InfluxDB 2.

mod lines;
#[cfg(test)]
mod tests;
